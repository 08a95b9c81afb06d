/** The node's mind at the size of a large cluster: from nothing, and by one change. Figures of passes are until the ordered steps are made. */
import { runInNewContext } from 'node:vm';
import { setFlagsFromString } from 'node:v8';

import { createNodeJoin, emptyTables, endpointsOfLog, type NodeState } from '@seine/datapath-writer';
import { decideAll, serialiseCommit, NO_PREVIOUS, type SeineEvent } from '@seine/events';
import type { ApplyOrder, Step } from '@seine/node';
import { policyDecider } from '@seine/policy-compiler';

import { Datapath, openInterfaces } from '../../bpf/test/datapath.ts';
import { packSteps } from '../../services/datapath-writer/shell/pack.ts';
import { applyOrder } from '../../services/loader/shell/apply.ts';
import type { NodeObjects } from '../../services/loader/shell/objects.ts';
import { clusterEvents, compiled, KIN, namespaceName, nodeEvents, podEvents, policyFact, policyObjects, SELF, type PolicyObject, type Size } from './lib/cluster.ts';
import { fromScratchMs, openMind, stateOf } from './lib/mind.ts';
import type { Figure } from './lib/line.ts';

export const SIZE: Size = { namespaces: 50, identities: 10_000, policies: 5_000, local: 50 };
export const ROUNDS = 9;
/** Passes before the first that counts: the compiler of the language warms up as it would in a process that runs for weeks. */
export const WARM = 15;
const MEGABYTE = 1_048_576;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void; // as the flag gives it

const aim = (figure: string, unit: string, ours: readonly number[], most: number): Figure =>
  ({ figure, unit, ours, yardstick: { name: `the aim of ${most} ${unit}`, values: [most] }, aim: { relation: '<=', ratio: 1 } });
const against = (figure: string, ours: readonly number[], scratchMs: readonly number[]): Figure =>
  ({ figure: `${figure}, against all rows from scratch`, unit: 'ms', ours, yardstick: { name: 'all rows from scratch', values: scratchMs }, aim: undefined });

const repeat = (rounds: number, measure: (round: number) => number): readonly number[] => Array.from({ length: rounds }, (_, round) => measure(round));
/** The last ROUNDS of WARM more. */
const warm = (measure: (round: number) => number): readonly number[] => repeat(WARM + ROUNDS, measure).slice(WARM);

/** Every pair of identities, both directions: one bit each, from the rows of a node that has all of them. @returns milliseconds */
const matrixMs = (state: NodeState): { readonly ms: number; readonly cells: number } => {
  const started = performance.now();
  const join = createNodeJoin(SELF, state, emptyTables());
  join.update(endpointsOfLog(SELF, state, () => 1));
  const index = new Map([...state.identities.keys()].map((identity, at) => [identity, at]));
  const words = Math.ceil(index.size / 32);
  const passing = new Set([...join.rows.get('sn_row_01')!.values()].filter(({ value }) => value['verdict'] === 1).map(({ key }) => key['row']));
  const byRevision = new Map<unknown, Uint32Array>();
  const reach = (revision: unknown, enforced: boolean, defaultRow: unknown): Uint32Array => {
    const known = byRevision.get(revision) ?? new Uint32Array(words).fill(!enforced || passing.has(defaultRow as number) ? 0xffffffff : 0);
    byRevision.set(revision, known);
    return known;
  };
  const subjects = [...join.rows.get('sn_subject_01')!.values()].map(({ key, value }) => ({ identity: key['identity'] as number, direction: key['direction'], bits: reach(value['revision'], (Number(value['flags']) & 1) === 1, value['defaultRow']) }));
  for (const { key, value } of join.rows.get('sn_peer_01')!.values()) {
    const at = index.get(key['identity'] as number);
    const bits = byRevision.get(key['revision']);
    if (at === undefined || bits === undefined) continue;
    if (passing.has(value['row'] as number)) bits[at >>> 5]! |= 1 << (at & 31);
    else bits[at >>> 5]! &= ~(1 << (at & 31));
  }
  /* From a to b: a lets out and b lets in. */
  const cells = new Uint32Array(words * index.size);
  for (const { identity, direction, bits } of subjects) if (direction === 1) cells.set(bits, index.get(identity)! * words);
  const into = subjects.filter(({ direction }) => direction === 0);
  for (const { identity, bits } of into) {
    const to = index.get(identity)!;
    for (const from of index.values()) if (((bits[from >>> 5]! >>> (from & 31)) & 1) === 0) cells[from * words + (to >>> 5)]! &= ~(1 << (to & 31));
  }
  return { ms: performance.now() - started, cells: index.size ** 2 };
};

