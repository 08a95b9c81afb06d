/** Cells that turn packets round: a node that receives a node port's datagrams by its one wire, and sends them on by it, to the backend or back. */
import {
  addressAdd, ATTACH, clsactAdd, closeFd, createNetns, deleteNetns, filterReplace, inNetns, injectFrames, linkCreate, linkUp, loadObject, mapHandle, mapKernel, neighbourReplace, netnsPath, openFd, openNetlink, routeReplace, updateOne, vethAdd, XDP_MODE_FLAG, type LoadedObject,
} from '@seine/kernel';
import { encode, MAPS } from '@seine/layout';
import { SeineError } from '@seine/model';

import { Datapath, type Interfaces } from '../../../bpf/test/datapath.ts';
import { checksummed, ethernet, ipv4, PROTOCOL, reversed, told, udpDatagram, type Flow } from '../../../bpf/test/packet.ts';
import { feed, requireCommands, run } from './shell.ts';

const NODE = '192.168.7.1';
const ROUTER = '192.168.7.2';
const ROUTER_MAC = '02:00:00:00:00:fe';
const CLIENT = '203.0.113.7';
const BACKEND = '10.244.9.9';
const NODE_PORT = 30053;
const BACKEND_PORT = 5353;
const FIRST_PORT = 40_000;
const HOST = 1;
const SERVER = 302;
/** As test/bench/load/nodeport.bpf.c has them. */
const FLOWS = 256;
const FRAME = 64;
const DATA = FRAME - 14 - 20 - 8;
const SENT = Uint8Array.of(0, 0, 0, 0);
const CAME_BACK = Uint8Array.of(1, 0, 0, 0);
const CT_SIZE = 65_536;

export const TURNERS = ['xdp', 'xdp, generic', 'tc', 'iptables'] as const;
export type Turner = (typeof TURNERS)[number];
export type Way = 'to the backend' | 'back to the client';

export interface Turning {
  readonly turner: Turner;
  /** @returns packets/s that came out of the node */
  readonly rate: (way: Way, count: number) => number;
  readonly down: () => void;
}

export const requireTurners = (): void => { requireCommands('iptables-legacy-restore'); };

/** As kube-proxy has it, for one Service that is asked at a node port; what is established is let through by its state. */
const IPTABLES = `*nat
:KUBE-NODEPORTS - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-NODEPORTS -p udp -m udp --dport ${NODE_PORT} -j KUBE-MARK-MASQ
-A KUBE-NODEPORTS -p udp -m udp --dport ${NODE_PORT} -j DNAT --to-destination ${BACKEND}:${BACKEND_PORT}
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`;

const openSeine = (interfaces: Interfaces): Datapath => {
  const datapath = new Datapath(interfaces, { maxEntries: { sn_ctany_01: CT_SIZE, sn_nat_01: CT_SIZE } });
  datapath.serve();
  datapath.program('FROM_NETDEV', 'from_netdev');
  datapath.program('TO_NETDEV', 'to_netdev');
  datapath.self(NODE);
  datapath.put('sn_ipcache_01', { address: NODE }, { identity: HOST, echo: datapath.echo('sn_ipcache_01', { address: NODE }), tunnel: '::', variant: 0, flags: 3 });
  datapath.remote(BACKEND, SERVER);
  datapath.openBoth(SERVER);
  datapath.uplink(interfaces.a);
  datapath.backend(1, BACKEND, BACKEND_PORT, PROTOCOL.udp);
  datapath.frontend({ address: '0.0.0.0', port: NODE_PORT, protocol: PROTOCOL.udp, slots: 1, ids: [1] });
  return datapath;
};

/** At XDP: where a driver would ask it, in the injector's own hand; or by the stack, at the interface. */
const attachXdp = (datapath: Datapath, load: LoadedObject, generic: ((program: number) => number) | undefined): (() => void) => {
  const early = loadObject(new URL('../../../bpf/build/xdp.o', import.meta.url).pathname, { reuse: datapath.maps() });
  const { key, value } = MAPS.sn_xdp_01;
  updateOne(datapath.map('sn_xdp_01'), encode(key, { value: 0 }), encode(value, { value: early.programFd('netdev_early') }));
  const stub = early.programFd('stub_netdev_early');
  if (generic === undefined) updateOne(mapHandle(load.mapFd('attached')), encode(key, { value: 0 }), encode(value, { value: stub }));
  const link = generic?.(stub);
  return () => {
    if (link !== undefined) closeFd(link);
    early.close();
  };
};

const frame = (flow: Flow, to: string): Buffer => checksummed(ethernet(0x0800, ipv4(flow, PROTOCOL.udp, udpDatagram(flow, DATA)), { to, from: ROUTER_MAC }));

