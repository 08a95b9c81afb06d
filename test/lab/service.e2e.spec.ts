/** Services with real connections: from pods whose sockets nobody translates, from outside, over one node and two, with real checksums. */
import { execFile, execFileSync } from 'node:child_process';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { cgroupRoot } from '@seine/kernel';

import { bpftool, json, keysOf, ROOT, seine, type Endpoint, type MapItem } from './lab.ts';

const LAB = 'e2eservice';
const MANIFEST = `${ROOT}test/lab/service.yaml`;
const EXTERNAL = `seine-${LAB}-ext`;
const NODES = { n1: '192.168.50.1', n2: '192.168.50.2' } as const;
const ADMITTED = '203.0.113.7';
const STRANGER = '203.0.113.8';
const ELSEWHERE = '198.51.100.7';
const CONNECT_REFUSED = 7;
const TIMED_OUT = 28;

interface Answer { readonly code: number; readonly server: string; readonly client: string }
/** curl in a namespace but outside the node's cgroup: no socket is translated. */
const ask = (netns: string, url: string, ...options: readonly string[]): Promise<Answer> => new Promise((resolve) => {
  execFile('nsenter', [`--net=/run/netns/${netns}`, 'curl', '-s', '--max-time', '2', '-D', '-', ...options, url], { encoding: 'utf8' }, (error, out) => {
    const [head = '', body = ''] = out.split('\r\n\r\n');
    resolve({ code: error === null ? 0 : Number(error.code), server: body.split(' ')[0] ?? '', client: /x-client: (\S+)/.exec(head)?.[1] ?? '' });
  });
});
const fromOutside = (url: string, source = ADMITTED): Promise<Answer> => ask(EXTERNAL, url, '--interface', source);
const inside = (netns: string, ...command: readonly string[]): void => { execFileSync('nsenter', [`--net=/run/netns/${netns}`, ...command], { stdio: 'ignore' }); };

