/** Real packets: two pods and a node in namespaces, stubs attached, redirect_peer and the stack at work. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { createServer, Socket } from 'node:net';

import {
  addressAdd, ATTACH, clsactAdd, closeFd, createNetns, deleteNetns, filterReplace, inNetns, linkCreate, linkDelete, linkUp, listenOn, neighbourReplace, netnsPath, openFd, openNetlink,
  openPacketSocket, openSocket, pathMtu, receiveFrom, receivePacket, routeReplace, sendTo, startConnect, tcpState, vethAdd,
} from '@seine/kernel';
import { Direction, Reason, Verdict } from '@seine/layout';
import { familyOf } from '@seine/model';

import { Datapath, type Interfaces, type Pod } from './datapath.ts';
import { describeIn } from './describe-in.ts';
import { FAMILIES, type Family } from './families.ts';
import { icmp6Checksum, icmpMessage, internetChecksum, ip, PROTOCOL, udpDatagram } from './packet.ts';

const GATEWAY = { IPv4: '169.254.1.1', IPv6: 'fe80::1' } as const;
const WHOLE = { IPv4: 32, IPv6: 128 } as const;
const HOST_MAC = '02:5e:1e:00:00:01';
const LOOPBACK = 1;
/** Of a way beyond the node: IPv6 allows none below 1280. */
const SHORT_MTU = 1300;
const ESTABLISHED = 1;
/** The sender writes the IP header itself. */
const RAW = 255;
const UDP = 17;
const WEB = { link: 'web', mac: '02:00:00:00:00:0a' } as const;
const DB = { link: 'db', mac: '02:00:00:00:00:0b' } as const;

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
let at: Family;
let web: Pod;
let db: Pod;
const describeBoth = describeIn(FAMILIES, (family) => {
  at = family;
  web = { address: at.web, mac: WEB.mac, identity: 300, endpointId: 10, ifindex: interfaces.a };
  db = { address: at.db, mac: DB.mac, identity: 301, endpointId: 20, ifindex: interfaces.b };
});
let sockets: number[] = [];
const keep = (fd: number): number => { sockets.push(fd); return fd; };

