import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { eventually } from '@seine/testkit';

import { json, keysOf, removeKey, seine, SHOP, type Endpoint, type MapItem, type ProbeReport, type Verified } from './lab.ts';

const LAB = 'e2ejudge';
const ALLOWED = ['shop/front-end', 'shop/catalogue', '80'] as const;
const DENIED = ['shop/front-end', 'shop/carts-db', '27017'] as const;

type Ends = readonly [string, string, string];
const FAMILIES = [4, 6] as const;
/** What both families say, told as one where they agree. */
const inBoth = async (ask: (family: string) => Promise<ProbeReport>): Promise<string> => {
  const got = await Promise.all(FAMILIES.map(async (family) => (await ask(String(family))).probes[0]!.got));
  return [...new Set(got)].join(' but ');
};
const one = (ends: Ends): Promise<string> => inBoth((family) => json<ProbeReport>('probe', ...ends, '--family', family, '--name', LAB));
const checked = (ends: Ends): Promise<string> => inBoth((family) => json<ProbeReport>('check', '-f', SHOP, ...ends, '--family', family));

describe('the kernel judges', () => {
  let endpoints: readonly Endpoint[];
  const at = (workload: string): Endpoint => endpoints.filter(({ workload: owner }) => owner === `Deployment/${workload}`).sort((a, b) => (a.pod < b.pod ? -1 : 1))[0]!;
  beforeAll(async () => {
    const up = await seine('lab', 'up', '-f', SHOP, '--name', LAB, '--no-repair', '--wait');
    expect(up).toMatchObject({ code: 0 });
    endpoints = await json<readonly Endpoint[]>('get', 'endpoints', '--name', LAB);
  }, 90_000);
  afterAll(async () => { await seine('lab', 'down', '--name', LAB); }, 60_000);

  test.each(FAMILIES)('every probe of the shop over IPv%i, explained, and only the one mistake differs', async (family) => {
    const probes = `/tmp/seine-${LAB}.probes.json`;
    writeFileSync(probes, JSON.stringify((JSON.parse(readFileSync(`${SHOP}/probes.json`, 'utf8')) as readonly object[]).map((probe) => ({ ...probe, family }))));
    const report = await json<ProbeReport>('probe', '--probes', probes, '--name', LAB);
    rmSync(probes);
    expect(report.total).toBeGreaterThanOrEqual(12);
    expect(report.unexplained).toBe(0);
    expect(new Set(report.probes.map(({ evidence }) => evidence.engine))).toEqual(new Set(['kernel']));
    expect(report.probes.filter(({ ok }) => !ok).map(({ from, to }) => `${from} ${to}`)).toEqual(['shop/carts shop/carts-db']);
  }, 60_000);

  test('a verb that is refused over an open connection ends', async () => {
    expect(await seine('lab', 'exec', 'nobody/x', '--name', LAB, '--', 'true')).toMatchObject({ code: 2, err: expect.stringContaining('nobody/x') });
  }, 10_000);

  test.each([
    { family: 4, ip: 'IP', syns: 'ip and tcp[tcpflags] & tcp-syn != 0' },
    { family: 6, ip: 'IP6', syns: 'ip6 and tcp and ip6[53] & 2 != 0' }, // no extension before the TCP header
  ])('and somebody else counts the same packets of IPv$family', async ({ family, ip, syns }) => {
    const target = at('catalogue');
    const sniff = async (ends: readonly [string, string, string], netns: string, arrives: boolean): Promise<{ readonly lines: string; readonly source: string }> => {
      const tcpdump = spawn('nsenter', [`--net=/run/netns/${netns}`, 'tcpdump', '--immediate-mode', '-lnni', 'any', syns], { stdio: ['ignore', 'pipe', 'pipe'] });
      const lines: string[] = [];
      tcpdump.stdout.on('data', (chunk: Buffer) => { lines.push(chunk.toString()); });
      await once(tcpdump.stderr, 'data');
      const report = await json<ProbeReport>('probe', ...ends, '--family', String(family), '--name', LAB);
      const source = report.probes[0]!.evidence.source.replace(/^\[?(.+?)\]?:(\d+)$/, '$1.$2');
      if (arrives) await eventually(() => lines.join('').includes(source), 5_000);
      tcpdump.kill('SIGINT');
      await once(tcpdump, 'exit');
      return { lines: lines.join(''), source };
    };
    const allowed = await sniff(['shop/front-end', target.pod, '80'], target.podNetns, true);
    expect(allowed.lines.split('\n').filter((line) => line.includes(`In  ${ip} ${allowed.source} >`) && line.includes('Flags [S]'))).toHaveLength(1);
    const denied = await sniff(DENIED, at('carts-db').podNetns, false);
    expect(denied.lines).not.toContain(denied.source);
  }, 60_000);

  test('dump, replay and the exported log give the same rows, and as many as the kernel counts', async () => {
    const dump = await json<{ readonly seq: number; readonly entries: readonly { readonly map: string }[] }>('dump', '--node', 'n2', '--name', LAB);
    const replay = await seine('replay', '--node', 'n2', '--until', `#${dump.seq}`, '--name', LAB, '-o', 'json');
    expect(JSON.parse(replay.out)).toEqual(dump);
    const file = `/tmp/seine-${LAB}.log.jsonl`;
    await seine('log', 'export', '-O', file, '--name', LAB);
    const elsewhere = await seine('replay', '--node', 'n2', '--until', `#${dump.seq}`, '--log', file, '-o', 'json');
    expect(elsewhere.out).toBe(replay.out);
    expect(await json('log', 'verify', '--log', file, '--rederive')).toMatchObject({ ok: true, rederived: ['identity', 'ipam', 'policy', 'service'].map((lane) => ({ lane, ok: true })) });
    execFileSync('rm', [file]);
    for (const map of (await json<readonly MapItem[]>('get', 'maps', '--node', 'n2', '--name', LAB)).filter(({ fold }) => fold)) {
      expect([map.name, dump.entries.filter((entry) => entry.map === map.name).length]).toEqual([map.name, keysOf(map.id).length]);
      expect([map.name, map.rows]).toEqual([map.name, keysOf(map.id).length]);
    }
  }, 60_000);

  test('the matrix of the log is that of the manifests, and what the fix would flip is one cell', async () => {
    interface Cell { readonly from: string; readonly to: string; readonly port: number; readonly verdict: string; readonly rule: { readonly name: string } | null }
    const cells = async (...source: readonly string[]): Promise<readonly string[]> => (await json<{ readonly cells: readonly Cell[] }>('matrix', '-n', 'shop', ...source)).cells.map(({ from, to, port, verdict, rule }) => `${from} ${to} ${port} ${verdict} ${rule?.name ?? ''}`).sort();
    expect(await cells('--name', LAB)).toEqual(await cells('-f', SHOP));
    const { code, out } = await seine('diff', '-f', `${SHOP}/fix.yaml`, '--name', LAB, '-o', 'json');
    expect([code, (JSON.parse(out) as { readonly flips: readonly { readonly from: readonly string[]; readonly to: readonly string[] }[] }).flips.map(({ from, to }) => `${from.join()} ${to.join()}`)]).toEqual([1, ['shop/carts shop/carts-db']]);
    expect((await seine('diff', '--from', '#1', '--name', LAB, '--quiet')).code).toBe(0);
    const policies = await json<readonly { readonly state: string; readonly nodes: readonly { readonly enforced: boolean }[] }[]>('get', 'policies', '-n', 'shop', '--name', LAB);
    expect(policies.map(({ state, nodes }) => [state, nodes.length > 0 && nodes.every(({ enforced }) => enforced)])).toEqual(policies.map(() => ['enforced', true]));
  }, 60_000);

  test('a flow names rule and peer, whose isolation denied it, what is under audit, and what a policy wants said', async () => {
    const file = `/tmp/seine-${LAB}.told.yaml`;
    writeFileSync(file, `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: tried, namespace: shop, annotations: {seine.network/audit: "true"}}
spec: {podSelector: {matchLabels: {name: payment}}}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: watched, namespace: shop}
spec: {endpointSelector: {matchLabels: {name: carts}}, ingress: [{fromEndpoints: [{matchLabels: {name: nobody}}, {matchLabels: {name: front-end}}]}], log: {value: carts are watched}}
`);
    expect((await seine('lab', 'apply', '-f', file, '--name', LAB)).code).toBe(0);
    for (const [from, to, port] of [['shop/front-end', 'svc:shop/carts', '80'], ['shop/orders', 'svc:shop/payment', '80'], DENIED] as const) await json<ProbeReport>('probe', from, to, port, '--name', LAB);
    interface Told { readonly verdict: string; readonly rule: string | null; readonly peer: number | null; readonly isolatedBy: readonly string[]; readonly policy_log: readonly string[] }
    const told = async (...filter: readonly string[]): Promise<Told> => (await json<readonly Told[]>('observe', '--last', '1', ...filter, '--name', LAB))[0]!;
    expect(await told('--to', 'shop/carts', '--verdict', 'forwarded', '--from', 'shop/front-end', '--traffic-direction', 'ingress')).toMatchObject({ policy_log: ['carts are watched'], rule: 'CiliumNetworkPolicy/shop/watched ingress[0]', peer: 1, isolatedBy: [] });
    expect(await told('--to', 'shop/payment', '--verdict', 'audit')).toMatchObject({ verdict: 'AUDIT', rule: null, isolatedBy: ['NetworkPolicy/shop/tried'] });
    expect(await told('--to', 'shop/carts-db', '--verdict', 'dropped')).toMatchObject({ rule: null, peer: null, isolatedBy: ['NetworkPolicy/shop/carts-db-access'] });
    const why = await json<{ readonly verdict: string; readonly seen: { readonly count: number } | null; readonly asOf: { readonly applied: string | null }; readonly history: readonly { readonly flipped: boolean; readonly summary: string }[] }>('why', 'shop/orders', 'svc:shop/payment', '80', '--name', LAB);
    expect(why).toMatchObject({ verdict: 'audit', asOf: { applied: expect.stringContaining('T') } });
    expect(why.seen?.count).toBeGreaterThan(0);
    expect(why.history.filter(({ flipped }) => flipped).map(({ summary }) => summary)).toEqual(['NetworkPolicy shop/tried compiled']);
    expect((await seine('lab', 'delete', '-f', file, '--name', LAB)).code).toBe(0);
    rmSync(file);
  }, 60_000);

  test('one deleted ipcache entry is exactly one difference, with the event that put it there', async () => {
    const map = (await json<readonly MapItem[]>('get', 'maps', '--node', 'n1', '--name', LAB)).find(({ name }) => name === 'sn_ipcache_01')!;
    const address = at('carts-db').address.split('.').map((byte) => Number(byte).toString(16).padStart(2, '0'));
    const key = keysOf(map.id).find((bytes) => bytes.slice(12).join(' ') === address.join(' '))!;
    removeKey(map.id, key);
    const { code, out } = await seine('verify', '--name', LAB, '-o', 'json');
    expect(code).toBe(1);
    const differences = (JSON.parse(out) as Verified).nodes.flatMap((node) => node.differences);
    expect(differences).toEqual([expect.objectContaining({ map: 'sn_ipcache_01', kind: 'missing', key: `address=${at('carts-db').address}`, event: expect.objectContaining({ type: 'address.bound.v1', subject: `address/${at('carts-db').address}` }) })]);
  }, 60_000);

  test('with its policy maps emptied it denies what was allowed, and verify says so; check does not change', async () => {
    expect(await one(ALLOWED)).toBe('allow');
    for (const map of await json<readonly MapItem[]>('get', 'maps', '--name', LAB)) {
      if (['sn_subject_01', 'sn_peer_01', 'sn_row_01'].includes(map.name)) for (const key of keysOf(map.id)) removeKey(map.id, key);
    }
    expect(await one(ALLOWED)).toBe('deny');
    expect((await seine('verify', '--name', LAB)).code).toBe(1);
    expect(await checked(ALLOWED)).toBe('allow');
  }, 60_000);

  test('and with its programs taken off, routes and neighbours alone carry what was denied; check does not change', async () => {
    expect(await one(DENIED)).toBe('deny');
    for (const { nodeNetns, hostInterface } of endpoints) execFileSync('nsenter', [`--net=/run/netns/${nodeNetns}`, 'tc', 'qdisc', 'del', 'dev', hostInterface, 'clsact']);
    expect(await one(DENIED)).toBe('allow');
    const verified = await json<Verified>('verify', '--name', LAB);
    expect(verified.nodes.flatMap(({ programs }) => programs).length).toBeGreaterThanOrEqual(endpoints.length);
    expect(await checked(DENIED)).toBe('deny');
  }, 60_000);
});
