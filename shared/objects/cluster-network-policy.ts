/** Refused until its parser is there. */
import type { ParsedPolicies, PolicyOptions, PolicySource } from './policy.ts';

export const parseClusterNetworkPolicy = (source: PolicySource, _options: PolicyOptions): ParsedPolicies => ({
  ok: false, refusals: [{ field: 'kind', value: source.kind, expected: 'NetworkPolicy', message: `kind: ${source.kind} is not supported yet: what it would isolate or deny is not enforced; write a NetworkPolicy` }],
});
