import type { Branded } from './brand.ts';

/** Cluster-wide security identity, 256..65535; below 256 reserved. Host byte order. */
export type NumericIdentity = Branded<number, 'NumericIdentity'>;

export const asIdentity = (value: number): NumericIdentity => value as NumericIdentity; // the one place that brands

/** Reserved identities. Numbers are the field's (docs/adr on identities). */
export const RESERVED_IDENTITY = {
  unknown: asIdentity(0),
  host: asIdentity(1),
  world: asIdentity(2),
  unmanaged: asIdentity(3),
  health: asIdentity(4),
  init: asIdentity(5),
  'remote-node': asIdentity(6),
  'kube-apiserver': asIdentity(7),
  ingress: asIdentity(8),
  /** The world where both families are in use; `world` is the only one where there is one. */
  'world-ipv4': asIdentity(9),
  'world-ipv6': asIdentity(10),
} as const;

export type ReservedIdentityName = keyof typeof RESERVED_IDENTITY;

/** First and last number that the allocator gives to label sets of pods. */
export const CLUSTER_IDENTITY_MIN = 256;
export const CLUSTER_IDENTITY_MAX = 65535;

/** Node-local identities of prefixes outside the cluster that policies mention: 0x01000001 and up. */
export const CIDR_IDENTITY_BASE = 0x01_00_00_00;

/** Node-local identities of other nodes, given only while some policy selects nodes by label: 0x02000001 and up. */
export const NODE_IDENTITY_BASE = 0x02_00_00_00;

export const isReserved = (identity: number): boolean => identity < CLUSTER_IDENTITY_MIN;
export const isCidrIdentity = (identity: number): boolean => identity >= CIDR_IDENTITY_BASE && identity < NODE_IDENTITY_BASE;
export const isNodeIdentity = (identity: number): boolean => identity >= NODE_IDENTITY_BASE;

const NAME_OF_RESERVED = new Map<number, string>(Object.entries(RESERVED_IDENTITY).map(([name, number]) => [number, name]));

/** `reserved:world` for 2; undefined for numbers that are not reserved names. */
export const reservedLabel = (identity: number): string | undefined => {
  const name = NAME_OF_RESERVED.get(identity);
  return name === undefined ? undefined : `reserved:${name}`;
};
