/** ClusterIP at the socket, with real sockets of this process in a cgroup of its own. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createSocket, type RemoteInfo, type Socket as Datagrams } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

import { ATTACH, cgroupRoot, closeFd, createCgroup, linkCreate, loadObject, moveToCgroup, openFd, openSocket, removeCgroup, runSocketIterator, socketError, startConnect, type AttachType } from '@seine/kernel';
import { FrontendFlag, Reason, SampleKind } from '@seine/layout';

import { Datapath, openInterfaces } from './datapath.ts';
import { describeIn } from './describe-in.ts';
import { FAMILIES, IPV4, type Family } from './families.ts';
import { PROTOCOL } from './packet.ts';

const HOOKS = ['connect4', 'connect6', 'sendmsg4', 'sendmsg6', 'recvmsg4', 'recvmsg6', 'getpeername4', 'getpeername6'] as const;

let interfaces: ReturnType<typeof openInterfaces>;
let datapath: Datapath;
let vip: string;
let at: Family;
let home: string;
/** An address at which nobody listens, and that refuses at once. */
let loopback: string;
let unspecified: string;
let udpFamily: 'udp4' | 'udp6';
const use = (family: Family): void => {
  at = family;
  vip = at.service;
  [home, loopback, unspecified, udpFamily] = at.name === 'IPv4' ? ['127.0.0.1', '127.0.0.9', '0.0.0.0', 'udp4'] : ['::1', '::1', '::', 'udp6'];
};
const describeBoth = describeIn(FAMILIES, use);
const describeFirst = describeIn([IPV4], use);
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

const backend = (id: number, port: number, protocol: number, address = home): void => { datapath.backend(id, address, port, protocol); };
const frontend = (order: { readonly slots: number; readonly ids: readonly number[]; readonly address?: string; readonly port?: number; readonly protocol?: number; readonly flags?: number; readonly affinity?: number }): void => {
  datapath.frontend({ address: vip, port: 80, protocol: PROTOCOL.tcp, ...order });
};

const listen = async (): Promise<{ readonly server: Server; readonly port: number }> => {
  const server = createServer((socket) => {
    socket.on('error', () => { /* a client that leaves without reading */ });
    socket.end(String((server.address() as AddressInfo).port));
  });
  server.listen(0, home);
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

const bound = async (): Promise<Datagrams> => {
  const socket = createSocket(udpFamily);
  socket.bind(0, home);
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

describeBoth('TCP', () => {
  beforeEach(async () => {
    const { port } = await listen();
    backend(1, port, PROTOCOL.tcp);
    frontend({ slots: 1, ids: [1] });
  });
  test('connects to a backend and shows the Service as the peer', async () => {
    const socket = await dial(vip, 80);
    expect(socket).toMatchObject({ remoteAddress: vip, remotePort: 80 });
    expect(socket.localAddress).toBe(home);
  });
  test('counts each connection for its frontend, and none that is refused', async () => {
    const before = datapath.counted(1) ?? 0;
    for (let index = 0; index < 3; index += 1) await dial(vip, 80);
    frontend({ slots: 0, ids: [] });
    await refusal(vip, 80);
    expect((datapath.counted(1) ?? 0) - before).toBe(3);
  });
  test('leaves other ports and addresses alone', async () => {
    const { port } = await listen();
    expect(await dial(home, port)).toMatchObject({ remoteAddress: home, remotePort: port });
  });
  test('refuses at once where no backend serves, and says so', async () => {
    frontend({ slots: 2, ids: [] });
    datapath.samples();
    expect(await refusal(vip, 80)).toBe('ECONNREFUSED');
    expect(datapath.samples()).toMatchObject([{ kind: SampleKind.DROP, reason: Reason.NO_BACKEND, destination: vip, destinationPort: 80, protocol: PROTOCOL.tcp }]);
  });
  test('refuses where the slot set is gone', async () => {
    frontend({ slots: 9, ids: [1] });
    datapath.remove('sn_slot_02', { slots: 9, slotsHigh: 0, index: 0 });
    expect(await refusal(vip, 80)).toBe('ECONNREFUSED');
  });
  test('spreads connections over the backends', async () => {
    const other = await listen();
    backend(2, other.port, PROTOCOL.tcp);
    frontend({ slots: 3, ids: [1, 2] });
    const answered = await Promise.all(Array.from({ length: 40 }, async () => {
      const [data] = await once(await dial(vip, 80), 'data') as [Buffer];
      return data.toString();
    }));
    expect(new Set(answered).size).toBe(2);
  });
  const answerOf = async (port = 80): Promise<string> => String((await once(await dial(vip, port), 'data'))[0]);
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
    frontend({ slots: 7, ids: [7], address: unspecified, port: 30080 });
    datapath.remote(at.node, 1);
    datapath.remote(loopback, 6);
    expect(await dial(at.node, 30080)).toMatchObject({ remoteAddress: at.node, remotePort: 30080 });
    expect(await refusal(loopback, 30080)).toBe('ECONNREFUSED');
  });
  test('leaves what not everybody may use to the packets\' way', async () => {
    frontend({ slots: 8, ids: [1], address: loopback, port: 81, flags: FrontendFlag.RANGES });
    expect(await refusal(loopback, 81)).toBe('ECONNREFUSED');
    frontend({ slots: 8, ids: [1], address: loopback, port: 81 });
    expect((await dial(loopback, 81)).remotePort).toBe(81);
  });
  test('keeps a connection where it is when the slots change', async () => {
    const socket = await dial(vip, 80);
    frontend({ slots: 4, ids: [] });
    expect(socket.remoteAddress).toBe(vip);
    expect(String((await once(socket, 'data'))[0])).toMatch(/^\d+$/);
  });
});

