/** Packets as a pod's veth carries them: Ethernet, IPv4 or IPv6, and what stands behind. Pure. */
import { parseAddress } from '@seine/model';

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
  /** Bytes of options, a multiple of 4. */
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

export const ipv6 = ({ source, destination }: Ends, next: number, payload: Buffer, hopLimit = 64): Buffer => {
  const header = Buffer.alloc(40);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(payload.length, 4);
  header.writeUInt8(next, 6);
  header.writeUInt8(hopLimit, 7);
  bytes(source).copy(header, 8);
  bytes(destination).copy(header, 24);
  return Buffer.concat([header, payload]);
};

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
export const tcp = (flow: Flow, flags: number, ip: IpOptions = {}): Buffer => ethernet(IPV4, ipv4(flow, PROTOCOL.tcp, tcpSegment(flow, flags), ip));
export const udp = (flow: Flow, ip: IpOptions = {}): Buffer => ethernet(IPV4, ipv4(flow, PROTOCOL.udp, udpDatagram(flow), ip));
export const sctp = (flow: Flow): Buffer => ethernet(IPV4, ipv4(flow, PROTOCOL.sctp, sctpChunk(flow)));
export const icmp = (ends: Ends, message: Icmp, ip: IpOptions = {}): Buffer => ethernet(IPV4, ipv4(ends, PROTOCOL.icmp, icmpMessage(message), ip));
export const tcp6 = (flow: Flow, flags: number): Buffer => ethernet(0x86dd, ipv6(flow, PROTOCOL.tcp, tcpSegment(flow, flags)));

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
