/** Programs, maps and links of this node: loaded once, pinned, found again after a restart. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import {
  ATTACH, closeFd, ensureBpffs, linkCreate, linkUpdate, loadObject, mapHandle, mapKernel, netnsCookie, openFd, pin, pinned, programInfo, updateOne, type AttachType, type LoadedObject, type MapHandle, type TcDirection,
} from '@seine/kernel';
import { decode, encode, MAPS, ProgramSlot, type MapName } from '@seine/layout';
import { SeineError } from '@seine/model';

const NAMES = Object.keys(MAPS) as MapName[]; // Object.keys widens; MAPS is closed
const OBJECTS = ['pod.o', 'service.o', 'xdp.o', 'socket.o', 'gc.o', 'destroy.o'] as const;
const STUBS = { pod: { ingress: 'stub_from_pod', egress: 'stub_to_pod' }, uplink: { ingress: 'stub_from_netdev', egress: 'stub_to_netdev' } } as const;
const TC_STUBS = Object.values(STUBS).flatMap(({ ingress, egress }) => [ingress, egress]);
/** At XDP: of another kind than all others, so behind an array of its own. */
const EARLY_STUB = 'stub_netdev_early';
const EARLY_SLOTS = { netdev_early: 0 } as const;
const SERVICE_SLOTS = {
  service_pod: ProgramSlot.SERVICE_POD, service_netdev: ProgramSlot.SERVICE_NETDEV, answer: ProgramSlot.ANSWER, answer_here: ProgramSlot.ANSWER_HERE, source_nat: ProgramSlot.SNAT,
  error_pod: ProgramSlot.ERROR_POD, error_netdev: ProgramSlot.ERROR_NETDEV, error_on: ProgramSlot.ERROR_ON, error_here: ProgramSlot.ERROR_HERE,
  masquerade: ProgramSlot.MASQUERADE, unreachable: ProgramSlot.UNREACHABLE, through: ProgramSlot.THROUGH, direct: ProgramSlot.DIRECT, direct_here: ProgramSlot.DIRECT_HERE, too_long: ProgramSlot.TOO_LONG,
} as const;
const POD_SLOTS = {
  pod_translated: ProgramSlot.POD_TRANSLATED, netdev_translated: ProgramSlot.NETDEV_TRANSLATED, netdev_answer: ProgramSlot.NETDEV_ANSWER, netdev_again: ProgramSlot.NETDEV_AGAIN,
  from_pod: ProgramSlot.FROM_POD, to_pod: ProgramSlot.TO_POD, from_netdev: ProgramSlot.FROM_NETDEV, to_netdev: ProgramSlot.TO_NETDEV,
} as const;
/** In the order in which they are put: whom the others call before them. */
const SLOTS = { ...SERVICE_SLOTS, ...POD_SLOTS } as const;
/** Translations after flows: those whose flow was just collected go the same time. */
const COLLECTORS = { collect_tcp: 'sn_cttcp_01', collect_any: 'sn_ctany_01', collect_nat: 'sn_nat_01' } as const;
/** Not on every kernel: what it does is left undone there, and said. */
const DESTROYER = 'destroy_udp';
const SOCKET_HOOKS = ['connect4', 'connect6', 'sendmsg4', 'sendmsg6', 'recvmsg4', 'recvmsg6', 'getpeername4', 'getpeername6', 'post_bind4', 'post_bind6'] as const;

/** What stands behind an interface: one pod, or other nodes and the world. */
export type Place = keyof typeof STUBS;

export interface ObjectPaths {
  readonly pinRoot: string;
  readonly bpfDir: string;
  readonly cgroup: string;
  /** Entries of each conntrack table. */
  readonly ctSize: number;
}

export interface NodeObjects {
  readonly build: string;
  readonly map: (name: MapName) => MapHandle;
  readonly stub: (place: Place, direction: TcDirection) => { readonly fd: number; readonly id: number };
  /** Runs over the sockets of a namespace and destroys those of UDP whose backend is gone; or why the kernel does not take it, as before 6.5. */
  readonly destroyer: { readonly fd: number } | { readonly refused: string };
  readonly collectors: readonly { readonly fd: number; readonly map: MapHandle }[];
  /** At an uplink's XDP. */
  readonly earlyStub: { readonly fd: number; readonly id: number };
  /** Program ids that should stand in the prog arrays and at the socket hooks. */
  readonly slots: readonly { readonly array: 'sn_progs_03' | 'sn_xdp_01'; readonly slot: number; readonly name: string; readonly id: number; readonly fd: number }[];
  readonly socketPrograms: readonly { readonly hook: string; readonly attachType: AttachType; readonly id: number }[];
  /** Puts back what is not where it should be. @returns what was put back */
  readonly repair: () => readonly string[];
  readonly cgroupFd: number;
}

