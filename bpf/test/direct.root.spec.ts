/** Direct return: what goes to a pod elsewhere says which frontend was asked, and what comes so is believed as far as it can be shown. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';

import { loadObject, runMapIterator } from '@seine/kernel';
import { Direction, FrontendFlag, NatFlag, Reason, SampleKind, Verdict } from '@seine/layout';

import { Datapath, OK, openInterfaces, REDIRECT, SHOT, UPLINK_MTU, type Outcome, type Pod } from './datapath.ts';
import { describeIn } from './describe-in.ts';
import { FAMILIES, IPV4, type Family } from './families.ts';
import { checksummed, frame, icmp, internetChecksum, ip, PROTOCOL, reversed, sctpChunk, TCP, tcp, tcpSegment, told, udp, udpDatagram, withFrontend, type Flow, type IpOptions } from './packet.ts';

const HOST = 1;
const REMOTE_NODE = 6;
const { INGRESS, EGRESS } = Direction;

let interfaces: ReturnType<typeof openInterfaces>;
let datapath: Datapath;
let web: Pod;
let db: Pod;
let at: Family;
let other: { readonly any: string; readonly balancer: string; readonly header: number; readonly size: number };
const describeBoth = describeIn(FAMILIES, (family: Family): void => {
  at = family;
  web = { address: at.web, identity: 300, endpointId: 10, ifindex: interfaces.a, mac: '02:00:00:00:00:0a' };
  db = { address: at.db, identity: 301, endpointId: 20, ifindex: interfaces.b, mac: '02:00:00:00:00:0b' };
  other = family === IPV4 ? { any: '0.0.0.0', balancer: '192.0.2.80', header: 20, size: 8 } : { any: '::', balancer: '2001:db8:80::80', header: 40, size: 24 };
});
beforeAll(() => { interfaces = openInterfaces(); });
afterAll(() => { interfaces.close(); });
beforeEach(() => {
  datapath = new Datapath(interfaces);
  datapath.serve();
  datapath.self(at.node);
  for (const pod of [web, db]) datapath.endpoint(pod);
  for (const [address, identity] of [[at.node, HOST], [at.router, REMOTE_NODE]] as const) datapath.put('sn_ipcache_01', { address }, { identity, echo: datapath.echo('sn_ipcache_01', { address }), tunnel: '::', variant: 0, flags: 3 });
  datapath.remote(at.remote, 302);
  for (const identity of [300, 301, 302]) datapath.openBoth(identity);
  datapath.uplink(interfaces.uplink);
  datapath.backend(1, db.address, 8080);
  datapath.backend(2, at.remote, 8080);
  datapath.backend(3, at.remote, 5353, PROTOCOL.udp);
  datapath.backend(4, at.router, 8080);
  datapath.backend(5, at.remote, 30082, PROTOCOL.sctp);
});
afterEach(() => { datapath.close(); });

const flow = (source: string, destination: string, destinationPort = 80, sourcePort = 40000): Flow => ({ source, destination, sourcePort, destinationPort });
const fromNetdev = (packet: Buffer): Outcome => datapath.run('from_netdev', packet, interfaces.uplink);
const fromPod = (packet: Buffer, pod = db): Outcome => datapath.run('from_pod', checksummed(packet), pod.ifindex);
const drops = ({ samples }: Outcome) => samples.filter(({ kind }) => kind === SampleKind.DROP).map(({ reason, direction }) => ({ reason, direction }));
const halves = (): number => datapath.rows('sn_nat_01').length;
const nodePort = (ids: readonly number[], { port = 30080, protocol = PROTOCOL.tcp as number, flags = FrontendFlag.DIRECT as number } = {}): void => {
  datapath.frontend({ address: other.any, port, protocol, slots: ids.reduce((sum, id) => sum * 10 + id, port), ids, revnat: 2, flags });
};
const asks = (sourcePort = 40000, port = 30080): Flow => flow(at.world, at.node, port, sourcePort);

const sent = (packet: Buffer, frontend = at.router, port = 30080): Buffer => withFrontend(checksummed(packet), frontend, port);
/** One hop on. */
const ttl = (packet: Buffer): Buffer => {
  const out = Buffer.from(packet);
  out[at === IPV4 ? 22 : 21]! -= 1;
  if (at === IPV4) { out.writeUInt16BE(0, 24); out.writeUInt16BE(internetChecksum(out.subarray(14, 14 + (out.readUInt8(14) & 15) * 4)), 24); }
  return out;
};
const body = (packet: Buffer): string => packet.subarray(14).toString('hex');
/** What becomes of a packet at the node that was asked: the whole of it, behind the MACs. */
const became = ({ packet, verdict }: Outcome) => ({ verdict, body: body(packet) });
const carrying = (packet: Buffer, frontend = at.node, port = 30080) => ({ verdict: REDIRECT, body: body(ttl(sent(packet, frontend, port))) });
const bare = (packet: Buffer) => ({ verdict: REDIRECT, body: body(ttl(checksummed(packet))) });
const behind = (sourcePort = 40000): Flow => flow(at.world, at.remote, 8080, sourcePort);
const tick = (): void => {
  for (const { key, value } of datapath.rows('sn_cttcp_01')) datapath.put('sn_cttcp_01', key, { ...value, expiry: value.expiry - 1 });
};

