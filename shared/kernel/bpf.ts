/** bpf(2): maps, pins, programs, links, test runs. Attribute offsets are those of union bpf_attr in the kernel's uapi. */
import { read, readFileSync } from 'node:fs';

import { SeineError } from '@seine/model';

import { addressOf, closeFd, kernelError, syscall, syscallAsync, trySyscall } from './libc.ts';
import { inNetns } from './netns.ts';
import type { Entries, MapHandle, MapKernel, MapSpec } from './port.ts';

const CMD = {
  mapCreate: 0, lookup: 1, update: 2, delete: 3, nextKey: 4, objPin: 6, objGet: 7, testRun: 10, progNextId: 11,
  progFdById: 13, mapFdById: 14, info: 15, query: 16, lookupBatch: 24, updateBatch: 26, deleteBatch: 27,
  linkCreate: 28, linkUpdate: 29, iterCreate: 33, linkDetach: 34, mapNextId: 12, linkNextId: 31, linkFdById: 30,
} as const;

const MAP_TYPES = ['unspec', 'hash', 'array', 'prog_array', 'perf_event_array', 'percpu_hash', 'percpu_array', 'stack_trace', 'cgroup_array', 'lru_hash',
  'lru_percpu_hash', 'lpm_trie'];
const mapTypeName = (number: number): string => (number === 27 ? 'ringbuf' : MAP_TYPES[number] ?? String(number));

const ATTR_SIZE = 152;
const BATCH = 8192;
const EINTR = 4;
const ENOENT = 2;

