/** What pods send to the world leaves with their node's address: rows of docs/datapath.md, with real checksums. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { loadObject, runMapIterator } from '@seine/kernel';
import { Direction, Reason, SampleKind, SelfFlag, Verdict } from '@seine/layout';

import { Datapath, OK, openInterfaces, REDIRECT, SHOT, UPLINK_MTU, type Outcome, type Pod } from './datapath.ts';
import { describeIn } from './describe-in.ts';
import { FAMILIES, IPV4, type Family } from './families.ts';
import { checksummed, frame, icmp, ip, PROTOCOL, reversed, sctp, TCP, tcp, tcpSegment, told, ttlOf, udp, udpDatagram, type Flow } from './packet.ts';

const HOST = 1;
const REMOTE_NODE = 6;
const MARK_MASQUERADE = 0x00200000;
const PORTS = { first: 63_000, last: 65_535 } as const;
const { INGRESS, EGRESS } = Direction;

let interfaces: ReturnType<typeof openInterfaces>;
let datapath: Datapath;
let at: Family;
let web: Pod;
let db: Pod;
const use = (family: Family): void => {
  at = family;
  web = { address: at.web, identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
  db = { address: at.db, identity: 301, endpointId: 20, ifindex: interfaces.b, mac: '02:00:00:00:00:0b' };
};
const describeBoth = describeIn(FAMILIES, use);

const masquerades = (on: boolean, address = at.node): void => { datapath.self(address, on ? SelfFlag.MASQUERADES : 0); };
const exclude = (address: string, length: number, value = 1): void => { datapath.put('sn_nomasq_01', { prefixLength: at === IPV4 ? 96 + length : length, address }, { value }); };
const nodeAt = (address: string, identity: number): void => {
  datapath.put('sn_ipcache_01', { address }, { identity, echo: datapath.echo('sn_ipcache_01', { address }), tunnel: '::', variant: 0, flags: 3 });
};
const build = (maxEntries: Readonly<Record<string, number>> = {}): void => {
  datapath = new Datapath(interfaces, { maxEntries });
  datapath.serve();
  masquerades(true);
  datapath.endpoint(web);
  datapath.endpoint(db);
  nodeAt(at.node, HOST);
  nodeAt(at.router, REMOTE_NODE);
  datapath.remote(at.remote, 302);
  for (const identity of [300, 301, 302]) datapath.openBoth(identity);
  datapath.uplink(interfaces.uplink);
};
beforeAll(() => { interfaces = openInterfaces(); });
afterAll(() => { interfaces.close(); });
beforeEach(() => { build(); });
afterEach(() => { datapath.close(); });

const flow = (source: string, destination: string, destinationPort = 443, sourcePort = 40000): Flow => ({ source, destination, sourcePort, destinationPort });
const out = (sourcePort = 40000): Flow => flow(web.address, at.world, 443, sourcePort);
const fromPod = (packet: Buffer, pod = web): Outcome => datapath.run('from_pod', checksummed(packet), pod.ifindex);
const fromNetdev = (packet: Buffer): Outcome => datapath.run('from_netdev', checksummed(packet), interfaces.uplink);
const toNetdev = (packet: Buffer, mark = 0): Outcome => datapath.run('to_netdev', checksummed(packet), interfaces.uplink, mark);
const drops = ({ samples }: Outcome) => samples.filter(({ kind }) => kind === SampleKind.DROP).map(({ reason, direction }) => ({ reason, direction }));
const halves = (): number => datapath.rows('sn_nat_01').length;
const sourceOf = ({ packet }: Outcome): string => told(packet).flow.source;
const only = (identity: number, direction: number, peer: number): void => {
  datapath.subject({ identity, direction, row: datapath.row([], Verdict.DEFAULT_DENY), peers: { [peer]: datapath.row([], Verdict.ALLOW) } });
};
/** What a pod's packet has become on the wire: the node's, from one of the ports for it, everything else as it was. */
const left = (outcome: Outcome, sent: Flow): Flow => {
  const { flow: became, right } = told(outcome.packet);
  expect({ verdict: outcome.verdict, right, ...became }).toMatchObject({ verdict: REDIRECT, right: true, source: at.node, destination: sent.destination, destinationPort: sent.destinationPort });
  expect(became.sourcePort).toBeGreaterThanOrEqual(PORTS.first);
  return became;
};
/** An echo has one id, no ports. */
const idOf = (packet: Buffer): number => packet.readUInt16BE((at === IPV4 ? 34 : 54) + 4);
const echo = (type: number, source: string, destination: string, id: number): Buffer => icmp({ source, destination }, { type, id });

