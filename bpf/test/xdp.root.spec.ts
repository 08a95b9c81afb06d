/** What is carried at XDP, and what is not: each row beside what tc does with the same packet. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { neighbourReplace, openNetlink, routeDelete, routeReplace } from '@seine/kernel';
import { Direction, NatFlag, Reason, SampleKind, SelfFlag, Verdict } from '@seine/layout';

import { Datapath, openInterfaces, REDIRECT, ROUTER_MAC, SHOT, UPLINK_MTU, XDP_PASS, XDP_TX, type Outcome, type Pod } from './datapath.ts';
import { describeIn } from './describe-in.ts';
import { FAMILIES, IPV4, type Family } from './families.ts';
import { checksummed, ethernet, frame, ip, PROTOCOL, reversed, TCP, tcp, tcpSegment, told, ttlOf, udp, udpDatagram, type Flow, type IpOptions } from './packet.ts';

const HOST = 1;
const REMOTE_NODE_IDENTITY = 6;
const WORLD = 2;
const CLIENT_PORT = 40000;
const { INGRESS } = Direction;
/** Metrics: carried at XDP. */
const EARLY = 0;

let interfaces: ReturnType<typeof openInterfaces>;
let datapath: Datapath;
let web: Pod;
let at: Family;
const describeBoth = describeIn(FAMILIES, (family) => {
  at = family;
  web = { address: at.web, identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
});
beforeAll(() => { interfaces = openInterfaces(); });
afterAll(() => { interfaces.close(); });
beforeEach(() => {
  datapath = new Datapath(interfaces);
  datapath.serve();
  datapath.self(at.node);
  datapath.endpoint(web);
  datapath.put('sn_ipcache_01', { address: at.node }, { identity: HOST, echo: datapath.echo('sn_ipcache_01', { address: at.node }), tunnel: '::', variant: 0, flags: 3 });
  datapath.put('sn_ipcache_01', { address: at.router }, { identity: REMOTE_NODE_IDENTITY, echo: datapath.echo('sn_ipcache_01', { address: at.router }), tunnel: '::', variant: 0, flags: 3 });
  datapath.remote(at.remote, 302);
  for (const identity of [300, 302]) datapath.openBoth(identity);
  datapath.uplink(interfaces.uplink);
  datapath.backend(1, web.address, 8080);
  datapath.backend(2, at.remote, 8080);
  datapath.backend(5, at.remote, 5353, PROTOCOL.udp);
});
afterEach(() => { datapath.close(); });

const any = (): string => (at === IPV4 ? '0.0.0.0' : '::');
const nodePort = (id: number): void => { datapath.frontend({ address: any(), port: 30080, slots: 200 + id, ids: [id], revnat: 2 }); };
const nodePortUdp = (): void => { datapath.frontend({ address: any(), port: 30053, protocol: PROTOCOL.udp, slots: 300, ids: [5], revnat: 3 }); };
const asks = (): Flow => ({ source: at.world, destination: at.node, sourcePort: CLIENT_PORT, destinationPort: 30080 });
const asksUdp = (): Flow => ({ ...asks(), destinationPort: 30053 });

/** As a wire brings it: for the uplink's own MAC, sums finished. */
const arriving = (packet: Buffer): Buffer => {
  const own = checksummed(packet);
  Buffer.from(interfaces.uplinkMac.replaceAll(':', ''), 'hex').copy(own, 0);
  return own;
};
const fromNetdev = (packet: Buffer): Outcome => datapath.run('from_netdev', arriving(packet), interfaces.uplink);
const early = (packet: Buffer) => datapath.early(arriving(packet), interfaces.uplink);
const carried = () => datapath.count(EARLY, Reason.NONE);
const drops = ({ samples }: Outcome) => samples.filter(({ kind }) => kind === SampleKind.DROP).map(({ reason, direction }) => ({ reason, direction }));
const macs = (packet: Buffer): readonly string[] => [packet.subarray(0, 6), packet.subarray(6, 12)].map((mac) => mac.toString('hex').replace(/..(?=.)/g, '$&:'));
const AFTER_MACS = 12;

/** A stream that both sides have spoken on, by way of tc. @returns the answer's flow as the backend sends it */
const establish = (): Flow => {
  const { flow } = told(fromNetdev(tcp(asks(), TCP.SYN)).packet);
  fromNetdev(tcp(reversed(flow), TCP.SYN | TCP.ACK));
  fromNetdev(tcp(asks(), TCP.ACK));
  return reversed(flow);
};
const establishUdp = (): Flow => {
  const { flow } = told(fromNetdev(udp(asksUdp())).packet);
  fromNetdev(udp(reversed(flow)));
  return reversed(flow);
};
/** At tc: by the three programs of a new flow, and in one step. */
const AT_TC = ['netdev_again', 'from_netdev'] as const;
/** Carried, and the same packet to the byte as tc makes of it by either way but for the MACs, which tc leaves to the neighbour's entry. */
const carriesAsTc = (packet: Buffer): void => {
  const before = carried();
  const outcome = early(packet);
  expect(outcome.verdict).toBe(XDP_TX);
  for (const way of AT_TC) {
    const { verdict, packet: byTc } = datapath.run(way, arriving(packet), interfaces.uplink);
    expect({ way, verdict, same: outcome.packet.subarray(AFTER_MACS).equals(byTc.subarray(AFTER_MACS)) }).toEqual({ way, verdict: REDIRECT, same: true });
  }
  expect(macs(outcome.packet)).toEqual([ROUTER_MAC, interfaces.uplinkMac]);
  expect(told(outcome.packet).right).toBe(true);
  expect(carried()).toEqual({ packets: before.packets + 1n, bytes: before.bytes + BigInt(packet.length) });
};
/** Passed on untouched and not counted. */
const passes = (packet: Buffer): void => {
  const before = carried();
  const sent = arriving(packet);
  const outcome = datapath.early(sent, interfaces.uplink);
  expect({ verdict: outcome.verdict, untouched: outcome.packet.equals(sent) }).toEqual({ verdict: XDP_PASS, untouched: true });
  expect(carried()).toEqual(before);
};

describeBoth('a stream through a node port to a backend elsewhere', () => {
  test('is carried once it stands, both ways, as tc does it', () => {
    nodePort(2);
    passes(tcp(asks(), TCP.SYN));
    const answers = establish();
    carriesAsTc(tcp(asks(), TCP.ACK));
    carriesAsTc(frame(asks(), PROTOCOL.tcp, tcpSegment(asks(), TCP.ACK | TCP.PSH, 777)));
    carriesAsTc(tcp(answers, TCP.ACK));
    carriesAsTc(frame(answers, PROTOCOL.tcp, tcpSegment(answers, TCP.ACK, 1001)));
    const { flow, flags } = told(early(tcp(answers, TCP.ACK)).packet);
    expect({ flow, flags }).toEqual({ flow: reversed(asks()), flags: TCP.ACK });
    expect(ttlOf(early(tcp(asks(), TCP.ACK)).packet)).toBe(63);
  });
  test('to an address of its own is carried, too', () => {
    datapath.frontend({ address: at.service, port: 80, slots: 202, ids: [2], revnat: 4 });
    const asked = { ...asks(), destination: at.service, destinationPort: 80 };
    const { flow } = told(fromNetdev(tcp(asked, TCP.SYN)).packet);
    fromNetdev(tcp(reversed(flow), TCP.SYN | TCP.ACK));
    carriesAsTc(tcp(asked, TCP.ACK));
    carriesAsTc(tcp(reversed(flow), TCP.ACK));
  });
  test('with padding behind it keeps that', () => {
    nodePort(2);
    establish();
    const padded = Buffer.concat([arriving(tcp(asks(), TCP.ACK)), Buffer.alloc(6, 0xaa)]);
    const { verdict, packet } = datapath.early(padded, interfaces.uplink);
    expect({ verdict, length: packet.length, right: told(packet).right }).toEqual({ verdict: XDP_TX, length: padded.length, right: true });
  });
  test.each([['SYN', TCP.SYN], ['SYN with ACK', TCP.SYN | TCP.ACK], ['FIN', TCP.FIN | TCP.ACK], ['RST', TCP.RST]] as const)('leaves a %s to tc', (_, flags) => {
    nodePort(2);
    const answers = establish();
    passes(tcp(asks(), flags));
    passes(tcp(answers, flags));
  });
  test('is tc\'s while only one side has spoken, and once it is over', () => {
    nodePort(2);
    const { flow } = told(fromNetdev(tcp(asks(), TCP.SYN)).packet);
    passes(tcp(reversed(flow), TCP.ACK));
    fromNetdev(tcp(reversed(flow), TCP.SYN | TCP.ACK));
    carriesAsTc(tcp(asks(), TCP.ACK));
    fromNetdev(tcp(asks(), TCP.RST));
    passes(tcp(asks(), TCP.ACK));
    passes(tcp(reversed(flow), TCP.ACK));
  });
  test('is cut by a policy as under tc: an entry of another epoch vouches for nothing', () => {
    nodePort(2);
    const answers = establish();
    datapath.closed(302, INGRESS);
    datapath.bumpEpoch();
    for (const packet of [tcp(asks(), TCP.ACK), tcp(answers, TCP.ACK)]) {
      passes(packet);
      expect(drops(fromNetdev(packet))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
      passes(packet);
    }
    datapath.subject({ identity: 302, direction: INGRESS, row: datapath.row([], Verdict.DEFAULT_DENY), peers: { [WORLD]: datapath.row([], Verdict.ALLOW) } });
    datapath.bumpEpoch();
    passes(tcp(asks(), TCP.ACK));
  });
  test('is carried again once tc has judged it under the new epoch', () => {
    nodePort(2);
    const answers = establish();
    datapath.bumpEpoch();
    passes(tcp(answers, TCP.ACK));
    fromNetdev(tcp(answers, TCP.ACK));
    carriesAsTc(tcp(answers, TCP.ACK));
    carriesAsTc(tcp(asks(), TCP.ACK));
  });
  test('is tc\'s on a node that has no epoch', () => {
    nodePort(2);
    establish();
    datapath.setEpoch(0);
    passes(tcp(asks(), TCP.ACK));
  });
  test('ends with its Service, as under tc', () => {
    nodePort(2);
    establish();
    datapath.remove('sn_frontend_02', { address: any(), port: 30080, protocol: PROTOCOL.tcp, scope: 0 });
    passes(tcp(asks(), TCP.ACK));
    datapath.frontend({ address: any(), port: 30080, slots: 201, ids: [1], revnat: 9 }); // another's now
    passes(tcp(asks(), TCP.ACK));
  });
  test('is tc\'s where the backend answers itself, whatever an earlier flow left', () => {
    nodePort(2);
    establish();
    const [half] = datapath.rows('sn_nat_01').filter(({ value }) => value.flags === NatFlag.FORWARD);
    datapath.put('sn_nat_01', half!.key, { ...half!.value, flags: NatFlag.FORWARD | NatFlag.DIRECT });
    passes(tcp(asks(), TCP.ACK));
  });
  test('goes by tc now and then, which writes its lifetime', () => {
    nodePort(2);
    const answers = establish();
    const [{ key, value }] = datapath.rows('sn_cttcp_01') as [ReturnType<typeof datapath.flows>[number]];
    datapath.put('sn_cttcp_01', key, { ...value, expiry: value.expiry - 10 });
    passes(tcp(asks(), TCP.ACK));
    passes(tcp(answers, TCP.ACK));
    fromNetdev(tcp(asks(), TCP.ACK));
    carriesAsTc(tcp(answers, TCP.ACK));
  });
});

describeBoth('datagrams through a node port to a backend elsewhere', () => {
  test('are carried once both sides have spoken, as tc does it', () => {
    nodePortUdp();
    passes(udp(asksUdp()));
    const answers = establishUdp();
    passes(udp(asks()));
    fromNetdev(udp(asksUdp()));
    carriesAsTc(udp(asksUdp()));
    carriesAsTc(udp(answers));
    carriesAsTc(frame(answers, PROTOCOL.udp, udpDatagram(answers, 301)));
  });
  test('without a checksum have none afterwards', () => {
    nodePortUdp();
    establishUdp();
    const bare = arriving(udp(asksUdp()));
    bare.writeUInt16BE(0, at === IPV4 ? 40 : 60);
    const { verdict, packet } = datapath.early(bare, interfaces.uplink);
    expect({ verdict, sum: packet.readUInt16BE(at === IPV4 ? 40 : 60) }).toEqual({ verdict: XDP_TX, sum: 0 });
  });
  test('whose backend is gone are tc\'s, which draws anew', () => {
    nodePortUdp();
    establishUdp();
    datapath.remove('sn_backend_01', { value: 5 });
    passes(udp(asksUdp()));
  });
});

describeBoth('of a stream that is carried, what needs an opinion is tc\'s', () => {
  const stands = (options: IpOptions, data = 0): Buffer => frame(asks(), PROTOCOL.tcp, tcpSegment(asks(), TCP.ACK, data), options);
  beforeEach(() => {
    nodePort(2);
    establish();
    expect(early(stands({})).verdict).toBe(XDP_TX);
  });
  test('a TTL that ends here', () => {
    passes(stands({ ttl: 1 }));
    passes(stands({ ttl: 0 }));
    carriesAsTc(stands({ ttl: 2 }));
  });
  test('fragments', () => {
    passes(stands({ moreFragments: true }, 64));
    passes(stands({ fragmentOffset: 8 }, 64));
  });
  test('options and extension headers', () => { passes(stands({ options: 8 })); });
  test('a sum that its sender left to the device', () => {
    const packet = arriving(stands({}, 100));
    const before = at === IPV4 ? 14 + 20 : 14 + 40;
    const where = before + 16;
    /* The pseudo header alone, folded and not complemented, is what stands there until the device has summed up the rest. */
    const header = Buffer.concat([packet.subarray(0, before), Buffer.alloc(packet.length - before)]);
    packet.writeUInt16BE(~checksummed(header).readUInt16BE(where) & 0xffff, where);
    const { verdict, packet: left } = datapath.early(packet, interfaces.uplink);
    expect({ verdict, untouched: left.equals(packet) }).toEqual({ verdict: XDP_PASS, untouched: true });
  });
  test('half a header, and a length that the frame does not hold', () => {
    const whole = arriving(stands({}));
    for (const length of [14, 20, 34, whole.length - 1]) {
      const cut = whole.subarray(0, length);
      const { verdict, packet } = datapath.early(cut, interfaces.uplink);
      expect({ length, verdict, untouched: packet.equals(cut) }).toEqual({ length, verdict: XDP_PASS, untouched: true });
    }
  });
  test('a frame for another MAC', () => {
    const packet = arriving(stands({}));
    packet.writeUInt8(packet.readUInt8(5) ^ 1, 5);
    expect(datapath.early(packet, interfaces.uplink).verdict).toBe(XDP_PASS);
  });
  test('another protocol, an unknown ethertype', () => {
    passes(frame(asks(), PROTOCOL.sctp, tcpSegment(asks(), 0)));
    passes(ethernet(0x8100, ip(asks(), PROTOCOL.tcp, tcpSegment(asks(), TCP.ACK))));
  });
  test('a packet that is longer than its route takes', () => {
    const TCP_HEADERS = at === IPV4 ? 40 : 60;
    carriesAsTc(stands({}, UPLINK_MTU - TCP_HEADERS));
    passes(stands({}, UPLINK_MTU - TCP_HEADERS + 1));
  });
  test('a way that the kernel does not know: no route, no neighbour, another interface', () => {
    const netlink = interfaces.inside(openNetlink);
    netlink.transact([neighbourReplace({ index: interfaces.a, address: at.remote, mac: ROUTER_MAC })]);
    for (const way of [{ type: 'unreachable' }, { gateway: at.onTheWay, index: interfaces.uplink, onlink: true }, { index: interfaces.a }] as const) {
      const route = { destination: at.remote, length: at === IPV4 ? 32 : 128, ...way };
      try {
        netlink.transact([routeReplace(route)]);
        passes(stands({}));
      } finally {
        netlink.transact([routeDelete(route)]);
      }
    }
    netlink.close();
    carriesAsTc(stands({}));
  });
});

describeBoth('what ends on this node is not carried', () => {
  test('a stream to a backend here', () => {
    nodePort(1);
    const { flow } = told(fromNetdev(tcp(asks(), TCP.SYN)).packet);
    datapath.run('from_pod', checksummed(tcp(reversed(flow), TCP.SYN | TCP.ACK)), web.ifindex);
    fromNetdev(tcp(asks(), TCP.ACK));
    passes(tcp(asks(), TCP.ACK));
  });
  test('an answer to what a pod here sent to the world', () => {
    datapath.self(at.node, SelfFlag.MASQUERADES);
    const asked: Flow = { source: web.address, destination: at.world, sourcePort: CLIENT_PORT, destinationPort: 443 };
    const { flow } = told(datapath.run('from_pod', checksummed(tcp(asked, TCP.SYN)), web.ifindex).packet);
    expect(flow.source).toBe(at.node);
    fromNetdev(tcp(reversed(flow), TCP.SYN | TCP.ACK));
    passes(tcp(reversed(flow), TCP.ACK));
  });
  test('what claims to come from a pod here', () => {
    datapath.frontend({ address: at.service, port: 80, slots: 202, ids: [2], revnat: 4 });
    const asked: Flow = { source: web.address, destination: at.service, sourcePort: CLIENT_PORT, destinationPort: 80 };
    datapath.run('from_pod', checksummed(tcp(asked, TCP.SYN)), web.ifindex);
    fromNetdev(tcp({ source: at.remote, destination: web.address, sourcePort: 8080, destinationPort: CLIENT_PORT }, TCP.SYN | TCP.ACK));
    passes(tcp(asked, TCP.ACK));
    expect(fromNetdev(tcp(asked, TCP.ACK)).verdict).toBe(SHOT);
  });
});
