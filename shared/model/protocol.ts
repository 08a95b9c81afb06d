/** IANA protocol numbers that Seine judges by port (ICMP: by type and code). */
export const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58, SCTP: 132 } as const;
export type ProtocolName = keyof typeof PROTOCOL;
export type ProtocolNumber = (typeof PROTOCOL)[ProtocolName];

export const protocolName = (number: number): string =>
  Object.entries(PROTOCOL).find(([, value]) => value === number)?.[0] ?? String(number);