describeBoth('UDP', () => {
  let ports: readonly number[];
  beforeEach(async () => {
    ports = await Promise.all([echoServer(), echoServer(), echoServer()]);
    ports.forEach((port, index) => { backend(index + 1, port, PROTOCOL.udp); });
    frontend({ slots: 1, ids: [1, 2, 3], port: 53, protocol: PROTOCOL.udp });
  });
  test('answers come from the Service that was asked', async () => {
    const [data, from] = await exchange(await bound(), 53, vip);
    expect(data).toMatch(/^hello from \d+$/);
    expect(from).toMatchObject({ address: vip, port: 53 });
  });
  test('is counted once for the datagrams of a socket', async () => {
    const before = datapath.counted(1) ?? 0;
    const [socket, other] = [await bound(), await bound()];
    for (let index = 0; index < 3; index += 1) await exchange(socket, 53, vip);
    await exchange(other, 53, vip);
    expect((datapath.counted(1) ?? 0) - before).toBe(2);
  });
  test('one socket stays with one backend', async () => {
    const socket = await bound();
    const answers = [];
    for (let index = 0; index < 10; index += 1) answers.push((await exchange(socket, 53, vip))[0]);
    expect(new Set(answers).size).toBe(1);
  });
  test('a connected socket sees the Service, too', async () => {
    const socket = createSocket(udpFamily);
    cleanUp.push(() => { socket.close(); });
    socket.connect(53, vip);
    await once(socket, 'connect');
    expect(socket.remoteAddress()).toMatchObject({ address: vip, port: 53 });
    expect((await exchange(socket))[1]).toMatchObject({ address: vip, port: 53 });
  });
  test('a TCP Service of the same port is another', async () => {
    const { port } = await listen();
    backend(9, port, PROTOCOL.tcp);
    frontend({ slots: 9, ids: [9], port: 53 });
    expect((await dial(vip, 53)).remotePort).toBe(53);
    expect((await exchange(await bound(), 53, vip))[1].port).toBe(53);
  });
  test('a server that answers one who is no Service\'s client shows itself', async () => {
    expect((await exchange(await bound(), ports[0]!, home))[1]).toMatchObject({ address: home, port: ports[0]! });
  });
});

