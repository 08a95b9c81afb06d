/**
 * All pods of one node (or the external host), served by one process: sockets are opened inside each pod's namespace, after the process
 * entered the node's cgroup. The same process sends probes and counts what arrives, with packet sockets that see what no server hides.
 */
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from 'node:http';

import {
  closeFd, forbidFragments, inNetnsAt, listenOn, localPort, openArrivalSocket, openSocket, pathMtu, receiveFrom, receivePacket, sendOn, sendTo, socketError, startConnect, tcpState,
} from '@seine/kernel';
import { familyOf, formatAddress, PROTOCOL, SeineError } from '@seine/model';
import { serveUnix, type Handler } from '@seine/node';

import { ECHO_TYPE } from './core/index.ts';
import { ANSWERS_PATH, ask, pageOf, type Answers, type Asked } from './shell/page.ts';

interface OpenOrder { /** undefined: the process's own namespace */ readonly netns?: string; readonly addresses: readonly string[]; readonly name: string; readonly ports: readonly { readonly port: number; readonly protocol: string }[]; readonly asks?: readonly Asked[] }
interface SendOrder {
  /** undefined: the process's own namespace */
  readonly netns?: string; readonly source?: string; readonly foreign?: boolean; readonly destination: string; readonly port: number; readonly protocol: string;
  readonly icmp?: { readonly type: number; readonly code: number; readonly overMtu?: number };
  /** Of an echo: no other one of the lab has it. */
  readonly icmpId?: number;
  /** A request to send once the connection stands. */
  readonly http?: { readonly method: string; readonly path: string };
}
export interface Sent { readonly id: number; readonly source: string; readonly sourcePort: number; readonly error: string | null; /** of the IP packet; null where the stack chooses */ readonly bytes: number | null }
/** `status` is that of the HTTP answer, null as long as there is none. */
export interface Outcome { readonly connected: boolean | null; readonly refused: string | null; readonly replied: number; readonly status: number | null }

const POLL_MS = 2;
/** A datagram that is answered with the pod's name; every other one comes back as it is. */
const WHO = Buffer.from('who');
const V4_HEADER = 20;
const V6_HEADER = 40;
const HEADER_BYTES = { 4: V4_HEADER, 6: V6_HEADER } as const;
const ECHO_REPLY_TYPE = { 4: 0, 6: 129 } as const;

const within = <T>(netns: string | undefined, work: () => T): T => (netns === undefined ? work() : inNetnsAt(netns, work));

/* --- servers ----------------------------------------------------------------------------- */

interface PodServers { readonly http: HttpServer[]; readonly udp: number[] }
const pods = new Map<string, PodServers>();

/** Refused at once: the socket says so to whoever writes to it. */
const connectWithin = (netns: string | undefined) => (address: string, port: number): number => within(netns, () => {
  const fd = openSocket({ type: 'stream', family: familyOf(address) });
  startConnect(fd, address, port);
  return fd;
});

/** Who asks with a browser gets a page, everybody else a line. */
const answer = async ({ netns, name, asks = [] }: OpenOrder, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const { method, url = '/', socket } = request;
  response.setHeader('x-client', socket.remoteAddress ?? '');
  const page = pageOf(name, url, request.headers.accept ?? '');
  response.setHeader('content-type', page?.type ?? (url === ANSWERS_PATH ? 'application/json' : 'text/plain'));
  if (page !== undefined) { response.end(page.text); return; }
  if (url !== ANSWERS_PATH) { response.end(`${name} ${method} ${url}\n`); return; }
  const told = await Promise.all(asks.map((asked) => ask(asked, connectWithin(netns))));
  response.end(JSON.stringify({ client: `${socket.remoteAddress} ${socket.remotePort}`, server: name, told } satisfies Answers));
};

