/**
 * A row names the rule that decided, not which of the rule's peers meant the other side: peers of one rule share rows. Whoever tells
 * a flow asks here, with what the flow knows. Pure. docs/adr/0009-attribution.md
 */
import type { CompiledPolicy } from '@seine/events';
import type { FlowAttribution, FlowQuestion } from '@seine/node';

import type { NodeState } from './fold.ts';
import { partyFinder } from './party-at.ts';
import { isolatingPolicies, peerField, peerIndex, placedRules, policyKey, ruleName, selectingPolicies, type PlacedRule } from './policy/index.ts';

interface SubjectRules { readonly isolatedBy: readonly CompiledPolicy[]; readonly ruleOf: ReadonlyMap<string, PlacedRule> }

const byName = (rules: readonly PlacedRule[]): ReadonlyMap<string, PlacedRule> => {
  const found = new Map<string, PlacedRule>();
  for (const placed of rules) if (!found.has(ruleName(placed))) found.set(ruleName(placed), placed);
  return found;
};

/** Answers for a state that does not change meanwhile: subjects are joined once. */
export const attributor = (state: Readonly<NodeState>, node: string): ((question: FlowQuestion) => FlowAttribution) => {
  const parties = partyFinder(state);
  const subjects = new Map<string, SubjectRules>();
  const rulesOf = ({ direction, identity, address }: FlowQuestion): SubjectRules => {
    const key = `${direction} ${identity}`;
    const known = subjects.get(key);
    if (known !== undefined) return known;
    const selecting = selectingPolicies(state.policies.values(), parties.withIdentity(parties.at(address, node), identity));
    const rules = { isolatedBy: isolatingPolicies(selecting, direction), ruleOf: byName(placedRules(selecting, direction)) };
    subjects.set(key, rules);
    return rules;
  };
  return (question) => {
    const { rule, audit, peerIdentity, peerAddress } = question;
    const { isolatedBy, ruleOf } = rulesOf(question);
    if (rule === null) {
      const behind = isolatedBy.filter((policy) => policy.audit === audit);
      return { peer: null, peerField: null, isolatedBy: [...new Set(behind.map(policyKey))], log: [] };
    }
    const placed = ruleOf.get(rule);
    if (placed === undefined) return { peer: null, peerField: null, isolatedBy: [], log: [] };
    const peer = peerIndex(placed.rule, parties.withIdentity(parties.at(peerAddress, node), peerIdentity));
    return {
      peer: peer ?? null, peerField: peer === undefined ? null : peerField(placed.rule, peer), isolatedBy: [], log: placed.policy.log === undefined ? [] : [placed.policy.log],
    };
  };
};
