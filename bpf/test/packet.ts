/** Packets as a pod's veth carries them: Ethernet, IPv4 or IPv6, and what stands behind. Pure. */
import { formatAddress, parseAddress } from '@seine/model';

export const TCP = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;
export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmp6: 58, sctp: 132 } as const;

export interface Ends { readonly source: string; readonly destination: string }
export interface Flow extends Ends { readonly sourcePort: number; readonly destinationPort: number }
export interface IpOptions {
  readonly ttl?: number;
  readonly id?: number;
  /** In units of 8 bytes. */
  readonly fragmentOffset?: number;
  readonly moreFragments?: boolean;
  /** Bytes of options, a multiple of 4; of IPv6's destination options, of 8. */
  readonly options?: number;
}

const mac = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');
const bytes = (address: string): Buffer => {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`${address} is no address`);
  return Buffer.from(parsed);
};

export const internetChecksum = (data: Uint8Array): number => {
  let sum = 0;
  for (let index = 0; index < data.length; index += 2) sum += (data[index]! << 8) + (data[index + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

export const ethernet = (type: number, payload: Buffer, { to = '02:00:00:00:00:fe', from = '02:00:00:00:00:0a' } = {}): Buffer => {
  const header = Buffer.alloc(14);
  mac(to).copy(header, 0);
  mac(from).copy(header, 6);
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, payload]);
};

export const ipv4 = ({ source, destination }: Ends, protocol: number, payload: Buffer, ip: IpOptions = {}): Buffer => {
  const { ttl = 64, id = 7, fragmentOffset = 0, moreFragments = false, options = 0 } = ip;
  const header = Buffer.alloc(20 + options, 1);
  header.fill(0, 0, 20);
  header.writeUInt8(0x40 | header.length / 4, 0);
  header.writeUInt16BE(header.length + payload.length, 2);
  header.writeUInt16BE(id, 4);
  header.writeUInt16BE((moreFragments ? 0x2000 : 0) | fragmentOffset, 6);
  header.writeUInt8(ttl, 8);
  header.writeUInt8(protocol, 9);
  bytes(source).copy(header, 12, 12);
  bytes(destination).copy(header, 16, 12);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, payload]);
};

const DESTINATION_OPTIONS = 60;
const FRAGMENT = 44;

/** Options and fragments stand in headers of their own, in this order. */
export const ipv6 = ({ source, destination }: Ends, next: number, payload: Buffer, ip: IpOptions = {}): Buffer => {
  const { ttl = 64, id = 7, fragmentOffset = 0, moreFragments = false, options = 0 } = ip;
  const isFragment = moreFragments || fragmentOffset > 0;
  const fragment = Buffer.alloc(isFragment ? 8 : 0);
  if (isFragment) {
    fragment.writeUInt8(options > 0 ? DESTINATION_OPTIONS : next, 0);
    fragment.writeUInt16BE(fragmentOffset << 3 | (moreFragments ? 1 : 0), 2);
    fragment.writeUInt32BE(id, 4);
  }
  const padded = Buffer.alloc(options);
  if (options > 0) Buffer.from([next, options / 8 - 1, 1, options - 4]).copy(padded);
  const body = Buffer.concat([fragment, padded, payload]);
  const header = Buffer.alloc(40);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(body.length, 4);
  header.writeUInt8(isFragment ? FRAGMENT : options > 0 ? DESTINATION_OPTIONS : next, 6);
  header.writeUInt8(ttl, 7);
  bytes(source).copy(header, 8);
  bytes(destination).copy(header, 24);
  return Buffer.concat([header, body]);
};

export const isIpv6 = ({ source }: Ends): boolean => source.includes(':');
/** Of the family that the ends have. */
export const ip = (ends: Ends, protocol: number, payload: Buffer, options?: IpOptions): Buffer => (isIpv6(ends) ? ipv6 : ipv4)(ends, protocol, payload, options);

export const tcpSegment = ({ sourcePort, destinationPort }: Flow, flags: number, data = 0): Buffer => {
  const segment = Buffer.alloc(20 + data);
  segment.writeUInt16BE(sourcePort, 0);
  segment.writeUInt16BE(destinationPort, 2);
  segment.writeUInt8(0x50, 12);
  segment.writeUInt8(flags, 13);
  return segment;
};

