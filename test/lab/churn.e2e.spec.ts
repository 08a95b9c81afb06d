/**
 * Backends come and go under 500 connections a second, from a pod and from outside. A backend is taken out as Kubernetes does it: terminating
 * first, then gone. Its servers run on, so that who answers is who was chosen. Stamps: it counts as gone from the moment at which every node
 * has said that it holds the change, until the moment before it is listed again; between, both answers are right.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { eventually } from '@seine/testkit';

import { json, ROOT, SEINE, seine, type Endpoint } from './lab.ts';

const LAB = 'e2echurn';
const CLUSTER_IP = '10.96.0.180';
const DATAGRAMS_IP = '10.96.0.181';
const NODE_PORT = 30180;
const NODES = { n1: '192.168.50.1', n2: '192.168.50.2' } as const;
const EACH_SECOND = { inside: 400, outside: 100 };
const BACKENDS = ['a', 'b', 'c', 'd'] as const;
type Backend = (typeof BACKENDS)[number];
type Condition = 'active' | 'terminating' | 'gone';
const ROLES = [['watcher'], ['identity-allocator'], ['service-compiler'], ['policy-compiler'], ['ipam'], ['datapath-writer', '--node', 'n1'], ['loader', '--node', 'n1'], ['datapath-writer', '--node', 'n2'], ['loader', '--node', 'n2']] as const;

interface Status { readonly roles: readonly { readonly name: string; readonly node: string | null; readonly pid: number | null }[] }
/** When it began (ms), how long it took, who answered or which error came. */
type Seen = readonly [number, number, string];
/** From when on a backend's condition is every node's, until the next change of it is begun. */
interface Interval { readonly backend: Backend; readonly condition: Condition; readonly fromMs: number; readonly untilMs: number }

const nodeOf = (name: string): string => (name === 'b' || name === 'd' ? 'n2' : 'n1');
const MANIFEST = [
  ...['client', ...BACKENDS].map((name) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'churn', labels: { app: name } }, spec: { nodeName: nodeOf(name), containers: [{ name: 'c', image: 'x', ports: [{ containerPort: 8080 }, { containerPort: 5353, protocol: 'UDP' }] }] } })),
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'churn' }, spec: { type: 'NodePort', clusterIP: CLUSTER_IP, ports: [{ port: 80, targetPort: 8080, nodePort: NODE_PORT }] } },
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'dns', namespace: 'churn' }, spec: { clusterIP: DATAGRAMS_IP, ports: [{ port: 53, targetPort: 5353, protocol: 'UDP' }] } },
].map((object) => JSON.stringify(object)).join('\n---\n');

const slice = (service: string, port: number, protocol: string, endpoints: readonly unknown[]): string => JSON.stringify({
  apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `${service}-1`, namespace: 'churn', labels: { 'kubernetes.io/service-name': service } },
  addressType: 'IPv4', ports: [{ name: '', port, protocol }], endpoints,
});

const apply = async (text: string, ...args: readonly string[]): Promise<void> => {
  const child = spawn(SEINE, ['lab', ...args, '-f', '-', '--name', LAB], { stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString(); });
  child.stdin.end(text);
  const [code] = await once(child, 'exit') as [number];
  if (code !== 0) throw new Error(said);
};

