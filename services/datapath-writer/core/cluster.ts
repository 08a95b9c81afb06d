/** What a whole state says of the cluster. Pure. */
import { familyOf, parsePrefix, prefixCovers, RESERVED_IDENTITY, type IpFamily, type Prefix, type ReservedIdentityName } from '@seine/model';

import type { NodeState } from './fold.ts';

export const FAMILIES = [4, 6] as const satisfies readonly IpFamily[];
export const WORLD_LABEL = { 4: 'world-ipv4', 6: 'world-ipv6' } as const satisfies Record<IpFamily, ReservedIdentityName>;
/** Every address of a family. */
export const ALL_OF = { 4: '0.0.0.0/0', 6: '::/0' } as const satisfies Record<IpFamily, string>;

/** The families that the cluster uses: those of its pod ranges and of its nodes. */
export const clusterFamilies = (state: Readonly<NodeState>): readonly IpFamily[] => {
  const families = new Set<IpFamily>();
  for (const cidrs of state.podCidrs.values()) for (const cidr of cidrs) families.add(familyOf(cidr));
  for (const { addresses } of state.nodes.values()) for (const address of addresses) families.add(familyOf(address));
  return FAMILIES.filter((family) => families.has(family));
};

/** What is nobody's and in no prefix: one identity for each family where both are in use, else one for all (contracts.md 2.2). */
export const worldIdentity = (families: readonly IpFamily[], family: IpFamily): number => (families.length > 1 ? RESERVED_IDENTITY[WORLD_LABEL[family]] : RESERVED_IDENTITY.world);

export const API_SERVICE = 'default/kubernetes';

/** Where the API server answers: its Service's backends. */
export const apiServerAddresses = (state: Readonly<NodeState>): ReadonlySet<string> =>
  new Set([...state.slices.values()].filter(({ service }) => service === API_SERVICE).flatMap(({ backends }) => backends.map(({ address }) => address)));

/** Is this prefix wholly inside a range of pod addresses? There its addresses are pods or nobody, never the world. */
export const insidePodRange = (state: Readonly<NodeState>, prefix: Prefix): boolean =>
  [...state.podCidrs.values()].flat().some((cidr) => { const range = parsePrefix(cidr); return range !== undefined && prefixCovers(range, prefix); });
