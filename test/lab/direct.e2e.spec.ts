/** A client outside asks one node, a pod on another answers it straight: real connections, both families. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { closeFd, inNetns, netnsPath, openFd, openSocket, sendTo } from '@seine/kernel';
import { eventually } from '@seine/testkit';

import { checksummed, TCP, tcp, withFrontend } from '../../bpf/test/packet.ts';
import { json, ROOT, seine, type Endpoint } from './lab.ts';

const LAB = 'e2edsr';
const EXTERNAL = `seine-${LAB}-ext`;
const nodeNetns = (node: string): string => `seine-${LAB}-node-${node}`;
const TIMED_OUT = 28;
const FAMILIES = [
  { family: 4, name: 'IPv4', nodes: ['192.168.50.1', '192.168.50.2'], external: '192.168.50.200', balancer: '192.0.2.70', admitted: '203.0.113.7', stranger: '203.0.113.8', fits: 1492, headers: 28 },
  { family: 6, name: 'IPv6', nodes: ['fd00:192:168:50::1', 'fd00:192:168:50::2'], external: 'fd00:192:168:50::200', balancer: '2001:db8:192::70', admitted: '2001:db8:113::7', stranger: '2001:db8:113::8', fits: 1476, headers: 48 },
] as const;
const [STREAM, DATAGRAMS, NOBODY, CLOSED, THROUGH] = [30070, 30071, 30072, 30073, 30074];
const MEGABYTE = 1 << 20;
/** Whoever opens such a socket writes the IP header himself. */
const IPPROTO_RAW = 255;

const inside = (netns: string, ...command: readonly string[]): string => execFileSync('nsenter', [`--net=/run/netns/${netns}`, ...command], { encoding: 'utf8' });
const script = (netns: string, source: string, ...args: readonly string[]): Promise<string> => new Promise((resolve) => {
  execFile('nsenter', [`--net=/run/netns/${netns}`, process.execPath, '-e', source, ...args], { encoding: 'utf8', maxBuffer: 64 << 20 }, (_, out) => { resolve(out.trim()); });
});

/** Both protocols, both families: who came, and how much; a stream's client gets a megabyte back. */
const SERVER = `const plain = (address) => address.replace('::ffff:', '');
require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
  let got = 0;
  socket.on('data', (chunk) => { got += chunk.length; });
  socket.on('end', () => { socket.write(plain(socket.remoteAddress) + ' ' + got + ' '); socket.end(Buffer.alloc(${MEGABYTE}, 120)); });
  socket.on('error', () => {});
}).listen(9000, '::', () => {
  const datagrams = require('node:dgram').createSocket('udp6');
  datagrams.on('message', (message, from) => datagrams.send(plain(from.address) + ' ' + message.length, from.port, from.address));
  datagrams.bind(5353, '::', () => console.log('listening'));
});`;
/** What it was told, and how long the rest was; of a datagram only who was asked may answer: its socket is connected. */
const STREAM_CLIENT = `const socket = require('node:net').connect({ host: process.argv[1], port: Number(process.argv[2]) });
const chunks = [];
const done = (text) => { console.log(text); process.exit(0); };
socket.on('connect', () => socket.end(Buffer.alloc(${MEGABYTE}, 121)));
socket.on('data', (chunk) => chunks.push(chunk));
socket.on('error', (error) => done(error.code));
socket.on('end', () => { const all = Buffer.concat(chunks).toString(); const [who, got, rest] = all.split(' '); done(who + ' ' + got + ' ' + rest.length); });
setTimeout(() => done('nothing'), 8000);`;
const DATAGRAM_CLIENT = `const socket = require('node:dgram').createSocket(process.argv[1].includes(':') ? 'udp6' : 'udp4');
const done = (text) => { console.log(text); process.exit(0); };
socket.on('message', (message) => done(message.toString()));
socket.on('error', (error) => done(error.code));
socket.connect(Number(process.argv[2]), process.argv[1], () => socket.send(Buffer.alloc(Number(process.argv[3]), 120)));
setTimeout(() => done('nothing'), 1500);`;
const stream = (to: string, port = STREAM!): Promise<string> => script(EXTERNAL, STREAM_CLIENT, to, String(port));
const datagram = (to: string, port = DATAGRAMS!, bytes = 8): Promise<string> => script(EXTERNAL, DATAGRAM_CLIENT, to, String(port), String(bytes));
const whole = (client: string): string => `${client} ${MEGABYTE} ${MEGABYTE}`;
const curl = (netns: string, url: string, ...options: readonly string[]): Promise<number> => new Promise((resolve) => {
  execFile('nsenter', [`--net=/run/netns/${netns}`, 'curl', '-s', '-o', '/dev/null', '--max-time', '2', ...options, url], (error) => { resolve(error === null ? 0 : Number(error.code)); });
});
const urlOf = (address: string, port: number): string => `http://${address.includes(':') ? `[${address}]` : address}:${port}/`;
/** Bytes that a node sent onto the wire. */
const sentBy = (node: string): number => (JSON.parse(inside(nodeNetns(node), 'ip', '-j', '-s', 'link', 'show', 'dev', 'eth0')) as readonly [{ readonly stats64: { readonly tx: { readonly bytes: number } } }])[0].stats64.tx.bytes;