beforeAll(() => {
  node = openPlace('node');
  pods = { web: openPlace('web'), db: openPlace('db') };
  const netlink = node.inside(openNetlink);
  const wire = ({ mac, link }: typeof WEB | typeof DB, place: Place): number => {
    netlink.transact([vethAdd({ near: { name: link, mac: HOST_MAC }, far: { name: 'eth0', mac, netnsFd: place.fd } })]);
    const index = netlink.linkIndex(link)!;
    netlink.transact([linkUp(index), clsactAdd(index), ...FAMILIES.flatMap(({ name, [link]: address }) => [routeReplace({ destination: address, length: WHOLE[name], index }), neighbourReplace({ index, address, mac })])]);
    const inside = place.inside(openNetlink);
    const eth0 = inside.linkIndex('eth0')!;
    // No neighbour for the gateway: its MAC comes from the program's answer.
    inside.transact([linkUp(LOOPBACK), linkUp(eth0), ...FAMILIES.flatMap(({ name, [link]: address }) => [
      addressAdd({ index: eth0, address, length: WHOLE[name] }), routeReplace({ destination: GATEWAY[name], length: WHOLE[name], index: eth0 }), routeReplace({ gateway: GATEWAY[name], index: eth0 }),
    ])]);
    inside.close();
    return index;
  };
  node.inside(() => { for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeFileSync(`/proc/sys/net/${name}`, '1'); });
  netlink.transact([linkUp(LOOPBACK), ...FAMILIES.map(({ name, node: address }) => addressAdd({ index: LOOPBACK, address, length: WHOLE[name] }))]);
  interfaces = { a: wire(WEB, pods.web), b: wire(DB, pods.db), inside: node.inside, close: () => { /* the places close */ } };
  netlink.close();
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
  datapath.remote(at.node, 1, { inCluster: false });
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
/** Of the block's family; where a raw socket's message begins: IPv4's have their header before them. */
const family = (): 4 | 6 => familyOf(at.web);
const messageAt = (): number => (at.name === 'IPv4' ? 20 : 0);
const connects = async (from: Place, address: string, port: number, forMs?: number): Promise<boolean> => {
  const fd = keep(from.inside(() => openSocket({ type: 'stream', family: familyOf(address) })));
  startConnect(fd, address, port);
  return await soon(() => (tcpState(fd) === ESTABLISHED ? true : undefined), forMs) ?? false;
};
const receives = async (fd: number, forMs?: number) => await soon(() => receiveFrom(fd, Buffer.alloc(65536)), forMs);

describeBoth('TCP connects', () => {
  test('from pod to pod, past the stack: the node\'s interface towards the pod sends nothing', async () => {
    keep(pods.db.inside(() => listenOn(db.address, 5432)));
    const watcher = keep(node.inside(openPacketSocket));
    expect(await connects(pods.web, db.address, 5432)).toBe(true);
    const seen: boolean[] = [];
    for (let packet = receivePacket(watcher, Buffer.alloc(2048)); packet !== undefined; packet = receivePacket(watcher, Buffer.alloc(2048))) if (packet.family === family()) seen.push(packet.outgoing);
    expect(seen).not.toContain(true);
  });
  test('from pod to its own host, and from the host to the pod', async () => {
    keep(node.inside(() => listenOn(at.node, 10250)));
    keep(pods.web.inside(() => listenOn(web.address, 8080)));
    expect(await connects(pods.web, at.node, 10250)).toBe(true);
    expect(await connects(node, web.address, 8080)).toBe(true);
  });
  test('no more once the policy denies it, and again when it does not', async () => {
    keep(pods.db.inside(() => listenOn(db.address, 5432)));
    datapath.subject({ identity: 301, direction: Direction.INGRESS, row: datapath.row([], Verdict.DENY) });
    expect(await connects(pods.web, db.address, 5432, 200)).toBe(false);
    expect(datapath.samples()).toContainEqual(expect.objectContaining({ reason: Reason.DENYLIST, source: web.address, destinationPort: 5432 }));
    datapath.open(301, Direction.INGRESS);
    expect(await connects(pods.web, db.address, 5432)).toBe(true);
  });
  test('and a stream goes on when its entry is deleted under it, whichever side speaks next', async () => {
    datapath.subject({ identity: 300, direction: Direction.EGRESS, row: datapath.row([{ protocol: PROTOCOL.tcp, port: 5432, verdict: Verdict.ALLOW }]) });
    datapath.subject({ identity: 301, direction: Direction.INGRESS, row: datapath.row([{ protocol: PROTOCOL.tcp, port: 5432, verdict: Verdict.ALLOW }]) });
    datapath.closed(300, Direction.INGRESS);
    datapath.closed(301, Direction.EGRESS);
    const listening = pods.db.inside(() => listenOn(db.address, 5432));
    let peer: Socket | undefined;
    const server = createServer((socket) => {
      peer = socket;
      socket.on('data', (data) => { socket.write(data.toString().toUpperCase()); });
    }).listen({ fd: listening });
    const fd = pods.web.inside(() => openSocket({ type: 'stream', family: family() }));
    startConnect(fd, db.address, 5432);
    expect(await soon(() => (tcpState(fd) === ESTABLISHED ? true : undefined))).toBe(true);
    const client = new Socket({ fd, readable: true, writable: true });
    const heard: string[] = [];
    client.on('data', (data) => { heard.push(data.toString()); });
    const failed: Error[] = [];
    client.on('error', (error) => { failed.push(error); });
    const forget = (): void => { for (const { key } of datapath.rows('sn_cttcp_01')) datapath.remove('sn_cttcp_01', key); };
    client.write('one');
    expect(await soon(() => (heard.join('') === 'ONE' ? true : undefined))).toBe(true);
    forget();
    client.write('two'); // the client's packet comes first …
    expect(await soon(() => (heard.join('') === 'ONETWO' ? true : undefined))).toBe(true);
    forget();
    peer!.write('three'); // … and the server's
    expect(await soon(() => (heard.join('') === 'ONETWOthree' ? true : undefined))).toBe(true);
    expect(failed).toEqual([]);
    client.destroy();
    peer!.destroy();
    server.close();
  });
  test('from no pod while the slot of the stub is empty', async () => {
    const netlink = node.inside(openNetlink);
    const closed = new Datapath(interfaces);
    netlink.transact([filterReplace({ index: web.ifindex, direction: 'ingress', programFd: closed.fd('stub_from_pod'), name: 'seine_from_pod' })]);
    netlink.close();
    keep(pods.db.inside(() => listenOn(db.address, 5432)));
    expect(await connects(pods.web, db.address, 5432, 200)).toBe(false);
    closed.close();
  });
});

describeBoth('with a link at TCX in front of the filter', () => {
  let links: readonly number[] = [];
  beforeEach(() => {
    links = node.inside(() => [interfaces.a, interfaces.b].flatMap((index) => [linkCreate(datapath.fd('stub_from_pod'), index, ATTACH.tcxIngress), linkCreate(datapath.fd('stub_to_pod'), index, ATTACH.tcxEgress)]));
  });
  afterEach(() => { links.forEach(closeFd); });
  const sendAndCount = async (from: Place, to: Pod, address: string): Promise<{ readonly arrived: boolean; readonly forwarded: readonly bigint[]; readonly denied: readonly bigint[] }> => {
    const server = keep(pods.db.inside(() => openSocket({ type: 'datagram', address: to.address, port: 53 })));
    sendTo(keep(from.inside(() => openSocket({ type: 'datagram', address }))), Buffer.from('one'), to.address, 53);
    const arrived = await receives(server, 500) !== undefined;
    const both = (reason: number): readonly bigint[] => [Direction.EGRESS, Direction.INGRESS].map((direction) => datapath.count(direction, reason).packets);
    return { arrived, forwarded: both(0), denied: both(Reason.POLICY) };
  };
  test.each([
    { name: 'a packet from pod to pod is judged once', from: () => pods.web, source: () => web.address, denies: false, want: { arrived: true, forwarded: [1n, 0n], denied: [0n, 0n] } },
    { name: 'a packet from the node is judged once', from: () => node, source: () => at.node, denies: false, want: { arrived: true, forwarded: [0n, 1n], denied: [0n, 0n] } },
    { name: 'a packet that is denied is counted once', from: () => pods.web, source: () => web.address, denies: true, want: { arrived: false, forwarded: [0n, 0n], denied: [0n, 1n] } },
  ])('$name', async ({ from, source, denies, want }) => {
    if (denies) datapath.closed(301, Direction.INGRESS);
    expect(await sendAndCount(from(), db, source())).toEqual(want);
  });
});

describeBoth('UDP', () => {
  test('flows that live are cut by a new epoch when policy turned', async () => {
    const server = keep(pods.db.inside(() => openSocket({ type: 'datagram', address: db.address, port: 53 })));
    const client = keep(pods.web.inside(() => openSocket({ type: 'datagram', address: web.address })));
    sendTo(client, Buffer.from('one'), db.address, 53);
    expect((await receives(server))?.data.toString()).toBe('one');
    datapath.subject({ identity: 300, direction: Direction.EGRESS, row: datapath.row([], Verdict.DENY) });
    datapath.bumpEpoch();
    sendTo(client, Buffer.from('two'), db.address, 53);
    expect(await receives(server, 200)).toBeUndefined();
  });
  test('datagrams larger than the wire arrive whole, and their answers', async () => {
    const server = keep(pods.db.inside(() => openSocket({ type: 'datagram', address: db.address, port: 53 })));
    const client = keep(pods.web.inside(() => openSocket({ type: 'datagram', address: web.address })));
    sendTo(client, Buffer.alloc(9000, 7), db.address, 53);
    const asked = await receives(server);
    expect(asked).toMatchObject({ address: web.address });
    expect(asked?.data.equals(Buffer.alloc(9000, 7))).toBe(true);
    sendTo(server, Buffer.alloc(5000, 9), web.address, asked!.port);
    expect((await receives(client))?.data.length).toBe(5000);
    expect(datapath.flows()).toHaveLength(1);
  });
  test('to a closed port is refused: the error comes back through the same policy', async () => {
    datapath.subject({ identity: 301, direction: Direction.EGRESS, row: datapath.row([], Verdict.DEFAULT_DENY) });
    datapath.subject({ identity: 300, direction: Direction.INGRESS, row: datapath.row([], Verdict.DEFAULT_DENY) });
    const client = keep(pods.web.inside(() => openSocket({ type: 'datagram', address: web.address })));
    startConnect(client, db.address, 9);
    sendTo(client, Buffer.from('anyone?'), db.address, 9);
    expect(await soon(() => (sendTo(client, Buffer.from('anyone?'), db.address, 9) === 'ECONNREFUSED' ? true : undefined))).toBe(true);
  });
});

describeBoth('ping', () => {
  const request = (): Buffer => {
    const message = icmpMessage({ type: at.icmp.request, id: 77 });
    message.writeUInt16BE(at.name === 'IPv4' ? internetChecksum(message) : icmp6Checksum({ source: web.address, destination: db.address }, message), 2);
    return message;
  };
  test('is answered, by its id alone', async () => {
    datapath.subject({ identity: 301, direction: Direction.INGRESS, row: datapath.row([{ protocol: at.icmp.protocol, port: at.icmp.request << 8, prefixLength: 8, verdict: Verdict.ALLOW }]) });
    datapath.subject({ identity: 300, direction: Direction.INGRESS, row: datapath.row([], Verdict.DENY) });
    const client = keep(pods.web.inside(() => openSocket({ type: 'raw', protocol: at.icmp.protocol, family: family() })));
    sendTo(client, request(), db.address, 0);
    const answer = await receives(client);
    expect(answer?.data[messageAt()]).toBe(at.icmp.reply);
    expect(answer?.address).toBe(db.address);
  });
});

describeBoth('the node between pods', () => {
  test('a packet whose TTL ends on the node is answered by its stack, and the answer reaches the pod through a closed ingress', async () => {
    datapath.subject({ identity: 300, direction: Direction.INGRESS, row: datapath.row([], Verdict.DENY) });
    const sender = keep(pods.web.inside(() => openSocket({ type: 'raw', protocol: RAW, family: family() })));
    const listener = keep(pods.web.inside(() => openSocket({ type: 'raw', protocol: at.icmp.protocol, family: family() })));
    const flow = { source: web.address, destination: db.address, sourcePort: 40000, destinationPort: 53 };
    sendTo(sender, ip(flow, UDP, udpDatagram(flow), { ttl: 1 }), db.address, 0);
    // The gateway's own advertisement comes here too.
    const answer = await soon(() => { const got = receiveFrom(listener, Buffer.alloc(2048)); return got?.address === GATEWAY.IPv6 ? undefined : got; });
    expect(answer?.address).toBe(at.node);
    expect([...answer!.data.subarray(messageAt(), messageAt() + 2)]).toEqual([at.icmp.timeExceeded.type, at.icmp.timeExceeded.code]);
  });

  test('a packet longer than its way learns the way\'s length, through a closed ingress', async () => {
    const netlink = node.inside(openNetlink);
    netlink.transact([vethAdd({ near: { name: 'up' }, far: { name: 'router' }, mtu: SHORT_MTU })]);
    try {
      const [uplink, router] = [netlink.linkIndex('up')!, netlink.linkIndex('router')!];
      netlink.transact([linkUp(uplink), linkUp(router), routeReplace({ destination: at.remote, length: WHOLE[at.name], index: uplink }), neighbourReplace({ index: uplink, address: at.remote, mac: WEB.mac })]);
      datapath.remote(at.remote, 302);
      datapath.uplink(uplink);
      datapath.subject({ identity: 300, direction: Direction.INGRESS, row: datapath.row([], Verdict.DENY) });
      const client = keep(pods.web.inside(() => openSocket({ type: 'datagram', address: web.address })));
      expect(pods.web.inside(() => pathMtu(at.remote))).toBe(1500);
      sendTo(client, Buffer.alloc(SHORT_MTU), at.remote, 53);
      expect(await soon(() => (pods.web.inside(() => pathMtu(at.remote)) === SHORT_MTU ? true : undefined))).toBe(true);
    } finally {
      netlink.transact([linkDelete('up')]);
      netlink.close();
    }
  });

  test('a pod that takes its neighbour\'s address is not heard', async () => {
    const server = keep(pods.db.inside(() => openSocket({ type: 'datagram', address: db.address, port: 53 })));
    const liar = keep(pods.web.inside(() => openSocket({ type: 'datagram', address: at.nobody, foreign: true })));
    sendTo(liar, Buffer.from('it is me'), db.address, 53);
    expect(await receives(server, 200)).toBeUndefined();
    expect(datapath.samples()).toContainEqual(expect.objectContaining({ reason: Reason.INVALID_SOURCE_IP, source: at.nobody }));
  });
});
