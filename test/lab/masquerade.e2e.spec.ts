/** From pods to the world by their nodes' addresses, and from outside to pods and Services by plain routes: real connections, both families. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { json, ROOT, seine, type Endpoint, type ProbeReport } from './lab.ts';

const LAB = 'e2emasq';
const MANIFEST = `${ROOT}test/lab/masquerade.yaml`;
const EXTERNAL = `seine-${LAB}-ext`;
const TIMED_OUT = 28;
const UDP_PORT = 5353;
const FAMILIES = [
  { family: 4, name: 'IPv4', nodes: ['192.168.50.1', '192.168.50.2'], external: '192.168.50.200', world: '198.51.100.9', kept: '203.0.113.9', range: '203.0.113.0/24', admitted: '203.0.113.7', stranger: '203.0.113.8', closed: '10.96.0.90', open: '10.96.0.91', balancer: '192.0.2.90' },
  { family: 6, name: 'IPv6', nodes: ['fd00:192:168:50::1', 'fd00:192:168:50::2'], external: 'fd00:192:168:50::200', world: '2001:db8:198::9', kept: '2001:db8:113::9', range: '2001:db8:113::/48', admitted: '2001:db8:113::7', stranger: '2001:db8:113::8', closed: 'fd00:10:96::90', open: 'fd00:10:96::91', balancer: '2001:db8:192::90' },
] as const;

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);
const urlOf = (address: string, port = 80, path = '/'): string => `http://${bracketed(address)}:${port}${path}`;
const inside = (netns: string, ...command: readonly string[]): string => execFileSync('nsenter', [`--net=/run/netns/${netns}`, ...command], { encoding: 'utf8' });

interface Answer { readonly code: number; readonly server: string; /** Whom the server saw. */ readonly client: string }
const ask = (netns: string, url: string, ...options: readonly string[]): Promise<Answer> => new Promise((resolve) => {
  execFile('nsenter', [`--net=/run/netns/${netns}`, 'curl', '-s', '--max-time', '2', '-D', '-', ...options, url], { encoding: 'utf8', maxBuffer: 1 << 24 }, (error, out) => {
    const [head = '', body = ''] = out.split('\r\n\r\n').slice(-2);
    resolve({ code: error === null ? 0 : Number(error.code), server: body.split(' ')[0] ?? '', client: (/x-client: (\S+)/.exec(head)?.[1] ?? '').replace('::ffff:', '') });
  });
});

/** A datagram there, and what came back: the server says whom it saw, and how much. */
const UDP_SERVER = `const s = require('node:dgram').createSocket({ type: process.argv[1], reuseAddr: true });
s.on('message', (m, from) => s.send(Buffer.concat([Buffer.from(from.address + ' '), Buffer.alloc(m.length, 120)]), from.port, from.address));
s.bind(${UDP_PORT}, process.argv[2], () => console.log('listening'));`;
const UDP_CLIENT = `const s = require('node:dgram').createSocket(process.argv[1]);
const done = (text) => { console.log(text); process.exit(0); };
s.on('message', (m) => done(m.toString().split(' ')[0] + ' ' + m.length));
s.on('error', (e) => done(e.code));
s.connect(Number(process.argv[3]), process.argv[2], () => s.send(Buffer.alloc(Number(process.argv[4]), 120)));
setTimeout(() => done('nothing'), 1500);`;
const datagram = (netns: string, to: string, { port = UDP_PORT, bytes = 8 } = {}): Promise<string> => new Promise((resolve) => {
  execFile('nsenter', [`--net=/run/netns/${netns}`, process.execPath, '-e', UDP_CLIENT, to.includes(':') ? 'udp6' : 'udp4', to, String(port), String(bytes)], { encoding: 'utf8' }, (_, out) => { resolve(out.trim()); });
});