describeBoth('the node that was asked', () => {
  test('sends a client\'s SYN to a pod elsewhere as the client\'s own, with the frontend in it', () => {
    nodePort([2]);
    expect(became(fromNetdev(checksummed(tcp(asks(), TCP.SYN))))).toEqual(carrying(tcp(behind(), TCP.SYN)));
    expect(datapath.rows('sn_nat_01').map(({ value }) => value.flags).sort((a, b) => a - b)).toEqual([NatFlag.DIRECT, NatFlag.DIRECT | NatFlag.FORWARD]);
  });
  test('keeps options that the client wrote behind it', () => {
    nodePort([2]);
    const options = { options: 8 };
    expect(became(fromNetdev(checksummed(frame(asks(), PROTOCOL.tcp, tcpSegment(asks(), TCP.SYN), at === IPV4 ? options : {}))))).toEqual(carrying(frame(behind(), PROTOCOL.tcp, tcpSegment(behind(), TCP.SYN), at === IPV4 ? options : {})));
  });
  test('sends the rest of the stream without, but once a second, should the other node have forgotten', () => {
    nodePort([2]);
    fromNetdev(checksummed(tcp(asks(), TCP.SYN)));
    const next = (): ReturnType<typeof became> => became(fromNetdev(checksummed(tcp(asks(), TCP.ACK))));
    next(); // it is taken as answered now: its entry changes
    expect(next()).toEqual(bare(tcp(behind(), TCP.ACK)));
    tick();
    expect(next()).toEqual(carrying(tcp(behind(), TCP.ACK)));
    expect(next()).toEqual(bare(tcp(behind(), TCP.ACK)));
  });
  test('sends every datagram with it', () => {
    nodePort([3], { port: 30053, protocol: PROTOCOL.udp });
    const to = flow(at.world, at.remote, 5353);
    for (let packet = 0; packet < 3; packet += 1) expect(became(fromNetdev(checksummed(udp(asks(40000, 30053)))))).toEqual(carrying(udp(to), at.node, 30053));
  });
  test('and SCTP, whose sum nobody here could make', () => {
    nodePort([5], { port: 30082, protocol: PROTOCOL.sctp });
    const sctp = (of: Flow): Buffer => frame(of, PROTOCOL.sctp, sctpChunk(of));
    expect(became(fromNetdev(sctp(asks(40000, 30082))))).toEqual(carrying(sctp(flow(at.world, at.remote, 30082)), at.node, 30082));
  });
  test('sends the first fragment with it, later ones behind it without', () => {
    nodePort([3], { port: 30053, protocol: PROTOCOL.udp });
    const to = flow(at.world, at.remote, 5353);
    const first: IpOptions = { id: 9, moreFragments: true };
    const later: IpOptions = { id: 9, fragmentOffset: 2 };
    const datagram = (of: Flow): Buffer => udpDatagram(of, 8);
    const whole = frame(asks(40000, 30053), PROTOCOL.udp, datagram(asks(40000, 30053)), first);
    const { packet } = fromNetdev(whole);
    expect(packet.length).toBe(whole.length + other.size);
    const rest = frame(flow(at.world, at.node), PROTOCOL.udp, Buffer.alloc(16, 1), later);
    expect(became(fromNetdev(rest))).toEqual({ verdict: REDIRECT, body: body(ttl(frame(to, PROTOCOL.udp, Buffer.alloc(16, 1), later))) });
  });
  test('asks no policy: the pod\'s node does, of the client itself', () => {
    nodePort([2]);
    datapath.closed(302, INGRESS);
    const outcome = fromNetdev(checksummed(tcp(asks(), TCP.SYN)));
    expect(became(outcome)).toEqual(carrying(tcp(behind(), TCP.SYN)));
    expect(outcome.samples).toEqual([]);
  });
  test.each([
    { name: 'a pod here', flags: FrontendFlag.DIRECT, ids: [1], client: (): string => at.world },
    { name: 'a node, which is no pod', flags: FrontendFlag.DIRECT, ids: [4], client: (): string => at.world },
    { name: 'a frontend of which nobody asked for it', flags: 0, ids: [2], client: (): string => at.world },
    { name: 'a client that is a pod', flags: FrontendFlag.DIRECT, ids: [2], client: (): string => at.nobody },
    { name: 'a client that is a node', flags: FrontendFlag.DIRECT, ids: [2], client: (): string => at.router },
  ])('answers as ever for $name', ({ flags, ids, client }) => {
    nodePort(ids, { flags });
    datapath.remote(at.nobody, 302);
    const { packet, verdict } = fromNetdev(checksummed(tcp(flow(client(), at.node, 30080), TCP.SYN)));
    expect({ verdict, length: packet.length }).toEqual({ verdict: REDIRECT, length: tcp(asks(), TCP.SYN).length });
    expect(datapath.rows('sn_nat_01').filter(({ value }) => value.flags & NatFlag.DIRECT)).toEqual([]);
  });
  test('draws anew for a SYN on the ports of a stream whose client has closed it, not for a packet that still belongs to it', () => {
    nodePort([2]);
    fromNetdev(checksummed(tcp(asks(), TCP.SYN)));
    fromNetdev(checksummed(tcp(asks(), TCP.ACK)));
    datapath.backend(6, at.nobody, 8080);
    datapath.remote(at.nobody, 302);
    nodePort([6]);
    const to = (packet: Buffer): string => told(fromNetdev(checksummed(packet)).packet).flow.destination;
    expect(to(tcp(asks(), TCP.SYN))).toBe(at.remote);
    fromNetdev(checksummed(tcp(asks(), TCP.FIN | TCP.ACK)));
    expect(to(tcp(asks(), TCP.ACK))).toBe(at.remote);
    expect(to(tcp(asks(), TCP.SYN))).toBe(at.nobody);
    expect(halves()).toBe(2);
  });
  test('draws anew for a SYN whose backend is gone', () => {
    nodePort([2]);
    fromNetdev(checksummed(tcp(asks(), TCP.SYN)));
    datapath.backend(6, at.nobody, 8080);
    datapath.remote(at.nobody, 302);
    nodePort([6]);
    datapath.remove('sn_backend_01', { value: 2 });
    expect(told(fromNetdev(checksummed(tcp(asks(), TCP.SYN))).packet).flow.destination).toBe(at.nobody);
  });
  test('keeps a flow while it is used: answered after its first packet, two minutes after its client closed it', () => {
    nodePort([2]);
    const lives = (): number => {
      const [entry] = datapath.flows();
      return entry!.value.expiry - Number(process.hrtime.bigint() >> 30n);
    };
    const about = (ticks: number, is: number): void => { expect(Math.abs(is - ticks)).toBeLessThanOrEqual(2); };
    fromNetdev(checksummed(tcp(asks(), TCP.SYN)));
    about(56, lives());
    fromNetdev(checksummed(tcp(asks(), TCP.ACK)));
    about(20_117, lives());
    fromNetdev(checksummed(tcp(asks(), TCP.FIN | TCP.ACK)));
    about(112, lives());
    fromNetdev(checksummed(tcp(asks(), TCP.RST)));
    about(9, lives());
  });
  test('and its collector takes both halves when it is over', async () => {
    const collector = loadObject(new URL('../build/gc.o', import.meta.url).pathname, { reuse: datapath.maps() });
    const collect = async (): Promise<number> => { await runMapIterator(collector.programFd('collect_nat'), datapath.map('sn_nat_01')); return halves(); };
    nodePort([2]);
    fromNetdev(checksummed(tcp(asks(), TCP.SYN)));
    for (const { key, value } of datapath.rows('sn_nat_01')) datapath.put('sn_nat_01', key, { ...value, made: 0 });
    expect(await collect()).toBe(2);
    for (const { key } of datapath.flows()) datapath.remove('sn_cttcp_01', key);
    expect(await collect()).toBe(0);
    collector.close();
  });
  test('passes an ICMP error about an answer on to the pod that sent it', () => {
    nodePort([2]);
    fromNetdev(checksummed(tcp(asks(), TCP.SYN)));
    const about = reversed(asks());
    const { packet, verdict } = fromNetdev(checksummed(icmp({ source: at.onTheWay, destination: at.node }, { ...at.icmp.tooBig, inner: ip(about, PROTOCOL.tcp, tcpSegment(about, TCP.ACK)) })));
    const inner = told(Buffer.concat([packet.subarray(0, 14), packet.subarray(14 + other.header + 8)])).flow;
    expect({ verdict, ...told(packet), flow: undefined, destination: told(packet).flow.destination, inner }).toMatchObject({ verdict: REDIRECT, right: true, destination: at.remote, inner: reversed(behind()) });
  });
  test('drops what the frontend\'s name makes too long, and says to the client, in that name, what fits', () => {
    nodePort([3], { port: 30053, protocol: PROTOCOL.udp });
    const asked = asks(40000, 30053);
    const long = (length: number): Buffer => checksummed(frame(asked, PROTOCOL.udp, udpDatagram(asked, length - other.header - 8)));
    expect(fromNetdev(long(UPLINK_MTU - other.size)).packet.length).toBe(14 + UPLINK_MTU);
    const outcome = fromNetdev(long(UPLINK_MTU - other.size + 1));
    expect(drops(outcome)).toEqual([{ reason: Reason.FRAGMENTATION_NEEDED, direction: INGRESS }]);
    const { flow: { source, destination }, right } = told(outcome.packet);
    const message = outcome.packet.subarray(14 + other.header);
    expect({ verdict: outcome.verdict, source, destination, right, type: [...message.subarray(0, 2)], mtu: message.readUInt32BE(4), quoted: told(Buffer.concat([outcome.packet.subarray(0, 14), message.subarray(8)])).flow })
      .toEqual({ verdict: REDIRECT, source: at.node, destination: at.world, right: true, type: [at.icmp.tooBig.type, at.icmp.tooBig.code], mtu: UPLINK_MTU - other.size, quoted: asked });
  });
  test('lets a full segment of a stream be as long as the wire: it goes without', () => {
    nodePort([2]);
    fromNetdev(checksummed(tcp(asks(), TCP.SYN)));
    const full = (of: Flow): Buffer => frame(of, PROTOCOL.tcp, tcpSegment(of, TCP.ACK, UPLINK_MTU - other.header - 20));
    expect(became(fromNetdev(checksummed(full(asks()))))).toEqual(bare(full(behind())));
    tick();
    expect(became(fromNetdev(checksummed(full(asks()))))).toEqual(bare(full(behind())));
  });
  test('does not serve who says himself which frontend he means', () => {
    nodePort([2]);
    expect(drops(fromNetdev(sent(tcp(asks(), TCP.SYN))))).toEqual([{ reason: Reason.NO_BACKEND, direction: INGRESS }]);
    expect(drops(fromNetdev(sent(tcp(flow(at.world, at.node, 22), TCP.SYN))))).toEqual([{ reason: Reason.NO_BACKEND, direction: INGRESS }]);
    expect(halves()).toBe(0);
  });
  test('leaves what is for others to its stack', () => {
    expect(fromNetdev(sent(tcp(flow(at.world, at.nobody, 80), TCP.SYN))).verdict).toBe(OK);
  });
});

