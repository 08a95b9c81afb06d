/** The enforcement mode, said in policies: so that nodes, `check`, `why` and replays need not know of it. Pure. */
import type { CompiledPolicy, Refusal } from '@seine/events';
import { ENFORCEMENT_MODES } from '@seine/objects';

/**
 * always: stands beside the policies that people wrote and isolates every pod both ways. The node itself is not meant: it would lock out whoever
 * administers it, and a policy of nodes isolates it anyway.
 */
export const ALWAYS_POLICY: CompiledPolicy = {
  object: { kind: 'Seine', namespace: '', name: 'policy-enforcement-mode' }, uid: '', tier: 'normal', priority: 0,
  subject: { type: 'pods', namespaces: [], pods: [] }, isolates: { ingress: true, egress: true }, audit: false, rules: [],
};
export const ALWAYS_KEY = 'Seine//policy-enforcement-mode';

/** never: why a policy that compiles is not in force. */
export const NOT_ENFORCED: Refusal = {
  field: 'policy-enforcement-mode', value: 'never', expected: ENFORCEMENT_MODES.filter((mode) => mode !== 'never').join(' or '),
  message: `policy-enforcement-mode: never: no policy is enforced: expected ${ENFORCEMENT_MODES.filter((mode) => mode !== 'never').join(' or ')}`,
};