const digestOf = (bpfDir: string): string => {
  const hash = createHash('sha256');
  for (const name of OBJECTS) hash.update(readFileSync(join(bpfDir, name)));
  return hash.digest('hex');
};

/** A pinned map must have this build's layout: all differences at once. */
const checkLayout = (map: MapHandle, name: MapName): void => {
  const want = MAPS[name];
  const differences = [
    ...(want.key.size === map.keySize ? [] : [`key size ${map.keySize} → ${want.key.size}`]),
    ...(want.value.size === map.valueSize || want.type === 'ringbuf' ? [] : [`value size ${map.valueSize} → ${want.value.size}`]),
    ...(want.type === map.type ? [] : [`type ${map.type} → ${want.type}`]),
  ];
  if (differences.length > 0) throw new SeineError('SEINE_LAYOUT_MISMATCH', `${name} on this node: ${differences.join(', ')}; drain the node or bump the map's number`, { map: name, differences });
};

/** Opens what is pinned; loads and pins what is not. A build that is already in place loads nothing. */
export const openObjects = ({ pinRoot, bpfDir, cgroup, ctSize }: ObjectPaths): NodeObjects => {
  for (const name of OBJECTS) if (!existsSync(join(bpfDir, name))) throw new SeineError('SEINE_OBJECT_REFUSED', `${join(bpfDir, name)} is not there: run make -C bpf`, { name });
  ensureBpffs();
  mkdirSync(pinRoot, { recursive: true, mode: 0o700 });
  const build = digestOf(bpfDir);
  const path = (name: string): string => join(pinRoot, name);
  const maps = new Map<MapName, MapHandle>();
  const reuse = new Map<string, number>();
  const fresh = new Set<MapName>();
  for (const name of NAMES) {
    const fd = pinned(path(name));
    if (fd === undefined) { fresh.add(name); continue; }
    const map = mapHandle(fd);
    checkLayout(map, name);
    maps.set(name, map);
    reuse.set(name, fd);
  }
  const state = maps.get('sn_state_01');
  const zero = new Uint8Array(4);
  const loaded = state === undefined ? undefined : mapKernel.lookup(state, zero);
  const inPlace = fresh.size === 0 && loaded !== undefined && decode(MAPS.sn_state_01.value, loaded).digest === build;

  const programFds = new Map<string, number>();
  const keep = (name: string, fd: number): void => {
    rmSync(path(`prog_${name}`), { force: true });
    pin(fd, path(`prog_${name}`));
    programFds.set(name, pinned(path(`prog_${name}`))!);
  };
  const names = [...TC_STUBS, EARLY_STUB, ...Object.keys(SLOTS), ...Object.keys(EARLY_SLOTS), ...Object.keys(COLLECTORS), ...SOCKET_HOOKS];
  const open = (file: string): LoadedObject => loadObject(join(bpfDir, file), { reuse, maxEntries: { sn_cttcp_01: ctSize, sn_ctany_01: ctSize } });
  if (inPlace) for (const name of [...names, DESTROYER]) { const fd = pinned(path(`prog_${name}`)); if (fd !== undefined) programFds.set(name, fd); }

  if (names.some((name) => !programFds.has(name))) {
    const pod = open('pod.o');
    for (const name of fresh) {
      pin(pod.mapFd(name), path(name));
      const fd = pinned(path(name))!;
      maps.set(name, mapHandle(fd));
      reuse.set(name, fd);
    }
    /* The stubs stay the attached ones where they are: an upgrade is a write to the prog array. */
    const keepStub = (stub: string, { programFd }: LoadedObject): void => {
      const fd = pinned(path(`prog_${stub}`));
      if (fd === undefined) keep(stub, programFd(stub));
      else programFds.set(stub, fd);
    };
    for (const stub of TC_STUBS) keepStub(stub, pod);
    for (const name of Object.keys(POD_SLOTS)) keep(name, pod.programFd(name));
    pod.close();
    const service = open('service.o');
    for (const name of Object.keys(SERVICE_SLOTS)) keep(name, service.programFd(name));
    service.close();
    const early = open('xdp.o');
    keepStub(EARLY_STUB, early);
    for (const name of Object.keys(EARLY_SLOTS)) keep(name, early.programFd(name));
    early.close();
    const socket = open('socket.o');
    for (const name of SOCKET_HOOKS) keep(name, socket.programFd(name));
    socket.close();
    const collector = open('gc.o');
    for (const name of Object.keys(COLLECTORS)) keep(name, collector.programFd(name));
    collector.close();
  }
  const openDestroyer = (): NodeObjects['destroyer'] => {
    const known = programFds.get(DESTROYER);
    if (known !== undefined) return { fd: known };
    rmSync(path(`prog_${DESTROYER}`), { force: true });
    try {
      const destroy = open('destroy.o');
      keep(DESTROYER, destroy.programFd(DESTROYER));
      destroy.close();
      return { fd: programFds.get(DESTROYER)! };
    } catch (error) {
      if (error instanceof SeineError && error.code === 'SEINE_OBJECT_REFUSED') return { refused: error.message };
      throw error;
    }
  };
  const destroyer = openDestroyer();

  const map = (name: MapName): MapHandle => maps.get(name)!;
  const fdOf = (name: string): number => programFds.get(name)!;
  const idOf = (name: string): number => programInfo(fdOf(name)).id;
  const cgroupFd = openFd(cgroup);
  const slotsOf = (array: NodeObjects['slots'][number]['array'], all: Readonly<Record<string, number>>) => Object.entries(all).map(([name, slot]) => ({ array, slot, name, id: idOf(name), fd: fdOf(name) }));
  const slots = [...slotsOf('sn_progs_03', SLOTS), ...slotsOf('sn_xdp_01', EARLY_SLOTS)];
  const socketPrograms = SOCKET_HOOKS.map((hook) => ({ hook, attachType: ATTACH[hook], id: idOf(hook) }));

  const attachSocket = (hook: (typeof SOCKET_HOOKS)[number]): void => {
    const link = pinned(path(`link_${hook}`));
    if (link !== undefined) { linkUpdate(link, fdOf(hook)); closeFd(link); return; }
    const made = linkCreate(fdOf(hook), cgroupFd, ATTACH[hook]);
    pin(made, path(`link_${hook}`));
    closeFd(made);
  };
  const repair = (): readonly string[] => {
    const put: string[] = [];
    for (const { array, slot, name, id, fd } of slots) {
      const key = encode(MAPS[array].key, { value: slot });
      const found = mapKernel.lookup(map(array), key);
      if (found !== undefined && new DataView(found.buffer, found.byteOffset).getUint32(0, true) === id) continue;
      updateOne(map(array), key, encode(MAPS[array].value, { value: fd }));
      put.push(`program ${name}`);
    }
    return put;
  };

  const epoch = mapKernel.lookup(map('sn_epoch_01'), zero);
  if (epoch === undefined || decode(MAPS.sn_epoch_01.value, epoch).value === 0) updateOne(map('sn_epoch_01'), zero, encode(MAPS.sn_epoch_01.value, { value: 1 }));
  repair();
  if (!inPlace || SOCKET_HOOKS.some((hook) => !existsSync(path(`link_${hook}`)))) for (const hook of SOCKET_HOOKS) attachSocket(hook);
  updateOne(map('sn_netns_01'), zero, encode(MAPS.sn_netns_01.value, { value: netnsCookie() }));
  const before = mapKernel.lookup(map('sn_state_01'), zero);
  const position = before === undefined ? { applying: 0n, applied: 0n } : decode(MAPS.sn_state_01.value, before);
  updateOne(map('sn_state_01'), zero, encode(MAPS.sn_state_01.value, { applying: position.applying, applied: position.applied, digest: build }));

  return {
    build, map, slots, destroyer, socketPrograms, repair, cgroupFd,
    earlyStub: { fd: fdOf(EARLY_STUB), id: idOf(EARLY_STUB) },
    stub: (place, direction) => ({ fd: fdOf(STUBS[place][direction]), id: idOf(STUBS[place][direction]) }),
    collectors: Object.entries(COLLECTORS).map(([name, table]) => ({ fd: fdOf(name), map: map(table) })),
  };
};