export const udpDatagram = ({ sourcePort, destinationPort }: Flow, data = 8): Buffer => {
  const datagram = Buffer.alloc(8 + data);
  datagram.writeUInt16BE(sourcePort, 0);
  datagram.writeUInt16BE(destinationPort, 2);
  datagram.writeUInt16BE(datagram.length, 4);
  return datagram;
};

export const sctpChunk = ({ sourcePort, destinationPort }: Flow): Buffer => {
  const packet = Buffer.alloc(16);
  packet.writeUInt16BE(sourcePort, 0);
  packet.writeUInt16BE(destinationPort, 2);
  return packet;
};

export interface Icmp { readonly type: number; readonly code?: number; readonly id?: number; readonly inner?: Buffer }
export const icmpMessage = ({ type, code = 0, id = 0, inner = Buffer.alloc(8) }: Icmp): Buffer => {
  const header = Buffer.alloc(8);
  header.writeUInt8(type, 0);
  header.writeUInt8(code, 1);
  header.writeUInt16BE(id, 4);
  return Buffer.concat([header, inner]);
};

const IPV4 = 0x0800;
const IPV6 = 0x86dd;
/** In a frame, of the family that the ends have. */
export const frame = (ends: Ends, protocol: number, payload: Buffer, options?: IpOptions): Buffer => ethernet(isIpv6(ends) ? IPV6 : IPV4, ip(ends, protocol, payload, options));
export const tcp = (flow: Flow, flags: number, options?: IpOptions): Buffer => frame(flow, PROTOCOL.tcp, tcpSegment(flow, flags), options);
export const udp = (flow: Flow, options?: IpOptions): Buffer => frame(flow, PROTOCOL.udp, udpDatagram(flow), options);
export const sctp = (flow: Flow): Buffer => frame(flow, PROTOCOL.sctp, sctpChunk(flow));
export const icmp = (ends: Ends, message: Icmp, options?: IpOptions): Buffer => frame(ends, isIpv6(ends) ? PROTOCOL.icmp6 : PROTOCOL.icmp, icmpMessage(message), options);

/** What a frame says of its way: the TTL or hop limit. */
export const ttlOf = (packet: Buffer): number => packet[packet.readUInt16BE(12) === IPV6 ? 21 : 22]!;
/** IPv6 has no checksum of its own. */
export const headerIsRight = (packet: Buffer): boolean => packet.readUInt16BE(12) === IPV6 || internetChecksum(packet.subarray(14, 34)) === 0;

/** ICMPv6's sum is over both addresses, the length and the protocol too; 0: it is right. */
export const icmp6Checksum = (ends: Ends, message: Buffer): number => {
  const rest = Buffer.alloc(8);
  rest.writeUInt32BE(message.length, 0);
  rest.writeUInt32BE(PROTOCOL.icmp6, 4);
  return internetChecksum(Buffer.concat([bytes(ends.source), bytes(ends.destination), rest, message]));
};

export interface Neighbour { readonly type: 135 | 136; readonly mac: string; readonly source: string; readonly destination?: string; readonly asked: string; readonly option?: boolean; readonly hopLimit?: number }
/** Neighbour discovery: a solicitation (135), which names its sender's MAC, or an advertisement (136). */
export const neighbour = ({ type, mac: own, source, destination = 'ff02::1:ff00:1', asked, option = true, hopLimit = 255 }: Neighbour): Buffer => {
  const message = Buffer.concat([Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]), bytes(asked), ...(option ? [Buffer.from([1, 1]), mac(own)] : [])]);
  message.writeUInt16BE(icmp6Checksum({ source, destination }, message), 2);
  return ethernet(IPV6, ipv6({ source, destination }, PROTOCOL.icmp6, message, { ttl: hopLimit }), { to: '33:33:ff:00:00:01', from: own });
};

