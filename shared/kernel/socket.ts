/** Sockets made inside a namespace window, as file descriptors: what node:net cannot open where it must be opened. */
import { familyOf, formatAddress, isV4, parseAddress, SeineError, type IpFamily } from '@seine/model';

import { c, closeFd, ERRNO, lastErrno, must } from './libc.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const AF_PACKET = 17;
const SOCK = { stream: 1, datagram: 2, raw: 3 } as const;
const NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_NETNS_COOKIE = 71;
/** Socket options by which a socket may have an address that its namespace does not have: [level, option]. */
const FOREIGN_OPTIONS = { 4: [[0, 15], [0, 19]], 6: [[41, 78], [41, 75]] } as const satisfies Record<IpFamily, readonly (readonly [number, number])[]>;
/** [level, option]: the path's MTU of a connected socket; "don't fragment" on all that is sent. */
const MTU_OPTION = { 4: [0, 14], 6: [41, 24] } as const satisfies Record<IpFamily, readonly [number, number]>;
const MTU_DISCOVER_OPTION = { 4: [0, 10], 6: [41, 23] } as const satisfies Record<IpFamily, readonly [number, number]>;
const PMTU_ALWAYS = 2;

/** sockaddr_in or sockaddr_in6; a mapped address is IPv4's. */
export const socketAddress = (address: string, port: number): Buffer => {
  const bytes = parseAddress(address);
  if (bytes === undefined) throw new SeineError('SEINE_ADDRESS_INVALID', `${address}: expected an IP address`);
  const v4 = isV4(bytes);
  const out = Buffer.alloc(v4 ? 16 : 28);
  out.writeUInt16LE(v4 ? AF_INET : AF_INET6, 0);
  out.writeUInt16BE(port, 2);
  out.set(v4 ? bytes.subarray(12) : bytes, v4 ? 4 : 8);
  return out;
};

/** IPV6_V6ONLY, and its level */
const V6ONLY = [41, 26] as const;

const MOST_BYTES = 28;
const parseSocketAddress = (bytes: Buffer): { readonly address: string; readonly port: number } => {
  const address = Buffer.alloc(16);
  if (bytes.readUInt16LE(0) === AF_INET6) bytes.copy(address, 0, 8, 24);
  else { address.fill(0xff, 10, 12); bytes.copy(address, 12, 4, 8); }
  return { address: formatAddress(address), port: bytes.readUInt16BE(2) };
};

const one = Buffer.from([1, 0, 0, 0]);

/** Cookie of the namespace that the thread is in. */
export const netnsCookie = (): bigint => {
  const fd = must('socket', c.socket(AF_INET, SOCK.datagram | NONBLOCK_CLOEXEC, 0) as number);
  const value = Buffer.alloc(8);
  must('SO_NETNS_COOKIE', c.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, Buffer.from([8, 0, 0, 0])) as number);
  closeFd(fd);
  return value.readBigUInt64LE(0);
};

export interface OpenSocket {
  readonly type: keyof typeof SOCK;
  readonly protocol?: number;
  /** The address's, where one is given. */
  readonly family?: IpFamily;
  /** Bind here; port 0 = any. */
  readonly address?: string;
  readonly port?: number;
  /** May be an address that the namespace does not have. */
  readonly foreign?: boolean;
}

/** Non-blocking. @throws with the errno's name; the descriptor never leaks */
export const openSocket = ({ type, protocol = 0, address, family = address === undefined ? 4 : familyOf(address), port = 0, foreign = false }: OpenSocket): number => {
  const fd = must('socket', c.socket(family === 4 ? AF_INET : AF_INET6, SOCK[type] | NONBLOCK_CLOEXEC, protocol) as number);
  try {
    c.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, 4);
    if (family === 6) c.setsockopt(fd, ...V6ONLY, one, 4); // else it would take the port of IPv4 as well
    if (foreign) for (const [level, option] of FOREIGN_OPTIONS[family]) c.setsockopt(fd, level, option, one, 4);
    if (address !== undefined) {
      const name = socketAddress(address, port);
      must(`bind ${address} port ${port}`, c.bind(fd, name, name.length) as number);
    }
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
};

