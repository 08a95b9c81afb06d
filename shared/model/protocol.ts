/** IANA protocol numbers that Seine judges by port (ICMP: by type and code). */
export const PROTOCOL = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58, SCTP: 132 } as const;
export type ProtocolName = keyof typeof PROTOCOL;
export type ProtocolNumber = (typeof PROTOCOL)[ProtocolName];

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(PROTOCOL).map(([name, number]) => [number, name]));
export const protocolName = (number: number): string => NAMES.get(number) ?? String(number);
