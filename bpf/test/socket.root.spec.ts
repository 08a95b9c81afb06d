/** ClusterIP at the socket, with real sockets of this process in a cgroup of its own. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSocket, type RemoteInfo, type Socket as Datagrams } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { ATTACH, cgroupRoot, closeFd, createCgroup, linkCreate, loadObject, moveToCgroup, openFd, removeCgroup, type AttachType } from '@seine/kernel';
import { FrontendFlag, Reason, SampleKind } from '@seine/layout';

import { Datapath, openInterfaces, type Interfaces } from './datapath.ts';
import { PROTOCOL } from './packet.ts';

const VIP = '10.96.0.10';
const HOME = '127.0.0.1';
const HOOKS = ['connect4', 'connect6', 'sendmsg4', 'sendmsg6', 'recvmsg4', 'recvmsg6', 'getpeername4', 'getpeername6'] as const;

let interfaces: Interfaces;
let datapath: Datapath;
let cgroup: string;
let before: string;
let cleanUp: (() => void)[] = [];

beforeAll(() => {
  interfaces = openInterfaces();
  const own = readFileSync('/proc/self/cgroup', 'utf8').split('\n').find((line) => line.startsWith('0::'))!.slice(3);
  before = cgroupRoot() + own;
  cgroup = `${cgroupRoot()}/seine-socket-${process.pid}`;
  createCgroup(cgroup);
  moveToCgroup(cgroup, process.pid);
});
afterAll(() => {
  moveToCgroup(before, process.pid);
  removeCgroup(cgroup);
  interfaces.close();
});
beforeEach(() => {
  datapath = new Datapath(interfaces);
  const object = loadObject(new URL('../build/socket.o', import.meta.url).pathname, { reuse: datapath.maps() });
  const directory = openFd(cgroup);
  const links = HOOKS.map((hook) => linkCreate(object.programFd(hook), directory, ATTACH[hook] as AttachType));
  cleanUp = [() => { links.forEach(closeFd); closeFd(directory); object.close(); datapath.close(); }];
});
afterEach(() => { for (const act of cleanUp.reverse()) act(); });

const backend = (id: number, port: number, protocol: number, address = HOME): void => { datapath.backend(id, address, port, protocol); };
const frontend = (order: { readonly slots: number; readonly ids: readonly number[]; readonly address?: string; readonly port?: number; readonly protocol?: number; readonly flags?: number; readonly affinity?: number }): void => {
  datapath.frontend({ address: VIP, port: 80, protocol: PROTOCOL.tcp, ...order });
};

const listen = async (): Promise<{ readonly server: Server; readonly port: number }> => {
  const server = createServer((socket) => {
    socket.on('error', () => { /* a client that leaves without reading */ });
    socket.end(String((server.address() as AddressInfo).port));
  });
  server.listen(0, HOME);
  await once(server, 'listening');
  cleanUp.push(() => { server.close(); });
  return { server, port: (server.address() as AddressInfo).port };
};
const dial = async (host: string, port: number): Promise<Socket> => {
  const socket = connect({ host, port, autoSelectFamily: false });
  cleanUp.push(() => { socket.destroy(); });
  await once(socket, 'connect');
  return socket;
};
const refusal = async (host: string, port: number): Promise<string> => {
  const socket = connect({ host, port, autoSelectFamily: false });
  const [error] = await once(socket, 'error') as [NodeJS.ErrnoException];
  return error.code ?? '';
};

