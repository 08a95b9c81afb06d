import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { eventually } from '@seine/testkit';

import { bpftool, json, keysOf, removeKey, ROOT, SEINE, seine, SHOP, type Endpoint, type MapItem, type ProbeReport } from './lab.ts';

const LAB = 'e2ekill';
const CLUSTER = ['watcher', 'identity-allocator', 'ipam', 'policy-compiler', 'service-compiler', 'nats-server'] as const;
const ON_NODE = ['loader', 'datapath-writer', 'observer'] as const;

interface Load { readonly stream: { readonly bytes: number; readonly resets: number; readonly maxGapMs: number }; readonly connects: { readonly tried: number; readonly failedAllowed: number; readonly passedDenied: number } }
interface Status { readonly ok: boolean; readonly roles: readonly { readonly name: string; readonly node: string | null; readonly pid: number | null; readonly ready: boolean }[] }

describe('a lab that repairs', () => {
  let endpoints: readonly Endpoint[];
  const at = (workload: string): Endpoint => endpoints.filter(({ workload: owner }) => owner === `Deployment/${workload}`).sort((a, b) => (a.pod < b.pod ? -1 : 1))[0]!;
  const rowsWritten = (node: string): number => readFileSync(`${ROOT}.seine/lab/${LAB}/logs/datapath-writer-${node}.log`, 'utf8').split('\n').filter((line) => line.includes('"msg":"applied"'))
    .reduce((sum, line) => sum + (JSON.parse(line) as { readonly rows: number }).rows, 0);
  beforeAll(async () => {
    expect(await seine('lab', 'up', '-f', SHOP, '--name', LAB)).toMatchObject({ code: 0 });
    endpoints = await json<readonly Endpoint[]>('get', 'endpoints', '--name', LAB);
  }, 90_000);
  afterAll(async () => { await seine('lab', 'down', '--name', LAB); }, 60_000);

  describe('under load', () => {
    let load: ChildProcess;
    let written: readonly [number, number];
    const out: string[] = [];
    beforeAll(async () => {
      load = spawn(SEINE, ['lab', 'exec', at('front-end').pod, '--name', LAB, '--', process.execPath, `${ROOT}test/lab/load.mjs`, at('catalogue').address, '80', at('carts-db').address, '27017'], { stdio: ['ignore', 'pipe', 'inherit'] });
      load.stdout!.on('data', (chunk: Buffer) => { out.push(chunk.toString()); });
      await eventually(() => out.join('').includes('ready'), 20_000);
      written = [rowsWritten('n1'), rowsWritten('n2')];
    }, 30_000);

    test.each([...CLUSTER.map((role) => [role] as const), ...ON_NODE.flatMap((role) => (['n1', 'n2'] as const).map((node) => [role, '--node', node] as const))])('%s %s %s comes back after kill -9', async (role, ...where) => {
      const pidOf = async (): Promise<number | null | undefined> => (await json<Status>('status', '--name', LAB)).roles.find(({ name, node }) => name === role && (where[1] === undefined || node === where[1]))?.pid;
      const before = await pidOf();
      expect((await seine('lab', 'kill', role, ...where.filter((word) => word !== undefined), '--name', LAB)).code).toBe(0);
      await eventually(async () => { const pid = await pidOf(); return typeof pid === 'number' && pid !== before; }, 20_000);
      await eventually(async () => (await seine('status', '--wait', '--timeout', '20s', '--name', LAB)).code === 0, 40_000);
    }, 60_000);

    test('and nothing was reset, no allowed connect failed, no denied one passed, no unchanged row was written again', async () => {
      const exit = once(load, 'exit');
      const pid = Number(readFileSync(`/proc/${load.pid}/task/${load.pid}/children`, 'utf8').trim().split(' ')[0]);
      process.kill(pid, 'SIGTERM');
      await exit;
      const report = JSON.parse(out.join('').trim().split('\n').at(-1)!) as Load;
      expect(report.connects.tried).toBeGreaterThan(150);
      expect(report.stream.bytes).toBeGreaterThan(10_000);
      expect(report).toMatchObject({ stream: { resets: 0 }, connects: { failedAllowed: 0, passedDenied: 0 } });
      expect([rowsWritten('n1'), rowsWritten('n2')]).toEqual(written);
      expect((await seine('verify', '--name', LAB)).code).toBe(0);
    }, 30_000);
  });

  test('puts back what somebody deleted within five seconds, and reports the drift', async () => {
    const map = (await json<readonly MapItem[]>('get', 'maps', '--node', 'n2', '--name', LAB)).find(({ name }) => name === 'sn_ipcache_01')!;
    const key = keysOf(map.id)[0]!;
    const before = keysOf(map.id).length;
    removeKey(map.id, key);
    const startedMs = Date.now();
    await eventually(() => keysOf(map.id).length === before, 5_000);
    expect(Date.now() - startedMs).toBeLessThan(5_000);
    expect(readFileSync(`${ROOT}.seine/lab/${LAB}/logs/datapath-writer-n2.log`, 'utf8')).toContain('drift: the kernel differs from the log');
  }, 20_000);

  test('puts back programs that somebody took off, and a wire that somebody deleted', async () => {
    const [pod, other, gone] = [at('catalogue'), at('payment'), at('orders')];
    const inNode = ({ nodeNetns }: Endpoint, ...command: readonly string[]): void => { execFileSync('nsenter', [`--net=/run/netns/${nodeNetns}`, ...command]); };
    const slots = (await json<readonly MapItem[]>('get', 'maps', '--node', 'n1', '--name', LAB)).find(({ name }) => name === 'sn_progs_03')!;
    inNode(pod, 'tc', 'qdisc', 'del', 'dev', pod.hostInterface, 'clsact');
    bpftool('link', 'detach', 'pinned', `/sys/fs/bpf/seine-${LAB}/${other.node}/tcx_${other.hostInterface}_egress`);
    inNode(gone, 'ip', 'link', 'del', gone.hostInterface);
    removeKey(slots.id, keysOf(slots.id)[0]!);
    await eventually(async () => (await seine('verify', '--name', LAB)).code === 0, 20_000);
    const log = ['n1', 'n2'].map((node) => readFileSync(`${ROOT}.seine/lab/${LAB}/logs/datapath-writer-${node}.log`, 'utf8')).join('');
    for (const hook of [`${pod.hostInterface} tc ingress`, `${other.hostInterface} tcx egress`, `${gone.hostInterface} tc ingress`, 'slot 0 (from_pod)']) expect(log).toContain(`"hook":"${hook}"`);
    expect((await json<ProbeReport>('probe', '--probes', `${SHOP}/probes.json`, '--name', LAB)).probes.filter(({ ok }) => !ok).map(({ from, to }) => `${from} ${to}`)).toEqual(['shop/carts shop/carts-db']);
  }, 60_000);

  test('holds what the log says after twenty random changes', async () => {
    let seed = 42;
    const random = (below: number): number => { seed = (Math.imul(seed, 1103515245) + 12345) >>> 0; return (seed >>> 8) % below; };
    const names = ['front-end', 'catalogue', 'carts', 'orders', 'payment'];
    const policy = (index: number): string => JSON.stringify({
      apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: `churn-${index}`, namespace: 'shop' },
      spec: { podSelector: { matchLabels: { name: names[random(names.length)] } }, ingress: [{ from: [random(2) === 0 ? { ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.2.0/24'] } } : { podSelector: { matchLabels: { name: names[random(names.length)] } } }], ports: [{ port: 80 + random(3), endPort: 90 + random(100) }] }] },
    });
    const apply = (verb: string, text: string): Promise<number | null> => new Promise((resolve) => {
      const child = spawn(SEINE, ['lab', verb, '-f', '-', '--name', LAB], { stdio: ['pipe', 'ignore', 'ignore'] });
      child.stdin.end(text);
      child.once('exit', resolve);
    });
    for (let step = 0; step < 20; step += 1) expect(await apply(random(4) === 0 && step > 4 ? 'delete' : 'apply', policy(random(5)))).toBe(0);
    const dump = await json<{ readonly seq: number }>('dump', '--node', 'n2', '--name', LAB);
    expect(await json('replay', '--node', 'n2', '--until', `#${dump.seq}`, '--name', LAB)).toEqual(dump);
    expect((await seine('verify', '--name', LAB)).code).toBe(0);
  }, 120_000);
});

describe('a lab whose supervisor was killed', () => {
  test('is taken down whole', async () => {
    expect((await seine('lab', 'up', '--nodes', '1', '--name', 'e2eorphan')).code).toBe(0);
    const status = await json<{ readonly roles: readonly { readonly pid: number }[] }>('status', '--name', 'e2eorphan');
    const supervisor = Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${status.roles[0]!.pid}/status`, 'utf8'))![1]);
    process.kill(supervisor, 'SIGKILL');
    expect((await seine('lab', 'down', '--name', 'e2eorphan')).code).toBe(0);
    await eventually(() => status.roles.every(({ pid }) => { try { return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] === 'Z'; } catch { return true; } }), 5_000);
  }, 60_000);
});
