/** Policy objects of every kind → compiled policies, or every reason why not: the one door that watcher, policy-compiler and `check` use. Pure. */
import type { CompiledPolicy, PolicyObjectKind, Refusal } from '@seine/events';

import { parseCiliumNetworkPolicy } from './cilium-network-policy.ts';
import { parseClusterNetworkPolicy } from './cluster-network-policy.ts';
import { parseNetworkPolicy } from './network-policy.ts';
import { DEFAULT_POLICY_OPTIONS, type PolicyOptions } from './settings.ts';

export interface PolicySource {
  readonly kind: PolicyObjectKind;
  /** '' for cluster-scoped kinds */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly spec: unknown;
  readonly specs?: unknown;
  readonly audit?: boolean | undefined;
  readonly lines?: Readonly<Record<string, number>> | undefined;
}

/** One policy for each spec of the object: `specs` make several. */
export type ParsedPolicies = { readonly ok: true; readonly policies: readonly CompiledPolicy[] } | { readonly ok: false; readonly refusals: readonly Refusal[] };

export const parsePolicyObject = (source: PolicySource, options: PolicyOptions = DEFAULT_POLICY_OPTIONS): ParsedPolicies => {
  switch (source.kind) {
    case 'NetworkPolicy': {
      const parsed = parseNetworkPolicy(source);
      return parsed.ok ? { ok: true, policies: [{ ...parsed.policy, audit: source.audit ?? false }] } : parsed;
    }
    case 'CiliumNetworkPolicy':
    case 'CiliumClusterwideNetworkPolicy': return parseCiliumNetworkPolicy(source, options);
    case 'ClusterNetworkPolicy': return parseClusterNetworkPolicy(source, options);
  }
};

/** Key of the n-th policy of an object in the policy lane: the first has the object's own. */
export const policyPartKey = (objectKey: string, part: number): string => (part === 0 ? objectKey : `${objectKey}/${part}`);