class Attr {
  readonly bytes = Buffer.alloc(ATTR_SIZE);
  readonly #kept: Uint8Array[] = [];
  u32(offset: number, value: number): this { this.bytes.writeUInt32LE(value >>> 0, offset); return this; }
  /** The buffer stays referenced as long as this attribute. */
  pointer(offset: number, to: Uint8Array): this { this.#kept.push(to); this.bytes.writeBigUInt64LE(addressOf(to), offset); return this; }
}

const attr = (): Attr => new Attr();
const call = (command: number, what: string, { bytes }: Attr): number => syscall('bpf', what, command, addressOf(bytes), ATTR_SIZE);
const tryCall = (command: number, { bytes }: Attr): number => trySyscall('bpf', command, addressOf(bytes), ATTR_SIZE);

const cString = (bytes: Uint8Array, start: number, size: number): string => {
  const slice = Buffer.from(bytes.buffer, bytes.byteOffset + start, size);
  const end = slice.indexOf(0);
  return slice.toString('latin1', 0, end < 0 ? size : end);
};

const objectInfo = (fd: number, size: number): Buffer => {
  const info = Buffer.alloc(size);
  call(CMD.info, 'bpf object info', attr().u32(0, fd).u32(4, size).pointer(8, info));
  return info;
};

export const mapHandle = (fd: number): MapHandle => {
  const info = objectInfo(fd, 88);
  return {
    fd, type: mapTypeName(info.readUInt32LE(0)), id: info.readUInt32LE(4), keySize: info.readUInt32LE(8), valueSize: info.readUInt32LE(12),
    maxEntries: info.readUInt32LE(16), name: cString(info, 24, 16),
  };
};

export const programInfo = (fd: number): { readonly id: number; readonly name: string; readonly tag: string } => {
  const info = objectInfo(fd, 232);
  return { id: info.readUInt32LE(4), tag: info.subarray(8, 16).toString('hex'), name: cString(info, 64, 16) };
};

export const programFdById = (id: number): number => call(CMD.progFdById, `program ${id}`, attr().u32(0, id));
export const mapById = (id: number): MapHandle => mapHandle(call(CMD.mapFdById, `map ${id}`, attr().u32(0, id)));

const pathBytes = (path: string): Buffer => Buffer.from(`${path}\0`);
export const pin = (fd: number, path: string): void => { call(CMD.objPin, `pin ${path}`, attr().pointer(0, pathBytes(path)).u32(8, fd)); };
/** @returns undefined where nothing is pinned */
export const pinned = (path: string): number | undefined => {
  const fd = tryCall(CMD.objGet, attr().pointer(0, pathBytes(path)));
  if (fd === -ENOENT) return undefined;
  if (fd < 0) throw kernelError(`open pin ${path}`, -fd);
  return fd;
};

const createMap = ({ name, type, keySize, valueSize, maxEntries }: MapSpec): MapHandle => {
  const noPrealloc = type === 'lpm_trie' || type === 'hash' ? 1 : 0;
  const bytes = attr().u32(0, MAP_TYPES.indexOf(type)).u32(4, keySize).u32(8, valueSize).u32(12, maxEntries).u32(16, noPrealloc);
  bytes.bytes.write(name.slice(0, 15), 28, 'latin1');
  return mapHandle(call(CMD.mapCreate, `create map ${name}`, bytes));
};

export const updateOne = (map: MapHandle, key: Uint8Array, value: Uint8Array): void => {
  call(CMD.update, `update ${map.name}`, attr().u32(0, map.fd).pointer(8, key).pointer(16, value));
};

const deleteOne = (map: MapHandle, key: Uint8Array): void => {
  const result = tryCall(CMD.delete, attr().u32(0, map.fd).pointer(8, key));
  if (result < 0 && result !== -ENOENT) throw kernelError(`delete from ${map.name}`, -result);
};

let possibleCpus: number | undefined;
/** A per-CPU map answers with one value for each possible CPU, each padded to 8 bytes. */
const answerSize = ({ type, valueSize }: MapHandle): number => {
  if (!type.includes('percpu')) return valueSize;
  possibleCpus ??= Number(/(\d+)\s*$/.exec(readFileSync('/sys/devices/system/cpu/possible', 'utf8'))?.[1] ?? 0) + 1;
  return Math.ceil(valueSize / 8) * 8 * possibleCpus;
};

const lookup = (map: MapHandle, key: Uint8Array): Uint8Array | undefined => {
  const value = Buffer.alloc(answerSize(map));
  const result = tryCall(CMD.lookup, attr().u32(0, map.fd).pointer(8, key).pointer(16, value));
  if (result === -ENOENT) return undefined;
  if (result < 0) throw kernelError(`look up in ${map.name}`, -result);
  return value;
};

/** batch attribute: in_batch, out_batch, keys, values, count, map_fd, elem_flags, flags */
const batchAttr = (map: MapHandle, count: number): Attr => attr().u32(32, count).u32(36, map.fd);

const updateBatch = (map: MapHandle, { keys, values, count }: Entries): void => {
  for (let done = 0; done < count;) {
    const part = Math.min(BATCH, count - done);
    const bytes = batchAttr(map, part).pointer(16, keys.subarray(done * map.keySize)).pointer(24, values.subarray(done * map.valueSize));
    const result = tryCall(CMD.updateBatch, bytes);
    const written = bytes.bytes.readUInt32LE(32);
    if (result < 0 && result !== -EINTR) {
      const error = kernelError(`update ${map.name}, ${map.maxEntries} entries at most`, -result);
      throw new SeineError(error.code, error.message, { ...error.details, map: map.name, done: done + (written === part ? 0 : written) });
    }
    done += result < 0 ? written : part;
  }
};

const deleteBatch = (map: MapHandle, keys: Uint8Array, count: number): void => {
  for (let index = 0; index < count; index += 1) deleteOne(map, keys.subarray(index * map.keySize, (index + 1) * map.keySize));
};

const dumpByBatch = (map: MapHandle): Entries => {
  const valueSize = answerSize(map);
  const room = Math.max(64, Math.min(BATCH, map.maxEntries));
  let size = room;
  const token = Buffer.alloc(Math.max(4, map.keySize));
  const keys: Buffer[] = [];
  const values: Buffer[] = [];
  let count = 0;
  for (let first = true; ;) {
    const keyPart = Buffer.alloc(size * map.keySize);
    const valuePart = Buffer.alloc(size * valueSize);
    const next = Buffer.alloc(token.length);
    const bytes = batchAttr(map, size).pointer(8, next).pointer(16, keyPart).pointer(24, valuePart);
    if (!first) bytes.pointer(0, token);
    const result = tryCall(CMD.lookupBatch, bytes);
    if (result === -28 /* ENOSPC: a bucket holds more than the buffer */) { size *= 2; continue; }
    if (result < 0 && result !== -ENOENT) throw kernelError(`dump ${map.name}`, -result);
    const got = bytes.bytes.readUInt32LE(32);
    keys.push(keyPart.subarray(0, got * map.keySize));
    values.push(valuePart.subarray(0, got * valueSize));
    count += got;
    if (result === -ENOENT) return { keys: Buffer.concat(keys), values: Buffer.concat(values), count };
    next.copy(token);
    first = false;
  }
};

/** Tries without batch look-up: key by key; a key that is deleted under the walk starts it again, at most as often as the map is large. */
const dumpByKey = (map: MapHandle): Entries => {
  const found = new Map<string, readonly [Buffer, Uint8Array]>();
  let key: Buffer | undefined;
  for (let steps = 0; steps <= 4 * map.maxEntries; steps += 1) {
    const next = Buffer.alloc(map.keySize);
    const bytes = attr().u32(0, map.fd).pointer(16, next);
    if (key !== undefined) bytes.pointer(8, key);
    const result = tryCall(CMD.nextKey, bytes);
    if (result === -ENOENT) break;
    if (result < 0) throw kernelError(`walk ${map.name}`, -result);
    const value = lookup(map, next);
    const name = next.toString('latin1');
    if (value !== undefined) found.set(name, [next, value]);
    key = next;
  }
  const entries = [...found.values()];
  return { keys: Buffer.concat(entries.map(([k]) => k)), values: Buffer.concat(entries.map(([, v]) => v)), count: entries.length };
};

export const mapKernel: MapKernel = {
  createMap,
  updateBatch,
  deleteBatch,
  lookup,
  dump: (map) => (map.type === 'lpm_trie' ? dumpByKey(map) : dumpByBatch(map)),
  closeMap: (map) => { closeFd(map.fd); },
};

export interface TestRun {
  readonly data: Uint8Array;
  /** struct __sk_buff as input; the kernel accepts few of its members. */
  readonly ctx?: Uint8Array;
  readonly repeat?: number;
}

/** BPF_PROG_TEST_RUN. `durationNs` is the mean of one run. */
export const testRun = (programFd: number, { data, ctx, repeat = 1 }: TestRun): { readonly retval: number; readonly data: Buffer; /** As the program left it. */ readonly ctx: Buffer; readonly durationNs: number } => {
  const out = Buffer.alloc(data.length + 512);
  const ctxOut = Buffer.alloc(ctx?.length ?? 0);
  const bytes = attr().u32(0, programFd).u32(8, data.length).u32(12, out.length).pointer(16, data).pointer(24, out).u32(32, repeat);
  if (ctx !== undefined) bytes.u32(40, ctx.length).pointer(48, ctx).u32(44, ctxOut.length).pointer(56, ctxOut);
  call(CMD.testRun, 'test run', bytes);
  return { retval: bytes.bytes.readInt32LE(4), data: out.subarray(0, bytes.bytes.readUInt32LE(12)), ctx: ctxOut, durationNs: bytes.bytes.readUInt32LE(36) };
};

const LIVE_FRAMES = 1 << 1;
const LIVE_BATCH = 64;
/** Any signal of the process ends a run. */
const LIVE_TRIES = 100;

/** Runs an XDP program over live frames: what it passes enters the stack of the thread's namespace as if `ifindex` had received it. @returns nanoseconds for all of them */
export const injectFrames = (programFd: number, { data, ifindex, count }: { readonly data: Uint8Array; readonly ifindex: number; readonly count: number }): number => {
  const DATA_END = 4;
  const INGRESS_IFINDEX = 12;
  const context = Buffer.alloc(24);
  context.writeUInt32LE(data.length, DATA_END);
  context.writeUInt32LE(ifindex, INGRESS_IFINDEX);
  const bytes = attr().u32(0, programFd).u32(8, data.length).pointer(16, data).u32(32, count).u32(40, context.length).pointer(48, context).u32(64, LIVE_FRAMES).u32(72, LIVE_BATCH);
  for (let tries = 0; tries < LIVE_TRIES; tries += 1) {
    const started = process.hrtime.bigint();
    const result = tryCall(CMD.testRun, bytes);
    if (result >= 0) return Number(process.hrtime.bigint() - started);
    if (result !== -EINTR) throw kernelError('inject frames', -result);
  }
  throw kernelError('inject frames', EINTR);
};

/** Attach types of links and queries that Seine uses. */
export const ATTACH = {
  connect4: 10, connect6: 11, sendmsg4: 14, sendmsg6: 15, recvmsg4: 19, recvmsg6: 20, getpeername4: 29, getpeername6: 30, post_bind4: 12, post_bind6: 13, tcxIngress: 46, tcxEgress: 47, iter: 28, xdp: 37,
} as const;
export type AttachType = (typeof ATTACH)[keyof typeof ATTACH];

/** Before all others at a TCX hook. */
export const BPF_F_BEFORE = 1 << 3;

/** A link on a cgroup directory (its fd) or at a TCX hook (an interface's index), synchronous. */
export const linkCreate = (programFd: number, target: number, attachType: AttachType, flags = 0): number =>
  call(CMD.linkCreate, 'attach', attr().u32(0, programFd).u32(4, target).u32(8, attachType).u32(12, flags));

/** For calls that wait for RCU: on a pool thread, which lives in the process's own namespace. @returns the result or -errno */
const tryCallAsync = async (command: number, attribute: Attr): Promise<number> => {
  const result = await syscallAsync('bpf', command, addressOf(attribute.bytes), ATTR_SIZE);
  void attribute.bytes; // referenced until the kernel is done with it
  return result;
};

/** A TCX link before all others. @throws SEINE_KERNEL_EEXIST where the program stands at that hook already, at whatever place */
export const tcxLinkFirst = async (programFd: number, ifindex: number, attachType: AttachType): Promise<number> => {
  const result = await tryCallAsync(CMD.linkCreate, attr().u32(0, programFd).u32(4, ifindex).u32(8, attachType).u32(12, BPF_F_BEFORE));
  if (result < 0) throw kernelError('attach tcx', -result);
  return result;
};

export type XdpMode = 'native' | 'generic';
/** For `linkCreate`. */
export const XDP_MODE_FLAG = { generic: 1 << 1, native: 1 << 2 } as const;

/** An interface's one XDP link. @throws SEINE_KERNEL_EBUSY where a program stands already; what the driver says where it refuses */
export const xdpLink = async (programFd: number, ifindex: number, mode: XdpMode): Promise<number> => {
  const result = await tryCallAsync(CMD.linkCreate, attr().u32(0, programFd).u32(4, ifindex).u32(8, ATTACH.xdp).u32(12, XDP_MODE_FLAG[mode]));
  if (result < 0) throw kernelError(`attach ${mode} XDP`, -result);
  return result;
};

/** Takes a link's program off; the link itself stays, and does nothing any more. One that was taken off already is no error. */
export const linkDetach = async (linkFd: number): Promise<void> => {
  const result = await tryCallAsync(CMD.linkDetach, attr().u32(0, linkFd));
  if (result < 0) throw kernelError('detach', -result);
};

export const linkUpdate = (linkFd: number, programFd: number): void => { call(CMD.linkUpdate, 'replace program', attr().u32(0, linkFd).u32(4, programFd)); };

/** Program ids at a hook, in the order in which they run. @returns undefined where the kernel does not know the hook */
export const queryPrograms = (target: number, attachType: AttachType): readonly number[] | undefined => {
  const ids = Buffer.alloc(64 * 4);
  const bytes = attr().u32(0, target).u32(4, attachType).pointer(16, ids).u32(24, 64);
  const result = tryCall(CMD.query, bytes);
  if (result < 0) return undefined;
  return Array.from({ length: bytes.bytes.readUInt32LE(24) }, (_, index) => ids.readUInt32LE(4 * index));
};

const readPart = (fd: number): Promise<number> => new Promise((resolve, reject) => {
  read(fd, Buffer.alloc(4096), 0, 4096, null, (error, count) => {
    if (error === null) resolve(count);
    else reject(error);
  });
});

/** Reads an iterator to its end, which runs it, and closes it. @returns how many bytes its program wrote */
const finishIterator = async (iterator: number): Promise<number> => {
  try {
    for (let sum = 0; ;) {
      const count = await readPart(iterator);
      if (count === 0) return sum;
      sum += count;
    }
  } finally {
    closeFd(iterator);
  }
};

/** Runs a map element iterator over one map to its end. */
export const runMapIterator = async (programFd: number, map: MapHandle): Promise<void> => {
  const linkInfo = Buffer.alloc(4);
  linkInfo.writeUInt32LE(map.fd);
  const link = call(CMD.linkCreate, 'iterator', attr().u32(0, programFd).u32(8, ATTACH.iter).pointer(16, linkInfo).u32(24, 4));
  try {
    await finishIterator(call(CMD.iterCreate, 'iterator', attr().u32(0, link)));
  } finally {
    closeFd(link);
  }
};

/**
 * Runs a socket iterator over the sockets of one network namespace. An iterator is of the namespace in which it is made: that is done in a
 * window; what runs it is not bound to it.
 * @param netns another than the process's own
 * @returns how many bytes its program wrote
 */
export const runSocketIterator = async (programFd: number, netns?: number): Promise<number> => {
  const link = call(CMD.linkCreate, 'iterator', attr().u32(0, programFd).u32(8, ATTACH.iter));
  const make = (): number => call(CMD.iterCreate, 'iterator', attr().u32(0, link));
  try {
    return await finishIterator(netns === undefined ? make() : inNetns(netns, make));
  } finally {
    closeFd(link);
  }
};