const open = (order: OpenOrder): readonly string[] => {
  const { netns, addresses, name, ports } = order;
  close(name);
  const servers: PodServers = { http: [], udp: [] };
  const skipped: string[] = [];
  for (const [address, { port, protocol }] of addresses.flatMap((each) => ports.map((item) => [each, item] as const))) {
    try {
      if (protocol === 'TCP') {
        const fd = within(netns, () => listenOn(address, port));
        const server = createServer((request, response) => { void answer(order, request, response); });
        server.keepAliveTimeout = 60_000;
        server.listen({ fd });
        servers.http.push(server);
      } else if (protocol === 'UDP') {
        servers.udp.push(within(netns, () => openSocket({ type: 'datagram', address, port })));
      } else {
        skipped.push(`${name}: no server for ${protocol} port ${port}`);
      }
    } catch (error) {
      skipped.push(`${name}: ${(error as Error).message}`);
    }
  }
  pods.set(name, servers);
  return skipped;
};

const close = (name: string): void => {
  const servers = pods.get(name);
  if (servers === undefined) return;
  for (const server of servers.http) { server.close(); server.closeAllConnections(); }
  for (const fd of servers.udp) closeFd(fd);
  pods.delete(name);
};

/* --- arrivals ---------------------------------------------------------------------------- */

const FAMILIES = [4, 6] as const;
/** Of each place a socket for each family. */
interface Watch { readonly sockets: readonly { readonly place: number; readonly fd: number }[]; readonly counts: Map<string, number> }
const watches = new Map<number, Watch>();
let nextWatch = 1;

const ADDRESS_BYTES = { 4: 4, 6: 16 } as const;
/** Where what counts stands in a header; IPv6's extensions are no part of what probes send. */
const headerOf = (packet: Buffer, family: 4 | 6): { readonly length: number; readonly protocol: number; readonly source: number } | undefined => {
  if (packet.length < HEADER_BYTES[family]) return undefined;
  return family === 4 ? { length: (packet[0]! & 0xf) * 4, protocol: packet[9]!, source: 12 } : { length: V6_HEADER, protocol: packet[6]!, source: 8 };
};

/** `6/10.244.1.2:40001>10.244.2.3`, ICMP: `58/fd00::2#17>fd00::3`: who sent it, and to whom after every translation. */
const arrivalKey = (packet: Buffer, family: 4 | 6): string | undefined => {
  const header = headerOf(packet, family);
  if (header === undefined) return undefined;
  const size = ADDRESS_BYTES[family];
  const [from, to] = [header.source, header.source + size].map((offset) => {
    const address = Buffer.alloc(16);
    if (family === 4) address.fill(0xff, 10, 12);
    packet.copy(address, 16 - size, offset, offset + size);
    return formatAddress(address);
  });
  const isIcmp = header.protocol === PROTOCOL.ICMP || header.protocol === PROTOCOL.ICMPV6;
  const at = header.length + (isIcmp ? 4 : 0);
  return packet.length < at + 2 ? undefined : `${header.protocol}/${from}${isIcmp ? '#' : ':'}${packet.readUInt16BE(at)}>${to}`;
};

const buffer = Buffer.alloc(65_536);
/** Counts by place: a packet that only passes through a node has not arrived there. */
const readWatch = ({ sockets, counts }: Watch): void => {
  for (const { place, fd } of sockets) {
    for (let received = receivePacket(fd, buffer); received !== undefined; received = receivePacket(fd, buffer)) {
      const arrival = received.outgoing || received.family === undefined ? undefined : arrivalKey(received.packet, received.family);
      if (arrival !== undefined) counts.set(`${place} ${arrival}`, (counts.get(`${place} ${arrival}`) ?? 0) + 1);
    }
  }
};

/* --- probes ------------------------------------------------------------------------------ */

interface Probe {
  readonly family: 4 | 6;
  readonly fd: number; readonly protocol: string; readonly sourcePort: number; readonly sentMs: number; readonly request: string | undefined;
  connected: boolean | null; refused: string | null; replied: number; asked: boolean; answer: string; status: number | null;
}
const probes = new Map<number, Probe>();
let nextProbe = 1;
const PROBE_LIFE_MS = 5_000;