describe('TCP', () => {
  beforeEach(async () => {
    const { port } = await listen();
    backend(1, port, PROTOCOL.tcp);
    frontend({ slots: 1, ids: [1] });
  });
  test('connects to a backend and shows the Service as the peer', async () => {
    const socket = await dial(VIP, 80);
    expect(socket).toMatchObject({ remoteAddress: VIP, remotePort: 80 });
    expect(socket.localAddress).toBe(HOME);
  });
  test('does so for IPv6 sockets that speak to the mapped address', async () => {
    expect((await dial(`::ffff:${VIP}`, 80)).remoteAddress).toBe(`::ffff:${VIP}`);
  });
  test('leaves other ports and addresses alone', async () => {
    const { port } = await listen();
    expect(await dial(HOME, port)).toMatchObject({ remoteAddress: HOME, remotePort: port });
  });
  test('refuses at once where no backend serves, and says so', async () => {
    frontend({ slots: 2, ids: [] });
    datapath.samples();
    expect(await refusal(VIP, 80)).toBe('ECONNREFUSED');
    expect(datapath.samples()).toMatchObject([{ kind: SampleKind.DROP, reason: Reason.NO_BACKEND, destination: VIP, destinationPort: 80, protocol: PROTOCOL.tcp }]);
  });
  test('refuses where the slot set is gone', async () => {
    frontend({ slots: 9, ids: [1] });
    datapath.remove('sn_slot_02', { slots: 9, slotsHigh: 0, index: 0 });
    expect(await refusal(VIP, 80)).toBe('ECONNREFUSED');
  });
  test('spreads connections over the backends', async () => {
    const other = await listen();
    backend(2, other.port, PROTOCOL.tcp);
    frontend({ slots: 3, ids: [1, 2] });
    const answered = await Promise.all(Array.from({ length: 40 }, async () => {
      const [data] = await once(await dial(VIP, 80), 'data') as [Buffer];
      return data.toString();
    }));
    expect(new Set(answered).size).toBe(2);
  });
  const answerOf = async (port = 80): Promise<string> => String((await once(await dial(VIP, port), 'data'))[0]);
  test('stays with one backend while the frontend has affinity, as long as it is drawn there', async () => {
    const [one, two, three] = [await listen(), await listen(), await listen()];
    [one, two, three].forEach(({ port }, index) => { backend(index + 2, port, PROTOCOL.tcp); });
    frontend({ slots: 5, ids: [2, 3, 4], affinity: 100 });
    const answered = await Promise.all(Array.from({ length: 12 }, () => answerOf()));
    expect(new Set(answered).size).toBe(1);
    const kept = [one, two, three].findIndex(({ port }) => String(port) === answered[0]) + 2;
    frontend({ slots: 6, ids: [2, 3, 4].filter((id) => id !== kept), affinity: 100 });
    expect(await answerOf()).not.toBe(answered[0]);
  });
  test('is a node port at each of the node\'s own addresses, and at no other', async () => {
    const { port } = await listen();
    backend(7, port, PROTOCOL.tcp);
    frontend({ slots: 7, ids: [7], address: '0.0.0.0', port: 30080 });
    datapath.remote('192.0.2.11', 1);
    datapath.remote('127.0.0.9', 6);
    expect(await dial('192.0.2.11', 30080)).toMatchObject({ remoteAddress: '192.0.2.11', remotePort: 30080 });
    expect(await refusal('127.0.0.9', 30080)).toBe('ECONNREFUSED');
  });
  test('leaves what not everybody may use to the packets\' way', async () => {
    frontend({ slots: 8, ids: [1], address: '127.0.0.10', port: 81, flags: FrontendFlag.RANGES });
    expect(await refusal('127.0.0.10', 81)).toBe('ECONNREFUSED');
    frontend({ slots: 8, ids: [1], address: '127.0.0.10', port: 81 });
    expect((await dial('127.0.0.10', 81)).remotePort).toBe(81);
  });
  test('does the same for IPv6', async () => {
    const server = createServer((socket) => { socket.end('six'); });
    server.listen(0, '::1');
    await once(server, 'listening');
    cleanUp.push(() => { server.close(); });
    backend(10, (server.address() as AddressInfo).port, PROTOCOL.tcp, '::1');
    frontend({ slots: 10, ids: [10], address: 'fd00:96::10', port: 80 });
    const socket = await dial('fd00:96::10', 80);
    expect(socket).toMatchObject({ remoteAddress: 'fd00:96::10', remotePort: 80 });
    expect(String((await once(socket, 'data'))[0])).toBe('six');
  });
  test('keeps a connection where it is when the slots change', async () => {
    const socket = await dial(VIP, 80);
    frontend({ slots: 4, ids: [] });
    expect(socket.remoteAddress).toBe(VIP);
    expect(String((await once(socket, 'data'))[0])).toMatch(/^\d+$/);
  });
});

describe('UDP', () => {
  let ports: readonly number[];
  const bound = async (): Promise<Datagrams> => {
    const socket = createSocket('udp4');
    socket.bind(0, HOME);
    await once(socket, 'listening');
    cleanUp.push(() => { socket.close(); });
    return socket;
  };
  const echoServer = async (): Promise<number> => {
    const socket = await bound();
    socket.on('message', (data, { port, address }) => { socket.send(`${data} from ${socket.address().port}`, port, address); });
    return socket.address().port;
  };
  const exchange = async (socket: Datagrams, ...to: [number, string] | []): Promise<readonly [string, RemoteInfo]> => {
    const answer = once(socket, 'message') as Promise<[Buffer, RemoteInfo]>;
    socket.send('hello', ...to as [number, string]);
    const [data, from] = await answer;
    return [data.toString(), from];
  };
  beforeEach(async () => {
    ports = await Promise.all([echoServer(), echoServer(), echoServer()]);
    ports.forEach((port, index) => { backend(index + 1, port, PROTOCOL.udp); });
    frontend({ slots: 1, ids: [1, 2, 3], port: 53, protocol: PROTOCOL.udp });
  });
  test('answers come from the Service that was asked', async () => {
    const [data, from] = await exchange(await bound(), 53, VIP);
    expect(data).toMatch(/^hello from \d+$/);
    expect(from).toMatchObject({ address: VIP, port: 53 });
  });
  test('one socket stays with one backend', async () => {
    const socket = await bound();
    const answers = [];
    for (let index = 0; index < 10; index += 1) answers.push((await exchange(socket, 53, VIP))[0]);
    expect(new Set(answers).size).toBe(1);
  });
  test('a connected socket sees the Service, too', async () => {
    const socket = createSocket('udp4');
    cleanUp.push(() => { socket.close(); });
    socket.connect(53, VIP);
    await once(socket, 'connect');
    expect(socket.remoteAddress()).toMatchObject({ address: VIP, port: 53 });
    expect((await exchange(socket))[1]).toMatchObject({ address: VIP, port: 53 });
  });
  test('an IPv6 socket that speaks to the mapped address sees it mapped', async () => {
    const socket = createSocket('udp6');
    cleanUp.push(() => { socket.close(); });
    expect((await exchange(socket, 53, `::ffff:${VIP}`))[1]).toMatchObject({ address: `::ffff:${VIP}`, port: 53 });
  });
  test('a TCP Service of the same port is another', async () => {
    const { port } = await listen();
    backend(9, port, PROTOCOL.tcp);
    frontend({ slots: 9, ids: [9], port: 53 });
    expect((await dial(VIP, 53)).remotePort).toBe(53);
    expect((await exchange(await bound(), 53, VIP))[1].port).toBe(53);
  });
  test('a server that answers one who is no Service\'s client shows itself', async () => {
    expect((await exchange(await bound(), ports[0]!, HOME))[1]).toMatchObject({ address: HOME, port: ports[0]! });
  });
});