describe('backends that come and go', () => {
  let endpoints: readonly Endpoint[];
  const at = (name: string): Endpoint => endpoints.find(({ pod }) => pod === `churn/${name}`)!;
  const conditions = new Map<Backend, Condition>();
  const intervals: Interval[] = [];
  const since = new Map<Backend, number>();

  /** @param now every backend that is not named keeps its condition */
  const become = async (now: Partial<Record<Backend, Condition>>): Promise<void> => {
    const changed = BACKENDS.filter((backend) => now[backend] !== undefined && now[backend] !== conditions.get(backend));
    const beginMs = Date.now();
    for (const backend of changed) {
      const fromMs = since.get(backend);
      if (fromMs !== undefined) intervals.push({ backend, condition: conditions.get(backend)!, fromMs, untilMs: beginMs });
      conditions.set(backend, now[backend]!);
    }
    await apply(slice('web', 8080, 'TCP', BACKENDS.filter((backend) => conditions.get(backend) !== 'gone').map((backend) => {
      const active = conditions.get(backend) === 'active';
      return { addresses: [at(backend).address], nodeName: nodeOf(backend), conditions: { ready: active, serving: true, terminating: !active } };
    })), 'apply');
    for (const backend of changed) since.set(backend, Date.now());
  };

  const loads: { readonly child: ChildProcess; readonly out: string[] }[] = [];
  const startLoad = async (who: string, host: string, port: number, eachSecond: number): Promise<void> => {
    const child = spawn(SEINE, ['lab', 'exec', who, '--name', LAB, '--', process.execPath, `${ROOT}test/lab/churn.mjs`, host, String(port), String(eachSecond)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const out: string[] = [];
    child.stdout.on('data', (chunk: Buffer) => { out.push(chunk.toString()); });
    loads.push({ child, out });
    await eventually(() => out.join('').includes('ready'), 20_000);
  };
  const stopLoads = async (): Promise<readonly Seen[]> => {
    const all: Seen[] = [];
    for (const { child, out } of loads.splice(0)) {
      const exit = once(child, 'exit');
      process.kill(Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0]), 'SIGTERM');
      await exit;
      all.push(...JSON.parse(out.join('').trim().split('\n').at(-1)!) as readonly Seen[]);
    }
    return all;
  };
  /** Somebody was live at all times: nothing may fail. Who has begun to end, or is gone, is not chosen any more. */
  const judge = (seen: readonly Seen[]) => {
    const endMs = Date.now();
    const all = [...intervals, ...BACKENDS.map((backend): Interval => ({ backend, condition: conditions.get(backend)!, fromMs: since.get(backend)!, untilMs: endMs }))];
    const to = (condition: Condition): number => seen.filter(([beganMs, , answer]) => all.some((interval) => interval.condition === condition && answer === `churn/${interval.backend}` && beganMs > interval.fromMs && beganMs < interval.untilMs)).length;
    return { requests: seen.length, failedWhileLive: seen.filter(([, , answer]) => !answer.startsWith('churn/')).length, toTerminating: to('terminating'), toDead: to('gone') };
  };

  beforeAll(async () => {
    const up = spawn(SEINE, ['lab', 'up', '-f', '-', '--name', LAB, '--wait'], { stdio: ['pipe', 'ignore', 'inherit'] });
    up.stdin.end(MANIFEST);
    expect(await once(up, 'exit')).toEqual([0, null]);
    endpoints = await json<readonly Endpoint[]>('get', 'endpoints', '--name', LAB);
    await become({ a: 'active', b: 'active', c: 'active', d: 'active' });
  }, 90_000);
  afterAll(async () => {
    for (const { child } of loads) child.kill();
    await seine('lab', 'down', '--name', LAB);
  }, 60_000);

  const startLoads = async (): Promise<void> => {
    await startLoad('churn/client', CLUSTER_IP, 80, EACH_SECOND.inside);
    await startLoad('external', NODES.n1, NODE_PORT, EACH_SECOND.outside);
  };
  /** One goes and comes back, the way of Kubernetes; the next one's turn begins when it is back. */
  const cycle = async (backend: Backend): Promise<void> => {
    await become({ [backend]: 'terminating' });
    await become({ [backend]: 'gone' });
    await become({ [backend]: 'active' });
  };

  test('no connection fails, and nobody who is gone is asked', async () => {
    await startLoads();
    for (const backend of BACKENDS) await cycle(backend);
    await become({ a: 'terminating', b: 'terminating', c: 'terminating' });
    await become({ a: 'gone', b: 'gone', c: 'gone' });
    await become({ a: 'active', b: 'active', c: 'active' });
    const report = judge(await stopLoads());
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(report).toEqual({ requests: expect.any(Number), failedWhileLive: 0, toTerminating: 0, toDead: 0 });
    expect(report.requests).toBeGreaterThan(1_000);
  }, 60_000);

  test('nor while each role is killed in turn', async () => {
    await startLoads();
    for (const [index, [role, ...where]] of ROLES.entries()) {
      const pidOf = async (): Promise<number | null | undefined> => (await json<Status>('status', '--name', LAB)).roles.find(({ name, node }) => name === role && (where[1] === undefined || node === where[1]))?.pid;
      const before = await pidOf();
      const backend = BACKENDS[index % BACKENDS.length]!;
      expect((await seine('lab', 'kill', role, ...where, '--name', LAB)).code).toBe(0);
      await cycle(backend);
      await eventually(async () => { const pid = await pidOf(); return typeof pid === 'number' && pid !== before; }, 20_000);
    }
    const report = judge(await stopLoads());
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(report).toEqual({ requests: expect.any(Number), failedWhileLive: 0, toTerminating: 0, toDead: 0 });
    expect(report.requests).toBeGreaterThan(1_000);
    expect((await seine('verify', '--name', LAB)).code).toBe(0);
  }, 120_000);

  describe('who terminates', () => {
    /** A connection of a process that no program at the socket sees: every packet of it is translated. */
    const STREAM = `const s = require('node:net').connect(80, '${CLUSTER_IP}'); s.on('data', (d) => console.log(/\\r\\n\\r\\n(\\S+)/.exec(d)?.[1])); s.on('error', (e) => console.log(e.code)); s.on('end', () => console.log('END')); process.stdin.on('data', () => s.write('GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'))`;
    const dialled: ChildProcess[] = [];
    afterEach(() => { for (const child of dialled.splice(0)) child.kill(); });
    const dial = (): { readonly ask: () => Promise<string> } => {
      const child = spawn('nsenter', [`--net=/run/netns/${at('client').podNetns}`, process.execPath, '-e', STREAM], { stdio: ['pipe', 'pipe', 'inherit'] });
      dialled.push(child);
      const lines: Interface = createInterface({ input: child.stdout });
      return {
        ask: async () => {
          const answer = once(lines, 'line') as Promise<[string]>;
          child.stdin.write('\n');
          return (await answer)[0];
        },
      };
    };
    test('keeps what is connected, gets nothing new while another is there, and serves when nobody else is left', async () => {
      await become({ a: 'active', b: 'gone', c: 'gone', d: 'gone' });
      const old = dial();
      expect(await old.ask()).toBe('churn/a');
      await become({ a: 'terminating', b: 'active' });
      expect(await old.ask()).toBe('churn/a');
      for (let times = 0; times < 4; times += 1) expect(await dial().ask()).toBe('churn/b');
      await become({ b: 'gone' });
      const last = dial();
      expect(await last.ask()).toBe('churn/a');
      expect(await old.ask()).toBe('churn/a');
    }, 30_000);
  });

  describe('datagrams', () => {
    const serve = (...backends: readonly Backend[]): Promise<void> => apply(slice('dns', 5353, 'UDP', backends.map((backend) => ({ addresses: [at(backend).address], nodeName: nodeOf(backend), conditions: { ready: true } }))), 'apply');
    /** Two sockets: one connects to the Service, and anew when it hears of an error; one to a backend's own address, and speaks all the time. */
    const CLIENT = `const open = (name, host, port, speaks) => { const s = require('node:dgram').createSocket('udp4'); s.connect(port, host); let timer;
      s.on('connect', () => { s.send('x'); if (speaks) timer = setInterval(() => s.send('x'), 50); }); s.on('message', () => console.log(name, 'answered'));
      s.on('error', ({ code }) => { console.log(name, code); clearInterval(timer); s.close(); open(name, host, port, speaks); }); };
      open('service', '${DATAGRAMS_IP}', 53, false); open('direct', process.argv[1], 5353, true)`;

    test('a connected socket hears at once that its backend is gone, and reaches another; one that asked for that backend itself goes on', async () => {
      await serve('b');
      const child = spawn(SEINE, ['lab', 'exec', 'churn/client', '--name', LAB, '--', process.execPath, '-e', CLIENT, at('b').address], { stdio: ['ignore', 'pipe', 'inherit'] });
      const lines: string[] = [];
      createInterface({ input: child.stdout }).on('line', (line) => { lines.push(line); });
      const of = (name: string): readonly string[] => lines.filter((line) => line.startsWith(name));
      try {
        await eventually(() => of('service').length === 1 && of('direct').length > 0);
        await serve('a', 'b');
        await serve('a');
        await eventually(() => of('service').length === 3, 5_000);
        expect(of('service')).toEqual(['service answered', 'service ECONNABORTED', 'service answered']);
        const answered = of('direct').length;
        await eventually(() => of('direct').length > answered + 2);
        expect(new Set(of('direct'))).toEqual(new Set(['direct answered']));
      } finally {
        process.kill(Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0]), 'SIGTERM');
      }
    }, 30_000);

    test.each([
      { name: 'a pod whose sockets nobody translates', netns: () => at('client').podNetns },
      { name: 'outside', netns: () => `seine-${LAB}-ext` },
    ])('that nobody serves are refused at once, to $name', async ({ netns }) => {
      await serve();
      const ask = `const s = require('node:dgram').createSocket('udp4'); s.connect(53, '${DATAGRAMS_IP}', () => s.send('x')); s.on('error', ({ code }) => { console.log(code); s.close(); })`;
      const child = spawn('nsenter', [`--net=/run/netns/${netns()}`, process.execPath, '-e', ask], { stdio: ['ignore', 'pipe', 'inherit'] });
      expect(await once(createInterface({ input: child.stdout }), 'line')).toEqual(['ECONNREFUSED']);
    }, 15_000);
  });
});
