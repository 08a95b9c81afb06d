/** Kinds whose `kind.listed` a node waits for before any endpoint gets a policy. */
export const POLICY_KINDS = ['Namespace', 'NetworkPolicy'] as const;
