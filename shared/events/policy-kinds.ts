/** Kinds that are policies: fact `<noun>.observed.v1`, compiled by the policy-compiler. */
export const POLICY_OBJECT_KINDS = ['NetworkPolicy', 'CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy', 'ClusterNetworkPolicy'] as const;
export type PolicyObjectKind = (typeof POLICY_OBJECT_KINDS)[number];

/** Policies and what they refer to: a node waits for `policykind.compiled` of each before any endpoint gets a policy. */
export const POLICY_KINDS = ['Namespace', 'CiliumCIDRGroup', ...POLICY_OBJECT_KINDS, 'Service', 'EndpointSlice'] as const;
