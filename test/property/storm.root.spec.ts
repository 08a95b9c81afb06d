/**
 * Storms on the real kernel: very many changes at once, written as the loader writes them, under a reader that never stops asking. Both sides are
 * looked up by address as a packet's are. No answer may be of a state that never was: neither the one before nor the one after.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';

import { emptyTables, endpointsOfLog, nodeRows, orderSteps, rowsByMap, type NodeState, type Rows } from '@seine/datapath-writer';
import { BPFFS, ensureBpffs, pin } from '@seine/kernel';
import { Direction, echoOf, MAPS, type MapName } from '@seine/layout';

import { Datapath, openInterfaces, type Interfaces } from '../../bpf/test/datapath.ts';
import { openProbe, subjectAt, type Question } from '../../bpf/test/probe.ts';
import { applyOrder } from '../../services/loader/shell/apply.ts';
import { stormStates, type StormPod, type StormPolicy } from './storm-world.ts';

const NODES = { n1: '192.168.50.1', n2: '192.168.50.2' } as const;
const STORM_MS = Number(process.env['SEINE_STORM_MS'] ?? 2_500);
const WRITTEN: readonly MapName[] = ['sn_shape_01', 'sn_row_01', 'sn_peer_01', 'sn_class_01', 'sn_subject_01', 'sn_ipprefix_01', 'sn_ipcache_01', 'sn_endpoint_01', 'sn_epoch_01', 'sn_state_01'];
const ROOM = { sn_row_01: 4096, sn_peer_01: 65_536, sn_subject_01: 8192, sn_ipcache_01: 131_072, sn_endpoint_01: 8192, sn_class_01: 256, sn_ipprefix_01: 256 };
const NONE = 0;
const BUILD = '0'.repeat(64);

const peerEcho = (key: Readonly<Record<string, unknown>>): number => echoOf(MAPS.sn_peer_01.key, key as never); // keys of that map
const address = (index: number): string => `10.${128 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

describe('a storm', () => {
  let interfaces: Interfaces;
  let directory: string;
  beforeAll(() => {
    ensureBpffs();
    directory = `${BPFFS}/seine-storm-${process.pid}`;
    mkdirSync(directory);
    interfaces = openInterfaces();
  });
  afterAll(() => {
    interfaces.close();
    rmSync(directory, { recursive: true });
  });

  /** Asks `questions` while the maps go to and fro between two states; says for each which reasons it was answered with, and how often all were asked. */
  const asked = async (name: string, states: readonly [NodeState, NodeState], questions: readonly Question[]) => {
    const tables = emptyTables();
    const rowsOf = (state: NodeState): Rows => rowsByMap(nodeRows('n1', state, endpointsOfLog('n1', state, (link) => Number(link.slice(2)) + 100), tables).rows);
    const [before, after] = states.map(rowsOf) as [Rows, Rows]; // two of two
    const steps = [orderSteps(before, after, peerEcho).steps, orderSteps(after, before, peerEcho).steps] as const;
    const datapath = new Datapath(interfaces, { maxEntries: ROOM });
    const pins = WRITTEN.map((map) => `${directory}/${map}`);
    try {
      await applyOrder({ map: datapath.map, build: BUILD }, { seq: 1, steps: orderSteps(new Map(), before, peerEcho).steps });
      WRITTEN.forEach((map, index) => { pin(datapath.mapFd(map), pins[index]!); });
      const file = `/tmp/seine-storm-${process.pid}-${name}.json`;
      writeFileSync(file, JSON.stringify(steps));
      const probe = openProbe(datapath.maps(), 'party_probe');
      const ask = probe.reasons(questions);
      const first = Uint8Array.from(ask());
      const writer = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', new URL('./storm-writer.ts', import.meta.url).pathname, directory, file], { stdio: ['pipe', 'pipe', 'inherit'] });
      await once(writer.stdout, 'data');
      rmSync(file);
      const seen = questions.map(() => new Set<number>());
      let rounds = 0;
      for (const endMs = performance.now() + STORM_MS; performance.now() < endMs; rounds += 1) ask().forEach((reason, index) => { seen[index]!.add(reason); });
      writer.stdin.end();
      const [storms] = await once(writer.stdout, 'data') as [Buffer];
      await once(writer, 'exit');
      const last = Uint8Array.from(ask());
      probe.close();
      return { first, last, seen, rounds, storms: Number(storms) };
    } finally {
      for (const path of pins) rmSync(path, { force: true });
      datapath.close();
    }
  };

  /** Reasons that a question was answered with although neither state says so. */
  const never = ({ first, last, seen }: Awaited<ReturnType<typeof asked>>): readonly string[] =>
    seen.flatMap((reasons, index) => [...reasons].filter((reason) => reason !== first[index] && reason !== last[index]).map((reason) => `question ${index}: ${reason}, neither ${first[index]} nor ${last[index]}`));

  const PODS = 1000;
  const LABELS = 50;
  const relabelled = (to: 'old' | 'new'): readonly StormPod[] => [
    { name: 'db', node: 'n1', address: '10.244.1.2', labels: { app: 'db' } }, { name: 'fixed', node: 'n2', address: '10.244.2.2', labels: { app: 'fixed' } },
    ...Array.from({ length: PODS }, (_, index): StormPod => ({ name: `w${index}`, node: index % 2 === 0 ? 'n1' : 'n2', address: address(index), labels: { app: to, of: String(index % LABELS) } })),
  ];
  const PEERS_BY_LABEL: readonly StormPolicy[] = [
    { kind: 'CiliumNetworkPolicy', name: 'db', spec: {
      endpointSelector: { matchLabels: { app: 'db' } },
      ingress: [{ fromEndpoints: [{ matchLabels: { app: 'old' } }, { matchLabels: { app: 'fixed' } }] }], ingressDeny: [{ fromEndpoints: [{ matchLabels: { app: 'new' } }] }],
    } },
    { kind: 'CiliumNetworkPolicy', name: 'old', spec: { endpointSelector: { matchLabels: { app: 'old' } }, egress: [{ toEndpoints: [{ matchLabels: { app: 'db' } }] }] } },
    { kind: 'CiliumNetworkPolicy', name: 'new', spec: { endpointSelector: { matchLabels: { app: 'new' } }, egressDeny: [{ toEndpoints: [{ matchLabels: { app: 'db' } }] }] } },
  ];

  test(`of ${PODS} pods that are relabelled at once, local and remote ones: judged by what they were or by what they are`, async () => {
    const stateOf = stormStates(NODES, ['10.244.0.0/16', '10.128.0.0/16']);
    const workers = relabelled('old').slice(2);
    const toDb = workers.map(({ address: peerAddress }): Question => ({ ...subjectAt('10.244.1.2'), direction: Direction.INGRESS, peerAddress }));
    const fromLocal = workers.filter(({ node }) => node === 'n1').map(({ address: own }): Question => ({ ...subjectAt(own), direction: Direction.EGRESS, peerAddress: '10.244.1.2' }));
    const fixed: Question = { ...subjectAt('10.244.1.2'), direction: Direction.INGRESS, peerAddress: '10.244.2.2' };
    const result = await asked('relabel', [stateOf(relabelled('old'), PEERS_BY_LABEL), stateOf(relabelled('new'), PEERS_BY_LABEL)], [...toDb, ...fromLocal, fixed]);
    expect([new Set(result.first), new Set(result.last.slice(0, -1)), result.last.at(-1)]).toEqual([new Set([NONE]), new Set([181]), NONE]);
    expect(never(result).slice(0, 10)).toEqual([]);
    expect(result.storms).toBeGreaterThan(10);
    expect(result.rounds).toBeGreaterThan(100);
    expect(result.seen.filter((reasons) => reasons.size === 2).length).toBeGreaterThan(PODS / 2);
  }, 60_000);

  const MANY = 50_000;
  test(`of a new block over ${MANY} pod addresses: whom it does not concern is judged all the time as before`, async () => {
    const stateOf = stormStates(NODES, ['10.244.0.0/16', '10.128.0.0/16']);
    /* In the block and let in by label, in it and not, in its hole and let in, in its hole and not. */
    const pods: readonly StormPod[] = [
      { name: 'db', node: 'n1', address: '10.244.1.2', labels: { app: 'db' } },
      ...Array.from({ length: MANY }, (_, index): StormPod => ({ name: `w${index}`, node: 'n2', address: address(index), labels: { app: index % 3 === 0 ? 'friend' : 'other', of: String(index % LABELS) } })),
    ];
    const friends: StormPolicy = { kind: 'NetworkPolicy', name: 'friends', spec: { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'friend' } } }] }] } };
    /* The old revision knows a class already: a new one within it must not be a stranger to it. */
    const wide: StormPolicy = { kind: 'NetworkPolicy', name: 'wide', spec: { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ from: [{ ipBlock: { cidr: '10.128.0.0/15' } }], ports: [{ port: 443 }] }] } };
    const block: StormPolicy = { kind: 'NetworkPolicy', name: 'block', spec: { podSelector: { matchLabels: { app: 'db' } }, ingress: [{ from: [{ ipBlock: { cidr: '10.128.0.0/16', except: ['10.128.64.0/18', '10.128.3.0/24'] } }] }] } };
    const questions = Array.from({ length: 4096 }, (_, index): Question => ({ ...subjectAt('10.244.1.2'), direction: Direction.INGRESS, port: index % 2 === 0 ? 443 : 80, peerAddress: address((index * 12) + (index % 12)) }));
    const result = await asked('block', [stateOf(pods, [friends, wide]), stateOf(pods, [friends, wide, block])], questions);
    const unaffected = [...result.first].flatMap((reason, index) => (reason === result.last[index] ? [reason] : []));
    expect(new Set(unaffected)).toEqual(new Set([NONE, 133]));
    expect(unaffected.length).toBeGreaterThan(1000);
    expect(result.first.filter((reason, index) => reason !== result.last[index]).length).toBeGreaterThan(500);
    expect(never(result).slice(0, 10)).toEqual([]);
    expect(result.storms).toBeGreaterThan(10);
    expect(result.rounds).toBeGreaterThan(50);
  }, 60_000);
});