describe('direct return', () => {
  let endpoints: readonly Endpoint[];
  const servers: ReturnType<typeof spawn>[] = [];
  const netnsOf = (pod: string): string => endpoints.find((endpoint) => endpoint.pod === `shop/${pod}`)!.podNetns;
  const set = async (mode: string): Promise<void> => { expect((await seine('lab', 'set', `bpf-lb-mode=${mode}`, '--name', LAB)).code).toBe(0); };
  const wires = (state: 'on' | 'off'): void => {
    const ends = [EXTERNAL, nodeNetns('n1'), nodeNetns('n2')].map((netns) => [netns, 'eth0'] as const);
    const ports = ['w-ext', 'w-n1', 'w-n2'].map((port) => [`seine-${LAB}-hub`, port] as const);
    for (const [netns, device] of [...ends, ...ports]) inside(netns, 'ethtool', '-K', device, 'tx', state, 'rx', state, 'tso', state, 'gso', state, 'gro', state);
  };
  /** What each node sends while a client fetches a megabyte. */
  const load = async (ask: () => Promise<string>): Promise<{ readonly said: string; readonly asked: number; readonly other: number }> => {
    const before = [sentBy('n1'), sentBy('n2')];
    const said = await ask();
    return { said, asked: sentBy('n1') - before[0]!, other: sentBy('n2') - before[1]! };
  };
  beforeAll(async () => {
    expect(await seine('lab', 'up', '-f', `${ROOT}test/lab/direct.yaml`, '--name', LAB, '--wait')).toMatchObject({ code: 0 });
    endpoints = await json<readonly Endpoint[]>('get', 'endpoints', '--name', LAB);
    for (const { family, balancer, nodes } of FAMILIES) inside(EXTERNAL, 'ip', `-${family}`, 'route', 'replace', balancer, 'via', nodes[0]);
    const server = spawn('nsenter', [`--net=/run/netns/${netnsOf('far')}`, process.execPath, '-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
    servers.push(server);
    await once(server.stdout!, 'data'); // it listens
  }, 90_000);
  afterAll(async () => {
    for (const server of servers) server.kill();
    await seine('lab', 'down', '--name', LAB);
  }, 60_000);

  describe.each(FAMILIES)('$name, as a lab is', ({ nodes }) => {
    test('the pod sees the node that was asked, which carries its answer', async () => {
      const { said, asked } = await load(() => stream(nodes[0]));
      expect(said).toBe(whole(nodes[0]));
      expect(asked).toBeGreaterThan(2 * MEGABYTE);
      expect(await datagram(nodes[0])).toBe(`${nodes[0]} 8`);
    });
  });

  const direct = (): void => {
    describe.each(FAMILIES)('$name', ({ family, nodes, external, balancer, admitted, stranger, fits, headers }) => {
      test('a pod elsewhere sees its client, and answers it in the frontend\'s name, straight from its own node', async () => {
        const { said, asked, other } = await load(() => stream(nodes[0]));
        expect(said).toBe(whole(external));
        expect(other).toBeGreaterThan(MEGABYTE);
        expect(asked).toBeLessThan(1.8 * MEGABYTE); // what the client sent, some of it twice; no answer
        expect(await datagram(nodes[0])).toBe(`${external} 8`);
      });
      test('at a balancer\'s address too, and through the pod\'s own node', async () => {
        expect(await stream(balancer, 80)).toBe(whole(external));
        expect(await datagram(balancer, 53)).toBe(`${external} 8`);
        expect(await stream(nodes[1])).toBe(whole(external));
      });
      test('its policy is asked about the client\'s own address', async () => {
        const ask = (source: string): Promise<number> => curl(EXTERNAL, urlOf(nodes[0], CLOSED!), '--interface', source);
        expect([await ask(admitted), await ask(stranger)]).toEqual([0, TIMED_OUT]);
      });
      test('a pod and a node that ask are answered as ever', async () => {
        expect(await script(netnsOf('client'), STREAM_CLIENT, nodes[0], String(STREAM))).toMatch(new RegExp(` ${MEGABYTE} ${MEGABYTE}$`));
        expect(await script(nodeNetns('n2'), STREAM_CLIENT, nodes[0], String(STREAM))).toMatch(new RegExp(` ${MEGABYTE} ${MEGABYTE}$`));
      });
      test('a refusal by the pod reaches the client in the frontend\'s name', async () => { expect(await datagram(nodes[0], NOBODY)).toBe('ECONNREFUSED'); });
      test('a client whose datagrams have no room for the frontend learns what fits', async () => {
        const bytes = 1500 - headers;
        inside(EXTERNAL, 'ip', `-${family}`, 'route', 'flush', 'cache');
        await eventually(async () => (await datagram(nodes[0], DATAGRAMS, bytes)) === `${external} ${bytes}`, 15_000);
        expect(inside(EXTERNAL, 'ip', `-${family}`, 'route', 'get', nodes[0])).toContain(`mtu ${fits}`);
        expect(await datagram(nodes[0], DATAGRAMS, 4000)).toBe(`${external} 4000`);
        inside(EXTERNAL, 'ip', `-${family}`, 'route', 'flush', 'cache');
      });
      test('a Service that asks for it goes through the node that was asked', async () => { expect(await stream(nodes[0], THROUGH)).toBe(whole(nodes[0])); });
    });
  };

  describe('for all', () => {
    beforeAll(async () => { await set('dsr'); }, 30_000);
    direct();
    describe('with the wires\' offloads, which a lab is without', () => {
      beforeAll(() => { wires('on'); });
      afterAll(() => { wires('off'); });
      direct();
    });
    test.each(FAMILIES)('$name: who writes himself which frontend he asked for gets no further than by asking', async ({ family, nodes, admitted, stranger }) => {
      const { podNetns } = endpoints.find(({ pod }) => pod === 'shop/closed')!;
      const address = (JSON.parse(inside(podNetns, 'ip', '-j', `-${family}`, 'address', 'show', 'dev', 'eth0', 'scope', 'global')) as readonly [{ readonly addr_info: readonly [{ readonly local: string }] }])[0].addr_info[0].local;
      const namespace = openFd(netnsPath(EXTERNAL));
      const raw = inNetns(namespace, () => openSocket({ type: 'raw', protocol: IPPROTO_RAW, family }));
      const writes = (source: string, sourcePort: number, frontend: string, port: number): void => {
        expect(sendTo(raw, withFrontend(checksummed(tcp({ source, destination: address, sourcePort, destinationPort: 8080 }, TCP.SYN)), frontend, port).subarray(14), address, 0)).toBeUndefined();
      };
      const told = async (sourcePort: number): Promise<string | undefined> => {
        const flows = await json<readonly { readonly node: string; readonly verdict: string; readonly reason: { readonly code: number } | null; readonly source: { readonly port: number } }[]>('observe', '--to-pod', 'shop/closed', '--last', '50', '--name', LAB);
        const flow = flows.find(({ source }) => source.port === sourcePort);
        return flow === undefined ? undefined : `${flow.node} ${flow.verdict} ${flow.reason?.code ?? ''}`.trim();
      };
      try {
        writes(admitted, 50001, nodes[0], CLOSED!);
        writes(stranger, 50002, nodes[0], CLOSED!);
        writes(admitted, 50003, nodes[0], STREAM!);
        writes(admitted, 50004, family === 4 ? '192.0.2.99' : '2001:db8:192::99', CLOSED!);
        writes(nodes[0], 50005, nodes[0], CLOSED!);
        for (const [port, want] of [[50001, 'n2 FORWARDED'], [50002, 'n2 DROPPED 133'], [50003, 'n2 DROPPED 158'], [50004, 'n2 DROPPED 158'], [50005, 'n2 DROPPED 132']] as const) {
          await eventually(async () => (await told(port)) !== undefined, 10_000);
          expect({ port, told: await told(port) }).toEqual({ port, told: want });
        }
      } finally { closeFd(raw); closeFd(namespace); }
    }, 60_000);
    test('while loaders and writers of both nodes are killed no stream breaks, and new ones come about', async () => {
      const slow = FAMILIES.map(({ nodes }) => script(EXTERNAL, `const socket = require('node:net').connect({ host: process.argv[1], port: ${STREAM} });
        let sent = 0, got = '';
        const timer = setInterval(() => { socket.write('z'); if (++sent === 100) { clearInterval(timer); socket.end(); } }, 50);
        socket.on('data', (chunk) => { got += chunk; });
        socket.on('error', (error) => { console.log(error.code); process.exit(0); });
        socket.on('end', () => { const [who, count, rest] = got.split(' '); console.log(who + ' ' + count + ' ' + rest.length); process.exit(0); });`, nodes[0]));
      for (const role of ['loader', 'datapath-writer']) for (const node of ['n1', 'n2']) {
        expect((await seine('lab', 'kill', role, '--node', node, '--name', LAB)).code).toBe(0);
        for (const { nodes, external } of FAMILIES) expect(await stream(nodes[0])).toBe(whole(external));
      }
      expect(await Promise.all(slow)).toEqual(FAMILIES.map(({ external }) => `${external} 100 ${MEGABYTE}`));
      await eventually(async () => (await seine('status', '--wait', '--timeout', '20s', '--name', LAB)).code === 0, 40_000);
    }, 90_000);
    test('every map holds what the log says', async () => { expect((await seine('verify', '--name', LAB)).code).toBe(0); });
  });

  describe('hybrid', () => {
    beforeAll(async () => { await set('hybrid'); }, 30_000);
    test.each(FAMILIES)('$name: streams are answered straight, datagrams through the node that was asked', async ({ nodes, external }) => {
      expect(await stream(nodes[0])).toBe(whole(external));
      expect(await datagram(nodes[0])).toBe(`${nodes[0]} 8`);
    });
  });

  test('taken back, new flows go as before, and nothing is left of the rows', async () => {
    await set('snat');
    for (const { nodes } of FAMILIES) {
      expect(await stream(nodes[0])).toBe(whole(nodes[0]));
      expect(await datagram(nodes[0])).toBe(`${nodes[0]} 8`);
    }
    expect((await json<readonly { readonly name: string; readonly rows: number }[]>('get', 'maps', '--name', LAB)).filter(({ name }) => name === 'sn_direct_01').map(({ rows }) => rows)).toEqual([0, 0]);
  });
});
