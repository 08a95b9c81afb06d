/** Real packets: two pods and a node in namespaces, stubs attached, redirect_peer and the stack at work. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';

import {
  addressAdd, ATTACH, clsactAdd, closeFd, createNetns, deleteNetns, filterReplace, inNetns, linkCreate, linkUp, listenOn, neighbourReplace, netnsPath, openFd, openNetlink,
  openPacketSocket, openSocket, receiveFrom, receivePacket, routeReplace, sendTo, startConnect, tcpState, vethAdd,
} from '@seine/kernel';
import { Direction, Reason, Verdict } from '@seine/layout';

import { Datapath, type Interfaces, type Pod } from './datapath.ts';
import { icmpMessage, internetChecksum, ipv4, PROTOCOL, udpDatagram } from './packet.ts';

const NODE = '192.168.7.1';
const GATEWAY = '169.254.1.1';
const HOST_MAC = '02:5e:1e:00:00:01';
const LOOPBACK = 1;
const ESTABLISHED = 1;
/** The sender writes the IP header itself. */
const RAW = 255;
const WEB = { address: '10.244.1.10', mac: '02:00:00:00:00:0a', link: 'web' };
const DB = { address: '10.244.1.20', mac: '02:00:00:00:00:0b', link: 'db' };

interface Place { readonly name: string; readonly fd: number; readonly inside: <T>(act: () => T) => T }
const openPlace = (suffix: string): Place => {
  const name = `seine-path-${process.pid}-${suffix}`;
  createNetns(name);
  const fd = openFd(netnsPath(name));
  return { name, fd, inside: (act) => inNetns(fd, act) };
};

let node: Place;
let pods: { readonly web: Place; readonly db: Place };
let interfaces: Interfaces;
let datapath: Datapath;
let web: Pod;
let db: Pod;
let sockets: number[] = [];
const keep = (fd: number): number => { sockets.push(fd); return fd; };

beforeAll(() => {
  node = openPlace('node');
  pods = { web: openPlace('web'), db: openPlace('db') };
  const netlink = node.inside(openNetlink);
  const wire = ({ address, mac, link }: typeof WEB, place: Place): number => {
    netlink.transact([vethAdd({ near: { name: link, mac: HOST_MAC }, far: { name: 'eth0', mac, netnsFd: place.fd } })]);
    const index = netlink.linkIndex(link)!;
    netlink.transact([linkUp(index), routeReplace({ destination: address, length: 32, index }), neighbourReplace({ index, address, mac }), clsactAdd(index)]);
    const inside = place.inside(openNetlink);
    const eth0 = inside.linkIndex('eth0')!;
    // No neighbour for the gateway: its MAC comes from the program's answer.
    inside.transact([linkUp(LOOPBACK), linkUp(eth0), addressAdd({ index: eth0, address, length: 32 }),
      routeReplace({ destination: GATEWAY, length: 32, index: eth0 }), routeReplace({ gateway: GATEWAY, index: eth0 })]);
    inside.close();
    return index;
  };
  netlink.transact([linkUp(LOOPBACK), addressAdd({ index: LOOPBACK, address: NODE, length: 32 })]);
  interfaces = { a: wire(WEB, pods.web), b: wire(DB, pods.db), inside: node.inside, close: () => { /* the places close */ } };
  netlink.close();
  web = { address: WEB.address, mac: WEB.mac, identity: 300, endpointId: 10, ifindex: interfaces.a };
  db = { address: DB.address, mac: DB.mac, identity: 301, endpointId: 20, ifindex: interfaces.b };
});
afterAll(() => {
  for (const place of [pods.web, pods.db, node]) {
    closeFd(place.fd);
    deleteNetns(place.name);
  }
});
beforeEach(() => {
  datapath = new Datapath(interfaces);
  datapath.endpoint(web);
  datapath.endpoint(db);
  datapath.remote(NODE, 1, { inCluster: false });
  for (const identity of [300, 301]) datapath.openBoth(identity);
  datapath.program('FROM_POD', 'from_pod');
  datapath.program('TO_POD', 'to_pod');
  const netlink = node.inside(openNetlink);
  for (const index of [interfaces.a, interfaces.b]) {
    netlink.transact([
      filterReplace({ index, direction: 'ingress', programFd: datapath.fd('stub_from_pod'), name: 'seine_from_pod' }),
      filterReplace({ index, direction: 'egress', programFd: datapath.fd('stub_to_pod'), name: 'seine_to_pod' }),
    ]);
  }
  netlink.close();
});
afterEach(() => {
  sockets.forEach(closeFd);
  sockets = [];
  datapath.close();
});

