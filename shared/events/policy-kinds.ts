/** Kinds that are policies: fact `<noun>.observed.v1`, compiled by the policy-compiler. */
export const POLICY_OBJECT_KINDS = ['NetworkPolicy', 'CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy', 'ClusterNetworkPolicy'] as const;
export type PolicyObjectKind = (typeof POLICY_OBJECT_KINDS)[number];

/** Kinds whose `kind.listed` a node waits for before any endpoint gets a policy. */
export const POLICY_KINDS = ['Namespace', 'CiliumCIDRGroup', ...POLICY_OBJECT_KINDS] as const;
