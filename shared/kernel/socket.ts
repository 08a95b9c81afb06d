/** Sockets made inside a namespace window, as file descriptors: what node:net cannot open where it must be opened. IPv4. */
import { formatAddress, parseAddress, SeineError } from '@seine/model';

import { c, closeFd, ERRNO, lastErrno, must } from './libc.ts';

const AF_INET = 2;
const AF_PACKET = 17;
const SOCK = { stream: 1, datagram: 2, raw: 3 } as const;
const NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_NETNS_COOKIE = 71;
const SOL_IP = 0;
const IP_TRANSPARENT = 19;
const IP_FREEBIND = 15;

export const socketAddress = (address: string, port: number): Buffer => {
  const bytes = parseAddress(address);
  if (bytes === undefined || address.includes(':')) throw new SeineError('SEINE_ADDRESS_INVALID', `${address}: expected an IPv4 address`);
  const out = Buffer.alloc(16);
  out.writeUInt16LE(AF_INET, 0);
  out.writeUInt16BE(port, 2);
  out.set(bytes.subarray(12), 4);
  return out;
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
  /** Bind here; port 0 = any. */
  readonly address?: string;
  readonly port?: number;
  /** May be an address that the namespace does not have. */
  readonly foreign?: boolean;
}

/** Non-blocking. @throws with the errno's name; the descriptor never leaks */
export const openSocket = ({ type, protocol = 0, address, port = 0, foreign = false }: OpenSocket): number => {
  const fd = must('socket', c.socket(AF_INET, SOCK[type] | NONBLOCK_CLOEXEC, protocol) as number);
  try {
    c.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, 4);
    if (foreign) {
      c.setsockopt(fd, SOL_IP, IP_FREEBIND, one, 4);
      c.setsockopt(fd, SOL_IP, IP_TRANSPARENT, one, 4);
    }
    if (address !== undefined) must(`bind ${address}:${port}`, c.bind(fd, socketAddress(address, port), 16) as number);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
};

export const listenOn = (address: string, port: number): number => {
  const fd = openSocket({ type: 'stream', address, port });
  try {
    must(`listen ${address}:${port}`, c.listen(fd, 512) as number);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
};

/** Starts connecting. @returns undefined, or the errno's name of a refusal that came at once (a program at the socket layer: EPERM) */
export const startConnect = (fd: number, address: string, port: number): string | undefined => {
  const result = c.connect(fd, socketAddress(address, port), 16) as number;
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
  const address = Buffer.alloc(16);
  must('getsockname', c.getsockname(fd, address, Buffer.from([16, 0, 0, 0])) as number);
  return address.readUInt16BE(2);
};

/** @returns undefined, or the errno's name */
export const sendTo = (fd: number, data: Uint8Array, address: string, port: number): string | undefined => {
  const result = c.sendto(fd, data, data.length, 0, socketAddress(address, port), 16) as number | bigint;
  return Number(result) < 0 ? ERRNO[lastErrno()] ?? String(lastErrno()) : undefined;
};

export interface Received { readonly data: Buffer; readonly address: string; readonly port: number }

/** One datagram, or undefined when nothing is there. */
export const receiveFrom = (fd: number, buffer: Buffer): Received | undefined => {
  const from = Buffer.alloc(28);
  const length = Number(c.recvfrom(fd, buffer, buffer.length, 0, from, Buffer.from([28, 0, 0, 0])));
  if (length < 0) return undefined;
  const address = Buffer.alloc(16);
  address.fill(0xff, 10, 12);
  from.copy(address, 12, 4, 8);
  return { data: buffer.subarray(0, length), address: formatAddress(address), port: from.readUInt16BE(2) };
};

/** Sees every IPv4 packet of the namespace's interfaces, both ways, from the IP header on. */
export const openPacketSocket = (): number => {
  const ETH_P_IP_BE = 0x0008;
  return must('packet socket', c.socket(AF_PACKET, SOCK.datagram | NONBLOCK_CLOEXEC, ETH_P_IP_BE) as number);
};

/** One packet of a packet socket; `outgoing` packets are the namespace's own. */
export const receivePacket = (fd: number, buffer: Buffer): { readonly packet: Buffer; readonly outgoing: boolean } | undefined => {
  const from = Buffer.alloc(20);
  const length = Number(c.recvfrom(fd, buffer, buffer.length, 0, from, Buffer.from([20, 0, 0, 0])));
  if (length < 0) return undefined;
  return { packet: buffer.subarray(0, length), outgoing: from.readUInt8(10) === 4 };
};