describeBoth('a connected socket of UDP whose backend is gone', () => {
  let destroyer: number;
  let own: Datagrams;
  let direct: Datagrams;
  const connected = async (port: number, host: string): Promise<Datagrams> => {
    const socket = createSocket(udpFamily);
    cleanUp.push(() => { socket.close(); });
    socket.connect(port, host);
    await once(socket, 'connect');
    return socket;
  };
  beforeEach(async () => {
    const object = loadObject(new URL('../build/destroy.o', import.meta.url).pathname, { reuse: datapath.maps() });
    cleanUp.push(() => { object.close(); });
    destroyer = object.programFd('destroy_udp');
    const [first, second] = [await echoServer(), await echoServer()];
    backend(1, first, PROTOCOL.udp);
    backend(2, second, PROTOCOL.udp);
    frontend({ slots: 1, ids: [1], port: 53, protocol: PROTOCOL.udp });
    own = await connected(53, vip);
    direct = await connected(first, home);
    frontend({ slots: 2, ids: [2], port: 53, protocol: PROTOCOL.udp });
  });
  test('gets an error at once, and connects to another; one that spoke to that address itself goes on', async () => {
    const kept = await connected(53, vip);
    datapath.remove('sn_backend_01', { value: 1 });
    const failed = once(own, 'error') as Promise<[NodeJS.ErrnoException]>;
    expect(await runSocketIterator(destroyer)).toBe(1);
    expect((await failed)[0].code).toBe('ECONNABORTED');
    expect((await exchange(await connected(53, vip)))[1]).toMatchObject({ address: vip, port: 53 });
    expect((await exchange(direct))[0]).toMatch(/^hello from/);
    expect((await exchange(kept))[1]).toMatchObject({ address: vip, port: 53 });
    expect(await runSocketIterator(destroyer)).toBe(0);
  });
  test('stays while the backend has its row: a terminating one', async () => {
    expect(await runSocketIterator(destroyer)).toBe(0);
    expect((await exchange(own))[1]).toMatchObject({ address: vip, port: 53 });
  });
  test('is found in the namespace of a pod, and only there', async () => {
    const fd = interfaces.inside(() => openSocket({ type: 'datagram', family: at === IPV4 ? 4 : 6 }));
    cleanUp.push(() => { closeFd(fd); });
    backend(3, 5353, PROTOCOL.udp, at.router);
    frontend({ slots: 3, ids: [3], port: 53, protocol: PROTOCOL.udp });
    expect(startConnect(fd, vip, 53)).toBeUndefined();
    datapath.remove('sn_backend_01', { value: 3 });
    expect(await runSocketIterator(destroyer)).toBe(0);
    const netns = openFd(interfaces.path);
    cleanUp.push(() => { closeFd(netns); });
    expect(await runSocketIterator(destroyer, netns)).toBe(1);
    expect(socketError(fd)).toBe('ECONNABORTED');
  });
});

describeFirst('an IPv6 socket that speaks to a mapped address', () => {
  test('connects to the IPv4 backend, and sees the Service mapped', async () => {
    const { port } = await listen();
    backend(1, port, PROTOCOL.tcp);
    frontend({ slots: 1, ids: [1] });
    expect((await dial(`::ffff:${vip}`, 80)).remoteAddress).toBe(`::ffff:${vip}`);
  });
  test('hears the Service\'s answers mapped', async () => {
    backend(1, await echoServer(), PROTOCOL.udp);
    frontend({ slots: 1, ids: [1], port: 53, protocol: PROTOCOL.udp });
    const socket = createSocket('udp6');
    cleanUp.push(() => { socket.close(); });
    expect((await exchange(socket, 53, `::ffff:${vip}`))[1]).toMatchObject({ address: `::ffff:${vip}`, port: 53 });
  });
  test('and stays connected to one that is gone is destroyed, too', async () => {
    const object = loadObject(new URL('../build/destroy.o', import.meta.url).pathname, { reuse: datapath.maps() });
    cleanUp.push(() => { object.close(); });
    backend(1, await echoServer(), PROTOCOL.udp);
    frontend({ slots: 1, ids: [1], port: 53, protocol: PROTOCOL.udp });
    const socket = createSocket('udp6');
    cleanUp.push(() => { socket.close(); });
    socket.connect(53, `::ffff:${vip}`);
    await once(socket, 'connect');
    datapath.remove('sn_backend_01', { value: 1 });
    const failed = once(socket, 'error') as Promise<[NodeJS.ErrnoException]>;
    expect(await runSocketIterator(object.programFd('destroy_udp'))).toBe(1);
    expect((await failed)[0].code).toBe('ECONNABORTED');
  });
});