describe('from pods to the world, and back', () => {
  let endpoints: readonly Endpoint[];
  const servers: ReturnType<typeof spawn>[] = [];
  const netnsOf = (pod: string): string => endpoints.find((endpoint) => endpoint.pod === `shop/${pod}`)!.podNetns;
  const addressOf = (pod: string, family: 4 | 6): string =>
    (JSON.parse(inside(netnsOf(pod), 'ip', '-j', `-${family}`, 'address', 'show', 'dev', 'eth0', 'scope', 'global')) as readonly [{ readonly addr_info: readonly [{ readonly local: string }] }])[0].addr_info[0].local;
  const applyAgent = async (config: string): Promise<void> => {
    const file = join(mkdtempSync(join(tmpdir(), 'seine-masq-')), 'agent.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ip-masq-agent', namespace: 'kube-system' }, data: { config } }));
    expect((await seine('lab', 'apply', '-f', file, '--name', LAB)).code).toBe(0);
  };
  beforeAll(async () => {
    expect(await seine('lab', 'up', '-f', MANIFEST, '--name', LAB, '--wait')).toMatchObject({ code: 0 });
    endpoints = await json<readonly Endpoint[]>('get', 'endpoints', '--name', LAB);
    for (const { family, world } of FAMILIES) {
      const server = spawn('nsenter', [`--net=/run/netns/${EXTERNAL}`, process.execPath, '-e', UDP_SERVER, `udp${family}`, world], { stdio: ['ignore', 'pipe', 'inherit'] });
      servers.push(server);
      await once(server.stdout!, 'data'); // it listens
    }
  }, 90_000);
  afterAll(async () => {
    for (const server of servers) server.kill();
    await seine('lab', 'down', '--name', LAB);
  }, 60_000);

  describe.each(FAMILIES)('$name, as a lab is', ({ family, world }) => {
    test('the world sees a pod\'s own address', async () => {
      expect(await ask(netnsOf('client'), urlOf(world))).toEqual({ code: 0, server: 'external', client: addressOf('client', family) });
      expect(await datagram(netnsOf('client'), world)).toBe(`${addressOf('client', family)} ${addressOf('client', family).length + 9}`);
    });
  });

  describe('masqueraded', () => {
    beforeAll(async () => { expect((await seine('lab', 'set', 'enable-ipv4-masquerade=true', 'enable-ipv6-masquerade=true', '--name', LAB)).code).toBe(0); }, 30_000);

    describe.each(FAMILIES)('$name', ({ family, nodes, external, world, balancer, closed }) => {
      test('the world sees the node of each pod', async () => {
        expect(await ask(netnsOf('client'), urlOf(world))).toEqual({ code: 0, server: 'external', client: nodes[0] });
        expect(await ask(netnsOf('far'), urlOf(world))).toEqual({ code: 0, server: 'external', client: nodes[1] });
        expect(await datagram(netnsOf('far'), world)).toBe(`${nodes[1]} ${nodes[1].length + 9}`);
      });
      test('datagrams longer than the wire go there and back in fragments', async () => {
        expect(await datagram(netnsOf('client'), world, { bytes: 4000 })).toBe(`${nodes[0]} ${4000 + nodes[0].length + 1}`);
      });
      test('a long stream arrives whole both ways', async () => {
        const answers = await Promise.all(Array.from({ length: 12 }, () => ask(netnsOf('client'), urlOf(world, 8080, `/${'x'.repeat(7000)}`))));
        expect(answers.filter(({ code, client }) => code !== 0 || client !== nodes[0])).toEqual([]);
      });
      test('a way that is shorter than the pod\'s: it learns so, or the stack cuts, and all of it is the node\'s', async () => {
        const way = (...mtu: readonly string[]): void => { inside(`seine-${LAB}-node-n1`, 'ip', `-${family}`, 'route', 'replace', 'default', 'via', external, 'dev', 'eth0', ...mtu); };
        way('mtu', 'lock', '1400');
        try {
          expect(await ask(netnsOf('client'), urlOf(world, 8080, `/${'y'.repeat(7000)}`))).toEqual({ code: 0, server: 'external', client: nodes[0] });
          /* IPv6 is never cut on the way: its first datagram learns the length. IPv4's is cut by the node's stack where its sender allows it. */
          if (family === 4) for (const command of ['echo 1 > /proc/sys/net/ipv4/ip_no_pmtu_disc', 'ip route flush cache']) inside(netnsOf('client'), 'sh', '-c', command);
          else await datagram(netnsOf('client'), world, { bytes: 1440 });
          expect(await datagram(netnsOf('client'), world, { bytes: 1440 })).toBe(`${nodes[0]} ${1440 + nodes[0].length + 1}`);
        } finally { way(); }
      });
      test('a refusal by the world comes back to the pod', async () => { expect(await datagram(netnsOf('client'), world, { port: 5354 })).toBe('ECONNREFUSED'); });
      test('an echo is answered', async () => {
        const { probes } = await json<ProbeReport>('probe', 'shop/client', world, '--name', LAB);
        expect(probes.map(({ got }) => got)).toEqual(['allow']);
      });
      test('a node\'s own process speaks as ever', async () => { expect((await ask(`seine-${LAB}-node-n1`, urlOf(world))).client).toBe(nodes[0]); });
      test('pods see pods, and nobody slips past a pod\'s policy as a node, whichever way he tries', async () => {
        expect((await ask(netnsOf('client'), urlOf(addressOf('far', family), 8080))).client).toBe(addressOf('client', family));
        expect((await ask(netnsOf('client'), urlOf(addressOf('closed', family), 8080))).code).toBe(0);
        const ways = [urlOf(addressOf('closed', family), 8080), urlOf(nodes[1], 30090), urlOf(nodes[0], 30090), urlOf(closed), urlOf(balancer)];
        expect((await Promise.all(ways.map((url) => ask(netnsOf('stranger'), url)))).map(({ code }) => code)).toEqual(ways.map(() => TIMED_OUT));
      });
    });

    test('without the pods\' offloads, too: each checksum is the node\'s own', async () => {
      for (const { podNetns } of endpoints) inside(podNetns, 'ethtool', '-K', 'eth0', 'tx', 'off', 'rx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off');
      for (const { nodes, world } of FAMILIES) {
        expect(await ask(netnsOf('far'), urlOf(world, 8080, `/${'z'.repeat(7000)}`))).toEqual({ code: 0, server: 'external', client: nodes[1] });
        expect(await datagram(netnsOf('far'), world, { bytes: 4000 })).toBe(`${nodes[1]} ${4000 + nodes[1].length + 1}`);
      }
    });

    test('ranges of ip-masq-agent\'s ConfigMap keep pods\' addresses, its pods too though it forgets them; a bad one is refused and changes nothing', async () => {
      await applyAgent(FAMILIES.map(({ range }) => `- ${range}\n`).reduce((text, line) => text + line, 'nonMasqueradeCIDRs:\n'));
      for (const { family, nodes, world, kept } of FAMILIES) {
        expect((await ask(netnsOf('client'), urlOf(kept))).client).toBe(addressOf('client', family));
        expect((await ask(netnsOf('client'), urlOf(world))).client).toBe(nodes[0]);
        expect((await ask(netnsOf('client'), urlOf(addressOf('far', family), 8080))).client).toBe(addressOf('client', family));
        expect((await ask(netnsOf('stranger'), urlOf(nodes[1], 30090))).code).toBe(TIMED_OUT);
      }
      const file = join(mkdtempSync(join(tmpdir(), 'seine-masq-')), 'agent.json');
      writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'ip-masq-agent', namespace: 'kube-system' }, data: { config: 'nonMasqueradeCIDRs: [10.0.0.1/8]' } }));
      const refused = await seine('lab', 'apply', '-f', file, '--name', LAB);
      expect(refused.code).not.toBe(0);
      expect(`${refused.out}${refused.err}`).toContain('data.config.nonMasqueradeCIDRs[0]: "10.0.0.1/8": expected a CIDR that begins at its own first address: 10.0.0.0/8');
      expect((await ask(netnsOf('client'), urlOf(FAMILIES[0].kept))).client).toBe(addressOf('client', 4));
    });

    test('every map holds what the log says', async () => { expect((await seine('verify', '--name', LAB)).code).toBe(0); });
  });

  /** The demo of every talk: a router outside has plain routes to the nodes, for pods and for Services. Masquerade is on: answers are nobody's but the pod's. */
  describe.each(FAMILIES)('$name, from outside by plain routes', ({ family, open, closed, admitted, stranger }) => {
    const outside = (url: string, source: string): Promise<Answer> => ask(EXTERNAL, url, '--interface', source);
    test('a pod is reached at its own address, here and there, and sees its client', async () => {
      for (const pod of ['client', 'far']) expect(await outside(urlOf(addressOf(pod, family), 8080), stranger)).toEqual({ code: 0, server: `shop/${pod}`, client: stranger });
    });
    test('a Service is reached at its ClusterIP, whichever node its backends are on', async () => {
      const answers = await Promise.all(Array.from({ length: 16 }, () => outside(urlOf(open), stranger)));
      expect([...new Set(answers.map(({ code, server }) => `${code} ${server}`))].sort()).toEqual(['0 shop/client', '0 shop/far']);
    });
    test('policies apply to it as to the world: by its own address, at the pod and at the Service', async () => {
      const ways = [urlOf(addressOf('closed', family), 8080), urlOf(closed)];
      expect((await Promise.all(ways.map((url) => outside(url, admitted)))).map(({ code }) => code)).toEqual([0, 0]);
      expect((await Promise.all(ways.map((url) => outside(url, stranger)))).map(({ code }) => code)).toEqual([TIMED_OUT, TIMED_OUT]);
    });
  });
});
