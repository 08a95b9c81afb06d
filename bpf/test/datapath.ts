/**
 * The pod programs under BPF_PROG_TEST_RUN: fresh maps for each test, interfaces of a namespace of their own.
 * Rows are put as user space puts them: through the generated layouts, echo included.
 */
import { writeFileSync } from 'node:fs';

import {
  addressAdd, closeFd, createNetns, deleteNetns, inNetns, linkUp, loadObject, mapHandle, mapKernel, neighbourReplace, netnsPath, openFd, openNetlink, openRingBuffer, routeReplace, testRun, updateOne, vethAdd, type LoadedObject,
} from '@seine/kernel';
import {
  decode, decodeAll, Direction, echoOf, encode, MAPS, ProgramSlot, SAMPLE, SubjectFlag, Verdict, type KeyRow, type MapName, type Row, type ValueRow,
} from '@seine/layout';

import { FAMILIES } from './families.ts';

export const SHOT = 2;
export const OK = 0;
/** XDP's: on to tc; out of where it came in. */
export const XDP_PASS = 2;
export const XDP_TX = 3;
/** TC_ACT_REDIRECT: straight to a pod of this node, or out of an uplink. */
export const REDIRECT = 7;

export interface Pod { readonly address: string; readonly identity: number; readonly endpointId: number; readonly ifindex: number; readonly mac: string; readonly variant?: number }
export type Sample = Row<typeof SAMPLE>;
export interface Outcome { readonly verdict: number; readonly packet: Buffer; readonly mark: number; readonly samples: readonly Sample[] }
export interface PortRule {
  readonly protocol?: number;
  /** 0 with prefix length 0: the whole protocol. ICMP: type << 8 | code. */
  readonly port?: number;
  readonly prefixLength?: number;
  readonly verdict: number;
  readonly rule?: number;
}

const SLOT_MEMBER = 0x80000000;

/** Room enough for a test; the real sizes would only cost time. */
const SMALL = Object.fromEntries(Object.keys(MAPS).filter((name) => !['array', 'percpu_array', 'prog_array', 'ringbuf'].includes(MAPS[name as MapName].type))
  .map((name) => [name, 1024]));

export interface Interfaces { readonly a: number; readonly b: number; readonly inside: <T>(act: () => T) => T; readonly close: () => void }

export const ROUTER_MAC = '02:00:00:00:00:fe';
export const UPLINK_MTU = 1500;