describeBoth('the pod\'s node', () => {
  const may = (frontend: string, { port = 30080, backend = db.address, backendPort = 8080, protocol = PROTOCOL.tcp as number, flags = FrontendFlag.DIRECT as number, revnat = 2 } = {}): void => {
    const key = { frontend, backend, frontendPort: port, backendPort, protocol };
    datapath.put('sn_direct_01', key, { revnat, echo: datapath.echo('sn_direct_01', key), flags });
  };
  const comes = (sourcePort = 40000): Flow => flow(at.world, db.address, 8080, sourcePort);
  const answer = (sourcePort = 40000, flags: number = TCP.SYN | TCP.ACK) => { const { packet, verdict } = fromPod(tcp(reversed(comes(sourcePort)), flags)); return { verdict, ...told(packet) }; };
  const asked = (frontend: string, port = 30080, sourcePort = 40000): Flow => flow(at.world, frontend, port, sourcePort);

  test('gives the pod the packet as its client sent it, and the client answers from the frontend, straight from here', () => {
    may(other.any);
    const outcome = fromNetdev(sent(tcp(comes(), TCP.SYN)));
    expect(became(outcome)).toEqual(bare(tcp(comes(), TCP.SYN)));
    expect(outcome.samples.map(({ kind, verdict, source, direction }) => ({ kind, verdict, source, direction }))).toEqual([{ kind: SampleKind.VERDICT, verdict: Verdict.ALLOW, source: at.world, direction: INGRESS }]);
    expect(answer()).toEqual({ verdict: REDIRECT, flow: reversed(asked(at.router)), flags: TCP.SYN | TCP.ACK, right: true });
    expect(became(fromNetdev(checksummed(tcp(comes(), TCP.ACK))))).toEqual(bare(tcp(comes(), TCP.ACK)));
    expect(answer(40000, TCP.ACK)).toMatchObject({ flow: reversed(asked(at.router)) });
  });
  test('at a balancer\'s address too', () => {
    may(other.balancer, { port: 80 });
    fromNetdev(sent(tcp(comes(), TCP.SYN), other.balancer, 80));
    expect(answer()).toMatchObject({ flow: reversed(asked(other.balancer, 80)) });
  });
  test('of datagrams, each of which says it', () => {
    may(other.any, { port: 30053, backendPort: 5353, protocol: PROTOCOL.udp });
    const to = flow(at.world, db.address, 5353);
    for (let packet = 0; packet < 2; packet += 1) expect(became(fromNetdev(sent(udp(to), at.router, 30053)))).toEqual(bare(udp(to)));
    const { packet } = fromPod(udp(reversed(to)));
    expect(told(packet)).toMatchObject({ flow: reversed(asked(at.router, 30053)), right: true });
    expect(halves()).toBe(2);
  });
  test('of fragments: the first says it for those behind it', () => {
    may(other.any, { port: 30053, backendPort: 5353, protocol: PROTOCOL.udp });
    const to = flow(at.world, db.address, 5353);
    expect(fromNetdev(withFrontend(frame(to, PROTOCOL.udp, udpDatagram(to), { id: 9, moreFragments: true }), at.router, 30053)).verdict).toBe(REDIRECT);
    expect(fromNetdev(frame(to, PROTOCOL.udp, Buffer.alloc(16), { id: 9, fragmentOffset: 2 })).verdict).toBe(REDIRECT);
  });
  test('keeps what the client itself wrote behind it', () => {
    if (at !== IPV4) return; // there it stands in headers of its own, which pass as they are
    may(other.any);
    const packet = frame(comes(), PROTOCOL.tcp, tcpSegment(comes(), TCP.SYN), { options: 8 });
    expect(became(fromNetdev(sent(packet)))).toEqual(bare(packet));
  });
  test('asks the pod\'s policy of the client\'s own address, and keeps nothing of what it refuses', () => {
    may(other.any);
    datapath.prefix(at.around[0]!.address, at.around[0]!.length, 900);
    datapath.subject({ identity: 301, direction: INGRESS, row: datapath.row([], Verdict.DEFAULT_DENY), peers: { 900: datapath.row([], Verdict.ALLOW) } });
    expect(fromNetdev(sent(tcp(comes(), TCP.SYN))).verdict).toBe(REDIRECT);
    datapath.closed(301, INGRESS);
    datapath.bumpEpoch();
    expect(drops(fromNetdev(checksummed(tcp(comes(), TCP.ACK))))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(drops(fromNetdev(sent(tcp(comes(41000), TCP.SYN))))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(datapath.rows('sn_nat_01').filter(({ key }) => [key.sourcePort, key.destinationPort].includes(41000))).toEqual([]);
  });
  test.each([
    { name: 'a frontend that nobody has', sends: (): Buffer => sent(tcp(comes(), TCP.SYN), other.balancer, 81) },
    { name: 'another port of it', sends: (): Buffer => sent(tcp(comes(), TCP.SYN), at.router, 30081) },
    { name: 'a node port at an address that is no node\'s', sends: (): Buffer => sent(tcp(comes(), TCP.SYN), at.onTheWay) },
    { name: 'another port of the pod', sends: (): Buffer => sent(tcp(flow(at.world, db.address, 22), TCP.SYN)) },
    { name: 'a pod that does not serve it', sends: (): Buffer => sent(tcp(flow(at.world, web.address, 8080), TCP.SYN)) },
    { name: 'another protocol', sends: (): Buffer => sent(udp(comes())) },
  ])('does not believe $name', ({ sends }) => {
    may(other.any);
    expect(drops(fromNetdev(sends()))).toEqual([{ reason: Reason.NO_BACKEND, direction: INGRESS }]);
    expect(halves()).toBe(0);
  });
  test('does not believe a row that is another\'s', () => {
    const key = { frontend: other.any, backend: db.address, frontendPort: 30080, backendPort: 8080, protocol: PROTOCOL.tcp };
    datapath.put('sn_direct_01', key, { revnat: 2, echo: 1, flags: FrontendFlag.DIRECT });
    expect(drops(fromNetdev(sent(tcp(comes(), TCP.SYN))))).toEqual([{ reason: Reason.NO_BACKEND, direction: INGRESS }]);
  });
  test.each([{ name: 'a pod', from: (): string => at.remote }, { name: 'a node', from: (): string => at.router }, { name: 'a pod of its own', from: (): string => web.address }])('takes nothing of the kind from $name', ({ from }) => {
    may(other.any);
    expect(drops(fromNetdev(sent(tcp(flow(from(), db.address, 8080), TCP.SYN))))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: INGRESS }]);
    expect(halves()).toBe(0);
  });
  test('asks source ranges itself: who says that he was let in elsewhere is not', () => {
    may(other.balancer, { port: 80, flags: FrontendFlag.DIRECT | FrontendFlag.RANGES, revnat: 7 });
    expect(drops(fromNetdev(sent(tcp(comes(), TCP.SYN), other.balancer, 80)))).toEqual([{ reason: Reason.NOT_IN_RANGE, direction: INGRESS }]);
    datapath.put('sn_srange_01', { prefixLength: 32 + 128, revnat: 7, address: at.world }, { value: 1 });
    expect(fromNetdev(sent(tcp(comes(), TCP.SYN), other.balancer, 80)).verdict).toBe(REDIRECT);
  });
  test('lets nobody take a live flow\'s answers: not for another frontend, nor to another pod', () => {
    may(other.any);
    may(other.balancer, { port: 80 });
    may(other.any, { backend: web.address });
    fromNetdev(sent(tcp(comes(), TCP.SYN)));
    answer();
    expect(drops(fromNetdev(sent(tcp(comes(), TCP.SYN), other.balancer, 80)))).toEqual([{ reason: Reason.NO_MAPPING, direction: INGRESS }]);
    expect(drops(fromNetdev(sent(tcp(flow(at.world, web.address, 8080), TCP.SYN))))).toEqual([{ reason: Reason.NO_MAPPING, direction: INGRESS }]);
    expect(answer(40000, TCP.ACK)).toMatchObject({ flow: reversed(asked(at.router)) });
  });
  test('nor a datagram\'s, as long as its pod serves; then the next datagram goes to the next', () => {
    const port = 30053;
    const [first, second] = [flow(at.world, db.address, 5353), flow(at.world, web.address, 5353)];
    const over = { port, backendPort: 5353, protocol: PROTOCOL.udp };
    may(other.any, over);
    may(other.any, { ...over, backend: web.address });
    fromNetdev(sent(udp(first), at.router, port));
    expect(drops(fromNetdev(sent(udp(second), at.router, port)))).toEqual([{ reason: Reason.NO_MAPPING, direction: INGRESS }]);
    expect(told(fromPod(udp(reversed(first))).packet).flow).toEqual(reversed(asked(at.router, port)));
    datapath.remove('sn_direct_01', { frontend: other.any, backend: db.address, frontendPort: port, backendPort: 5353, protocol: PROTOCOL.udp });
    expect(fromNetdev(sent(udp(second), at.router, port)).verdict).toBe(REDIRECT);
    expect(told(fromPod(udp(reversed(second)), web).packet).flow).toEqual(reversed(asked(at.router, port)));
  });
  test('nor does a packet from the middle of nothing open anything: what begins is refused as before', () => {
    may(other.any);
    datapath.closed(301, INGRESS);
    fromNetdev(sent(tcp(comes(), TCP.ACK)));
    expect(drops(fromNetdev(sent(tcp(comes(), TCP.SYN))))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    expect(drops(fromNetdev(checksummed(tcp(comes(), TCP.SYN))))).toEqual([{ reason: Reason.POLICY, direction: INGRESS }]);
    /* What is met in its middle may answer a stream of the pod's: with the frontend it passes no more than without. */
    expect(fromNetdev(sent(tcp(comes(), TCP.ACK))).verdict).toBe(fromNetdev(checksummed(tcp(comes(), TCP.ACK))).verdict);
    datapath.closed(301, EGRESS);
    datapath.bumpEpoch();
    expect(fromNetdev(sent(tcp(comes(), TCP.ACK))).verdict).toBe(SHOT);
  });
  test('gives the ports of a flow that has ended to the next, for another frontend or to another pod', () => {
    may(other.any);
    may(other.balancer, { port: 80 });
    may(other.balancer, { port: 80, backend: web.address });
    fromNetdev(sent(tcp(comes(), TCP.SYN)));
    answer(40000, TCP.RST);
    fromNetdev(sent(tcp(comes(), TCP.SYN), other.balancer, 80));
    expect(answer()).toMatchObject({ flow: reversed(asked(other.balancer, 80)) });
    answer(40000, TCP.RST);
    expect(fromNetdev(sent(tcp(flow(at.world, web.address, 8080), TCP.SYN), other.balancer, 80)).verdict).toBe(REDIRECT);
    expect(halves()).toBe(2);
  });
  test('goes on where it had been asked itself, and with a flow whose Service names the pod no more', () => {
    datapath.frontend({ address: other.balancer, port: 80, slots: 900, ids: [1] });
    fromNetdev(checksummed(tcp(flow(at.world, other.balancer), TCP.SYN)));
    expect(became(fromNetdev(sent(tcp(comes(), TCP.ACK), other.balancer, 80)))).toEqual(bare(tcp(comes(), TCP.ACK)));
    expect(halves()).toBe(2);
  });
  test('finds a stream\'s frontend again once it has forgotten it', () => {
    may(other.any);
    fromNetdev(sent(tcp(comes(), TCP.SYN)));
    for (const { key } of datapath.rows('sn_nat_01')) datapath.remove('sn_nat_01', key);
    for (const { key } of datapath.flows()) datapath.remove('sn_cttcp_01', key);
    fromNetdev(checksummed(tcp(comes(), TCP.ACK)));
    expect(answer(40000, TCP.ACK).flow).toEqual(reversed(comes()));
    fromNetdev(sent(tcp(comes(), TCP.ACK)));
    expect(answer(40000, TCP.ACK)).toMatchObject({ flow: reversed(asked(at.router)) });
  });
  test('tells the pod of an ICMP error about its answer, and the client of one about its packet, in the frontend\'s name', () => {
    may(other.any);
    fromNetdev(sent(tcp(comes(), TCP.SYN)));
    const error = (from: string, to: string, about: Flow): Buffer => checksummed(icmp({ source: from, destination: to }, { ...at.icmp.tooBig, inner: ip(about, PROTOCOL.tcp, tcpSegment(about, TCP.ACK)) }));
    expect(fromNetdev(error(at.onTheWay, db.address, reversed(comes()))).verdict).toBe(REDIRECT);
    const { packet, verdict } = fromPod(error(db.address, at.world, comes()));
    expect({ verdict, source: told(packet).flow.source, right: told(packet).right }).toEqual({ verdict: REDIRECT, source: at.router, right: true });
  });
  test('neither lets a pod say it, nor hear it', () => {
    may(other.any);
    expect(drops(datapath.run('from_pod', sent(tcp(flow(web.address, db.address, 8080), TCP.SYN)), web.ifindex))).toEqual([{ reason: Reason.INVALID_SOURCE_IP, direction: EGRESS }]);
    expect(drops(datapath.run('to_pod', sent(tcp(comes(), TCP.SYN)), db.ifindex))).toEqual([{ reason: Reason.NO_BACKEND, direction: INGRESS }]);
    if (at === IPV4) expect(drops(fromNetdev(sent(withFrontend(checksummed(tcp(comes(), TCP.SYN)), at.router, 30080))))).toEqual([{ reason: Reason.NO_BACKEND, direction: INGRESS }]);
  });
  test('a stream that nobody began, said to be one, does not get past policy', () => {
    may(other.any);
    datapath.closed(301, INGRESS);
    datapath.closed(301, EGRESS);
    for (const flags of [TCP.SYN, TCP.ACK, TCP.RST, TCP.SYN | TCP.ACK, TCP.FIN | TCP.ACK]) expect(fromNetdev(sent(tcp(comes(), flags))).verdict).toBe(SHOT);
    expect(halves()).toBe(0);
  });
});
