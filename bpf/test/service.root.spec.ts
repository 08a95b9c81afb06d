/** Services packet by packet: rows of docs/datapath.md, with real checksums. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { loadObject, runMapIterator } from '@seine/kernel';
import { Direction, FrontendFlag, Reason, SampleKind, Scope, Verdict } from '@seine/layout';

import { Datapath, OK, openInterfaces, REDIRECT, SHOT, type Outcome, type Pod } from './datapath.ts';
import { describeIn } from './describe-in.ts';
import { FAMILIES, IPV4, type Family } from './families.ts';
import { checksummed, ethernet, frame, icmp, internetChecksum, ip, ipv4, PROTOCOL, reversed, sctp, TCP, tcp, tcpSegment, told, udp, type Flow } from './packet.ts';

const HOST = 1;
const REMOTE_NODE_IDENTITY = 6;
const { INGRESS, EGRESS } = Direction;

let interfaces: ReturnType<typeof openInterfaces>;
let datapath: Datapath;
let web: Pod;
let db: Pod;
let at: Family;
/** What differs between the families and only this suite needs. */
let other: { readonly loopback: string; readonly any: string; readonly balancer: string };
const use = (family: Family): void => {
  at = family;
  web = { address: at.web, identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
  db = { address: at.db, identity: 301, endpointId: 20, ifindex: interfaces.b, mac: '02:00:00:00:00:0b' };
  other = family === IPV4 ? { loopback: '169.254.42.1', any: '0.0.0.0', balancer: '192.0.2.80' } : { loopback: 'fd5e:1e00::a9fe:2a01', any: '::', balancer: '2001:db8:80::80' };
};
const describeBoth = describeIn(FAMILIES, use);
const describeFirst = describeIn([IPV4], use);
beforeAll(() => { interfaces = openInterfaces(); });
afterAll(() => { interfaces.close(); });
beforeEach(() => {
  datapath = new Datapath(interfaces);
  datapath.serve();
  datapath.self(at.node);
  datapath.endpoint(web);
  datapath.endpoint(db);
  datapath.put('sn_ipcache_01', { address: at.node }, { identity: HOST, echo: datapath.echo('sn_ipcache_01', { address: at.node }), tunnel: '::', variant: 0, flags: 3 });
  datapath.put('sn_ipcache_01', { address: at.router }, { identity: REMOTE_NODE_IDENTITY, echo: datapath.echo('sn_ipcache_01', { address: at.router }), tunnel: '::', variant: 0, flags: 3 });
  datapath.remote(at.remote, 302);
  for (const identity of [300, 301, 302]) datapath.openBoth(identity);
  datapath.uplink(interfaces.uplink);
  datapath.backend(1, db.address, 8080);
  datapath.backend(2, at.remote, 8080);
  datapath.backend(3, web.address, 8080);
  for (const [id, address] of [[4, db.address], [5, at.remote]] as const) datapath.backend(id, address, 5353, PROTOCOL.udp);
});
afterEach(() => { datapath.close(); });

const flow = (source: string, destination: string, destinationPort = 80, sourcePort = 40000): Flow => ({ source, destination, sourcePort, destinationPort });
const fromPod = (packet: Buffer, pod = web): Outcome => datapath.run('from_pod', checksummed(packet), pod.ifindex);
const toPod = (packet: Buffer, pod = web): Outcome => datapath.run('to_pod', checksummed(packet), pod.ifindex);
const fromNetdev = (packet: Buffer): Outcome => datapath.run('from_netdev', checksummed(packet), interfaces.uplink);
const toNetdev = (packet: Buffer): Outcome => datapath.run('to_netdev', checksummed(packet), interfaces.uplink);
const drops = ({ samples }: Outcome) => samples.filter(({ kind }) => kind === SampleKind.DROP).map(({ reason, direction }) => ({ reason, direction }));
const macs = (packet: Buffer): readonly string[] => [packet.subarray(0, 6), packet.subarray(6, 12)].map((mac) => mac.toString('hex').replace(/..(?=.)/g, '$&:'));
const only = (identity: number, direction: number, peer: number): void => {
  datapath.subject({ identity, direction, row: datapath.row([], Verdict.DEFAULT_DENY), peers: { [peer]: datapath.row([], Verdict.ALLOW) } });
};
const halves = (): number => datapath.rows('sn_nat_01').length;
const arrives = ({ packet, verdict }: Outcome) => ({ verdict, ...told(packet) });
const clusterIp = (...ids: readonly number[]): void => { datapath.frontend({ address: at.service, port: 80, slots: ids.reduce((sum, id) => sum * 10 + id, 0) + 100, ids }); };
const nodePort = (...ids: readonly number[]): void => { datapath.frontend({ address: other.any, port: 30080, slots: ids.reduce((sum, id) => sum * 10 + id, 0) + 200, ids, revnat: 2 }); };

/** An answer of ICMP: whose, what about, and whether its sums are right. */
const unreachable = ({ packet, verdict }: Outcome) => {
  const { flow: { source, destination }, right } = told(packet);
  return { verdict, source, destination, message: [...packet.subarray(at === IPV4 ? 34 : 54, at === IPV4 ? 36 : 56)], right };
};
const quoted = (packet: Buffer): Buffer => packet.subarray(at === IPV4 ? 42 : 62);

describeBoth('a pod\'s packet to a ClusterIP', () => {
  const asks = (): Flow => flow(web.address, at.service);
  const behind = (): Flow => flow(web.address, db.address, 8080);
  test('becomes one to a backend here, and goes straight to it', () => {
    clusterIp(1);
    const outcome = fromPod(tcp(asks(), TCP.SYN));
    expect(arrives(outcome)).toEqual({ verdict: REDIRECT, flow: behind(), flags: TCP.SYN, right: true });
    expect(macs(outcome.packet)[0]).toBe(db.mac);
  });
  test('is answered by the ClusterIP', () => {
    clusterIp(1);
    fromPod(tcp(asks(), TCP.SYN));
    const outcome = fromPod(tcp(reversed(behind()), TCP.SYN | TCP.ACK), db);
    expect(arrives(outcome)).toEqual({ verdict: REDIRECT, flow: reversed(asks()), flags: TCP.SYN | TCP.ACK, right: true });
    expect(macs(outcome.packet)[0]).toBe(web.mac);
  });
  test('stays with its backend whatever others there are', () => {
    clusterIp(1, 2);
    const first = arrives(fromPod(tcp(asks(), TCP.SYN))).flow.destination;
    for (let packet = 0; packet < 8; packet += 1) expect(arrives(fromPod(tcp(asks(), TCP.ACK))).flow.destination).toBe(first);
    clusterIp(first === at.remote ? 1 : 2);
    expect(arrives(fromPod(tcp(asks(), TCP.ACK))).flow.destination).toBe(first);
  });
  test('is counted for its frontend once a flow, whichever way it is asked for', () => {
    clusterIp(1);
    nodePort(1);
    expect([datapath.counted(1), datapath.counted(2)]).toEqual([undefined, undefined]);
    for (const flags of [TCP.SYN, TCP.SYN, TCP.ACK]) fromPod(tcp(asks(), flags));
    fromPod(tcp(flow(web.address, at.service, 80, 40001), TCP.SYN));
    fromNetdev(tcp(flow(at.router, at.node, 30080), TCP.SYN));
    fromPod(tcp(flow(web.address, at.service, 81), TCP.SYN)); // nobody's
    expect([datapath.counted(1), datapath.counted(2)]).toEqual([2, 1]);
    clusterIp();
    fromPod(tcp(flow(web.address, at.service, 80, 40002), TCP.SYN));
    expect(datapath.counted(1)).toBe(2);
  });
  test('draws anew for a connection that begins on the ports of one that has ended', () => {
    clusterIp(1);
    fromPod(tcp(asks(), TCP.SYN));
    clusterIp(2);
    expect(arrives(fromPod(tcp(asks(), TCP.SYN))).flow.destination).toBe(db.address); // its SYN again
    fromPod(tcp(asks(), TCP.RST));
    expect(arrives(fromPod(tcp(asks(), TCP.SYN))).flow.destination).toBe(at.remote);
    expect(halves()).toBe(2);
  });
  test('to a backend elsewhere goes straight out of the uplink, and its answer gets the ClusterIP back', () => {
    clusterIp(2);
    expect(arrives(fromPod(tcp(asks(), TCP.SYN)))).toMatchObject({ verdict: REDIRECT, flow: flow(web.address, at.remote, 8080), right: true });
    expect(arrives(fromNetdev(tcp(reversed(flow(web.address, at.remote, 8080)), TCP.SYN | TCP.ACK)))).toMatchObject({ verdict: REDIRECT, flow: reversed(asks()), right: true });
  });
  test('is judged by the backend: what policy refuses leaves nothing behind', () => {
    clusterIp(1);
    datapath.closed(301, INGRESS);
    expect(drops(fromPod(tcp(asks(), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(halves()).toBe(0);
    only(301, INGRESS, 300);
    expect(fromPod(tcp(asks(), TCP.SYN)).verdict).toBe(REDIRECT);
    datapath.closed(301, INGRESS);
    datapath.bumpEpoch();
    expect(drops(fromPod(tcp(asks(), TCP.ACK)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(halves()).toBe(0);
  });
  test('speaks with the pod\'s own address only', () => {
    clusterIp(1);
    expect(drops(fromPod(tcp(flow(db.address, at.service), TCP.SYN)))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: EGRESS }]);
    expect(halves()).toBe(0);
  });
  test('of UDP is translated and answered', () => {
    datapath.frontend({ address: at.service, port: 53, protocol: PROTOCOL.udp, slots: 300, ids: [4] });
    expect(arrives(fromPod(udp(flow(web.address, at.service, 53))))).toMatchObject({ flow: flow(web.address, db.address, 5353), right: true });
    expect(arrives(fromPod(udp(flow(db.address, web.address, 40000, 5353)), db))).toMatchObject({ flow: flow(at.service, web.address, 40000, 53), right: true });
  });
  test('of UDP goes elsewhere once its backend is gone', () => {
    datapath.frontend({ address: at.service, port: 53, protocol: PROTOCOL.udp, slots: 300, ids: [4] });
    fromPod(udp(flow(web.address, at.service, 53)));
    datapath.frontend({ address: at.service, port: 53, protocol: PROTOCOL.udp, slots: 301, ids: [5] });
    expect(arrives(fromPod(udp(flow(web.address, at.service, 53)))).flow.destination).toBe(db.address);
    datapath.remove('sn_backend_01', { value: 4 });
    expect(arrives(fromPod(udp(flow(web.address, at.service, 53)))).flow.destination).toBe(at.remote);
  });
  test('that nobody serves is refused at once: the pod gets a reset for its SYN', () => {
    clusterIp();
    const outcome = fromPod(tcp(asks(), TCP.SYN));
    expect(arrives(outcome)).toEqual({ verdict: REDIRECT, flow: reversed(asks()), flags: TCP.RST | TCP.ACK, right: true });
    expect(outcome.packet.readUInt32BE(at === IPV4 ? 42 : 62)).toBe(1);
    expect(macs(outcome.packet)).toEqual([...macs(tcp(asks(), TCP.SYN))].reverse().map((mac, index) => (index === 1 ? '02:5e:1e:00:00:01' : mac)));
    expect(drops(outcome)).toEqual([{ reason: Reason.NO_BACKEND, direction: EGRESS }]);
    expect(drops(fromPod(udp(asks())))).toEqual([]); // a frontend of TCP alone
  });
  test('of UDP that nobody serves is refused at once: port unreachable, in the name of the Service', () => {
    datapath.frontend({ address: at.service, port: 53, protocol: PROTOCOL.udp, slots: 302, ids: [] });
    for (const options of [{}, { options: at === IPV4 ? 40 : 8 }]) {
      const asked = checksummed(udp(flow(web.address, at.service, 53), options));
      const outcome = fromPod(asked);
      expect(unreachable(outcome)).toEqual({ verdict: REDIRECT, source: at.service, destination: web.address, message: at === IPV4 ? [3, 3] : [1, 4], right: true });
      expect(quoted(outcome.packet)).toEqual(asked.subarray(14, asked.length - 8));
      expect(macs(outcome.packet)).toEqual([...macs(asked)].reverse().map((mac, index) => (index === 1 ? '02:5e:1e:00:00:01' : mac)));
      expect(drops(outcome)).toEqual([{ reason: Reason.NO_BACKEND, direction: EGRESS }]);
    }
  });
  test('of UDP that nobody serves is answered a thousand times a second and CPU, and dropped beyond', () => {
    datapath.frontend({ address: at.service, port: 53, protocol: PROTOCOL.udp, slots: 302, ids: [] });
    const ask = (times: number): readonly number[] => Array.from({ length: times }, () => fromPod(udp(flow(web.address, at.service, 53))).verdict);
    const answered = ask(4_000).filter((verdict) => verdict === REDIRECT).length;
    expect(answered).toBeGreaterThan(900);
    expect(answered).toBeLessThan(3_900);
  });
  test('of UDP in fragments is answered once, by its first', () => {
    datapath.frontend({ address: at.service, port: 53, protocol: PROTOCOL.udp, slots: 302, ids: [] });
    expect(fromPod(udp(flow(web.address, at.service, 53), { moreFragments: true, id: 9 })).verdict).toBe(REDIRECT);
    expect(fromPod(frame(flow(web.address, at.service, 53), PROTOCOL.udp, Buffer.alloc(16), { fragmentOffset: 2, id: 9 })).verdict).toBe(SHOT);
  });
  test('of SCTP is translated by address only', () => {
    datapath.backend(6, db.address, 80, PROTOCOL.sctp);
    datapath.frontend({ address: at.service, port: 80, protocol: PROTOCOL.sctp, slots: 400, ids: [6] });
    expect(arrives(fromPod(sctp(asks()))).flow).toEqual(flow(web.address, db.address, 80));
    datapath.backend(7, db.address, 81, PROTOCOL.sctp);
    datapath.frontend({ address: at.service, port: 80, protocol: PROTOCOL.sctp, slots: 401, ids: [7] });
    expect(drops(fromPod(sctp(flow(web.address, at.service, 80, 40001))))).toEqual([{ reason: Reason.UNSUPPORTED_PROTOCOL, direction: EGRESS }]);
  });
  test('that collides with another Service\'s on one backend gets another backend, or none', () => {
    clusterIp(1);
    datapath.frontend({ address: `${at.service}1`, port: 80, slots: 500, ids: [1, 2] });
    datapath.frontend({ address: `${at.service}2`, port: 80, slots: 501, ids: [1] });
    fromPod(tcp(asks(), TCP.SYN));
    expect(arrives(fromPod(tcp(flow(web.address, `${at.service}1`), TCP.SYN))).flow.destination).toBe(at.remote);
    expect(drops(fromPod(tcp(flow(web.address, `${at.service}2`), TCP.SYN)))).toEqual([{ reason: Reason.NO_MAPPING, direction: EGRESS }]);
    expect(arrives(fromPod(tcp(reversed(behind()), TCP.ACK), db)).flow).toEqual(reversed(asks()));
  });
  test('that would collide with another Service\'s on the ports of a connection that has ended takes them', () => {
    clusterIp(1);
    datapath.frontend({ address: `${at.service}1`, port: 80, slots: 500, ids: [1] });
    const asksOther = flow(web.address, `${at.service}1`);
    fromPod(tcp(asks(), TCP.SYN));
    fromPod(tcp(reversed(behind()), TCP.SYN | TCP.ACK), db);
    expect(drops(fromPod(tcp(asksOther, TCP.SYN)))).toEqual([{ reason: Reason.NO_MAPPING, direction: EGRESS }]);
    fromPod(tcp(asks(), TCP.FIN | TCP.ACK));
    fromPod(tcp(reversed(behind()), TCP.FIN | TCP.ACK), db);
    expect(arrives(fromPod(tcp(asksOther, TCP.SYN)))).toEqual({ verdict: REDIRECT, flow: behind(), flags: TCP.SYN, right: true });
    expect(arrives(fromPod(tcp(reversed(behind()), TCP.SYN | TCP.ACK), db))).toMatchObject({ verdict: REDIRECT, flow: reversed(asksOther) });
    expect(halves()).toBe(2);
  });
  test('at a node port of its own node is translated, too', () => {
    nodePort(1);
    expect(arrives(fromPod(tcp(flow(web.address, at.node, 30080), TCP.SYN)))).toMatchObject({ verdict: REDIRECT, flow: behind() });
    expect(arrives(fromPod(tcp(reversed(behind()), TCP.SYN | TCP.ACK), db)).flow).toEqual(reversed(flow(web.address, at.node, 30080)));
  });
  test('to a backend that is the node itself goes up the stack, and the node\'s answer gets the ClusterIP back', () => {
    datapath.backend(8, at.node, 6443);
    datapath.frontend({ address: at.service, port: 443, slots: 600, ids: [8] });
    expect(arrives(fromPod(tcp(flow(web.address, at.service, 443), TCP.SYN)))).toMatchObject({ verdict: OK, flow: flow(web.address, at.node, 6443), right: true });
    expect(arrives(toPod(tcp(reversed(flow(web.address, at.node, 6443)), TCP.SYN | TCP.ACK)))).toMatchObject({ verdict: OK, flow: reversed(flow(web.address, at.service, 443)), right: true });
  });
  test('may not use a load balancer\'s address outside its source ranges', () => {
    datapath.frontend({ address: other.balancer, port: 80, slots: 700, ids: [1], revnat: 7, flags: FrontendFlag.RANGES });
    expect(drops(fromPod(tcp(flow(web.address, other.balancer), TCP.SYN)))).toEqual([{ reason: Reason.NOT_IN_RANGE, direction: EGRESS }]);
    datapath.put('sn_srange_01', { prefixLength: 32 + 128, revnat: 7, address: web.address }, { value: 1 });
    expect(fromPod(tcp(flow(web.address, other.balancer), TCP.SYN)).verdict).toBe(REDIRECT);
  });
});

describeFirst('a pod\'s packet to a ClusterIP, as only IPv4 has it', () => {
  test('in fragments becomes fragments to one backend', () => {
    datapath.frontend({ address: at.service, port: 53, protocol: PROTOCOL.udp, slots: 300, ids: [4] });
    const asksDns = flow(web.address, at.service, 53);
    const first = datapath.run('from_pod', udp(asksDns, { id: 9, moreFragments: true }), web.ifindex);
    const later = datapath.run('from_pod', ethernet(0x0800, ipv4(asksDns, PROTOCOL.udp, Buffer.alloc(16, 0xee), { id: 9, fragmentOffset: 2 })), web.ifindex);
    expect([first, later].map(({ verdict }) => verdict)).toEqual([REDIRECT, REDIRECT]);
    expect(told(later.packet).flow).toMatchObject({ source: web.address, destination: db.address });
    expect(later.packet.subarray(34).equals(Buffer.alloc(16, 0xee))).toBe(true);
  });
  test('without a checksum has none afterwards', () => {
    datapath.frontend({ address: at.service, port: 53, protocol: PROTOCOL.udp, slots: 300, ids: [4] });
    const { packet } = datapath.run('from_pod', udp(flow(web.address, at.service, 53)), web.ifindex);
    expect(told(packet).flow).toEqual(flow(web.address, db.address, 5353));
    expect(packet.readUInt16BE(40)).toBe(0);
  });
});

describeBoth('a pod that is its own backend', () => {
  const asks = (): Flow => flow(web.address, at.service);
  test('is spoken to by a loopback address, and answers the ClusterIP\'s client: itself', () => {
    clusterIp(3);
    const there = fromPod(tcp(asks(), TCP.SYN));
    expect(arrives(there)).toEqual({ verdict: REDIRECT, flow: flow(other.loopback, web.address, 8080), flags: TCP.SYN, right: true });
    expect(macs(there.packet)[0]).toBe(web.mac);
    const back = fromPod(tcp(reversed(flow(other.loopback, web.address, 8080)), TCP.SYN | TCP.ACK));
    expect(arrives(back)).toEqual({ verdict: REDIRECT, flow: reversed(asks()), flags: TCP.SYN | TCP.ACK, right: true });
    expect(arrives(fromPod(tcp(asks(), TCP.ACK)))).toMatchObject({ verdict: REDIRECT, flow: flow(other.loopback, web.address, 8080) });
  });
  test('is not isolated from itself', () => {
    clusterIp(3);
    datapath.closed(300, INGRESS);
    datapath.closed(300, EGRESS);
    expect(fromPod(tcp(asks(), TCP.SYN)).verdict).toBe(REDIRECT);
    expect(fromPod(tcp(reversed(flow(other.loopback, web.address, 8080)), TCP.SYN | TCP.ACK)).verdict).toBe(REDIRECT);
  });
  test('does not reach that address otherwise', () => {
    expect(drops(fromPod(tcp(flow(web.address, other.loopback, 8080), TCP.SYN)))).toEqual([{ reason: Reason.NO_MAPPING, direction: EGRESS }]);
  });
});

describeBoth('a packet from outside to a node port', () => {
  const asks = (): Flow => flow(at.world, at.node, 30080);
  test('of a pod here is judged by that pod, with the client\'s own address', () => {
    nodePort(1);
    only(301, INGRESS, 2);
    const outcome = fromNetdev(tcp(asks(), TCP.SYN));
    expect(arrives(outcome)).toMatchObject({ verdict: REDIRECT, flow: flow(at.world, db.address, 8080), right: true });
    expect(outcome.samples).toMatchObject([{ kind: SampleKind.VERDICT, source: at.world, sourceIdentity: 2, direction: INGRESS, endpointId: 20 }]);
    datapath.closed(301, INGRESS);
    expect(drops(fromNetdev(tcp(flow(at.world, at.node, 30080, 40001), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test('is answered from the node port, past the stack, through a closed egress', () => {
    nodePort(1);
    datapath.closed(301, EGRESS);
    fromNetdev(tcp(asks(), TCP.SYN));
    expect(arrives(fromPod(tcp(flow(db.address, at.world, 40000, 8080), TCP.SYN | TCP.ACK), db))).toEqual({ verdict: REDIRECT, flow: reversed(asks()), flags: TCP.SYN | TCP.ACK, right: true });
  });
  test('of a pod elsewhere leaves from this node, and its answer is the node port\'s', () => {
    nodePort(2);
    only(302, INGRESS, 2);
    const there = fromNetdev(tcp(asks(), TCP.SYN));
    const { flow: forwarded, ...rest } = arrives(there);
    expect(rest).toEqual({ verdict: REDIRECT, flags: TCP.SYN, right: true });
    expect(forwarded).toMatchObject({ source: at.node, destination: at.remote, destinationPort: 8080 });
    expect(forwarded.sourcePort).toBeGreaterThanOrEqual(61000);
    expect(there.samples).toMatchObject([{ source: at.world, destination: at.remote, direction: INGRESS, sourceIdentity: 2, destinationIdentity: 302 }]);
    const back = fromNetdev(tcp(reversed(forwarded), TCP.SYN | TCP.ACK));
    expect(arrives(back)).toEqual({ verdict: REDIRECT, flow: reversed(asks()), flags: TCP.SYN | TCP.ACK, right: true });
    expect(arrives(fromNetdev(tcp(asks(), TCP.ACK))).flow).toEqual(forwarded);
    expect(halves()).toBe(4);
  });
  test('of a pod elsewhere is judged here, by that pod\'s policy: a live flow too', () => {
    nodePort(2);
    datapath.closed(302, INGRESS);
    expect(drops(fromNetdev(tcp(asks(), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(halves()).toBe(0);
    only(302, INGRESS, 2);
    const { flow: forwarded } = arrives(fromNetdev(tcp(asks(), TCP.SYN)));
    datapath.bumpEpoch();
    expect(arrives(fromNetdev(tcp(reversed(forwarded), TCP.ACK)))).toMatchObject({ verdict: REDIRECT, flow: reversed(asks()) }); // judged again by the answer, and allowed
    datapath.closed(302, INGRESS);
    datapath.bumpEpoch();
    expect(drops(fromNetdev(tcp(reversed(forwarded), TCP.ACK)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(drops(fromNetdev(tcp(asks(), TCP.ACK)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
  test('of a pod elsewhere whose policy is not known here is closed', () => {
    nodePort(2);
    datapath.remote(at.remote, 399);
    expect(drops(fromNetdev(tcp(asks(), TCP.SYN)))).toEqual([{ reason: Reason.NO_POLICY, direction: INGRESS }]);
  });
  test('of a server that is no pod is asked of nobody', () => {
    datapath.backend(8, at.onTheWay, 8443);
    nodePort(8);
    expect(arrives(fromNetdev(tcp(asks(), TCP.SYN)))).toMatchObject({ verdict: REDIRECT, flow: { source: at.node, destination: at.onTheWay, destinationPort: 8443 } });
  });
  test('of the node itself goes up the stack, and what the node answers gets the port back', () => {
    datapath.backend(8, at.node, 6443);
    nodePort(8);
    datapath.self(at.node, 1);
    expect(arrives(fromNetdev(tcp(asks(), TCP.SYN)))).toMatchObject({ verdict: OK, flow: flow(at.world, at.node, 6443), right: true });
    expect(arrives(toNetdev(tcp(flow(at.node, at.world, 40000, 6443), TCP.SYN | TCP.ACK)))).toMatchObject({ verdict: OK, flow: reversed(asks()), right: true });
    expect(arrives(toNetdev(tcp(flow(at.node, at.world, 40001, 6443), TCP.SYN | TCP.ACK)))).toMatchObject({ verdict: OK, flow: flow(at.node, at.world, 40001, 6443) });
  });
  test('that nobody serves is the stack\'s to refuse; at an address that is not the node\'s it is reset', () => {
    nodePort();
    datapath.frontend({ address: other.balancer, port: 80, slots: 900, ids: [] });
    expect(arrives(fromNetdev(tcp(flow(at.world, other.balancer), TCP.SYN)))).toEqual({ verdict: REDIRECT, flow: reversed(flow(at.world, other.balancer)), flags: TCP.RST | TCP.ACK, right: true });
    expect(fromNetdev(udp(asks())).verdict).toBe(OK);
    datapath.frontend({ address: other.any, port: 30080, protocol: PROTOCOL.udp, slots: 902, ids: [] });
    expect(fromNetdev(udp(asks())).verdict).toBe(OK);
    datapath.frontend({ address: other.balancer, port: 53, protocol: PROTOCOL.udp, slots: 903, ids: [] });
    const asked = checksummed(udp(flow(at.world, other.balancer, 53)));
    const outcome = fromNetdev(asked);
    expect(unreachable(outcome)).toMatchObject({ verdict: REDIRECT, source: other.balancer, destination: at.world, right: true });
    expect(macs(outcome.packet)).toEqual([...macs(asked)].reverse());
  });
  test('may not claim to come from here', () => {
    nodePort(1);
    expect(drops(fromNetdev(tcp(flow(web.address, at.node, 30080), TCP.SYN)))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: INGRESS }]);
    expect(halves()).toBe(0);
  });
  test('keeps to the node\'s own backends where the external policy is Local', () => {
    datapath.frontend({ address: other.balancer, port: 80, slots: 901, ids: [1, 2], flags: FrontendFlag.SPLIT });
    datapath.frontend({ address: other.balancer, port: 80, slots: 902, ids: [1], flags: FrontendFlag.SPLIT, scope: Scope.OUTSIDE });
    for (let port = 0; port < 8; port += 1) expect(arrives(fromNetdev(tcp(flow(at.world, other.balancer, 80, 41000 + port), TCP.SYN))).flow.destination).toBe(db.address);
  });
  test('keeps its backend by the client\'s address where the frontend has affinity', () => {
    datapath.frontend({ address: other.balancer, port: 80, slots: 903, ids: [1, 2], affinity: 100 });
    const first = told(fromNetdev(tcp(flow(at.world, other.balancer), TCP.SYN)).packet).flow.destination;
    for (let port = 0; port < 8; port += 1) expect(told(fromNetdev(tcp(flow(at.world, other.balancer, 80, 41000 + port), TCP.SYN)).packet).flow.destination).toBe(first);
  });
  test('draws by a hash of the client where the frontend says so', () => {
    datapath.frontend({ address: other.balancer, port: 80, slots: 904, ids: [1, 2], flags: FrontendFlag.HASHED });
    const drawn = (port: number): string => {
      for (const { key } of datapath.rows('sn_nat_01')) datapath.remove('sn_nat_01', key);
      return told(fromNetdev(tcp(flow(at.world, other.balancer, 80, port), TCP.SYN)).packet).flow.destination;
    };
    const ports = Array.from({ length: 16 }, (_, index) => 41000 + index);
    const once = ports.map(drawn);
    expect(new Set(once)).toEqual(new Set([db.address, at.remote]));
    expect(ports.map(drawn)).toEqual(once);
  });
  test('reaches a ClusterIP that is routed here', () => {
    clusterIp(1);
    expect(arrives(fromNetdev(tcp(flow(at.world, at.service), TCP.SYN)))).toMatchObject({ verdict: REDIRECT, flow: flow(at.world, db.address, 8080) });
  });
});

describeBoth('an ICMP error about a translated packet', () => {
  const tooBig = (from: string, to: string, about: Flow): Buffer => icmp({ source: from, destination: to }, { ...at.icmp.tooBig, inner: ip(about, PROTOCOL.tcp, tcpSegment(about, TCP.ACK)) });
  const innerOf = (packet: Buffer) => told(Buffer.concat([packet.subarray(0, 14), packet.subarray(14 + (at === IPV4 ? 20 : 40) + 8)])).flow;
  const innerRight = (packet: Buffer): boolean => at !== IPV4 || internetChecksum(packet.subarray(42, 62)) === 0;
  const errors = ({ packet, verdict }: Outcome) => {
    const { flow: { source, destination }, right } = told(packet);
    return { verdict, source, destination, inner: innerOf(packet), right: right && innerRight(packet) };
  };
  test('tells a pod here of the ClusterIP that it asked, whoever saw it', () => {
    clusterIp(2);
    fromPod(tcp(flow(web.address, at.service), TCP.SYN));
    expect(errors(fromNetdev(tooBig(at.onTheWay, web.address, flow(web.address, at.remote, 8080)))))
      .toEqual({ verdict: REDIRECT, source: at.onTheWay, destination: web.address, inner: flow(web.address, at.service), right: true });
    expect(errors(fromNetdev(tooBig(at.remote, web.address, flow(web.address, at.remote, 8080))))).toMatchObject({ source: at.service, inner: flow(web.address, at.service), right: true });
  });
  test('tells a backend of a client behind the ClusterIP', () => {
    clusterIp(1);
    fromPod(tcp(flow(web.address, at.service), TCP.SYN));
    expect(errors(fromPod(tooBig(web.address, at.service, reversed(flow(web.address, at.service))))))
      .toEqual({ verdict: REDIRECT, source: web.address, destination: db.address, inner: reversed(flow(web.address, db.address, 8080)), right: true });
  });
  test('tells who came from outside of the node port, and the backend here of who came', () => {
    nodePort(1);
    fromNetdev(tcp(flow(at.world, at.node, 30080), TCP.SYN));
    expect(errors(fromPod(tooBig(db.address, at.world, flow(at.world, db.address, 8080)), db)))
      .toEqual({ verdict: REDIRECT, source: at.node, destination: at.world, inner: flow(at.world, at.node, 30080), right: true });
    expect(errors(fromNetdev(tooBig(at.onTheWay, at.node, reversed(flow(at.world, at.node, 30080))))))
      .toEqual({ verdict: REDIRECT, source: at.onTheWay, destination: db.address, inner: reversed(flow(at.world, db.address, 8080)), right: true });
  });
  test('goes through this node both ways where the backend is elsewhere', () => {
    nodePort(2);
    const { flow: forwarded } = arrives(fromNetdev(tcp(flow(at.world, at.node, 30080), TCP.SYN)));
    expect(errors(fromNetdev(tooBig(at.onTheWay, at.node, forwarded))))
      .toEqual({ verdict: REDIRECT, source: at.onTheWay, destination: at.world, inner: flow(at.world, at.node, 30080), right: true });
    expect(errors(fromNetdev(tooBig(at.onTheWay, at.node, reversed(flow(at.world, at.node, 30080))))))
      .toEqual({ verdict: REDIRECT, source: at.onTheWay, destination: at.remote, inner: reversed(forwarded), right: true });
  });
  test('that tells of a flow that is refused goes nowhere', () => {
    nodePort(1);
    fromNetdev(tcp(flow(at.world, at.node, 30080), TCP.SYN));
    datapath.closed(301, INGRESS);
    datapath.bumpEpoch();
    expect(fromNetdev(tooBig(at.onTheWay, at.node, reversed(flow(at.world, at.node, 30080)))).verdict).toBe(SHOT);
  });
});

describeBoth('what another node sends in somebody\'s place', () => {
  test('was judged there: a pod here does not ask its node', () => {
    datapath.closed(301, INGRESS);
    expect(fromNetdev(tcp(flow(at.router, db.address, 8080, 61234), TCP.SYN)).verdict).toBe(REDIRECT);
    expect(fromPod(tcp(flow(db.address, at.router, 61234, 8080), TCP.SYN | TCP.ACK), db).verdict).toBe(REDIRECT);
  });
  test('is the node\'s own below those ports, and nobody else\'s above them', () => {
    datapath.closed(301, INGRESS);
    expect(drops(fromNetdev(tcp(flow(at.router, db.address, 8080, 60999), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(drops(fromNetdev(tcp(flow(at.remote, db.address, 8080, 61234), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(drops(fromNetdev(tcp(flow(at.world, db.address, 8080, 61234), TCP.SYN)))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
  });
});

describeBoth('the collector', () => {
  test('leaves translations whose flow lives or is young, and takes both halves of one whose flow is over', async () => {
    const collector = loadObject(new URL('../build/gc.o', import.meta.url).pathname, { reuse: datapath.maps() });
    const collect = async (): Promise<number> => { await runMapIterator(collector.programFd('collect_nat'), datapath.map('sn_nat_01')); return halves(); };
    nodePort(2);
    clusterIp(1);
    fromNetdev(tcp(flow(at.world, at.node, 30080), TCP.SYN));
    fromPod(tcp(flow(web.address, at.service), TCP.SYN));
    expect(await collect()).toBe(6);
    for (const { key, value } of datapath.rows('sn_nat_01')) datapath.put('sn_nat_01', key, { ...value, made: 0 });
    expect(await collect()).toBe(6);
    for (const { key } of datapath.flows().filter(({ key: { addressA, addressB } }) => [addressA, addressB].includes(at.remote))) datapath.remove('sn_cttcp_01', key);
    expect(await collect()).toBe(2);
    for (const { key } of datapath.flows()) datapath.remove('sn_cttcp_01', key);
    expect(await collect()).toBe(0);
    collector.close();
  });
});

describeBoth('a full table', () => {
  test('drops new flows and counts them; a standing one goes on; room is used again', () => {
    datapath.close();
    datapath = new Datapath(interfaces, { maxEntries: { sn_nat_01: 6 } });
    datapath.serve();
    datapath.endpoint(web);
    datapath.endpoint(db);
    for (const identity of [300, 301]) datapath.openBoth(identity);
    datapath.backend(1, db.address, 8080);
    clusterIp(1);
    const from = (sourcePort: number): Outcome => fromPod(tcp(flow(web.address, at.service, 80, sourcePort), TCP.SYN));
    const outcomes = Array.from({ length: 6 }, (_, index) => from(40000 + index));
    expect(outcomes.map(({ verdict }) => verdict)).toEqual([REDIRECT, REDIRECT, REDIRECT, SHOT, SHOT, SHOT]);
    expect(drops(outcomes[3]!)).toEqual([{ reason: Reason.MAP_INSERT, direction: EGRESS }]);
    expect(datapath.count(EGRESS, Reason.MAP_INSERT).packets).toBe(3n);
    expect(halves()).toBe(6);
    expect(from(40001).verdict).toBe(REDIRECT);
    for (const { key } of datapath.rows('sn_nat_01').filter(({ key: { sourcePort, destinationPort } }) => [sourcePort, destinationPort].includes(40000))) datapath.remove('sn_nat_01', key);
    expect(from(40003).verdict).toBe(REDIRECT);
  });
  test('of source ports drops new flows to that destination and counts them; to another it has as many again', () => {
    const SNAT_PORTS = { first: 61_000, last: 62_999 };
    datapath.close();
    datapath = new Datapath(interfaces, { maxEntries: { sn_nat_01: 8192 } });
    datapath.serve();
    datapath.self(at.node);
    datapath.put('sn_ipcache_01', { address: at.node }, { identity: HOST, echo: datapath.echo('sn_ipcache_01', { address: at.node }), tunnel: '::', variant: 0, flags: 3 });
    datapath.remote(at.remote, 302);
    datapath.openBoth(302);
    datapath.uplink(interfaces.uplink);
    datapath.backend(1, at.remote, 8080);
    datapath.backend(2, at.remote, 8081);
    datapath.frontend({ address: other.any, port: 30080, slots: 1, ids: [1] });
    datapath.frontend({ address: other.any, port: 30081, slots: 2, ids: [2] });
    for (let port = SNAT_PORTS.first; port <= SNAT_PORTS.last; port += 1) {
      const key = { source: at.remote, destination: at.node, sourcePort: 8080, destinationPort: port, protocol: PROTOCOL.tcp };
      datapath.put('sn_nat_01', key, { source: at.remote, destination: at.world, sourcePort: 8080, destinationPort: port, echo: datapath.echo('sn_nat_01', key), made: 0, revnat: 0, backend: 0, flags: 2 });
    }
    expect(drops(fromNetdev(tcp(flow(at.world, at.node, 30080), TCP.SYN)))).toEqual([{ reason: Reason.NO_MAPPING, direction: INGRESS }]);
    expect(datapath.count(INGRESS, Reason.NO_MAPPING).packets).toBe(1n);
    expect(fromNetdev(tcp(flow(at.world, at.node, 30081), TCP.SYN)).verdict).toBe(REDIRECT);
  });
  test('of who keeps its backend forgets those who came longest ago: they are served, by whomever, and no flow changes', () => {
    const CLIENTS = 3_000;
    datapath.close();
    datapath = new Datapath(interfaces, { maxEntries: { sn_affinity_01: 512, sn_nat_01: 8 * CLIENTS, sn_cttcp_01: 4 * CLIENTS } });
    datapath.serve();
    datapath.endpoint(web);
    datapath.endpoint(db);
    for (const identity of [300, 301]) datapath.openBoth(identity);
    datapath.backend(1, db.address, 8080);
    datapath.backend(3, web.address, 8080);
    datapath.frontend({ address: other.balancer, port: 80, slots: 905, ids: [1, 3], affinity: 100 });
    const client = (index: number): string => (at === IPV4 ? `198.18.${index >> 8}.${index & 255}` : `2001:db8:f::${index.toString(16)}`);
    const served = (address: string, flags: number, sourcePort = 40000): string => {
      const { verdict, flow: { destination } } = arrives(fromNetdev(tcp(flow(address, other.balancer, 80, sourcePort), flags)));
      expect(verdict).toBe(REDIRECT);
      return destination;
    };
    const [old, regular] = [client(1), client(2)];
    const its = served(old, TCP.SYN);
    const kept = served(regular, TCP.SYN);
    for (let index = 3; index < CLIENTS; index += 1) {
      served(client(index), TCP.SYN);
      if (index % 50 === 0) expect(served(regular, TCP.SYN, 40000 + index)).toBe(kept);
    }
    const remembered = new Set(datapath.rows('sn_affinity_01').map(({ key }) => key.client));
    expect(remembered.size).toBeLessThanOrEqual(512);
    expect([remembered.has(old), remembered.has(regular)]).toEqual([false, true]);
    expect(served(old, TCP.ACK)).toBe(its);
    expect(datapath.count(INGRESS, Reason.MAP_INSERT).packets).toBe(0n);
  });
});