describeBoth('what a pod sends to the world', () => {
  test.each([
    { name: 'TCP', packet: () => tcp(out(), TCP.SYN) },
    { name: 'UDP', packet: () => udp(out()) },
  ])('of $name leaves with the node\'s address, from a port for it; the pod is told as itself', ({ packet }) => {
    only(300, EGRESS, 2);
    const outcome = fromPod(packet());
    left(outcome, out());
    expect(ttlOf(outcome.packet)).toBe(63);
    expect(outcome.samples).toMatchObject([{ kind: SampleKind.VERDICT, source: web.address, sourcePort: 40000, destination: at.world, direction: EGRESS, endpointId: 10 }]);
    expect(datapath.count(EGRESS, Reason.NONE).packets).toBe(1n);
  });
  test('of an echo leaves with an id for it, and its answer comes back with its own', () => {
    const there = fromPod(echo(at.icmp.request, web.address, at.world, 7));
    expect({ ...told(there.packet).flow, right: told(there.packet).right }).toMatchObject({ source: at.node, destination: at.world, right: true });
    expect(idOf(there.packet)).toBeGreaterThanOrEqual(PORTS.first);
    const back = fromNetdev(echo(at.icmp.reply, at.world, at.node, idOf(there.packet)));
    expect({ verdict: back.verdict, id: idOf(back.packet), right: told(back.packet).right }).toEqual({ verdict: REDIRECT, id: 7, right: true });
    expect(told(back.packet).flow.destination).toBe(web.address);
  });
  test('keeps its port, and is answered as itself through a closed ingress', () => {
    datapath.closed(300, INGRESS);
    const first = left(fromPod(tcp(out(), TCP.SYN)), out());
    const back = fromNetdev(tcp(reversed(first), TCP.SYN | TCP.ACK));
    expect({ verdict: back.verdict, ...told(back.packet) }).toEqual({ verdict: REDIRECT, flow: reversed(out()), flags: TCP.SYN | TCP.ACK, right: true });
    expect(back.samples).toEqual([]);
    for (let packet = 0; packet < 4; packet += 1) expect(left(fromPod(tcp(out(), TCP.ACK)), out())).toEqual(first);
    expect(halves()).toBe(2);
  });
  test('of two pods from one port has two', () => {
    const [one, two] = [left(fromPod(udp(out())), out()), left(fromPod(udp({ ...out(), source: db.address }), db), out())];
    expect(one.sourcePort).not.toBe(two.sourcePort);
    expect(told(fromNetdev(udp(reversed(two))).packet).flow.destination).toBe(db.address);
  });
  test('that policy refuses leaves nothing behind; a live flow is cut whichever way its next packet goes', () => {
    datapath.closed(300, EGRESS);
    expect(drops(fromPod(tcp(out(), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: EGRESS }]);
    expect(halves()).toBe(0);
    only(300, EGRESS, 2);
    datapath.bumpEpoch();
    const first = left(fromPod(tcp(out(), TCP.SYN)), out());
    datapath.bumpEpoch();
    expect(fromNetdev(tcp(reversed(first), TCP.ACK)).verdict).toBe(REDIRECT); // judged again by the answer, and allowed
    datapath.closed(300, EGRESS);
    datapath.bumpEpoch();
    expect(drops(fromNetdev(tcp(reversed(first), TCP.ACK)))).toEqual([{ reason: Reason.POLICY, direction: EGRESS }]);
    expect(drops(fromPod(tcp(out(), TCP.ACK)))).toEqual([{ reason: Reason.POLICY, direction: EGRESS }]);
  });
  test('is the pod\'s own again under another epoch: its flow keeps its port', () => {
    const first = left(fromPod(tcp(out(), TCP.SYN)), out());
    datapath.bumpEpoch();
    expect(left(fromPod(tcp(out(), TCP.ACK)), out())).toEqual(first);
  });
  test.each([
    { name: 'what goes on is as the pod sent it', on: true, flags: TCP.ACK, reason: undefined },
    { name: 'what goes on is as the pod sent it, where nothing is masqueraded too', on: false, flags: TCP.ACK, reason: undefined },
    { name: 'what begins anew is dropped until the former translation is collected', on: true, flags: TCP.SYN, reason: Reason.NO_MAPPING },
  ])('by a Service that is gone meanwhile reaches none of its backends: $name', ({ on, flags, reason }) => {
    masquerades(on);
    datapath.backend(1, at.remote, 8080);
    datapath.frontend({ address: at.service, port: 80, slots: 101, ids: [1] });
    const asks = flow(web.address, at.service, 80);
    expect(told(fromPod(tcp(asks, TCP.SYN)).packet).flow.destination).toBe(at.remote);
    for (const { key } of datapath.rows('sn_frontend_02')) datapath.remove('sn_frontend_02', key);
    const outcome = fromPod(tcp(asks, flags));
    expect(drops(outcome)).toEqual(reason === undefined ? [] : [{ reason, direction: EGRESS }]);
    expect(told(outcome.packet).flow).toEqual(asks);
  });
  test('goes on with its port when its entry is lost, whichever side speaks next', () => {
    const first = left(fromPod(tcp(out(), TCP.SYN)), out());
    const lose = (): void => { for (const { key } of datapath.rows('sn_cttcp_01')) datapath.remove('sn_cttcp_01', key); };
    lose();
    expect(left(fromPod(tcp(out(), TCP.ACK)), out())).toEqual(first);
    lose();
    expect(fromNetdev(tcp(reversed(first), TCP.SYN | TCP.ACK)).verdict).toBe(REDIRECT);
    expect(left(fromPod(tcp(out(), TCP.ACK)), out())).toEqual(first);
  });
  test('begins anew on the ports of a connection that has ended', () => {
    const first = left(fromPod(tcp(out(), TCP.SYN)), out());
    fromPod(tcp(out(), TCP.RST));
    expect(left(fromPod(tcp(out(), TCP.SYN)), out())).toEqual(first);
    expect(halves()).toBe(2);
  });
  test.each([
    { name: 'SCTP', packet: () => sctp(out()) },
    { name: 'GRE', packet: () => frame(out(), 47, Buffer.alloc(24)) },
    { name: 'an ICMP message that is no echo', packet: () => icmp({ source: web.address, destination: at.world }, { type: at.icmp.otherQuery }) },
  ])('of $name has no port to be known by: dropped, with 168', ({ packet }) => {
    expect(drops(fromPod(packet()))).toEqual([{ reason: Reason.UNSUPPORTED_PROTOCOL, direction: EGRESS }]);
    expect(halves()).toBe(0);
  });
  test('in fragments leaves in fragments of the node\'s, and is answered in fragments', () => {
    const piece = (ends: Flow, first: boolean): Buffer => (first ? udp(ends, { id: 9, moreFragments: true }) : frame(ends, PROTOCOL.udp, Buffer.alloc(16, 0xee), { id: 9, fragmentOffset: 2 }));
    const pod = (first: boolean): Outcome => datapath.run('from_pod', piece(out(), first), web.ifindex);
    const [first, later] = [pod(true), pod(false)];
    expect([first, later].map((outcome) => [outcome.verdict, sourceOf(outcome)])).toEqual([[REDIRECT, at.node], [REDIRECT, at.node]]);
    expect(later.packet.subarray(-16).equals(Buffer.alloc(16, 0xee))).toBe(true);
    const port = first.packet.readUInt16BE(at === IPV4 ? 34 : 62);
    const answer = flow(at.world, at.node, port, 443);
    const back = [true, false].map((isFirst) => datapath.run('from_netdev', piece(answer, isFirst), interfaces.uplink));
    expect(back.map(({ verdict, packet }) => [verdict, told(packet).flow.destination])).toEqual([[REDIRECT, web.address], [REDIRECT, web.address]]);
  });
  test('through a Service whose backend is outside leaves as the node\'s, and is answered by the Service', () => {
    datapath.backend(1, at.world, 8443);
    datapath.frontend({ address: at.service, port: 443, slots: 1, ids: [1] });
    const asks = flow(web.address, at.service);
    const there = left(fromPod(tcp(asks, TCP.SYN)), flow(web.address, at.world, 8443));
    const back = fromNetdev(tcp(reversed(there), TCP.SYN | TCP.ACK));
    expect({ verdict: back.verdict, ...told(back.packet) }).toMatchObject({ verdict: REDIRECT, flow: reversed(asks), right: true });
    expect(left(fromPod(tcp(asks, TCP.ACK)), flow(web.address, at.world, 8443))).toEqual(there);
    expect(halves()).toBe(4);
  });
});

describeBoth('what keeps the pod\'s own address', () => {
  const keeps = (outcome: Outcome): void => {
    expect({ verdict: outcome.verdict, source: sourceOf(outcome) }).toEqual({ verdict: REDIRECT, source: web.address });
    expect(halves()).toBe(0);
  };
  test('everything, while its family is not masqueraded', () => {
    masquerades(false);
    keeps(fromPod(tcp(out(), TCP.SYN)));
  });
  test.each([
    { name: 'a pod here', to: () => db.address },
    { name: 'a pod elsewhere', to: () => at.remote },
    { name: 'another node', to: () => at.router },
  ])('what is for $name, whatever ranges there are', ({ to }) => { keeps(fromPod(tcp(flow(web.address, to()), TCP.SYN))); });
  test('what is for an address of the pods that nobody has', () => {
    exclude(at.nobody, at === IPV4 ? 24 : 64);
    keeps(fromPod(tcp(flow(web.address, at.nobody), TCP.SYN)));
  });
  test('what is for a range that is not masqueraded; what is beside it is', () => {
    exclude(at.around[0]!.address, at === IPV4 ? 24 : 48);
    keeps(fromPod(tcp(out(), TCP.SYN)));
    left(fromPod(tcp(flow(web.address, at.onTheWay), TCP.SYN)), flow(web.address, at.onTheWay));
  });
  test('what is for a range around one that is masqueraded', () => {
    exclude(at === IPV4 ? '0.0.0.0' : '::', 0);
    keeps(fromPod(tcp(out(), TCP.SYN)));
    exclude(at.around[0]!.address, at === IPV4 ? 24 : 48, 0);
    left(fromPod(tcp(out(40001), TCP.SYN)), out(40001));
  });
  test('what answers who came to the pod itself, also once its entry is lost', () => {
    const inward = flow(at.world, web.address, 80);
    fromNetdev(tcp(inward, TCP.SYN));
    keeps(fromPod(tcp(reversed(inward), TCP.SYN | TCP.ACK)));
    for (const { key } of datapath.rows('sn_cttcp_01')) datapath.remove('sn_cttcp_01', key);
    keeps(fromPod(tcp(reversed(inward), TCP.ACK)));
  });
  test('what answers by a node port, which has that one\'s, also once its entry is lost', () => {
    datapath.backend(1, web.address, 8080);
    datapath.frontend({ address: at === IPV4 ? '0.0.0.0' : '::', port: 30080, slots: 1, ids: [1] });
    const asks = flow(at.world, at.node, 30080);
    fromNetdev(tcp(asks, TCP.SYN));
    const answers = (): Outcome => fromPod(tcp(flow(web.address, at.world, 40000, 8080), TCP.ACK));
    const want = { flow: reversed(asks), flags: TCP.ACK, right: true };
    expect(told(answers().packet)).toEqual(want);
    for (const { key } of datapath.rows('sn_cttcp_01')) datapath.remove('sn_cttcp_01', key);
    expect(told(answers().packet)).toEqual(want);
    expect(halves()).toBe(2);
  });
  test('a flow that began before', () => {
    masquerades(false);
    fromPod(udp(out()));
    masquerades(true);
    keeps(fromPod(udp(out())));
  });
  test('what the node itself sends', () => {
    expect(toNetdev(tcp(flow(at.node, at.world), TCP.SYN))).toMatchObject({ verdict: OK, samples: [] });
    expect(halves()).toBe(0);
  });
});

describeBoth('what the stack must carry', () => {
  const long = (): Buffer => frame(out(), PROTOCOL.udp, udpDatagram(out(), UPLINK_MTU));
  test.each([
    { name: 'is longer than the way', packet: long },
    { name: 'ends here', packet: () => udp(out(), { ttl: 1 }) },
  ])('because it $name goes up as the pod sent it, marked, and takes no port yet', ({ packet }) => {
    const sent = checksummed(packet());
    const outcome = datapath.run('from_pod', sent, web.ifindex);
    expect({ verdict: outcome.verdict, mark: outcome.mark, same: outcome.packet.equals(sent), halves: halves() }).toEqual({ verdict: OK, mark: MARK_MASQUERADE, same: true, halves: 0 });
  });
  test('is the node\'s where it leaves, with the flow\'s one port, its mark gone', () => {
    const first = left(fromPod(udp(out())), out());
    const outcome = toNetdev(udp(out()), MARK_MASQUERADE);
    expect({ verdict: outcome.verdict, mark: outcome.mark, ...told(outcome.packet) }).toMatchObject({ verdict: OK, mark: 0, flow: first, right: true });
  });
  test('leaves in the fragments that the stack has made', () => {
    fromPod(long());
    const pieces = [udp(out(), { id: 9, moreFragments: true }), frame(out(), PROTOCOL.udp, Buffer.alloc(16, 0xee), { id: 9, fragmentOffset: 2 })];
    expect(pieces.map((piece) => sourceOf(datapath.run('to_netdev', piece, interfaces.uplink, MARK_MASQUERADE)))).toEqual([at.node, at.node]);
  });
});

describeBoth('an ICMP error about a masqueraded flow', () => {
  const innerOf = (packet: Buffer) => told(Buffer.concat([packet.subarray(0, 14), packet.subarray(14 + (at === IPV4 ? 20 : 40) + 8)])).flow;
  const about = (inner: Flow): Buffer => ip(inner, PROTOCOL.udp, udpDatagram(inner));
  test.each([
    { name: 'the length of the way', message: () => at.icmp.tooBig },
    { name: 'the end of its time', message: () => at.icmp.timeExceeded },
    { name: 'nobody there', message: () => (at === IPV4 ? { type: 3, code: 3 } : { type: 1, code: 4 }) },
  ])('tells the pod of $name as of its own packet, through a closed ingress', ({ message }) => {
    datapath.closed(300, INGRESS);
    const there = left(fromPod(udp(out())), out());
    const outcome = fromNetdev(icmp({ source: at.onTheWay, destination: at.node }, { ...message(), inner: about(there) }));
    const { flow: { source, destination }, right } = told(outcome.packet);
    expect({ verdict: outcome.verdict, source, destination, right, inner: innerOf(outcome.packet) }).toEqual({ verdict: REDIRECT, source: at.onTheWay, destination: web.address, right: true, inner: out() });
  });
  test('that the pod sends about an answer tells of the node\'s', () => {
    const there = left(fromPod(udp(out())), out());
    const outcome = fromPod(icmp({ source: web.address, destination: at.world }, { ...at.icmp.tooBig, inner: about(reversed(out())) }));
    const { flow: { source, destination }, right } = told(outcome.packet);
    expect({ verdict: outcome.verdict, source, destination, right, inner: innerOf(outcome.packet) }).toEqual({ verdict: REDIRECT, source: at.node, destination: at.world, right: true, inner: reversed(there) });
  });
  test('about a stream of TCP is about its segment', () => {
    const there = left(fromPod(tcp(out(), TCP.SYN)), out());
    const outcome = fromNetdev(icmp({ source: at.onTheWay, destination: at.node }, { ...at.icmp.tooBig, inner: ip(there, PROTOCOL.tcp, tcpSegment(there, TCP.ACK)) }));
    expect({ verdict: outcome.verdict, inner: innerOf(outcome.packet), right: told(outcome.packet).right }).toEqual({ verdict: REDIRECT, inner: out(), right: true });
  });
  test('about nothing that left from here is not sent', () => {
    expect(drops(fromPod(icmp({ source: web.address, destination: at.world }, { ...at.icmp.tooBig, inner: about(reversed(out())) })))).toEqual([{ reason: Reason.NO_MAPPING, direction: EGRESS }]);
  });
});

describeBoth('what another node\'s pods send as their node', () => {
  const theirs = (destination: string, destinationPort: number): Flow => flow(at.router, destination, destinationPort, PORTS.first + 7);
  test('was judged by nobody: a pod here asks its own policy', () => {
    datapath.closed(301, INGRESS);
    expect(drops(fromNetdev(tcp(theirs(db.address, 8080), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(drops(fromNetdev(tcp({ ...theirs(db.address, 8080), sourcePort: PORTS.last }, TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test('through a node port, too', () => {
    datapath.backend(1, db.address, 8080);
    datapath.frontend({ address: at === IPV4 ? '0.0.0.0' : '::', port: 30080, slots: 1, ids: [1] });
    datapath.closed(301, INGRESS);
    expect(drops(fromNetdev(tcp(theirs(at.node, 30080), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
});

describeBoth('a pod that asks for Services at other nodes', () => {
  test('speaks with its own address to another node\'s port', () => {
    const outcome = fromPod(tcp(flow(web.address, at.router, 30080), TCP.SYN));
    expect({ verdict: outcome.verdict, source: sourceOf(outcome) }).toEqual({ verdict: REDIRECT, source: web.address });
  });
  test('speaks with its own address to the pod behind a load balancer\'s', () => {
    datapath.backend(1, at.remote, 8080);
    datapath.frontend({ address: at.onTheWay, port: 80, slots: 1, ids: [1] });
    expect(told(fromPod(tcp(flow(web.address, at.onTheWay, 80), TCP.SYN)).packet).flow).toEqual(flow(web.address, at.remote, 8080));
  });
});

describeBoth('what cannot be masqueraded', () => {
  test('for want of an address of the node is dropped, with 167', () => {
    masquerades(true, '::');
    expect(drops(fromPod(tcp(out(), TCP.SYN)))).toEqual([{ reason: Reason.NO_MAPPING, direction: EGRESS }]);
  });
  test('for want of a port is a new flow that is dropped and counted; to another destination there are as many again', () => {
    datapath.close();
    build({ sn_nat_01: 8192 });
    for (let port = PORTS.first; port <= PORTS.last; port += 1) {
      const key = { source: at.world, destination: at.node, sourcePort: 443, destinationPort: port, protocol: PROTOCOL.tcp };
      datapath.put('sn_nat_01', key, { source: at.world, destination: at.db, sourcePort: 443, destinationPort: port, echo: datapath.echo('sn_nat_01', key), made: 0, revnat: 0, backend: 0, flags: 2 });
    }
    expect(drops(fromPod(tcp(out(), TCP.SYN)))).toEqual([{ reason: Reason.NO_MAPPING, direction: EGRESS }]);
    expect(datapath.count(EGRESS, Reason.NO_MAPPING).packets).toBe(1n);
    left(fromPod(tcp(flow(web.address, at.onTheWay), TCP.SYN)), flow(web.address, at.onTheWay));
  });
  test('for want of room is a new flow that is dropped and counted; what stands goes on', () => {
    datapath.close();
    build({ sn_nat_01: 2 });
    const first = left(fromPod(tcp(out(), TCP.SYN)), out());
    expect(drops(fromPod(tcp(out(40001), TCP.SYN)))).toEqual([{ reason: Reason.MAP_INSERT, direction: EGRESS }]);
    expect(left(fromPod(tcp(out(), TCP.ACK)), out())).toEqual(first);
  });
  test('for want of the program is dropped, with 140, at the pod and at the uplink', () => {
    datapath.close();
    datapath = new Datapath(interfaces);
    masquerades(true);
    datapath.endpoint(web);
    datapath.openBoth(300);
    expect(drops(fromPod(tcp(out(), TCP.SYN)))).toEqual([{ reason: Reason.MISSED_TAIL_CALL, direction: EGRESS }]);
    expect(toNetdev(tcp(out(), TCP.SYN), MARK_MASQUERADE).verdict).toBe(SHOT);
  });
});

describeBoth('the collector', () => {
  test('takes both halves once the flow is over', async () => {
    const collector = loadObject(new URL('../build/gc.o', import.meta.url).pathname, { reuse: datapath.maps() });
    const collect = async (): Promise<number> => { await runMapIterator(collector.programFd('collect_nat'), datapath.map('sn_nat_01')); return halves(); };
    fromPod(tcp(out(), TCP.SYN));
    for (const { key, value } of datapath.rows('sn_nat_01')) datapath.put('sn_nat_01', key, { ...value, made: 0 });
    expect(await collect()).toBe(2);
    for (const { key } of datapath.flows()) datapath.remove('sn_cttcp_01', key);
    expect(await collect()).toBe(0);
    collector.close();
  });
});
