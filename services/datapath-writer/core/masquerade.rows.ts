/**
 * Where pods are known by their own addresses, while the rest of the world knows them by their node's. Pods of every node and nodes themselves are;
 * beyond them what ip-masq-agent's ConfigMap says, or nobody. Pure.
 */
import { MASQUERADE_KIND, MASQUERADE_SETTINGS, type IpMasqAgentData } from '@seine/events';
import { formatAddress, parsePrefix, prefixCovers, prefixFamily, type IpFamily, type Prefix } from '@seine/model';

import { ALL_OF, FAMILIES } from './cluster.ts';
import type { DesiredRow } from './desired.ts';
import type { NodeState } from './fold.ts';

/** Families in which pods speak to the world with their node's address. */
export const masqueradedFamilies = (state: Readonly<NodeState>): ReadonlySet<IpFamily> =>
  new Set(state.listed.has(MASQUERADE_KIND) ? FAMILIES.filter((family) => state.settings.get(MASQUERADE_SETTINGS[family]) === 'true') : []);

/** Of ip-masq-agent, for a ConfigMap without a list: private and shared address space, and what is reserved for special purposes (RFC 1918, 6598, 6890, 5737, 7526, 6815, 1112). */
const DEFAULT_RANGES = [
  '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '240.0.0.0/4',
];
const LINK_LOCAL = { 4: '169.254.0.0/16', 6: 'fe80::/10' } as const;

/** A prefix of the trie. Within one that is kept a longer one that is not may stand. */
export interface MasqueradeRange { readonly prefix: Prefix; readonly kept: boolean }

const kept = (text: string): readonly MasqueradeRange[] => { const prefix = parsePrefix(text); return prefix === undefined ? [] : [{ prefix, kept: true }]; };

export const podRanges = (cidrs: readonly string[]): readonly MasqueradeRange[] => cidrs.flatMap(kept);

/** IPv4's part of the space that both families share in the maps. */
const ALL_IPV4 = parsePrefix(ALL_OF[4])!; // a constant

/** @param agent undefined: there is no such ConfigMap */
export const agentRanges = (agent: IpMasqAgentData | undefined): readonly MasqueradeRange[] => {
  const texts = [...agent === undefined ? [] : agent.nonMasqueradeCIDRs ?? DEFAULT_RANGES, ...agent?.masqLinkLocal === true ? [] : [LINK_LOCAL[4]], ...agent?.masqLinkLocalIPv6 === true ? [] : [LINK_LOCAL[6]]];
  const ranges = texts.flatMap(kept);
  /* A prefix of IPv6 around the mapped addresses does not mean IPv4. */
  const isAround = ranges.some(({ prefix }) => prefixFamily(prefix) === 6 && prefixCovers(prefix, ALL_IPV4));
  return isAround && !texts.includes(ALL_OF[4]) ? [...ranges, { prefix: ALL_IPV4, kept: false }] : ranges;
};

export const masqueradeRow = ({ prefix: { length, address }, kept: isKept }: MasqueradeRange): DesiredRow =>
  ({ map: 'sn_nomasq_01', key: { prefixLength: length, address: formatAddress(address) }, value: { value: isKept ? 1 : 0 } });
