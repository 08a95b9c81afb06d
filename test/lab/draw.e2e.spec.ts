/** Which backends a Service draws from, as `check`, `why` and the kernel have it. */
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { eventually } from '@seine/testkit';

import { json, keysOf, ROOT, seine, type MapItem } from './lab.ts';

const LAB = 'e2edraw';
const MANIFESTS = `${ROOT}test/lab/draw.yaml`;

interface Answer { readonly got: string; readonly reason: { readonly code: number } | null; readonly evidence: { readonly destination: string } }
interface Why { readonly verdict: string; readonly reason: Answer['reason']; readonly service: { readonly node: string; readonly set: string; readonly backends: readonly { readonly pod: string | null; readonly share: number; readonly out: string | null }[] } | null }
const shortly = ({ got, reason }: Pick<Answer, 'got' | 'reason'>): string => (reason === null ? got : `${got} ${reason.code}`);
const first = (report: { readonly probes: readonly Answer[] }): string => shortly(report.probes[0]!);

describe('what a Service draws from', () => {
  beforeAll(async () => { expect(await seine('lab', 'up', '-f', MANIFESTS, '--name', LAB, '--wait')).toMatchObject({ code: 0 }); }, 90_000);
  afterAll(async () => { await seine('lab', 'down', '--name', LAB); }, 60_000);

  test.each([
    { name: 'nobody on the client\'s node where the policy inside is Local', ask: ['a/client', 'svc:a/inside', '80'], want: 'deny 158' },
    { name: 'all of them at a port of the own node where only the policy outside is Local', ask: ['a/client', 'node:n1', '30081'], want: 'allow' },
    { name: 'nobody from outside at a node without one', ask: ['external', 'node:n1', '30081'], want: 'deny 158' },
    { name: 'the node\'s own from outside', ask: ['external', 'node:n2', '30081'], want: 'allow' },
    { name: 'a port of another node', ask: ['a/client', 'node:n2', '30082'], want: 'allow' },
    { name: 'a port of the own node, for who may speak to pods alone', ask: ['a/fenced', 'node:n1', '30082'], want: 'allow' },
    { name: 'a port of another node, for who may speak to pods alone', ask: ['a/fenced', 'node:n2', '30082'], want: 'deny 133' },
    { name: 'a host port of the own node, for who may speak to pods alone', ask: ['a/fenced', 'node:n1', '4000'], want: 'allow' },
    { name: 'a host port of another node, for who may speak to pods alone', ask: ['a/fenced', 'node:n2', '4000'], want: 'deny 133' },
    { name: 'a host port of another node', ask: ['a/client', 'node:n2', '4000'], want: 'allow' },
    { name: 'a host port from outside', ask: ['external', 'node:n1', '4000'], want: 'allow' },
    { name: 'an external address', ask: ['a/client', '203.0.113.8', '80'], want: 'allow' },
    { name: 'a load balancer\'s address whose ranges do not hold the client', ask: ['a/client', '203.0.113.7', '80'], want: 'deny 177' },
    { name: 'nobody at all', ask: ['a/client', 'svc:a/empty', '80'], want: 'deny 158' },
    { name: 'a Service, from a node\'s own process', ask: ['node:n2', 'svc:a/port', '80'], want: 'allow' },
  ])('$name', async ({ ask, want }) => {
    const [probed, checked, told] = await Promise.all([
      json<{ readonly probes: readonly Answer[] }>('probe', ...ask, '--name', LAB), json<{ readonly probes: readonly Answer[] }>('check', '-f', MANIFESTS, ...ask), json<Why>('why', ...ask, '--name', LAB),
    ]);
    expect({ probe: first(probed), check: first(checked), why: shortly({ got: told.verdict, reason: told.reason }) }).toEqual({ probe: want, check: want, why: want });
    expect(told.service).not.toBeNull();
  }, 30_000);

  test('is named: who can be drawn, and why another is not', async () => {
    expect(await json<Why>('why', 'a/client', 'svc:a/inside', '80', '--name', LAB)).toMatchObject({ service: { node: 'n1', set: 'nobody', backends: [{ pod: 'a/two', share: 0, out: 'not on n1, and the traffic policy is Local' }] } });
    expect(await json<Why>('why', 'external', 'node:n2', '30081', '--name', LAB)).toMatchObject({ service: { node: 'n2', set: 'active', backends: [{ pod: 'a/two', share: 1, out: null }] } });
  }, 30_000);

  test('is listed by frontend and by backend, as JSON and wide', async () => {
    const frontends = await json<readonly { readonly kind: string; readonly drawnOn: readonly unknown[] }[]>('get', 'frontends', 'a/outside', '--name', LAB);
    expect(frontends.find(({ kind }) => kind === 'nodePort')!.drawnOn).toEqual(['inside', 'outside'].flatMap((from) => ['n1', 'n2'].map((node) => {
      const drawn = from === 'outside' && node === 'n1' ? 0 : 1;
      return { node, from, drawn, of: 1, set: drawn === 0 ? 'nobody' : 'active' };
    })).sort((a, b) => (a.node < b.node ? -1 : 1)));
    expect((await seine('get', 'backends', 'a/inside', '-o', 'wide', '--name', LAB)).out).toMatch(/^SERVICE +ADDRESS +PORT .* DRAWN\na\/inside .* n1 out: not on n1, and the traffic policy is Local, n2 100 %\n/);
  }, 30_000);

  test('is counted by frontend, and drops by reason, until the Service is gone', async () => {
    const ports = Array.from({ length: 40 }, (_, index) => 9101 + index);
    const told = (): string => ports.map((port) => {
      try {
        return execFileSync('nsenter', [`--net=/run/netns/seine-${LAB}-node-n1`, 'curl', '-s', '--max-time', '2', `http://192.168.50.1:${port}/metrics`], { encoding: 'utf8' });
      } catch {
        return ''; // nobody listens there
      }
    }).join('');
    const number = (pattern: RegExp): number => Number(pattern.exec(told())?.[1] ?? 0);
    const FLOWS = /^seine_datapath_writer_service_flows_total\{namespace="a",service="port",frontend="10\.[0-9.]+:80\/TCP",kind="clusterIP"\} ([0-9]+)$/m;
    const DROPS = /^seine_loader_dropped_packets_total\{direction="egress",reason="[^"]+",code="133"\} ([0-9]+)$/m;
    const [flows, drops] = [number(FLOWS), number(DROPS)];
    await json('probe', 'a/client', 'svc:a/port', '80', '--name', LAB);
    await json('probe', 'a/fenced', 'node:n2', '30082', '--name', LAB);
    expect(number(FLOWS)).toBe(flows + 1);
    expect(number(DROPS)).toBeGreaterThan(drops);
    const counted = async (): Promise<number> => keysOf((await json<readonly MapItem[]>('get', 'maps', '--node', 'n1', '--name', LAB)).find(({ name }) => name === 'sn_flows_01')!.id).length;
    const before = await counted();
    const gone = `/tmp/seine-${LAB}.yaml`;
    writeFileSync(gone, 'apiVersion: v1\nkind: Service\nmetadata: {name: port, namespace: a}\nspec: {ports: [{port: 80}]}\n');
    expect((await seine('lab', 'delete', '-f', gone, '--name', LAB)).code).toBe(0);
    rmSync(gone);
    await eventually(() => !FLOWS.test(told()), 10_000);
    expect(await counted()).toBeLessThan(before);
  }, 60_000);

  test.each([['svc:a/headless', 'a headless Service'], ['svc:a/named', 'an ExternalName Service'], ['svc:a/nobody', 'no Service a/nobody']])('%s has no address: %s', async (to, message) => {
    for (const args of [['why', 'a/client', to, '80', '--name', LAB], ['probe', 'a/client', to, '80', '--name', LAB], ['check', '-f', MANIFESTS, 'a/client', to, '80']]) {
      const { code, err } = await seine(...args);
      expect([args[0], code, err]).toEqual([args[0], 2, expect.stringContaining(message)]);
    }
  }, 30_000);
});