const everywhere = (count: number): readonly PolicyObject[] => Array.from({ length: count }, (_, index) => ({
  namespace: 'team-0', name: `everywhere-${index}`,
  spec: { podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { app: `app-${index % 30}` } } }, { namespaceSelector: { matchLabels: { team: `t${index}` } } }], ports: [{ protocol: 'TCP', port: 1024 + index }] }] },
}));

const OF_KIN = { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: Array.from({ length: KIN }, (_, index) => namespaceName(index)) }] };
/** Each rule means one application in each of 50 namespaces: 5,000 peers. */
const hundredRules = (version: number): readonly SeineEvent[] => compiled([{
  namespace: 'team-0', name: 'hundred',
  spec: {
    podSelector: { matchLabels: { app: 'app-0' } },
    ingress: Array.from({ length: 100 }, (_, index) => ({ from: [{ namespaceSelector: OF_KIN, podSelector: { matchLabels: { app: `app-${index}` } } }], ports: [{ protocol: 'TCP', port: 1024 + index + version }] })),
  },
}]);
const fromAll = (version: number): readonly SeineEvent[] => compiled([{
  namespace: 'team-0', name: 'from-all', spec: { podSelector: { matchLabels: { app: 'app-0' } }, ingress: [{ from: [{ namespaceSelector: {} }], ports: [{ protocol: 'TCP', port: 1024 + version }] }] },
}]);

/** A mind over a cluster of some size, and changes to put to it: each tells its milliseconds. */
export const openChanges = (size: Size): Readonly<Record<'identity' | 'rules' | 'nothing' | 'scratch', (round: number) => number>> => {
  const state = stateOf([...clusterEvents(size), ...compiled(policyObjects(size))]);
  const mind = openMind(state);
  mind.pass([]);
  const perNamespace = size.identities / size.namespaces;
  return {
    identity: (round) => mind.pass(podEvents({ index: size.identities + round, namespace: 'team-0', app: `app-${round % perNamespace}`, node: 'n7' })).ms,
    rules: (round) => mind.pass(hundredRules(round)).ms,
    nothing: (round) => mind.pass(podEvents({ index: size.identities + 1_000 + round, namespace: 'elsewhere', app: 'nobody', node: 'n9', identity: 65_000 })).ms,
    scratch: () => fromScratchMs(state),
  };
};

/** A loader's hands on real maps. */
const openKernel = () => {
  const interfaces = openInterfaces();
  const datapath = new Datapath(interfaces, { maxEntries: { sn_peer_01: 131_072, sn_row_01: 65_536, sn_subject_01: 4_096, sn_ipcache_01: 32_768, sn_ipprefix_01: 1_024, sn_class_01: 1_024 } });
  const objects = { map: datapath.map, build: '00'.repeat(32) } as unknown as NodeObjects; // all that a batch needs
  /** As it crosses the socket. @returns milliseconds */
  const apply = async (steps: readonly Step[]): Promise<number> => {
    const started = performance.now();
    const order = JSON.parse(JSON.stringify({ seq: 1, steps: packSteps(steps) })) as ApplyOrder;
    await applyOrder(objects, order);
    return performance.now() - started;
  };
  return { apply, close: () => { datapath.close(); interfaces.close(); } };
};

const fullFigures = (): readonly Figure[] => {
  const objects = policyObjects(SIZE);
  const rest = clusterEvents(SIZE);
  const facts = objects.map(policyFact);
  const compile = repeat(5, () => { const started = performance.now(); const decider = policyDecider(); decideAll(decider, decider.initialState(), facts); return (performance.now() - started) / 1000; });
  const policies = compiled(objects);
  collect();
  const before = process.memoryUsage().heapUsed;
  const state = stateOf([...rest, ...policies]);
  const mind = openMind(state);
  mind.pass([]);
  collect();
  const heldMb = (process.memoryUsage().heapUsed - before) / MEGABYTE;
  const rows = repeat(5, () => fromScratchMs(state) / 1000);
  const all = stateOf([...clusterEvents({ ...SIZE, local: SIZE.identities }), ...policies]);
  const matrix = repeat(5, () => matrixMs(all).ms / 1000);
  return [
    aim('full compile: rows of a node, 10,000 identities, 5,000 policies, 50 namespaces', 's', rows, 1),
    aim('full compile: 5,000 policy objects by the policy-compiler', 's', compile, 1),
    aim('full compile: heap of the node\'s mind, state included', 'MB', repeat(5, () => heldMb), 200),
    aim('matrix of all identities, 100,000,000 cells', 's', matrix, 5),
  ];
};

const incrementalFigures = (): readonly Figure[] => {
  const changes = openChanges(SIZE);
  const [identity, rules, nothing, scratch] = [warm(changes.identity), warm(changes.rules), warm(changes.nothing), repeat(5, changes.scratch)];
  return [
    aim('one new identity, 5,000 policies, 50 local subjects', 'ms', identity, 2), against('one new identity', identity, scratch),
    aim('one policy of 100 rules changes, 10,000 identities', 'ms', rules, 20), against('one policy of 100 rules', rules, scratch),
    against('a pod that no local policy means', nothing, scratch),
  ];
};

