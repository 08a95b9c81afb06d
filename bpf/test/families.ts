/** What differs between the families, so that one suite runs in both. */
import { PROTOCOL } from './packet.ts';

export interface Family {
  readonly name: 'IPv4' | 'IPv6';
  /** Pods of this node, one of another, and an address of the pods that nobody has. */
  readonly web: string;
  readonly db: string;
  readonly remote: string;
  readonly nobody: string;
  /** This node, its router, somebody on the way, and the world with two prefixes around it. */
  readonly node: string;
  readonly router: string;
  readonly uplink: { readonly prefix: string; readonly length: number };
  readonly onTheWay: string;
  readonly world: string;
  readonly around: readonly { readonly address: string; readonly length: number }[];
  readonly service: string;
  readonly multicast: string;
  readonly icmp: {
    readonly protocol: number; readonly request: number; readonly reply: number; readonly otherQuery: number;
    readonly tooBig: { readonly type: number; readonly code: number }; readonly timeExceeded: { readonly type: number; readonly code: number };
  };
}

export const IPV4: Family = {
  name: 'IPv4', web: '10.244.1.10', db: '10.244.1.20', remote: '10.244.9.9', nobody: '10.244.1.99', node: '192.168.7.1', router: '192.168.7.2', uplink: { prefix: '192.168.7.0', length: 24 }, onTheWay: '192.0.2.1', world: '203.0.113.7',
  around: [{ address: '203.0.113.0', length: 96 + 24 }, { address: '203.0.112.0', length: 96 + 20 }], service: '10.96.0.10', multicast: '224.0.0.251',
  icmp: { protocol: PROTOCOL.icmp, request: 8, reply: 0, otherQuery: 13, tooBig: { type: 3, code: 4 }, timeExceeded: { type: 11, code: 0 } },
};
export const IPV6: Family = {
  name: 'IPv6', web: 'fd00:10:244:1::10', db: 'fd00:10:244:1::20', remote: 'fd00:10:244:9::9', nobody: 'fd00:10:244:1::99', node: 'fd00:7::1', router: 'fd00:7::2', uplink: { prefix: 'fd00:7::', length: 64 }, onTheWay: '2001:db8:ffff::1', world: '2001:db8:113::7',
  around: [{ address: '2001:db8:113::', length: 48 }, { address: '2001:db8::', length: 32 }], service: 'fd00:10:96::10', multicast: 'ff02::fb',
  icmp: { protocol: PROTOCOL.icmp6, request: 128, reply: 129, otherQuery: 139, tooBig: { type: 2, code: 0 }, timeExceeded: { type: 3, code: 0 } },
};
export const FAMILIES = [IPV4, IPV6] as const;