export const openTurning = (turner: Turner, object: string): Turning => {
  const name = `sbench-turn-${TURNERS.indexOf(turner)}`;
  for (const each of [name, `${name}-w`]) { deleteNetns(each); createNetns(each); }
  const fds = { node: openFd(netnsPath(name)), wire: openFd(netnsPath(`${name}-w`)) };
  const inside = <T>(act: () => T): T => inNetns(fds.node, act);
  const netlink = inside(openNetlink);
  const wire = inNetns(fds.wire, openNetlink);
  netlink.transact([vethAdd({ near: { name: 'eth0' }, far: { name: 'far0', netnsFd: fds.wire } })]);
  const [ifindex, far] = [netlink.linkIndex('eth0')!, wire.linkIndex('far0')!];
  wire.transact([linkUp(far)]);
  netlink.transact([linkUp(ifindex), addressAdd({ index: ifindex, address: NODE, length: 24 })]);
  netlink.transact([routeReplace({ gateway: ROUTER }), neighbourReplace({ index: ifindex, address: ROUTER, mac: ROUTER_MAC })]);
  run('nsenter', `--net=${netnsPath(name)}`, 'sh', '-c', 'sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0');
  const mac = netlink.links().find(({ index }) => index === ifindex)!.mac;

  const undo: (() => void)[] = [];
  const load = loadObject(object);
  if (turner === 'iptables') {
    feed(name, IPTABLES, 'iptables-legacy-restore');
  } else {
    const datapath = openSeine({ a: ifindex, b: ifindex, inside, close: () => {} });
    undo.push(datapath.close.bind(datapath));
    netlink.transact([
      clsactAdd(ifindex), filterReplace({ index: ifindex, direction: 'ingress', programFd: datapath.fd('stub_from_netdev'), name: 'seine_from_netdev' }),
      filterReplace({ index: ifindex, direction: 'egress', programFd: datapath.fd('stub_to_netdev'), name: 'seine_to_netdev' }),
    ]);
    const atInterface = (program: number): number => inside(() => linkCreate(program, ifindex, ATTACH.xdp, XDP_MODE_FLAG.generic));
    if (turner !== 'tc') undo.unshift(attachXdp(datapath, load, turner === 'xdp' ? undefined : atInterface));
  }
  const sink = inNetns(fds.wire, () => linkCreate(load.programFd('count_off'), far, ATTACH.xdp, XDP_MODE_FLAG.native));

  const [toSend, cameBack, counts] = ['to_send', 'came_back', 'counts'].map((map) => mapHandle(load.mapFd(map))) as [ReturnType<typeof mapHandle>, ReturnType<typeof mapHandle>, ReturnType<typeof mapHandle>];
  const u32 = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(value); return bytes; };
  const count = (which: Uint8Array): number => Number(Buffer.from(mapKernel.lookup(counts, which)!).readBigUInt64LE());
  const give = (frames: readonly Buffer[]): void => { frames.forEach((each, index) => { updateOne(toSend, u32(index), each); }); for (const which of [SENT, CAME_BACK]) updateOne(counts, which, Buffer.alloc(8)); };
  const send = (many: number): number => inside(() => injectFrames(load.programFd('receive'), { data: Buffer.alloc(FRAME), ifindex, count: many }));
  const taken = (): readonly Buffer[] => Array.from({ length: FLOWS }, (_, index) => Buffer.from(mapKernel.lookup(cameBack, u32(index))!));

  /* A figure counts only if the cell does what it says: each flow's datagram reaches the backend as the node's, and its answer the client as the node port's. */
  const asks = Array.from({ length: FLOWS }, (_, index): Flow => ({ source: CLIENT, destination: NODE, sourcePort: FIRST_PORT + index, destinationPort: NODE_PORT }));
  const through = (frames: readonly Buffer[], what: string, is: (flow: Flow, right: boolean) => boolean): readonly Flow[] => {
    give(frames);
    for (let sent = 0; sent < FLOWS; sent += FLOWS / 4) send(FLOWS / 4);
    const all = taken().map(told);
    const good = all.filter(({ flow, right }) => is(flow, right)).length;
    if (count(CAME_BACK) !== FLOWS || good !== FLOWS) throw new SeineError('SEINE_BENCH_INCOMPLETE', `${turner}: ${what}: ${count(CAME_BACK)} of ${FLOWS} came out, ${good} as expected`, { turner, example: all[0] });
    return all.map(({ flow }) => flow);
  };
  const requests = asks.map((flow) => frame(flow, mac));
  const isRequest = (flow: Flow, right: boolean): boolean => right && flow.source === NODE && flow.destination === BACKEND && flow.destinationPort === BACKEND_PORT;
  const sentOn = through(requests, 'requests', isRequest);
  const answers = sentOn.map((flow) => frame(reversed(flow), mac));
  const ports = new Set(asks.map(({ sourcePort }) => sourcePort));
  through(answers, 'answers', (flow, right) => right && flow.source === NODE && flow.sourcePort === NODE_PORT && flow.destination === CLIENT && ports.has(flow.destinationPort));
  through(requests, 'requests again', isRequest);

  return {
    turner,
    rate: (way, many) => {
      give(way === 'to the backend' ? requests : answers);
      const ns = send(many);
      const came = count(CAME_BACK);
      if (came < many * 0.99) throw new SeineError('SEINE_BENCH_INCOMPLETE', `${turner}, ${way}: ${came} of ${many} frames came out`, { turner, way, came });
      return came / (ns / 1e9);
    },
    down: () => {
      closeFd(sink);
      for (const each of undo) each();
      load.close();
      netlink.close();
      wire.close();
      for (const fd of Object.values(fds)) closeFd(fd);
      for (const each of [name, `${name}-w`]) deleteNetns(each);
    },
  };
};