describe('Services, packet by packet', () => {
  let endpoints: readonly Endpoint[];
  const at = (pod: string): Endpoint => endpoints.find((endpoint) => endpoint.pod === `shop/${pod}`)!;
  const asks = (url: string, pod = 'client'): Promise<Answer> => ask(at(pod).podNetns, url);
  beforeAll(async () => {
    expect(await seine('lab', 'up', '-f', MANIFEST, '--name', LAB, '--wait')).toMatchObject({ code: 0 });
    endpoints = await json<readonly Endpoint[]>('get', 'endpoints', '--name', LAB);
    inside(EXTERNAL, 'ip', 'route', 'replace', '192.0.2.86', 'via', NODES.n1);
    inside(EXTERNAL, 'ip', 'route', 'replace', '192.0.2.85', 'via', NODES.n1);
    inside(EXTERNAL, 'ip', 'route', 'replace', '10.96.0.0/16', 'via', NODES.n2);
  }, 90_000);
  afterAll(async () => { await seine('lab', 'down', '--name', LAB); }, 60_000);

  describe.each([
    { name: 'as pods send', prepare: (): void => {} },
    { name: 'without the pods\' offloads', prepare: (): void => { for (const { podNetns } of endpoints) inside(podNetns, 'ethtool', '-K', 'eth0', 'tx', 'off', 'rx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'); } },
  ])('$name', ({ prepare }) => {
    beforeAll(() => { prepare(); });

    test.each([
      { name: 'a ClusterIP, by a pod of the node', url: 'http://10.96.0.81/', server: 'shop/near', pod: 'client' },
      { name: 'a ClusterIP, by a pod of another node', url: 'http://10.96.0.82/', server: 'shop/far', pod: 'client' },
      { name: 'its own Service, by its own pod', url: 'http://10.96.0.83/', server: 'shop/client', pod: 'client' },
      { name: 'a node port of its own node', url: `http://${NODES.n1}:30082/`, server: 'shop/far', pod: 'client' },
      { name: 'a node port of another node', url: `http://${NODES.n2}:30081/`, server: 'shop/near', pod: 'client' },
      { name: 'a host port of its own node', url: `http://${NODES.n1}:4080/`, server: 'shop/near', pod: 'client' },
      { name: 'a host port of another node', url: `http://${NODES.n2}:4080/`, server: 'shop/far', pod: 'client' },
      { name: 'an external address', url: 'http://192.0.2.86/', server: /^shop\/(near|far)$/, pod: 'client' },
    ])('a pod is served at $name', async ({ url, server, pod }) => {
      const answer = await asks(url, pod);
      expect(answer).toMatchObject({ code: 0, server: expect.stringMatching(server) });
      expect(answer.client).toMatch(/^(::ffff:)?(10\.244\.\d+\.\d+|169\.254\.42\.1|192\.168\.50\.2)$/);
    });

    test.each([
      { name: 'a node with the backend', url: `http://${NODES.n1}:30081/`, server: 'shop/near', client: ADMITTED },
      { name: 'a node without it, in that node\'s place', url: `http://${NODES.n1}:30082/`, server: 'shop/far', client: NODES.n1 },
      { name: 'the other node without it', url: `http://${NODES.n2}:30081/`, server: 'shop/near', client: NODES.n2 },
      { name: 'a host port, by the pod of that node', url: `http://${NODES.n1}:4080/`, server: 'shop/near', client: ADMITTED },
      { name: 'the same host port of the other node, by the pod of that node', url: `http://${NODES.n2}:4080/`, server: 'shop/far', client: ADMITTED },
      { name: 'a load balancer\'s address, by the node\'s own backend alone', url: 'http://192.0.2.85/', server: 'shop/near', client: ADMITTED },
      { name: 'a ClusterIP that is routed to a node', url: 'http://10.96.0.82/', server: 'shop/far', client: ADMITTED },
    ])('who comes from outside is served at $name', async ({ url, server, client }) => {
      const answer = await fromOutside(url);
      expect(answer).toMatchObject({ code: 0, server });
      expect(answer.client.replace('::ffff:', '')).toBe(client);
    });
  });

  test('large answers come whole, from here and from elsewhere', async () => {
    for (const port of [30081, 30082]) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => fromOutside(`http://${NODES.n1}:${port}/${'x'.repeat(7000)}`)));
      expect(answers.filter(({ code }) => code !== 0)).toEqual([]);
    }
  });

  test.each([
    { name: 'by the backend\'s policy, on its node', url: `http://${NODES.n1}:30081/`, source: STRANGER },
    { name: 'by the backend\'s policy, on another node, with the client\'s own address', url: `http://${NODES.n1}:30082/`, source: STRANGER },
    { name: 'at a host port, by the pod\'s policy', url: `http://${NODES.n1}:4080/`, source: STRANGER },
    { name: 'by the load balancer\'s source ranges', url: 'http://192.0.2.85/', source: ELSEWHERE },
  ])('who comes from outside is refused $name', async ({ url, source }) => {
    expect((await fromOutside(url, source)).code).toBe(TIMED_OUT);
  });

  test('both backends of a Service are drawn, by pods and from outside', async () => {
    const servers = async (one: () => Promise<Answer>): Promise<readonly string[]> => [...new Set((await Promise.all(Array.from({ length: 24 }, one))).map(({ server }) => server))].sort();
    expect(await servers(() => asks('http://10.96.0.80/'))).toEqual(['shop/far', 'shop/near']);
    expect(await servers(() => fromOutside(`http://${NODES.n1}:30080/`))).toEqual(['shop/far', 'shop/near']);
  });

  test('where nobody serves the client is refused at once, never left hanging', async () => {
    const startedMs = Date.now();
    expect(await Promise.all([asks('http://10.96.0.84/'), asks(`http://${NODES.n1}:30084/`), fromOutside(`http://${NODES.n1}:30084/`), fromOutside('http://10.96.0.84/')]).then((all) => all.map(({ code }) => code)))
      .toEqual([CONNECT_REFUSED, CONNECT_REFUSED, CONNECT_REFUSED, CONNECT_REFUSED]);
    expect(Date.now() - startedMs).toBeLessThan(1_500);
  });

  test('a balancer outside is told which nodes have a backend, and that they are well', async () => {
    const health = async (node: string, port: number, path = ''): Promise<string> => new Promise((resolve) => {
      execFile('nsenter', [`--net=/run/netns/${EXTERNAL}`, 'curl', '-s', '--max-time', '2', '-w', ' %{http_code}', `http://${node}:${port}${path}`], { encoding: 'utf8' }, (_, out) => { resolve(out.replace('\n', '')); });
    });
    expect(await health(NODES.n1, 31085)).toBe('{"service":{"namespace":"shop","name":"local"},"localEndpoints":1,"serviceProxyHealthy":true} 200');
    expect(await health(NODES.n2, 10256, '/healthz')).toMatch(/"nodeEligible":true\} 200$/);
    expect(await health(NODES.n2, 10256, '/livez')).toMatch(/"currentTime":"[^"]+"\} 200$/);
  });

  test('no process of a node binds a port that its sources are translated to; pods may', () => {
    const cgroup = `${cgroupRoot()}/seine-${LAB}/n1/cgroup.procs`;
    const bind = (netns: string, port: number): string => execFileSync('sh', ['-c', `echo $$ > ${cgroup} && exec nsenter --net=/run/netns/${netns} ${process.execPath} -e 'const s=require("net").createServer();s.on("error",(e)=>{console.log(e.code)});s.listen(${port},()=>{console.log("bound");s.close()})'`], { encoding: 'utf8' }).trim();
    expect([bind(`seine-${LAB}-node-n1`, 61_234), bind(`seine-${LAB}-node-n1`, 60_999), bind(at('client').podNetns, 61_234)]).toEqual(['EPERM', 'bound', 'bound']);
  });

  test('nothing else differs from the log, and translations stand in pairs', async () => {
    expect((await seine('verify', '--name', LAB)).code).toBe(0);
    const nat = (await json<readonly MapItem[]>('get', 'maps', '--node', 'n1', '--name', LAB)).find(({ name }) => name === 'sn_nat_01')!;
    expect(keysOf(nat.id).length).toBeGreaterThan(0);
    expect(keysOf(nat.id).length % 2).toBe(0);
    expect(bpftool('map', 'show', 'id', String(nat.id))).toContain('hash');
  });
});