const soon = async <T>(look: () => T | undefined, forMs = 2000): Promise<T | undefined> => {
  for (const end = performance.now() + forMs; performance.now() < end;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
  return undefined;
};
const connects = async (from: Place, address: string, port: number, forMs?: number): Promise<boolean> => {
  const fd = keep(from.inside(() => openSocket({ type: 'stream' })));
  startConnect(fd, address, port);
  return await soon(() => (tcpState(fd) === ESTABLISHED ? true : undefined), forMs) ?? false;
};
const receives = async (fd: number, forMs?: number) => await soon(() => receiveFrom(fd, Buffer.alloc(65536)), forMs);

describe('TCP connects', () => {
  test('from pod to pod, past the stack: the node\'s interface towards the pod sends nothing', async () => {
    keep(pods.db.inside(() => listenOn(DB.address, 5432)));
    const watcher = keep(node.inside(openPacketSocket));
    expect(await connects(pods.web, DB.address, 5432)).toBe(true);
    const seen: boolean[] = [];
    for (let packet = receivePacket(watcher, Buffer.alloc(2048)); packet !== undefined; packet = receivePacket(watcher, Buffer.alloc(2048))) seen.push(packet.outgoing);
    expect(seen).not.toContain(true);
  });
  test('from pod to its own host, and from the host to the pod', async () => {
    keep(node.inside(() => listenOn(NODE, 10250)));
    keep(pods.web.inside(() => listenOn(WEB.address, 8080)));
    expect(await connects(pods.web, NODE, 10250)).toBe(true);
    expect(await connects(node, WEB.address, 8080)).toBe(true);
  });
  test('no more once the policy denies it, and again when it does not', async () => {
    keep(pods.db.inside(() => listenOn(DB.address, 5432)));
    datapath.subject({ identity: 301, direction: Direction.INGRESS, row: datapath.row([], Verdict.DENY) });
    expect(await connects(pods.web, DB.address, 5432, 200)).toBe(false);
    expect(datapath.samples()).toContainEqual(expect.objectContaining({ reason: Reason.DENYLIST, source: WEB.address, destinationPort: 5432 }));
    datapath.open(301, Direction.INGRESS);
    expect(await connects(pods.web, DB.address, 5432)).toBe(true);
  });
  test('from no pod while the slot of the stub is empty', async () => {
    const netlink = node.inside(openNetlink);
    const closed = new Datapath(interfaces);
    netlink.transact([filterReplace({ index: web.ifindex, direction: 'ingress', programFd: closed.fd('stub_from_pod'), name: 'seine_from_pod' })]);
    netlink.close();
    keep(pods.db.inside(() => listenOn(DB.address, 5432)));
    expect(await connects(pods.web, DB.address, 5432, 200)).toBe(false);
    closed.close();
  });
});

describe('with a link at TCX in front of the filter', () => {
  let links: readonly number[] = [];
  beforeEach(() => {
    links = node.inside(() => [interfaces.a, interfaces.b].flatMap((index) => [linkCreate(datapath.fd('stub_from_pod'), index, ATTACH.tcxIngress), linkCreate(datapath.fd('stub_to_pod'), index, ATTACH.tcxEgress)]));
  });
  afterEach(() => { links.forEach(closeFd); });
  const sendAndCount = async (from: Place, to: typeof DB, address: string): Promise<{ readonly arrived: boolean; readonly forwarded: readonly bigint[]; readonly denied: readonly bigint[] }> => {
    const server = keep(pods.db.inside(() => openSocket({ type: 'datagram', address: to.address, port: 53 })));
    sendTo(keep(from.inside(() => openSocket({ type: 'datagram', address }))), Buffer.from('one'), to.address, 53);
    const arrived = await receives(server, 500) !== undefined;
    const both = (reason: number): readonly bigint[] => [Direction.EGRESS, Direction.INGRESS].map((direction) => datapath.count(direction, reason).packets);
    return { arrived, forwarded: both(0), denied: both(Reason.POLICY) };
  };
  test.each([
    { name: 'a packet from pod to pod is judged once', from: () => pods.web, source: WEB.address, denies: false, want: { arrived: true, forwarded: [1n, 0n], denied: [0n, 0n] } },
    { name: 'a packet from the node is judged once', from: () => node, source: NODE, denies: false, want: { arrived: true, forwarded: [0n, 1n], denied: [0n, 0n] } },
    { name: 'a packet that is denied is counted once', from: () => pods.web, source: WEB.address, denies: true, want: { arrived: false, forwarded: [0n, 0n], denied: [0n, 1n] } },
  ])('$name', async ({ from, source, denies, want }) => {
    if (denies) datapath.closed(301, Direction.INGRESS);
    expect(await sendAndCount(from(), DB, source)).toEqual(want);
  });
});

describe('UDP', () => {
  test('flows that live are cut by a new epoch when policy turned', async () => {
    const server = keep(pods.db.inside(() => openSocket({ type: 'datagram', address: DB.address, port: 53 })));
    const client = keep(pods.web.inside(() => openSocket({ type: 'datagram', address: WEB.address })));
    sendTo(client, Buffer.from('one'), DB.address, 53);
    expect((await receives(server))?.data.toString()).toBe('one');
    datapath.subject({ identity: 300, direction: Direction.EGRESS, row: datapath.row([], Verdict.DENY) });
    datapath.bumpEpoch();
    sendTo(client, Buffer.from('two'), DB.address, 53);
    expect(await receives(server, 200)).toBeUndefined();
  });
  test('datagrams larger than the wire arrive whole, and their answers', async () => {
    const server = keep(pods.db.inside(() => openSocket({ type: 'datagram', address: DB.address, port: 53 })));
    const client = keep(pods.web.inside(() => openSocket({ type: 'datagram', address: WEB.address })));
    sendTo(client, Buffer.alloc(9000, 7), DB.address, 53);
    const asked = await receives(server);
    expect(asked).toMatchObject({ address: WEB.address });
    expect(asked?.data.equals(Buffer.alloc(9000, 7))).toBe(true);
    sendTo(server, Buffer.alloc(5000, 9), WEB.address, asked!.port);
    expect((await receives(client))?.data.length).toBe(5000);
    expect(datapath.flows()).toHaveLength(1);
  });
  test('to a closed port is refused: the error comes back through the same policy', async () => {
    datapath.subject({ identity: 301, direction: Direction.EGRESS, row: datapath.row([], Verdict.DEFAULT_DENY) });
    datapath.subject({ identity: 300, direction: Direction.INGRESS, row: datapath.row([], Verdict.DEFAULT_DENY) });
    const client = keep(pods.web.inside(() => openSocket({ type: 'datagram', address: WEB.address })));
    startConnect(client, DB.address, 9);
    sendTo(client, Buffer.from('anyone?'), DB.address, 9);
    expect(await soon(() => (sendTo(client, Buffer.from('anyone?'), DB.address, 9) === 'ECONNREFUSED' ? true : undefined))).toBe(true);
  });
});

describe('ping', () => {
  const request = (): Buffer => {
    const message = icmpMessage({ type: 8, id: 77 });
    message.writeUInt16BE(internetChecksum(message), 2);
    return message;
  };
  test('is answered, by its id alone', async () => {
    datapath.subject({ identity: 301, direction: Direction.INGRESS, row: datapath.row([{ protocol: PROTOCOL.icmp, port: 8 << 8, prefixLength: 8, verdict: Verdict.ALLOW }]) });
    datapath.subject({ identity: 300, direction: Direction.INGRESS, row: datapath.row([], Verdict.DENY) });
    const client = keep(pods.web.inside(() => openSocket({ type: 'raw', protocol: PROTOCOL.icmp })));
    sendTo(client, request(), DB.address, 0);
    const answer = await receives(client);
    expect(answer?.data[20]).toBe(0);
    expect(answer?.address).toBe(DB.address);
  });
});

test('a packet whose TTL ends on the node is answered by its stack, and the answer reaches the pod through a closed ingress', async () => {
  node.inside(() => { writeFileSync('/proc/sys/net/ipv4/ip_forward', '1'); });
  datapath.subject({ identity: 300, direction: Direction.INGRESS, row: datapath.row([], Verdict.DENY) });
  const sender = keep(pods.web.inside(() => openSocket({ type: 'raw', protocol: RAW })));
  const listener = keep(pods.web.inside(() => openSocket({ type: 'raw', protocol: PROTOCOL.icmp })));
  const flow = { source: WEB.address, destination: DB.address, sourcePort: 40000, destinationPort: 53 };
  sendTo(sender, ipv4(flow, PROTOCOL.udp, udpDatagram(flow), { ttl: 1 }), DB.address, 0);
  const answer = await receives(listener);
  expect(answer?.address).toBe(NODE);
  expect([...answer!.data.subarray(20, 22)]).toEqual([11, 0]); // time exceeded in transit
});

test('a pod that takes its neighbour\'s address is not heard', async () => {
  const server = keep(pods.db.inside(() => openSocket({ type: 'datagram', address: DB.address, port: 53 })));
  const liar = keep(pods.web.inside(() => openSocket({ type: 'datagram', address: '10.244.1.30', foreign: true })));
  sendTo(liar, Buffer.from('it is me'), DB.address, 53);
  expect(await receives(server, 200)).toBeUndefined();
  expect(datapath.samples()).toContainEqual(expect.objectContaining({ reason: Reason.INVALID_SOURCE_IP, source: '10.244.1.30' }));
});
