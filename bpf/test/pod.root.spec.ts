/** What each kind of packet meets at a pod's veth: verdict, packet out, sample, counters. Rows of docs/datapath.md. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { Direction, MAPS, Reason, SampleKind, Verdict } from '@seine/layout';

import { Datapath, OK, openInterfaces, REDIRECT, SHOT, type Interfaces, type Pod } from './datapath.ts';
import { describeIn } from './describe-in.ts';
import { FAMILIES, IPV4, IPV6, type Family } from './families.ts';
import {
  arp, ethernet, frame, headerIsRight, icmp, icmp6Checksum, icmpMessage, ipv4, ipv6, neighbour, PROTOCOL, reversed, sctp, TCP, tcp, tcpSegment, ttlOf, udp, udpDatagram, type Flow,
} from './packet.ts';

const HOST_MAC = '02:5e:1e:00:00:01';
const { INGRESS, EGRESS } = Direction;

let interfaces: Interfaces;
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
const describeFirst = describeIn([IPV4], use);
const describeSecond = describeIn([IPV6], use);
beforeAll(() => { interfaces = openInterfaces(); });
afterAll(() => { interfaces.close(); });
beforeEach(() => {
  datapath = new Datapath(interfaces);
  datapath.endpoint(web);
  datapath.endpoint(db);
  datapath.remote(at.node, 1, { inCluster: false });
  datapath.remote(at.remote, 302);
  for (const identity of [300, 301]) datapath.openBoth(identity);
});
afterEach(() => { datapath.close(); });

const flow = (destination: string, destinationPort = 80, source = web.address): Flow => ({ source, destination, sourcePort: 40000, destinationPort });
const leaves = (packet: Buffer, pod = web) => datapath.run('from_pod', packet, pod.ifindex);
const arrives = (packet: Buffer, pod = web) => datapath.run('to_pod', packet, pod.ifindex);
const deny = (identity: number, direction: number, verdict: number = Verdict.DEFAULT_DENY): void => {
  datapath.subject({ identity, direction, row: datapath.row([], verdict) });
};
const macs = (packet: Buffer): readonly string[] => [packet.subarray(0, 6), packet.subarray(6, 12)].map((mac) => mac.toString('hex').replace(/..(?=.)/g, '$&:'));
const drops = ({ samples }: { readonly samples: readonly { readonly kind: number; readonly reason: number; readonly direction: number }[] }) =>
  samples.filter(({ kind }) => kind === SampleKind.DROP).map(({ reason, direction }) => ({ reason, direction }));

describeBoth('pod to pod on one node', () => {
  test('goes straight to the other pod: TTL less one, both MACs, a right checksum', () => {
    const { verdict, packet } = leaves(tcp(flow(db.address), TCP.SYN));
    expect(verdict).toBe(REDIRECT);
    expect(macs(packet)).toEqual([db.mac, HOST_MAC]);
    expect(ttlOf(packet)).toBe(63);
    expect(headerIsRight(packet)).toBe(true);
  });
  test.each([1, 2, 64, 128, 255])('keeps the checksum right from TTL %i', (ttl) => {
    const { packet } = leaves(udp(flow(db.address), { ttl, id: 0xfe00 + ttl }));
    expect(headerIsRight(packet)).toBe(true);
  });
  test('is told as one verdict for each direction, with rule, identities, endpoint and place', () => {
    datapath.subject({ identity: 300, direction: EGRESS, row: datapath.row([{ protocol: 6, port: 80, verdict: Verdict.ALLOW, rule: 7 }]) });
    datapath.subject({ identity: 301, direction: INGRESS, row: datapath.row([{ protocol: 6, port: 80, verdict: Verdict.ALLOW, rule: 8 }]) });
    const { samples } = leaves(tcp(flow(db.address), TCP.SYN));
    const common = { kind: SampleKind.VERDICT, verdict: Verdict.ALLOW, reason: 0, sourceIdentity: 300, destinationIdentity: 301, source: web.address,
      destination: db.address, sourcePort: 40000, destinationPort: 80, protocol: 6, tcpFlags: TCP.SYN, ifindex: web.ifindex, length: at.name === 'IPv4' ? 54 : 74, reply: 0, lost: 0 };
    expect(samples).toMatchObject([
      { ...common, direction: EGRESS, rule: 7, endpointId: 10 },
      { ...common, direction: INGRESS, rule: 8, endpointId: 20 },
    ]);
    expect(samples.every(({ file, line }) => file > 0 && line > 0)).toBe(true);
  });
  test('is dropped by the source\'s egress; ingress is not asked', () => {
    deny(300, EGRESS);
    deny(301, INGRESS);
    const outcome = leaves(tcp(flow(db.address), TCP.SYN));
    expect(outcome.verdict).toBe(SHOT);
    expect(drops(outcome)).toEqual([{ reason: Reason.POLICY, direction: EGRESS }]);
    expect(outcome.samples).toHaveLength(1);
  });
  test('is dropped by the destination\'s ingress, with the number of a deny rule', () => {
    deny(301, INGRESS, Verdict.DENY);
    const outcome = leaves(tcp(flow(db.address), TCP.SYN));
    expect(outcome.verdict).toBe(SHOT);
    expect(drops(outcome)).toEqual([{ reason: Reason.DENYLIST, direction: INGRESS }]);
    expect(datapath.flows()).toEqual([]);
  });
  test('goes to the stack when its TTL ends here, unchanged', () => {
    const sent = tcp(flow(db.address), TCP.SYN, { ttl: 1 });
    const { verdict, packet } = leaves(sent);
    expect(verdict).toBe(OK);
    expect(packet.equals(sent)).toBe(true);
  });
  test('passes the destination\'s own hook as well, should the stack have carried it', () => {
    leaves(tcp(flow(db.address), TCP.SYN));
    expect(arrives(tcp(flow(db.address), TCP.SYN), db)).toMatchObject({ verdict: OK, samples: [] });
  });
  test('of one pod to itself is never isolated', () => {
    deny(300, EGRESS);
    deny(300, INGRESS);
    expect(leaves(tcp(flow(web.address), TCP.SYN))).toMatchObject({ verdict: REDIRECT, samples: [] });
  });
  test('between two addresses of one pod is the same', () => {
    deny(300, EGRESS);
    datapath.endpoint({ ...web, address: at.nobody });
    expect(leaves(tcp(flow(at.nobody), TCP.SYN)).verdict).toBe(REDIRECT);
  });
});

describeBoth('a pod and what is not on its node', () => {
  test.each([
    { name: 'another node\'s pod', to: () => at.remote, identity: 302 },
    { name: 'its own host', to: () => at.node, identity: 1 },
    { name: 'the world', to: () => at.world, identity: 2 },
  ])('passes egress to $name and goes up the stack, unchanged', ({ to, identity }) => {
    datapath.subject({ identity: 300, direction: EGRESS, row: datapath.row([], Verdict.DENY), peers: { [identity]: datapath.row([], Verdict.ALLOW) } });
    const sent = tcp(flow(to()), TCP.SYN);
    const { verdict, packet, samples } = leaves(sent);
    expect(verdict).toBe(OK);
    expect(packet.equals(sent)).toBe(true);
    expect(samples).toMatchObject([{ direction: EGRESS, destinationIdentity: identity }]);
  });
  test.each([
    { name: 'the longest prefix where no entry names the address', identities: [16777217, 16777218], identity: 16777217 },
    { name: 'unknown inside another node\'s pod range, never world', identities: [0, 16777218], identity: 0 },
    { name: 'the wider prefix where the address is in no other', identities: [undefined, 16777218], identity: 16777218 },
  ])('is $name', ({ identities, identity }) => {
    identities.forEach((number, index) => { if (number !== undefined) datapath.prefix(at.around[index]!.address, at.around[index]!.length, number); });
    expect(leaves(tcp(flow(at.world), TCP.SYN)).samples).toMatchObject([{ destinationIdentity: identity }]);
  });
  test.each([
    { name: 'the host', from: () => at.node, identity: 1 },
    { name: 'another node\'s pod', from: () => at.remote, identity: 302 },
    { name: 'the world', from: () => at.world, identity: 2 },
  ])('hears $name only as its ingress policy says', ({ from, identity }) => {
    const packet = tcp(flow(web.address, 80, from()), TCP.SYN);
    deny(300, INGRESS);
    expect(drops(arrives(packet))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    datapath.subject({ identity: 300, direction: INGRESS, row: datapath.row([], Verdict.DENY), peers: { [identity]: datapath.row([], Verdict.ALLOW) } });
    expect(arrives(packet)).toMatchObject({ verdict: OK, samples: [{ sourceIdentity: identity, direction: INGRESS, endpointId: 10 }] });
  });
  test('is not heard at an address that is not its own', () => {
    expect(drops(arrives(tcp(flow(db.address, 80, at.remote), TCP.SYN)))).toEqual([{ reason: Reason.STALE_IP, direction: INGRESS }]);
  });
});

describeBoth('a Service address that the socket layer did not translate', () => {
  beforeEach(() => { datapath.frontend({ address: at.service, port: 80, slots: 1, ids: [1] }); });
  test('does not leak as world where the programs that would translate it are missing', () => {
    expect(drops(leaves(tcp(flow(at.service), TCP.SYN)))).toEqual([{ reason: Reason.MISSED_TAIL_CALL, direction: EGRESS }]);
  });
  test('is world at a port that is no frontend\'s', () => {
    expect(leaves(tcp(flow(at.service, 81), TCP.SYN)).verdict).toBe(OK);
  });
});

describeBoth('anti-spoofing', () => {
  test.each([
    { name: 'a neighbour pod\'s address', source: () => db.address },
    { name: 'an address of nobody here', source: () => at.nobody },
    { name: 'the node\'s address', source: () => at.node },
    { name: 'an address of the world', source: () => at.world },
  ])('drops $name with 132', ({ source }) => {
    expect(drops(leaves(tcp(flow(db.address, 80, source()), TCP.SYN)))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: EGRESS }]);
  });
  test('drops a packet of a neighbour\'s live flow', () => {
    leaves(tcp(flow(db.address), TCP.SYN));
    expect(drops(leaves(tcp(flow(db.address), TCP.ACK), db))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: EGRESS }]);
  });
  test('never obeys an endpoint whose echo is another address\'s', () => {
    datapath.endpoint(web, 1);
    expect(drops(leaves(tcp(flow(db.address), TCP.SYN)))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: EGRESS }]);
  });
});

describeBoth('never obeys a corrupted echo', () => {
  test('of the ipcache: the address is world', () => {
    datapath.remote(at.remote, 302, { echo: 1 });
    expect(leaves(tcp(flow(at.remote), TCP.SYN)).samples).toMatchObject([{ destinationIdentity: 2 }]);
  });
  test('of a frontend: there is none', () => {
    datapath.frontend({ address: at.world, port: 80, slots: 1, ids: [1], echo: 1 });
    expect(leaves(tcp(flow(at.world), TCP.SYN)).verdict).toBe(OK);
  });
});

describeBoth('policy and identities', () => {
  test('a subject without a policy drops with 203', () => {
    datapath.endpoint({ ...web, identity: 999 });
    expect(drops(leaves(tcp(flow(at.remote), TCP.SYN)))).toEqual([{ reason: Reason.NO_POLICY, direction: EGRESS }]);
  });
  test('an audited flow passes and says so', () => {
    datapath.subject({ identity: 300, direction: EGRESS, row: datapath.row([], Verdict.AUDIT) });
    expect(leaves(tcp(flow(at.remote), TCP.SYN))).toMatchObject({ verdict: OK, samples: [{ kind: SampleKind.VERDICT, verdict: Verdict.AUDIT }] });
  });
  test('a node whose epoch was never written is not ready: 202', () => {
    datapath.setEpoch(0);
    expect(drops(leaves(tcp(flow(db.address), TCP.SYN)))).toEqual([{ reason: Reason.HOST_NOT_READY, direction: EGRESS }]);
  });
  test.each([
    { name: 'UDP', packet: () => udp(flow(db.address, 53)), protocol: () => PROTOCOL.udp, port: () => 53 },
    { name: 'SCTP', packet: () => sctp(flow(db.address, 3868)), protocol: () => PROTOCOL.sctp, port: () => 3868 },
    { name: 'ICMP echo', packet: () => icmp({ source: web.address, destination: db.address }, { type: at.icmp.request, id: 1 }), protocol: () => at.icmp.protocol, port: () => at.icmp.request << 8 },
    { name: 'another ICMP query', packet: () => icmp({ source: web.address, destination: db.address }, { type: at.icmp.otherQuery, id: 1 }), protocol: () => at.icmp.protocol, port: () => at.icmp.otherQuery << 8 },
    { name: 'VRRP, which has no ports', packet: () => frame(flow(db.address), 112, Buffer.alloc(20)), protocol: () => 112, port: () => 0 },
    { name: 'GRE', packet: () => frame(flow(db.address), 47, Buffer.alloc(4)), protocol: () => 47, port: () => 0 },
    { name: 'IP in IP', packet: () => frame(flow(db.address), 4, Buffer.alloc(20)), protocol: () => 4, port: () => 0 },
    { name: 'ESP', packet: () => frame(flow(db.address), 50, Buffer.alloc(8)), protocol: () => 50, port: () => 0 },
    { name: 'TCP behind IP options', packet: () => tcp(flow(db.address, 5432), TCP.SYN, { options: 40 }), protocol: () => PROTOCOL.tcp, port: () => 5432 },
  ])('$name is asked by its own protocol and port', ({ packet, protocol, port }) => {
    deny(301, INGRESS);
    expect(leaves(packet()).verdict).toBe(SHOT);
    datapath.subject({ identity: 301, direction: INGRESS, row: datapath.row([{ protocol: protocol(), port: port(), verdict: Verdict.ALLOW }]) });
    expect(leaves(packet()).verdict).toBe(REDIRECT);
  });
});

describeFirst('packets that are not understood', () => {
  const ip = (payload: Buffer, protocol: number = PROTOCOL.tcp): Buffer => ethernet(0x0800, ipv4(flow(db.address), protocol, payload));
  const whole = (): Buffer => tcp(flow(db.address), TCP.SYN);
  test.each([
    { name: 'an IP version that is none', packet: () => { const p = whole(); p[14] = 0x55; return p; }, reason: Reason.INVALID_PACKET },
    { name: 'an IP header length below its minimum', packet: () => { const p = whole(); p[14] = 0x44; return p; }, reason: Reason.INVALID_PACKET },
    { name: 'options beyond the end', packet: () => { const p = whole().subarray(0, 40); p[14] = 0x4f; return p; }, reason: Reason.CT_INVALID_HEADER },
    { name: 'half a TCP header', packet: () => ip(tcpSegment(flow(db.address), TCP.SYN).subarray(0, 10)), reason: Reason.CT_INVALID_HEADER },
    { name: 'no UDP header', packet: () => ip(udpDatagram(flow(db.address)).subarray(0, 2), PROTOCOL.udp), reason: Reason.CT_INVALID_HEADER },
    { name: 'half an ICMP header', packet: () => ip(icmpMessage({ type: 8 }).subarray(0, 4), PROTOCOL.icmp), reason: Reason.CT_INVALID_HEADER },
    { name: 'a protocol number that is an IPv6 extension\'s', packet: () => ip(Buffer.alloc(20), 44), reason: Reason.CT_UNKNOWN_L4 },
    { name: 'the other family\'s ICMP', packet: () => ip(icmpMessage({ type: 128, id: 1 }), PROTOCOL.icmp6), reason: Reason.CT_UNKNOWN_L4 },
  ])('drops $name with a sample', ({ packet, reason }) => {
    expect(drops(leaves(packet()))).toEqual([{ reason, direction: EGRESS }]);
  });
  test.each([
    { name: 'an unknown ethertype', packet: () => ethernet(0x88cc, Buffer.alloc(40)), reason: Reason.UNSUPPORTED_L2 },
    { name: 'multicast', packet: () => udp(flow('224.0.0.251', 5353)), reason: Reason.UNSUPPORTED_L3 },
    { name: 'broadcast', packet: () => udp(flow('255.255.255.255', 67)), reason: Reason.UNSUPPORTED_L3 },
    { name: 'IPv6 multicast', packet: () => udp({ ...flow('ff02::fb', 5353), source: 'fd00::1' }), reason: Reason.UNSUPPORTED_L3 },
  ])('drops $name, counted, without a sample', ({ packet, reason }) => {
    const sent = packet();
    expect(leaves(sent)).toMatchObject({ verdict: SHOT, samples: [] });
    expect(datapath.count(EGRESS, reason)).toEqual({ packets: 1n, bytes: BigInt(sent.length) });
  });
});

describeSecond('neighbour discovery', () => {
  const LINK_LOCAL = 'fe80::a';
  const ask = (more: Partial<Parameters<typeof neighbour>[0]> = {}) => neighbour({ type: 135, mac: web.mac, source: LINK_LOCAL, asked: 'fe80::1', ...more });
  test.each([
    { name: 'the gateway', asked: () => 'fe80::1', source: () => LINK_LOCAL },
    { name: 'a neighbour pod, whose way is by the node too', asked: () => db.address, source: () => web.address },
    { name: 'anybody', asked: () => '2001:db8::1', source: () => web.address },
  ])('answers for $name with the host side\'s MAC', ({ asked, source }) => {
    const { verdict, packet } = leaves(ask({ asked: asked(), source: source() }));
    expect(verdict).toBe(REDIRECT);
    expect(macs(packet)).toEqual([web.mac, HOST_MAC]);
    const ends = { source: asked(), destination: source() };
    const body = packet.subarray(54);
    expect(packet.subarray(14).equals(ipv6(ends, PROTOCOL.icmp6, body, { ttl: 255 }))).toBe(true);
    expect([body.length, body[0], body[1], body.readUInt32BE(4)]).toEqual([32, 136, 0, 0x60000000]); // solicited, override
    expect(body.subarray(24).toString('hex')).toBe(`0201${HOST_MAC.replaceAll(':', '')}`);
    expect(icmp6Checksum(ends, body)).toBe(0);
  });
  test('answers one who did not say its MAC', () => {
    const { verdict, packet } = leaves(ask({ option: false }));
    expect([verdict, packet.length]).toEqual([REDIRECT, 86]);
    expect(icmp6Checksum({ source: 'fe80::1', destination: LINK_LOCAL }, packet.subarray(54))).toBe(0);
  });
  test('lets the pod answer the node, with its own address only', () => {
    const answer = (asked: string) => neighbour({ type: 136, mac: web.mac, source: asked, destination: at.node, asked });
    expect(leaves(answer(web.address)).verdict).toBe(OK);
    expect(leaves(answer(db.address))).toMatchObject({ verdict: SHOT, samples: [] });
  });
  test('reaches the pod from the node, which tells it nothing else', () => {
    expect(arrives(ask({ source: at.node, asked: web.address })).verdict).toBe(OK);
    expect(arrives(neighbour({ type: 136, mac: HOST_MAC, source: at.node, asked: at.node }))).toMatchObject({ verdict: SHOT, samples: [] });
  });
  const says = (type: number, source = LINK_LOCAL): Buffer => ethernet(0x86dd, ipv6({ source, destination: 'ff02::2' }, PROTOCOL.icmp6, icmpMessage({ type, inner: Buffer.alloc(24) }), { ttl: 255 }));
  const listens = (): Buffer => {
    const hopByHop = Buffer.from([PROTOCOL.icmp6, 0, 5, 2, 0, 0, 1, 0]); // router alert
    return ethernet(0x86dd, ipv6({ source: '::', destination: 'ff02::16' }, 0, Buffer.concat([hopByHop, icmpMessage({ type: 143, inner: Buffer.alloc(20) })]), { ttl: 1 }));
  };
  test.each([
    { name: 'duplicate address detection of the link-local address', packet: () => ask({ source: '::', asked: LINK_LOCAL }) },
    { name: 'duplicate address detection of the pod\'s own', packet: () => ask({ source: '::', asked: web.address }) },
    { name: 'duplicate address detection of the gateway\'s', packet: () => ask({ source: '::' }) },
    { name: 'a question for its own address', packet: () => ask({ asked: web.address }) },
    { name: 'a question for a group', packet: () => ask({ asked: 'ff02::1' }) },
    { name: 'a question that came by a router', packet: () => ask({ hopLimit: 254 }) },
    { name: 'a question behind an extension header', packet: () => ethernet(0x86dd, ipv6({ source: LINK_LOCAL, destination: 'ff02::1' }, PROTOCOL.icmp6, ask().subarray(54), { ttl: 255, options: 8 })) },
    { name: 'a question in fragments', packet: () => ethernet(0x86dd, ipv6({ source: LINK_LOCAL, destination: 'ff02::1' }, PROTOCOL.icmp6, ask().subarray(54), { ttl: 255, moreFragments: true })) },
    { name: 'half a question', packet: () => ask().subarray(0, 70) },
    { name: 'router solicitations', packet: () => says(133) },
    { name: 'router advertisements', packet: () => says(134) },
    { name: 'redirects', packet: () => says(137) },
    { name: 'multicast listener reports', packet: listens },
  ])('swallows $name, untold', ({ packet }) => {
    expect(leaves(packet())).toMatchObject({ verdict: SHOT, samples: [] });
    expect(datapath.flows()).toEqual([]);
  });
});

describeSecond('packets of IPv6 alone', () => {
  const flow6 = (): Flow => flow(db.address);
  const alone = (): void => {
    deny(301, INGRESS);
    datapath.subject({ identity: 301, direction: INGRESS, row: datapath.row([{ protocol: 6, port: 80, verdict: Verdict.ALLOW }]) });
  };
  const chain = (count: number): Buffer => {
    const headers = Array.from({ length: count }, (_, index) => Buffer.from([index === count - 1 ? PROTOCOL.tcp : 60, 0, 1, 4, 0, 0, 0, 0]));
    return ethernet(0x86dd, ipv6(flow6(), 60, Buffer.concat([...headers, tcpSegment(flow6(), TCP.SYN)])));
  };
  test('are looked through for the ports behind extension headers', () => {
    alone();
    const hopByHop = Buffer.from([60, 0, 1, 4, 0, 0, 0, 0]);
    const destinationOptions = Buffer.from([6, 1, 1, 12, ...Array<number>(12).fill(0)]);
    const packet = ethernet(0x86dd, ipv6(flow6(), 0, Buffer.concat([hopByHop, destinationOptions, tcpSegment(flow6(), TCP.SYN)])));
    expect(leaves(packet).verdict).toBe(REDIRECT);
    expect(leaves(chain(6)).verdict).toBe(REDIRECT);
  });
  test('are dropped with 137 where more than six headers hide the ports', () => {
    expect(drops(leaves(chain(7)))).toEqual([{ reason: Reason.CT_UNKNOWN_L4, direction: EGRESS }]);
  });
  test('are dropped with 134 where an extension is longer than the packet', () => {
    const packet = ethernet(0x86dd, ipv6(flow6(), 60, Buffer.from([6, 0])));
    expect(drops(leaves(packet))).toEqual([{ reason: Reason.INVALID_PACKET, direction: EGRESS }]);
  });
  test('are whole where the fragment header says so', () => {
    alone();
    const atomic = Buffer.from([PROTOCOL.tcp, 0, 0, 0, 0, 0, 0, 9]);
    expect(leaves(ethernet(0x86dd, ipv6(flow6(), 44, Buffer.concat([atomic, tcpSegment(flow6(), TCP.SYN)])))).verdict).toBe(REDIRECT);
  });
  test('are dropped with an IPv4 address inside: it would be that pod in every map', () => {
    expect(drops(leaves(tcp({ ...flow('::ffff:10.244.1.20'), source: '::ffff:10.244.1.10' }, TCP.SYN)))).toEqual([{ reason: Reason.INVALID_PACKET, direction: EGRESS }]);
  });
  test('of a pod that has only an IPv4 address are dropped with 132, and reach none', () => {
    datapath.remove('sn_endpoint_01', { address: web.address });
    datapath.endpoint({ ...web, address: IPV4.web });
    expect(drops(leaves(tcp(flow6(), TCP.SYN)))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: EGRESS }]);
    expect(drops(arrives(tcp(flow(web.address, 80, at.remote), TCP.SYN)))).toEqual([{ reason: Reason.STALE_IP, direction: INGRESS }]);
  });
  test('to a link-local address are dropped, counted, without a sample: the link ends here', () => {
    expect(leaves(tcp(flow('fe80::b'), TCP.SYN))).toMatchObject({ verdict: SHOT, samples: [] });
    expect(datapath.count(EGRESS, Reason.UNSUPPORTED_L3).packets).toBe(1n);
  });
});

describeBoth('fragments', () => {
  const first = (pod = web) => udp({ ...flow(db.address, 53), source: pod.address }, { id: 9, moreFragments: true });
  const later = (id = 9, pod = web) => frame({ ...flow(db.address), source: pod.address }, PROTOCOL.udp, Buffer.alloc(16, 0xee), { id, fragmentOffset: 2 });
  beforeEach(() => {
    datapath.subject({ identity: 301, direction: INGRESS, row: datapath.row([{ protocol: 17, port: 53, verdict: Verdict.ALLOW }]) });
  });
  test('follow the first, as packets of its flow', () => {
    expect(leaves(first()).verdict).toBe(REDIRECT);
    expect(leaves(later())).toMatchObject({ verdict: REDIRECT, samples: [] });
    expect(datapath.flows()).toHaveLength(1);
  });
  test('without a first are dropped with 175, never taken for port 0', () => {
    expect(drops(leaves(later()))).toEqual([{ reason: Reason.FRAGMENT_NOT_FOUND, direction: EGRESS }]);
  });
  test('of another datagram do not borrow its ports', () => {
    leaves(first());
    expect(drops(leaves(later(10)))).toEqual([{ reason: Reason.FRAGMENT_NOT_FOUND, direction: EGRESS }]);
  });
  test('of a pod cannot be announced by its neighbour', () => {
    expect(drops(leaves(first(), db))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: EGRESS }]);
    expect(drops(leaves(later()))).toEqual([{ reason: Reason.FRAGMENT_NOT_FOUND, direction: EGRESS }]);
  });
  test('of a denied flow are denied too', () => {
    deny(301, INGRESS);
    expect(leaves(first()).verdict).toBe(SHOT);
    expect(drops(leaves(later()))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test('of a ping and of its answer follow theirs', () => {
    const part = (source: Pod, destination: Pod, type: number) => frame(
      { source: source.address, destination: destination.address }, at.icmp.protocol, icmpMessage({ type, id: 5 }), { id: 77, moreFragments: true });
    const rest = (source: Pod, destination: Pod) => frame(
      { source: source.address, destination: destination.address }, at.icmp.protocol, Buffer.alloc(16), { id: 77, fragmentOffset: 2 });
    datapath.subject({ identity: 301, direction: INGRESS, row: datapath.row([{ protocol: at.icmp.protocol, port: at.icmp.request << 8, verdict: Verdict.ALLOW }]) });
    deny(300, INGRESS);
    deny(301, EGRESS);
    expect([leaves(part(web, db, at.icmp.request)), leaves(rest(web, db)), leaves(part(db, web, at.icmp.reply), db), leaves(rest(db, web), db)].map(({ verdict }) => verdict))
      .toEqual([REDIRECT, REDIRECT, REDIRECT, REDIRECT]);
  });
});

describeFirst('ARP', () => {
  test.each(['169.254.1.1', '10.244.1.20', '10.0.0.1'])('answers for %s with the host side\'s MAC', (asked) => {
    const { verdict, packet } = leaves(arp({ operation: 1, senderMac: web.mac, sender: web.address, asked }));
    expect(verdict).toBe(REDIRECT);
    expect(macs(packet)).toEqual([web.mac, HOST_MAC]);
    expect(packet.subarray(20, 42).toString('hex')).toBe(Buffer.concat([
      Buffer.from([0, 2]), Buffer.from(HOST_MAC.replaceAll(':', ''), 'hex'), Buffer.from(asked.split('.').map(Number)),
      Buffer.from(web.mac.replaceAll(':', ''), 'hex'), Buffer.from(web.address.split('.').map(Number)),
    ]).toString('hex'));
  });
  test.each([
    { name: 'a probe for its own address', sender: '0.0.0.0', asked: '10.244.1.10' },
    { name: 'an announcement', sender: '10.244.1.10', asked: '10.244.1.10' },
  ])('does not answer $name', ({ sender, asked }) => {
    expect(leaves(arp({ operation: 1, senderMac: web.mac, sender, asked }))).toMatchObject({ verdict: SHOT, samples: [] });
  });
  test('lets the pod answer the node, with its own address only', () => {
    const answer = (sender: string) => arp({ operation: 2, senderMac: web.mac, sender, asked: at.node });
    expect(leaves(answer(web.address)).verdict).toBe(OK);
    expect(leaves(answer(db.address)).verdict).toBe(SHOT);
  });
  test('reaches the pod from the node', () => {
    expect(arrives(arp({ operation: 1, senderMac: HOST_MAC, sender: at.node, asked: web.address })).verdict).toBe(OK);
  });
});

describeFirst('the attached stubs', () => {
  test.each(['stub_from_pod', 'stub_to_pod'])('%s drops with 140 while its slot is empty', (stub) => {
    expect(drops(datapath.run(stub, tcp(flow(db.address), TCP.SYN), web.ifindex))).toMatchObject([{ reason: Reason.MISSED_TAIL_CALL }]);
  });
  test('run what their slots hold', () => {
    datapath.program('FROM_POD', 'from_pod');
    datapath.program('TO_POD', 'to_pod');
    expect(datapath.run('stub_from_pod', tcp(flow(db.address), TCP.SYN), web.ifindex).verdict).toBe(REDIRECT);
    expect(datapath.run('stub_to_pod', tcp(reversed(flow(at.node)), TCP.SYN | TCP.ACK), web.ifindex).verdict).toBe(OK);
  });
});

describeFirst('what is told', () => {
  test('carries the log position that the node had applied', () => {
    datapath.put('sn_state_01', { value: 0 }, { applying: 12n, applied: 11n, digest: '00'.repeat(32) });
    expect(leaves(tcp(flow(db.address), TCP.SYN)).samples.map(({ seen }) => seen)).toEqual([11n, 11n]);
  });
  test('counts what went through, by direction', () => {
    leaves(tcp(flow(db.address), TCP.SYN));
    leaves(tcp(flow(at.remote), TCP.SYN));
    arrives(tcp(reversed(flow(at.remote)), TCP.SYN | TCP.ACK));
    expect([EGRESS, INGRESS].map((direction) => datapath.count(direction, 0).packets)).toEqual([2n, 1n]);
  });
  test('says how much was lost once the ring has room again', () => {
    const unknown = tcp(flow(db.address, 80, at.nobody), TCP.SYN);
    const many = 2 * Math.floor(MAPS.sn_samples_01.maxEntries / 96);
    datapath.time('from_pod', unknown, web.ifindex, many);
    const kept = datapath.samples().length;
    expect(kept).toBeLessThan(many);
    const told = Array.from({ length: 16 }, () => leaves(unknown).samples).flat().reduce((sum, { lost }) => sum + lost, 0);
    expect(kept + told + datapath.untold()).toBe(many); // a CPU tells its own with its next sample
  });
});