const kernelFigures = async (): Promise<readonly Figure[]> => {
  const kernel = openKernel();
  try {
    /* 250 policies that select everything, 30 pods of 30 identities on the node. */
    const objects = everywhere(250);
    const policies = compiled(objects);
    const pods = Array.from({ length: 30 }, (_, index) => podEvents({ index, namespace: 'team-0', app: `app-${index}`, node: SELF })).flat();
    const inKernel: number[] = [];
    for (let round = 0; round < WARM + ROUNDS; round += 1) {
      const mind = openMind(stateOf([...nodeEvents(), ...pods]));
      await kernel.apply(mind.pass([]).ordered.steps);
      const { ms, ordered } = mind.pass(policies);
      const appliedMs = await kernel.apply(ordered.steps);
      if (round >= WARM) inKernel.push(ms + appliedMs);
      const gone = policies.map(({ key }) => ({ type: 'policy.removed.v1', key, time: '', data: {} }) as SeineEvent); // what it held is not read
      await kernel.apply(mind.pass(gone).ordered.steps);
    }
    const objectBytes = objects.reduce((sum, { namespace, name, spec }) => sum + JSON.stringify({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace, name }, spec }).length, 0);
    const header = { log: 'bench', laneSeq: 1, epoch: 1, prev: NO_PREVIOUS, seen: 0, writer: 'bench' };
    const logBytes = serialiseCommit({ ...header, lane: 'fact' }, objects.map(policyFact)).length + serialiseCommit({ ...header, lane: 'policy' }, policies).length;

    /* A subject with 16,000 peers: a rule changes. */
    const wide: Size = { namespaces: 10, identities: 16_000, policies: 0, local: 1 };
    const mind = openMind(stateOf([...clusterEvents(wide), ...fromAll(0)]));
    await kernel.apply(mind.pass([]).ordered.steps);
    const [deltas, revision, switched]: [number[], number[], number[]] = [[], [], []];
    for (let round = 1; round <= WARM + ROUNDS; round += 1) {
      const { ms, ordered } = mind.pass(fromAll(round));
      const [up, rest] = [ordered.steps.filter((step) => step.step === 'upsert' && step.map !== 'sn_subject_01'), ordered.steps.filter((step) => step.step === 'upsert' && step.map === 'sn_subject_01')];
      const upMs = await kernel.apply(up);
      const switchMs = await kernel.apply(rest);
      await kernel.apply(ordered.steps.filter(({ step }) => step !== 'upsert'));
      if (round <= WARM) continue;
      deltas.push(ms);
      revision.push(upMs);
      switched.push(switchMs);
    }
    return [
      aim('250 policies that select everything, 30 pods: from events into the kernel', 'ms', inKernel, 300),
      { figure: '250 policies: bytes in the log', unit: 'bytes', ours: [logBytes], yardstick: { name: 'the objects as JSON', values: [objectBytes] }, aim: { relation: '<=', ratio: 3 } },
      aim('a subject with 16,000 peers, new revision: from deltas into the kernel', 'ms', revision, 20), aim('a subject with 16,000 peers, new revision: the switch', 'ms', switched, 1),
      { figure: 'a subject with 16,000 peers, new revision: events to deltas', unit: 'ms', ours: deltas, yardstick: { name: 'from deltas into the kernel', values: revision }, aim: undefined },
    ];
  } finally {
    kernel.close();
  }
};

/** Entries of the policy maps for so many pods of one Deployment. */
const policyEntries = (pods: number): number => {
  const events = Array.from({ length: pods }, (_, index) => podEvents({ index: 5_000 + index, namespace: 'team-0', app: 'app-0', workload: 'web', identity: 900, node: SELF })).flat();
  const size: Size = { namespaces: 2, identities: 400, policies: 400, local: 0 };
  const mind = openMind(stateOf([...clusterEvents(size), ...compiled(policyObjects(size)), ...events]));
  mind.pass([], true);
  return (['sn_subject_01', 'sn_peer_01', 'sn_row_01', 'sn_class_01'] as const).reduce((sum, map) => sum + mind.rows.get(map)!.size, 0);
};

export const measure = async (): Promise<readonly Figure[]> => [
  ...fullFigures(), ...incrementalFigures(), ...await kernelFigures(),
  { figure: '100 pods of one Deployment: entries of the policy maps', unit: 'entries', ours: [policyEntries(100)], yardstick: { name: 'one pod of it', values: [policyEntries(1)] }, aim: { relation: '<=', ratio: 1.05 } },
];