export const listenOn = (address: string, port: number): number => {
  const fd = openSocket({ type: 'stream', address, port });
  try {
    must(`listen ${address} port ${port}`, c.listen(fd, 512) as number);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
};

/** Starts connecting. @returns undefined, or the errno's name of a refusal that came at once (a program at the socket layer: EPERM) */
export const startConnect = (fd: number, address: string, port: number): string | undefined => {
  const name = socketAddress(address, port);
  const result = c.connect(fd, name, name.length) as number;
  if (result === 0) return undefined;
  const errno = ERRNO[lastErrno()] ?? String(lastErrno());
  return errno === 'EINPROGRESS' ? undefined : errno;
};

/** SO_ERROR: undefined while fine. */
export const socketError = (fd: number): string | undefined => {
  const value = Buffer.alloc(4);
  must('SO_ERROR', c.getsockopt(fd, SOL_SOCKET, SO_ERROR, value, Buffer.from([4, 0, 0, 0])) as number);
  const errno = value.readInt32LE(0);
  return errno === 0 ? undefined : ERRNO[errno] ?? String(errno);
};

/** TCP_INFO's state: 1 = established. */
export const tcpState = (fd: number): number => {
  const value = Buffer.alloc(104);
  c.getsockopt(fd, 6, 11, value, Buffer.from([104, 0, 0, 0]));
  return value.readUInt8(0);
};

export const localPort = (fd: number): number => {
  const name = Buffer.alloc(MOST_BYTES);
  must('getsockname', c.getsockname(fd, name, Buffer.from([MOST_BYTES, 0, 0, 0])) as number);
  return parseSocketAddress(name).port;
};

/** On a connected socket. @returns undefined, or the errno's name */
export const sendOn = (fd: number, data: Uint8Array): string | undefined => {
  const result = c.sendto(fd, data, data.length, 0, null, 0) as number | bigint;
  return Number(result) < 0 ? ERRNO[lastErrno()] ?? String(lastErrno()) : undefined;
};

/** What the socket sends is never cut: "don't fragment" is set, and more than the path takes in one piece is EMSGSIZE. */
export const forbidFragments = (fd: number, family: IpFamily): void => {
  must('MTU_DISCOVER', c.setsockopt(fd, ...MTU_DISCOVER_OPTION[family], Buffer.from([PMTU_ALWAYS, 0, 0, 0]), 4) as number);
};

/** What the route to a destination takes in one piece, IP header included, in bytes: of the namespace that the thread is in. */
export const pathMtu = (destination: string): number => {
  const fd = openSocket({ type: 'datagram', family: familyOf(destination) });
  try {
    const name = socketAddress(destination, 9);
    must(`route to ${destination}`, c.connect(fd, name, name.length) as number);
    const value = Buffer.alloc(4);
    must('MTU', c.getsockopt(fd, ...MTU_OPTION[familyOf(destination)], value, Buffer.from([4, 0, 0, 0])) as number);
    return value.readInt32LE(0);
  } finally {
    closeFd(fd);
  }
};

/** @returns undefined, or the errno's name */
export const sendTo = (fd: number, data: Uint8Array, address: string, port: number): string | undefined => {
  const name = socketAddress(address, port);
  const result = c.sendto(fd, data, data.length, 0, name, name.length) as number | bigint;
  return Number(result) < 0 ? ERRNO[lastErrno()] ?? String(lastErrno()) : undefined;
};

export interface Received { readonly data: Buffer; readonly address: string; readonly port: number }

/** One datagram, or undefined when nothing is there. A raw socket's has its header with IPv4, and none with IPv6. */
export const receiveFrom = (fd: number, buffer: Buffer): Received | undefined => {
  const from = Buffer.alloc(MOST_BYTES);
  const length = Number(c.recvfrom(fd, buffer, buffer.length, 0, from, Buffer.from([MOST_BYTES, 0, 0, 0])));
  return length < 0 ? undefined : { data: buffer.subarray(0, length), ...parseSocketAddress(from) };
};

const ETH_P_ALL_BE = 0x0300;
const FAMILY_OF_ETHERTYPE: ReadonlyMap<number, IpFamily> = new Map([[0x0800, 4], [0x86dd, 6]]);
const PACKET_OUTGOING = 4;

/** Sees every packet of the namespace's interfaces, both ways, from the network header on. */
export const openPacketSocket = (): number => must('packet socket', c.socket(AF_PACKET, SOCK.datagram | NONBLOCK_CLOEXEC, ETH_P_ALL_BE) as number);

const ETHERTYPE_BE = { 4: 0x0008, 6: 0xdd86 } as const satisfies Record<IpFamily, number>;
/** Sees what the namespace's interfaces take in of one family, after the programs at tc let it pass; the other socket sees it before they drop it. */
export const openArrivalSocket = (family: IpFamily): number => must('packet socket', c.socket(AF_PACKET, SOCK.datagram | NONBLOCK_CLOEXEC, ETHERTYPE_BE[family]) as number);

/** `family` undefined: neither IPv4 nor IPv6. `outgoing` packets are those that an interface sends. */
export interface SeenPacket { readonly packet: Buffer; readonly family: IpFamily | undefined; readonly outgoing: boolean }

/** One packet of a packet socket, or undefined when nothing is there. */
export const receivePacket = (fd: number, buffer: Buffer): SeenPacket | undefined => {
  const from = Buffer.alloc(20);
  const length = Number(c.recvfrom(fd, buffer, buffer.length, 0, from, Buffer.from([20, 0, 0, 0])));
  if (length < 0) return undefined;
  return { packet: buffer.subarray(0, length), family: FAMILY_OF_ETHERTYPE.get(from.readUInt16BE(2)), outgoing: from.readUInt8(10) === PACKET_OUTGOING };
};