/** The transport's checksum as its sender computes it: over the pseudo header, too. */
export const checksummed = (packet: Buffer): Buffer => {
  const out = Buffer.from(packet);
  const v6 = out.readUInt16BE(12) === IPV6;
  const at = 14 + (v6 ? 40 : (out.readUInt8(14) & 15) * 4);
  const protocol = out.readUInt8(v6 ? 20 : 23);
  const offset = { [PROTOCOL.tcp]: 16, [PROTOCOL.udp]: 6, [PROTOCOL.icmp]: 2, [PROTOCOL.icmp6]: 2 }[protocol];
  if (offset === undefined) return out;
  const end = v6 ? 54 + out.readUInt16BE(18) : 14 + out.readUInt16BE(16);
  const pseudo = Buffer.alloc(4);
  pseudo.writeUInt8(protocol, 1);
  pseudo.writeUInt16BE(end - at, 2);
  out.writeUInt16BE(0, at + offset);
  const sum = internetChecksum(Buffer.concat([...(protocol === PROTOCOL.icmp ? [] : [v6 ? out.subarray(22, 54) : out.subarray(26, 34), pseudo]), out.subarray(at, end)]));
  out.writeUInt16BE(protocol === PROTOCOL.udp && sum === 0 ? 0xffff : sum, at + offset);
  return out;
};

/** As another node, or whoever likes to, says for which frontend a packet's client asked: written by hand, against RFC 791 and 8200. */
export const withFrontend = (packet: Buffer, frontend: string, port: number): Buffer => {
  const v6 = packet.readUInt16BE(12) === IPV6;
  const at = 14 + (v6 ? 40 : 20);
  const option = Buffer.alloc(v6 ? 24 : 8);
  const out = Buffer.concat([packet.subarray(0, at), option, packet.subarray(at)]);
  if (v6) {
    Buffer.from([packet.readUInt8(20), 2, 0x1b, 20]).copy(option);
    bytes(frontend).copy(option, 4);
    option.writeUInt16BE(port, 20);
    out.writeUInt8(DESTINATION_OPTIONS, 20);
    out.writeUInt16BE(packet.readUInt16BE(18) + option.length, 18);
  } else {
    Buffer.from([0x9a, 8]).copy(option);
    option.writeUInt16BE(port, 2);
    bytes(frontend).copy(option, 4, 12);
    out.writeUInt8(packet.readUInt8(14) + 2, 14);
    out.writeUInt16BE(packet.readUInt16BE(16) + option.length, 16);
  }
  option.copy(out, at);
  if (!v6) {
    out.writeUInt16BE(0, 24);
    out.writeUInt16BE(internetChecksum(out.subarray(14, 14 + (out.readUInt8(14) & 15) * 4)), 24);
  }
  return out;
};

/** Who a packet is from and to, and whether both its checksums are right. */
export const told = (packet: Buffer): { readonly flow: Flow; readonly flags: number; readonly right: boolean } => {
  const v6 = packet.readUInt16BE(12) === IPV6;
  const at = 14 + (v6 ? 40 : (packet.readUInt8(14) & 15) * 4);
  const address = (offset: number): string => (v6 ? formatAddress(packet.subarray(offset, offset + 16)) : packet.subarray(offset, offset + 4).join('.'));
  const protocol = packet.readUInt8(v6 ? 20 : 23);
  return {
    flow: { source: address(v6 ? 22 : 26), destination: address(v6 ? 38 : 30), sourcePort: packet.readUInt16BE(at), destinationPort: packet.readUInt16BE(at + 2) },
    flags: protocol === PROTOCOL.tcp ? packet.readUInt8(at + 13) : 0,
    right: (v6 || internetChecksum(packet.subarray(14, at)) === 0) && checksummed(packet).equals(packet),
  };
};

export const arp = ({ operation, senderMac, sender, asked }: { readonly operation: 1 | 2; readonly senderMac: string; readonly sender: string; readonly asked: string }): Buffer => {
  const body = Buffer.alloc(28);
  body.writeUInt16BE(1, 0);
  body.writeUInt16BE(IPV4, 2);
  body.writeUInt8(6, 4);
  body.writeUInt8(4, 5);
  body.writeUInt16BE(operation, 6);
  mac(senderMac).copy(body, 8);
  bytes(sender).copy(body, 14, 12);
  bytes(asked).copy(body, 24, 12);
  return ethernet(0x0806, body, { to: 'ff:ff:ff:ff:ff:ff', from: senderMac });
};

export const reversed = (flow: Flow): Flow => ({
  source: flow.destination, destination: flow.source, sourcePort: flow.destinationPort, destinationPort: flow.sourcePort,
});
