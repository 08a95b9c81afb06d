/** What each kind of packet meets at an uplink, past the stack, and at the node itself: rows of docs/datapath.md. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { Direction, Reason, SampleKind, Verdict } from '@seine/layout';

import { Datapath, OK, openInterfaces, REDIRECT, SHOT, UPLINK_MTU, type Outcome, type Pod } from './datapath.ts';
import { describeIn } from './describe-in.ts';
import { FAMILIES, IPV4, type Family } from './families.ts';
import { arp, ethernet, frame, headerIsRight, icmp, ip, neighbour, PROTOCOL, reversed, TCP, tcp, tcpSegment, ttlOf, udp, udpDatagram, type Flow } from './packet.ts';

const HOST_MAC = '02:5e:1e:00:00:01';
const HOST = 1;
const MARK_JUDGED = 0x00100000;
const { INGRESS, EGRESS } = Direction;

let interfaces: ReturnType<typeof openInterfaces>;
let datapath: Datapath;
let at: Family;
let web: Pod;
let db: Pod;
/** What a pod here sends to one elsewhere, and what that one sends to it. */
let out: Flow;
let inward: Flow;
const flow = (source: string, destination: string, destinationPort = 80): Flow => ({ source, destination, sourcePort: 40000, destinationPort });
const use = (family: Family): void => {
  at = family;
  web = { address: at.web, identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
  db = { address: at.db, identity: 301, endpointId: 20, ifindex: interfaces.b, mac: '02:00:00:00:00:0b' };
  out = flow(at.web, at.remote);
  inward = flow(at.remote, at.web);
};
const describeBoth = describeIn(FAMILIES, use);
const describeFirst = describeIn([IPV4], use);
beforeAll(() => { interfaces = openInterfaces(); });
afterAll(() => { interfaces.close(); });
beforeEach(() => {
  datapath = new Datapath(interfaces);
  datapath.endpoint(web);
  datapath.endpoint(db);
  datapath.remote(at.node, HOST);
  datapath.remote(at.remote, 302);
  for (const identity of [300, 301]) datapath.openBoth(identity);
  datapath.uplink(interfaces.uplink);
});
afterEach(() => { datapath.close(); });

const fromPod = (packet: Buffer, pod = web): Outcome => datapath.run('from_pod', packet, pod.ifindex);
const toPod = (packet: Buffer, pod = web): Outcome => datapath.run('to_pod', packet, pod.ifindex);
const fromNetdev = (packet: Buffer): Outcome => datapath.run('from_netdev', packet, interfaces.uplink);
const toNetdev = (packet: Buffer, mark = 0): Outcome => datapath.run('to_netdev', packet, interfaces.uplink, mark);
const drops = ({ samples }: Outcome) => samples.filter(({ kind }) => kind === SampleKind.DROP).map(({ reason, direction }) => ({ reason, direction }));
const macs = (packet: Buffer): readonly string[] => [packet.subarray(0, 6), packet.subarray(6, 12)].map((mac) => mac.toString('hex').replace(/..(?=.)/g, '$&:'));
const only = (identity: number, direction: number, peer: number): void => {
  datapath.subject({ identity, direction, row: datapath.row([], Verdict.DEFAULT_DENY), peers: { [peer]: datapath.row([], Verdict.ALLOW) } });
};

describeBoth('a pod\'s packet to another node', () => {
  test('goes straight out of the uplink: TTL less one, a right checksum', () => {
    const { verdict, packet } = fromPod(tcp(out, TCP.SYN));
    expect(verdict).toBe(REDIRECT);
    expect(ttlOf(packet)).toBe(63);
    expect(headerIsRight(packet)).toBe(true);
  });
  test('is judged by its egress alone, as one flow', () => {
    only(300, EGRESS, 302);
    expect(fromPod(tcp(out, TCP.SYN))).toMatchObject({ verdict: REDIRECT, samples: [{ direction: EGRESS, destinationIdentity: 302 }] });
    expect(fromPod(tcp(flow(web.address, at.world), TCP.SYN)).verdict).toBe(SHOT);
    expect(datapath.flows().map(({ value }) => value.ifindexA + value.ifindexB)).toEqual([web.ifindex]); // the other side is not here
  });
  const upTheStack = (packet: Buffer): void => {
    const outcome = fromPod(packet);
    expect(outcome.verdict).toBe(OK);
    expect(outcome.packet.equals(packet)).toBe(true);
  };
  test('goes up the stack, unchanged, where the uplink has no programs: its answer would come by the stack', () => {
    datapath.remove('sn_uplink_01', { value: interfaces.uplink });
    upTheStack(tcp(out, TCP.SYN));
  });
  test.each([0, 1])('goes up the stack, unchanged, with TTL %i', (ttl) => { upTheStack(tcp(out, TCP.SYN, { ttl })); });
  test('goes up the stack, unchanged, where it is longer than the way', () => {
    upTheStack(frame(out, PROTOCOL.udp, Buffer.concat([udpDatagram(out), Buffer.alloc(UPLINK_MTU)])));
  });
  test('of just the way\'s length goes out', () => {
    expect(fromPod(frame(out, PROTOCOL.udp, Buffer.concat([udpDatagram(out, 0), Buffer.alloc(UPLINK_MTU - (at.name === 'IPv4' ? 28 : 48))]))).verdict).toBe(REDIRECT);
  });
  test('goes up the stack where the route is the node\'s own', () => {
    datapath.remove('sn_ipcache_01', { address: at.node });
    upTheStack(tcp(flow(web.address, at.node), TCP.SYN));
  });
});

describeBoth('a packet from the uplink to a pod', () => {
  test('goes straight to it: TTL less one, both MACs, a right checksum', () => {
    const { verdict, packet } = fromNetdev(tcp(inward, TCP.SYN));
    expect(verdict).toBe(REDIRECT);
    expect(macs(packet)).toEqual([web.mac, HOST_MAC]);
    expect(ttlOf(packet)).toBe(63);
    expect(headerIsRight(packet)).toBe(true);
  });
  test.each([
    { name: 'another node\'s pod', from: () => at.remote, identity: 302 },
    { name: 'the world', from: () => at.world, identity: 2 },
  ])('is judged by the pod\'s ingress, from $name, as at its own hook', ({ from, identity }) => {
    const packet = tcp(flow(from(), web.address), TCP.SYN);
    datapath.closed(300, INGRESS);
    expect(drops(fromNetdev(packet))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(drops(toPod(packet))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    only(300, INGRESS, identity);
    expect(fromNetdev(packet)).toMatchObject({ verdict: REDIRECT, samples: [{ sourceIdentity: identity, direction: INGRESS, endpointId: 10 }] });
  });
  test('is told once: the pod\'s own hook, should the stack carry it, takes the flow as judged', () => {
    fromNetdev(tcp(inward, TCP.SYN));
    expect(toPod(tcp(inward, TCP.SYN))).toMatchObject({ verdict: OK, samples: [] });
    expect(datapath.flows()).toHaveLength(1);
  });
  test('answers what the pod began, through a closed ingress; both ways past the stack', () => {
    datapath.closed(300, INGRESS);
    expect(fromPod(tcp(out, TCP.SYN)).verdict).toBe(REDIRECT);
    expect(fromNetdev(tcp(reversed(out), TCP.SYN | TCP.ACK))).toMatchObject({ verdict: REDIRECT, samples: [] });
    expect(fromPod(tcp(out, TCP.ACK))).toMatchObject({ verdict: REDIRECT, samples: [] });
  });
  test('is answered by the pod through a closed egress', () => {
    datapath.closed(300, EGRESS);
    expect(fromNetdev(tcp(inward, TCP.SYN)).verdict).toBe(REDIRECT);
    expect(fromPod(tcp(reversed(inward), TCP.SYN | TCP.ACK))).toMatchObject({ verdict: REDIRECT, samples: [] });
  });
  test('against the flow\'s direction is a flow of its own', () => {
    datapath.closed(300, INGRESS);
    fromPod(tcp(out, TCP.SYN));
    expect(drops(fromNetdev(tcp(reversed(out), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test('is judged again under a new epoch', () => {
    fromNetdev(tcp(inward, TCP.SYN));
    datapath.closed(300, INGRESS);
    expect(fromNetdev(tcp(inward, TCP.ACK)).verdict).toBe(REDIRECT);
    datapath.bumpEpoch();
    expect(drops(fromNetdev(tcp(inward, TCP.ACK)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test.each([
    { name: 'a pod of this node', source: () => db.address },
    { name: 'the pod itself', source: () => web.address },
    { name: 'the node itself', source: () => at.node },
  ])('is dropped with 132 where it claims to come from $name, though the flow is known', ({ source }) => {
    const claimed = flow(source(), web.address);
    fromPod(tcp(reversed(claimed), TCP.SYN));
    expect(drops(fromNetdev(tcp(claimed, TCP.ACK)))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: INGRESS }]);
  });
  test('whose TTL ends here goes to the stack, unchanged', () => {
    const packet = tcp(inward, TCP.SYN, { ttl: 1 });
    const outcome = fromNetdev(packet);
    expect(outcome.verdict).toBe(OK);
    expect(outcome.packet.equals(packet)).toBe(true);
  });
  test('that is an ICMP error about the pod\'s flow reaches it, through a closed ingress', () => {
    const about = icmp({ source: at.onTheWay, destination: web.address }, { ...at.icmp.tooBig, inner: ip(out, PROTOCOL.tcp, tcpSegment(out, TCP.ACK)) });
    datapath.closed(300, INGRESS);
    expect(drops(fromNetdev(about))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    fromPod(tcp(out, TCP.SYN));
    expect(fromNetdev(about)).toMatchObject({ verdict: REDIRECT, samples: [] });
  });
  test('in fragments goes straight to it, all of them', () => {
    const first = udp(inward, { id: 9, moreFragments: true });
    const later = frame(inward, PROTOCOL.udp, Buffer.alloc(16, 0xee), { id: 9, fragmentOffset: 2 });
    expect([fromNetdev(first), fromNetdev(later)].map(({ verdict }) => verdict)).toEqual([REDIRECT, REDIRECT]);
  });
  test('waits for its node: 202 while the epoch was never written', () => {
    datapath.setEpoch(0);
    expect(drops(fromNetdev(tcp(inward, TCP.SYN)))).toEqual([{ reason: Reason.HOST_NOT_READY, direction: INGRESS }]);
  });
  test('of GRE is judged by its protocol, and answered', () => {
    const gre = (ends: Flow): Buffer => frame(ends, 47, Buffer.alloc(24));
    datapath.subject({ identity: 300, direction: INGRESS, row: datapath.row([{ protocol: 47, verdict: Verdict.ALLOW }]) });
    datapath.closed(300, EGRESS);
    expect(drops(fromNetdev(frame(inward, 50, Buffer.alloc(24))))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(fromNetdev(gre(inward)).verdict).toBe(REDIRECT);
    expect(fromPod(gre(reversed(inward))).verdict).toBe(REDIRECT);
    expect(datapath.rows('sn_ctany_01')).toMatchObject([{ key: { protocol: 47, portA: 0, portB: 0 } }]);
  });
});

describeBoth('what is not for a pod of this node', () => {
  test.each([
    { name: 'another node\'s pod', packet: () => tcp(flow(at.world, at.remote), TCP.SYN) },
    { name: 'the node itself, which no policy selects', packet: () => tcp(flow(at.world, at.node), TCP.SYN) },
    { name: 'ARP', packet: () => arp({ operation: 1, senderMac: web.mac, sender: at.router, asked: at.node }) },
    { name: 'a neighbour\'s question', packet: () => neighbour({ type: 135, mac: web.mac, source: 'fd00:7::2', asked: 'fd00:7::1' }) },
    { name: 'an unknown ethertype', packet: () => ethernet(0x88cc, Buffer.alloc(40)) },
    { name: 'multicast', packet: () => udp(flow(at.world, at.multicast)) },
    { name: 'half a header', packet: () => frame(flow(at.world, at.node), PROTOCOL.tcp, Buffer.alloc(4)) },
  ])('goes on to the stack untouched: $name', ({ packet }) => {
    const sent = packet();
    for (const outcome of [fromNetdev(sent), toNetdev(sent)]) {
      expect(outcome).toMatchObject({ verdict: OK, samples: [] });
      expect(outcome.packet.equals(sent)).toBe(true);
    }
    expect(datapath.flows()).toEqual([]);
  });
});

describeBoth('the node itself, once a policy selects it', () => {
  let asks: Flow;
  let tells: Flow;
  beforeEach(() => {
    asks = flow(at.world, at.node, 22);
    tells = flow(at.node, at.world, 443);
    datapath.openBoth(HOST);
  });

  test('hears from the uplink what its ingress allows', () => {
    only(HOST, INGRESS, 2);
    expect(fromNetdev(tcp(asks, TCP.SYN))).toMatchObject({ verdict: OK, samples: [{ kind: SampleKind.VERDICT, direction: INGRESS, destinationIdentity: HOST, endpointId: 0 }] });
    datapath.closed(HOST, INGRESS);
    expect(drops(fromNetdev(tcp({ ...asks, sourcePort: 40001 }, TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test('says out of the uplink what its egress allows', () => {
    only(HOST, EGRESS, 2);
    expect(toNetdev(tcp(tells, TCP.SYN))).toMatchObject({ verdict: OK, samples: [{ direction: EGRESS, sourceIdentity: HOST }] });
    expect(drops(toNetdev(tcp(flow(at.node, at.remote), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: EGRESS }]);
  });
  test('hears the answer to what it began, through a closed ingress', () => {
    datapath.closed(HOST, INGRESS);
    toNetdev(tcp(tells, TCP.SYN));
    expect(fromNetdev(tcp(reversed(tells), TCP.SYN | TCP.ACK))).toMatchObject({ verdict: OK, samples: [] });
    expect(drops(fromNetdev(tcp(reversed(tells), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test('answers through a closed egress', () => {
    datapath.closed(HOST, EGRESS);
    fromNetdev(tcp(asks, TCP.SYN));
    expect(toNetdev(tcp(reversed(asks), TCP.SYN | TCP.ACK))).toMatchObject({ verdict: OK, samples: [] });
  });
  test('is told of its own flow by an ICMP error, and tells of what it forwards', () => {
    datapath.closed(HOST, INGRESS);
    datapath.closed(HOST, EGRESS);
    only(HOST, EGRESS, 2);
    toNetdev(tcp(tells, TCP.SYN));
    expect(fromNetdev(icmp({ source: at.onTheWay, destination: at.node }, { ...at.icmp.tooBig, inner: ip(tells, PROTOCOL.tcp, tcpSegment(tells, TCP.ACK)) })).verdict).toBe(OK);
    datapath.closed(HOST, EGRESS);
    fromNetdev(tcp(inward, TCP.SYN));
    expect(toNetdev(icmp({ source: at.node, destination: at.remote }, { ...at.icmp.timeExceeded, inner: ip(inward, PROTOCOL.tcp, tcpSegment(inward, TCP.ACK)) })).verdict).toBe(OK);
  });
  test('does not hear half a header, nor a later fragment whose first it did not see', () => {
    datapath.closed(HOST, INGRESS);
    expect(drops(fromNetdev(frame(asks, PROTOCOL.tcp, Buffer.alloc(8), { moreFragments: true })))).toEqual([{ reason: Reason.CT_INVALID_HEADER, direction: INGRESS }]);
    expect(drops(fromNetdev(frame(asks, PROTOCOL.tcp, Buffer.alloc(16), { fragmentOffset: 1 })))).toEqual([{ reason: Reason.FRAGMENT_NOT_FOUND, direction: INGRESS }]);
  });
  test('is judged at a pod\'s veth: egress of the pod, then ingress of the node', () => {
    only(HOST, INGRESS, 300);
    const { verdict, samples } = fromPod(tcp(flow(web.address, at.node), TCP.SYN));
    expect(verdict).toBe(OK);
    expect(samples).toMatchObject([{ direction: EGRESS, endpointId: 10 }, { direction: INGRESS, destinationIdentity: HOST }]);
    expect(drops(fromPod(tcp(flow(db.address, at.node), TCP.SYN), db))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    datapath.closed(300, EGRESS);
    expect(drops(fromPod(tcp(flow(web.address, at.node, 81), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: EGRESS }]);
  });
  test('answers a pod through its own closed egress and the pod\'s closed ingress', () => {
    datapath.closed(HOST, EGRESS);
    datapath.closed(300, INGRESS);
    fromPod(tcp(flow(web.address, at.node), TCP.SYN));
    expect(toPod(tcp(reversed(flow(web.address, at.node)), TCP.SYN)).verdict).toBe(SHOT);
    expect(toPod(tcp(reversed(flow(web.address, at.node)), TCP.SYN | TCP.ACK))).toMatchObject({ verdict: OK, samples: [] });
  });
  test('speaks to a pod here by its egress, then the pod\'s ingress', () => {
    only(HOST, EGRESS, 300);
    only(300, INGRESS, HOST);
    expect(toPod(tcp(flow(at.node, web.address), TCP.SYN))).toMatchObject({ verdict: OK, samples: [{ direction: EGRESS }, { direction: INGRESS, endpointId: 10 }] });
    expect(drops(toPod(tcp(flow(at.node, db.address), TCP.SYN), db))).toEqual([{ reason: Reason.POLICY, direction: EGRESS }]);
    datapath.closed(300, INGRESS);
    expect(drops(toPod(tcp(flow(at.node, web.address, 81), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test('is judged again when its row comes with a new epoch, each way', () => {
    datapath.remove('sn_subject_01', { identity: HOST, variant: 0, direction: INGRESS });
    datapath.remove('sn_subject_01', { identity: HOST, variant: 0, direction: EGRESS });
    expect(fromPod(tcp(flow(web.address, at.node), TCP.SYN))).toMatchObject({ verdict: OK, samples: [{ direction: EGRESS }] });
    datapath.closed(HOST, INGRESS);
    datapath.bumpEpoch();
    expect(drops(fromPod(tcp(flow(web.address, at.node), TCP.ACK)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test('leaves alone what it only forwards, and what a pod\'s program judged', () => {
    datapath.closed(HOST, INGRESS);
    datapath.closed(HOST, EGRESS);
    expect(fromNetdev(tcp(flow(at.world, at.remote), TCP.SYN))).toMatchObject({ verdict: OK, samples: [] });
    expect(toNetdev(tcp(out, TCP.SYN))).toMatchObject({ verdict: OK, samples: [] });
    expect(toNetdev(tcp(tells, TCP.SYN), MARK_JUDGED)).toMatchObject({ verdict: OK, samples: [] });
  });
});

describeFirst('the attached stubs', () => {
  test('run what their slots hold', () => {
    datapath.program('FROM_NETDEV', 'from_netdev');
    datapath.program('TO_NETDEV', 'to_netdev');
    datapath.closed(HOST, EGRESS);
    expect(datapath.run('stub_from_netdev', tcp(inward, TCP.SYN), interfaces.uplink).verdict).toBe(REDIRECT);
    expect(datapath.run('stub_to_netdev', tcp(flow(at.node, at.world), TCP.SYN), interfaces.uplink).verdict).toBe(SHOT);
  });
  test.each(['stub_from_netdev', 'stub_to_netdev'])('%s with an empty slot leaves pods to their own hooks, and closes an isolated node', (stub) => {
    expect(datapath.run(stub, tcp(inward, TCP.SYN), interfaces.uplink).verdict).toBe(OK);
    datapath.closed(HOST, INGRESS);
    expect(drops(datapath.run(stub, tcp(inward, TCP.SYN), interfaces.uplink))).toMatchObject([{ reason: Reason.MISSED_TAIL_CALL }]);
  });
});