const checksum = (bytes: Buffer): number => {
  let sum = 0;
  for (let offset = 0; offset + 1 < bytes.length; offset += 2) sum += bytes.readUInt16BE(offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

const SMALL_ICMP = 16;
const icmpPacket = ({ type, code, id, length = SMALL_ICMP }: { readonly type: number; readonly code: number; readonly id: number; readonly length?: number }): Buffer => {
  const packet = Buffer.alloc(length);
  packet.writeUInt8(type, 0);
  packet.writeUInt8(code, 1);
  packet.writeUInt16BE(id, 4);
  packet.writeUInt16BE(1, 6);
  packet.writeUInt16BE(checksum(packet), 2);
  return packet;
};

/** CRC32c, as SCTP's common header wants it. */
const crc32c = (bytes: Buffer): number => {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
};

const sctpInit = (sourcePort: number, port: number): Buffer => {
  const packet = Buffer.alloc(32);
  packet.writeUInt16BE(sourcePort, 0);
  packet.writeUInt16BE(port, 2);
  packet.writeUInt8(1, 12); // INIT
  packet.writeUInt16BE(20, 14);
  packet.writeUInt32BE(0x5e1e5e1e, 16);
  packet.writeUInt32BE(65_536, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  packet.writeUInt32BE(1, 28);
  packet.writeUInt32LE(crc32c(packet), 8);
  return packet;
};

const send = (order: SendOrder): Sent => {
  const { netns, source, foreign = false, destination, port, protocol } = order;
  const family = familyOf(destination);
  const bindTo = source === undefined ? { family } : { address: source, foreign };
  const request = order.http === undefined ? undefined : `${order.http.method} ${order.http.path} HTTP/1.1\r\nHost: ${destination}\r\nConnection: close\r\n\r\n`;
  const record = (fd: number, sourcePort: number, error: string | undefined, bytes: number | null = null): Sent => {
    const id = nextProbe++;
    probes.set(id, { family, fd, protocol, sourcePort, sentMs: Date.now(), request, connected: protocol === 'TCP' ? false : null, refused: error ?? null, replied: 0, asked: false, answer: '', status: null });
    return { id, source: source ?? '', sourcePort, error: error ?? null, bytes };
  };
  return within(netns, () => {
    switch (protocol) {
      case 'TCP': {
        const fd = openSocket({ type: 'stream', ...bindTo });
        const refused = startConnect(fd, destination, port);
        return record(fd, localPort(fd), refused);
      }
      case 'UDP': {
        const fd = openSocket({ type: 'datagram', ...bindTo });
        const failed = sendTo(fd, Buffer.from('seine'), destination, port);
        return record(fd, localPort(fd), failed);
      }
      case 'ICMP': {
        const id = order.icmpId ?? 0;
        const fd = openSocket({ type: 'raw', protocol: family === 4 ? PROTOCOL.ICMP : PROTOCOL.ICMPV6, ...bindTo }); // of ICMPv6 the kernel makes the checksum itself
        const { type = ECHO_TYPE[family], code = 0, overMtu } = order.icmp ?? {};
        if (overMtu !== undefined) forbidFragments(fd, family);
        const length = overMtu === undefined ? SMALL_ICMP : pathMtu(destination) + overMtu - HEADER_BYTES[family];
        const failed = sendTo(fd, icmpPacket({ type, code, id, length }), destination, 0);
        return record(fd, id, failed, length + HEADER_BYTES[family]);
      }
      case 'SCTP': {
        const ports = openSocket({ type: 'datagram', ...bindTo });
        sendTo(ports, Buffer.alloc(0), family === 4 ? '127.0.0.1' : '::1', 9);
        const sourcePort = localPort(ports);
        closeFd(ports);
        const fd = openSocket({ type: 'raw', protocol: PROTOCOL.SCTP, ...bindTo });
        const failed = sendTo(fd, sctpInit(sourcePort, port), destination, 0);
        return record(fd, sourcePort, failed);
      }
      default: throw new SeineError('SEINE_INPUT_INVALID', `protocol ${protocol}: expected TCP, UDP, SCTP or ICMP`);
    }
  });
};

const TCP_ESTABLISHED = 1;
const lookTcp = (probe: Probe): void => {
  if (probe.refused !== null || probe.status !== null) return;
  const failed = socketError(probe.fd);
  if (failed !== undefined) { probe.refused = failed; return; }
  if (probe.connected === false && tcpState(probe.fd) === TCP_ESTABLISHED) { probe.connected = true; probe.replied = 1; }
  if (probe.connected !== true || probe.request === undefined) return;
  if (!probe.asked) { probe.asked = true; probe.refused = sendOn(probe.fd, Buffer.from(probe.request)) ?? null; }
  const got = receiveFrom(probe.fd, buffer);
  if (got === undefined) return;
  probe.answer += got.data.toString('latin1');
  const status = /^HTTP\/1\.[01] (\d{3}) /.exec(probe.answer);
  if (status !== null) probe.status = Number(status[1]);
};

/** A raw socket hears everything that its host hears of ICMP: the answer to this very echo counts. */
const isAnswer = (packet: Buffer, family: 4 | 6, id: number): boolean => {
  const header = family === 4 ? (packet[0]! & 0xf) * 4 : 0; // of IPv6 a raw socket hears no header
  return packet.length >= header + 6 && packet[header] === ECHO_REPLY_TYPE[family] && packet.readUInt16BE(header + 4) === id;
};

const look = (probe: Probe): void => {
  if (probe.protocol === 'TCP') { lookTcp(probe); return; }
  for (let got = receiveFrom(probe.fd, buffer); got !== undefined; got = receiveFrom(probe.fd, buffer)) {
    if (probe.protocol !== 'ICMP' || isAnswer(got.data, probe.family, probe.sourcePort)) probe.replied += 1;
  }
};

setInterval(() => {
  for (const [name, { udp }] of pods) {
    for (const fd of udp) {
      for (let got = receiveFrom(fd, buffer); got !== undefined; got = receiveFrom(fd, buffer)) sendTo(fd, got.data.equals(WHO) ? Buffer.from(name) : got.data, got.address, got.port);
    }
  }
  for (const watch of watches.values()) readWatch(watch);
  for (const [id, probe] of probes) {
    look(probe);
    if (Date.now() - probe.sentMs > PROBE_LIFE_MS) { closeFd(probe.fd); probes.delete(id); }
  }
}, POLL_MS);

const handle: Handler = async (op, body) => {
  switch (op) {
    case 'ping': return {};
    case 'open': return open(body as OpenOrder);
    case 'close': close((body as { readonly name: string }).name); return {};
    case 'watch': {
      const { netns } = body as { readonly netns: readonly (string | null)[] };
      const id = nextWatch++;
      watches.set(id, { counts: new Map(), sockets: netns.flatMap((name, place) => within(name ?? undefined, () => FAMILIES.map((family) => ({ place, fd: openArrivalSocket(family) })))) });
      return { id };
    }
    case 'arrivals': {
      const watch = watches.get((body as { readonly id: number }).id);
      if (watch === undefined) return [];
      readWatch(watch);
      return [...watch.counts];
    }
    case 'unwatch': {
      const { id } = body as { readonly id: number };
      for (const { fd } of watches.get(id)?.sockets ?? []) closeFd(fd);
      watches.delete(id);
      return {};
    }
    case 'send': return send(body as SendOrder);
    case 'outcome': {
      const probe = probes.get((body as { readonly id: number }).id);
      if (probe !== undefined) look(probe);
      return { connected: probe?.connected ?? null, refused: probe?.refused ?? null, replied: probe?.replied ?? 0, status: probe?.status ?? null } satisfies Outcome;
    }
    case 'done': {
      const { id } = body as { readonly id: number };
      const probe = probes.get(id);
      if (probe !== undefined) { closeFd(probe.fd); probes.delete(id); }
      return {};
    }
    default: throw new SeineError('SEINE_QUERY_UNKNOWN', `${op}: no such order`);
  }
};

const path = process.env['SEINE_PODS_SOCKET'];
if (path === undefined) throw new SeineError('SEINE_CONFIG_INVALID', 'SEINE_PODS_SOCKET is not set: expected the path of this process\'s socket');
await serveUnix(path, handle);
process.on('SIGTERM', () => process.exit(0));