/** Two host side veths in a namespace of their own, and an uplink with a default route to a router, in both families. */
export const openInterfaces = (): Interfaces & { readonly uplink: number; readonly uplinkMac: string; /** Of the namespace. */ readonly path: string } => {
  const name = `seine-bpf-${process.pid}`;
  createNetns(name);
  const fd = openFd(netnsPath(name));
  const inside = <T>(act: () => T): T => inNetns(fd, act);
  const netlink = inside(openNetlink);
  netlink.transact([vethAdd({ near: { name: 'a' }, far: { name: 'pa' } }), vethAdd({ near: { name: 'b' }, far: { name: 'pb' } }), vethAdd({ near: { name: 'u' }, far: { name: 'pu' } })]);
  const index = (link: string): number => {
    const found = netlink.linkIndex(link);
    if (found === undefined) throw new Error(`no link ${link}`);
    return found;
  };
  const interfaces = { a: index('a'), b: index('b'), uplink: index('u'), uplinkMac: netlink.links().find(({ name: link }) => link === 'u')!.mac };
  inside(() => { for (const name of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding']) writeFileSync(`/proc/sys/net/${name}`, '1'); });
  netlink.transact([
    linkUp(interfaces.a), linkUp(index('pa')), linkUp(interfaces.uplink), linkUp(index('pu')),
    ...FAMILIES.flatMap(({ node, router, uplink: { prefix, length } }) => [
      addressAdd({ index: interfaces.uplink, address: node, length }), routeReplace({ destination: prefix, length, index: interfaces.uplink }),
      neighbourReplace({ index: interfaces.uplink, address: router, mac: ROUTER_MAC }), routeReplace({ gateway: router }),
    ]),
  ]);
  netlink.close();
  return { ...interfaces, path: netnsPath(name), inside, close: () => { closeFd(fd); deleteNetns(name); } };
};

/** Where struct __sk_buff has them. */
const SKB = { mark: 8, ifindex: 40, size: 192 } as const;
const skbContext = (ifindex: number, mark = 0): Buffer => {
  const context = Buffer.alloc(SKB.size);
  context.writeUInt32LE(mark, SKB.mark);
  context.writeUInt32LE(ifindex, SKB.ifindex);
  return context;
};

/** Where struct xdp_md has them. */
const XDP = { dataEnd: 4, ingressIfindex: 12, size: 24 } as const;
const xdpContext = (length: number, ifindex: number): Buffer => {
  const context = Buffer.alloc(XDP.size);
  context.writeUInt32LE(length, XDP.dataEnd);
  context.writeUInt32LE(ifindex, XDP.ingressIfindex);
  return context;
};

export class Datapath {
  readonly #object;
  readonly #others = new Map<string, LoadedObject>();
  readonly #ring;
  readonly #interfaces: Interfaces;
  #epoch = 0;
  #nextRow = 0;
  #nextRevision = 0;

  /** @param options another object than the pods' programs; other sizes than those small ones */
  constructor(interfaces: Interfaces, { object = 'pod.o', maxEntries = {} }: { readonly object?: string; readonly maxEntries?: Readonly<Record<string, number>> } = {}) {
    this.#interfaces = interfaces;
    this.#object = loadObject(new URL(`../build/${object}`, import.meta.url).pathname, { maxEntries: { ...SMALL, ...maxEntries } });
    const samples = mapHandle(this.#object.mapFd('sn_samples_01'));
    this.#ring = openRingBuffer(samples.fd, samples.maxEntries);
    this.bumpEpoch();
  }

  /** Service translation, packet by packet: the programs of service.o on this object's maps, and every slot filled. */
  serve(): void {
    const service = loadObject(new URL('../build/service.o', import.meta.url).pathname, { reuse: this.maps() });
    this.#others.set('service.o', service);
    const own = { POD_TRANSLATED: 'pod_translated', NETDEV_TRANSLATED: 'netdev_translated', NETDEV_ANSWER: 'netdev_answer', NETDEV_AGAIN: 'netdev_again' } as const;
    const others = { SERVICE_POD: 'service_pod', SERVICE_NETDEV: 'service_netdev', ANSWER: 'answer', ANSWER_HERE: 'answer_here', SNAT: 'source_nat', ERROR_POD: 'error_pod', ERROR_NETDEV: 'error_netdev', ERROR_ON: 'error_on', ERROR_HERE: 'error_here', MASQUERADE: 'masquerade', UNREACHABLE: 'unreachable', THROUGH: 'through', DIRECT: 'direct', DIRECT_HERE: 'direct_here', TOO_LONG: 'too_long' } as const;
    for (const [slot, name] of Object.entries(own)) this.#slot(slot as keyof typeof own, this.fd(name)); // Object.entries widens
    for (const [slot, name] of Object.entries(others)) this.#slot(slot as keyof typeof others, service.programFd(name));
  }

  /** What stands at XDP, on this object's maps. The frame is for the interface's own MAC. */
  early(packet: Uint8Array, ifindex: number): { readonly verdict: number; readonly packet: Buffer } {
    const early = this.#others.get('xdp.o') ?? loadObject(new URL('../build/xdp.o', import.meta.url).pathname, { reuse: this.maps() });
    this.#others.set('xdp.o', early);
    const { retval, data } = this.#interfaces.inside(() => testRun(early.programFd('netdev_early'), { data: packet, ctx: xdpContext(packet.length, ifindex) }));
    return { verdict: retval, packet: data };
  }

  #slot(slot: keyof typeof ProgramSlot, fd: number): void {
    const { key, value } = MAPS.sn_progs_03;
    updateOne(this.map('sn_progs_03'), encode(key, { value: ProgramSlot[slot] }), encode(value, { value: fd }));
  }

  /** What the node translates sources to. */
  self(address: string, flags = 0): void {
    for (const value of [0, 1]) this.put('sn_self_01', { value }, { address: address.includes(':') === (value === 1) ? address : '::', flags });
  }

  close(): void {
    for (const other of this.#others.values()) other.close();
    this.#ring.close();
    this.#object.close();
  }

  readonly mapFd = (name: string): number => this.#object.mapFd(name);
  readonly fd = (program: string): number => this.#object.programFd(program);
  readonly map = (name: MapName) => mapHandle(this.#object.mapFd(name));

  put<M extends MapName>(name: M, key: KeyRow<M>, value: ValueRow<M>): void {
    const { key: keyLayout, value: valueLayout } = MAPS[name];
    mapKernel.updateBatch(this.map(name), { keys: encode(keyLayout, key as never), values: encode(valueLayout, value as never), count: 1 });
  }

  remove<M extends MapName>(name: M, key: KeyRow<M>): void {
    mapKernel.deleteBatch(this.map(name), encode(MAPS[name].key, key as never), 1);
  }

  rows<M extends MapName>(name: M): readonly { readonly key: KeyRow<M>; readonly value: ValueRow<M> }[] {
    const { key, value } = MAPS[name];
    const dump = mapKernel.dump(this.map(name));
    return Array.from({ length: dump.count }, (_, index) => ({
      key: decode(key, dump.keys, index * key.size) as KeyRow<M>, // the layouts are those of this very map
      value: decode(value, dump.values, index * value.size) as ValueRow<M>,
    }));
  }

  setEpoch(epoch: number): void {
    this.#epoch = epoch;
    this.put('sn_epoch_01', { value: 0 }, { value: epoch });
  }

  bumpEpoch(): void { this.setEpoch(this.#epoch + 1); }

  get epoch(): number { return this.#epoch; }

  endpoint(pod: Pod, echo = echoOf(MAPS.sn_endpoint_01.key, { address: pod.address })): void {
    const { address, identity, endpointId, ifindex, mac, variant = 0 } = pod;
    this.put('sn_endpoint_01', { address }, { identity, echo, ifindex, endpointId, variant, podMac: mac, hostMac: '02:5e:1e:00:00:01', flags: 1 });
  }

  /** Who is behind an address that is not on this node. */
  remote(address: string, identity: number, { inCluster = true, echo = echoOf(MAPS.sn_ipcache_01.key, { address }) } = {}): void {
    this.put('sn_ipcache_01', { address }, { identity, echo, tunnel: '::', variant: 0, flags: inCluster ? 1 : 0 });
  }

  prefix(address: string, prefixLength: number, identity: number, inCluster = false): void {
    this.put('sn_ipprefix_01', { prefixLength, address }, { identity, echo: 0, tunnel: '::', variant: 0, flags: inCluster ? 1 : 0 });
  }

  /** A row of its own for these rules; the root answers `otherwise`. @returns the row's number, shape on top */
  row(rules: readonly PortRule[], otherwise: number = Verdict.DEFAULT_DENY, { shape = rules.length === 0 ? 0 : 1 + (this.#nextRow % 200), lengths = undefined as number | undefined } = {}): number {
    this.#nextRow += 1;
    const row = shape * 2 ** 24 + this.#nextRow;
    const put = ({ protocol = 0, port = 0, prefixLength = protocol === 0 || port === 0 ? 0 : 16, verdict, rule = 0 }: PortRule): void => {
      this.put('sn_row_01', { row, protocol, prefixLength, port }, { verdict, proxyPort: 0, rule });
    };
    put({ verdict: otherwise });
    for (const rule of rules) put(rule);
    const bits = rules.reduce((all, { port = 0, prefixLength = port === 0 ? 0 : 16 }) => all | 2 ** prefixLength, 0);
    if (shape !== 0) this.put('sn_shape_01', { value: shape }, { value: lengths ?? bits });
    return row;
  }

  /** @param peers row by the peer's identity; others get `row` */
  subject({ identity, direction, row, peers = {}, flags = 0, variant = 0, echo, peerEcho }: {
    readonly identity: number; readonly direction: number; readonly row: number; readonly peers?: Readonly<Record<number, number>>; readonly flags?: number;
    readonly variant?: number; readonly echo?: number; readonly peerEcho?: number;
  }): number {
    this.#nextRevision += 1;
    const revision = this.#nextRevision;
    for (const [peer, peerRow] of Object.entries(peers)) this.peer({ revision, identity: Number(peer), classVariant: 0 }, peerRow, peerEcho);
    const key = { identity, variant, direction };
    this.put('sn_subject_01', key, { revision, echo: echo ?? echoOf(MAPS.sn_subject_01.key, key), defaultRow: row, flags: SubjectFlag.ENFORCED | flags });
    return revision;
  }

  peer(key: KeyRow<'sn_peer_01'>, row: number, echo = echoOf(MAPS.sn_peer_01.key, key)): void {
    this.put('sn_peer_01', key, { row, echo });
  }

  /** Everything is denied, one way. */
  closed(identity: number, direction: number, verdict: number = Verdict.DEFAULT_DENY): void { this.subject({ identity, direction, row: this.row([], verdict) }); }

  /** Nothing isolates it. */
  open(identity: number, direction: number): void {
    const key = { identity, variant: 0, direction };
    this.put('sn_subject_01', key, { revision: 0, echo: echoOf(MAPS.sn_subject_01.key, key), defaultRow: 0, flags: 0 });
  }

  openBoth(identity: number): void {
    this.open(identity, Direction.INGRESS);
    this.open(identity, Direction.EGRESS);
  }

  /** A frontend and the set of slots that it points to; backends are put by `backend`. */
  frontend({ address, port, protocol = 6, slots, ids, revnat = 1, scope = 0, flags = 0, affinity = 0, echo }: {
    readonly address: string; readonly port: number; readonly protocol?: number; readonly slots: number; readonly ids: readonly number[]; readonly revnat?: number;
    readonly scope?: number; readonly flags?: number; readonly affinity?: number; readonly echo?: number;
  }): void {
    const slot = (index: number, id: number): void => { this.put('sn_slot_02', { slots, slotsHigh: 0, index }, { value: id }); };
    ids.forEach((id, index) => { slot(index, id); });
    if (affinity > 0) for (const id of ids) slot(SLOT_MEMBER + id, id);
    const key = { address, port, protocol, scope };
    this.put('sn_frontend_02', key, { slots, slotsHigh: 0, echo: echo ?? echoOf(MAPS.sn_frontend_02.key, key), count: ids.length, revnat, affinity, flags });
  }

  backend(id: number, address: string, port: number, protocol = 6): void { this.put('sn_backend_01', { value: id }, { address, port, protocol }); }

  program(slot: keyof typeof ProgramSlot, name: string): void {
    this.#slot(slot, this.fd(name));
  }

  /** Packets may leave by this interface past the stack. */
  uplink(ifindex: number): void { this.put('sn_uplink_01', { value: ifindex }, { value: 1 }); }

  run(program: string, packet: Uint8Array, ifindex: number, mark = 0): Outcome {
    this.samples();
    const { retval, data, ctx } = this.#interfaces.inside(() => testRun(this.fd(program), { data: packet, ctx: skbContext(ifindex, mark) }));
    return { verdict: retval, packet: data, mark: ctx.readUInt32LE(SKB.mark), samples: this.samples() };
  }

  /** Mean nanoseconds of one run. */
  time(program: string, packet: Uint8Array, ifindex: number, repeat: number): number {
    return this.#interfaces.inside(() => testRun(this.fd(program), { data: packet, ctx: skbContext(ifindex), repeat })).durationNs;
  }

  samples(): readonly Sample[] {
    const found: Sample[] = [];
    this.#ring.drain((record) => { found.push(...decodeAll(SAMPLE, record, record.length / SAMPLE.size)); });
    return found;
  }

  /** Every map of this object, to share with another object. */
  maps(): ReadonlyMap<string, number> { return new Map(Object.keys(MAPS).map((name) => [name, this.mapFd(name)])); }

  echo<M extends MapName>(name: M, key: KeyRow<M>): number { return echoOf(MAPS[name].key, key as never); }

  /** Packets and bytes over all CPUs; reason 0 = forwarded. */
  count(direction: number, reason: number): { readonly packets: bigint; readonly bytes: bigint } {
    const metric = MAPS.sn_metrics_01.value;
    const values = mapKernel.lookup(this.map('sn_metrics_01'), encode(MAPS.sn_metrics_01.key, { value: direction << 8 | reason }));
    if (values === undefined) throw new Error('an array holds every index');
    const each = Array.from({ length: values.length / metric.size }, (_, cpu) => decode(metric, values, cpu * metric.size));
    return { packets: each.reduce((sum, { packets }) => sum + packets, 0n), bytes: each.reduce((sum, { bytes }) => sum + bytes, 0n) };
  }

  /** Flows counted for a frontend over all CPUs; undefined: it has no entry. */
  counted(revnat: number): number | undefined {
    const values = mapKernel.lookup(this.map('sn_flows_01'), encode(MAPS.sn_flows_01.key, { value: revnat }));
    return values === undefined ? undefined : decodeAll(MAPS.sn_flows_01.value, values, values.length / MAPS.sn_flows_01.value.size).reduce((sum, { value }) => sum + Number(value), 0);
  }

  /** Samples lost that no sample has told of yet, over all CPUs. */
  untold(): number {
    const values = mapKernel.lookup(this.map('sn_lost_01'), encode(MAPS.sn_lost_01.key, { value: 0 }))!; // an array holds every index
    const STRIDE = 8;
    return Array.from({ length: values.length / STRIDE }, (_, cpu) => decode(MAPS.sn_lost_01.value, values, cpu * STRIDE).value).reduce((sum, each) => sum + each, 0);
  }

  flows(): readonly { readonly key: KeyRow<'sn_cttcp_01'>; readonly value: ValueRow<'sn_cttcp_01'> }[] {
    return [...this.rows('sn_cttcp_01'), ...this.rows('sn_ctany_01')];
  }
}
