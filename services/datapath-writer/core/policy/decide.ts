/**
 * THE verdict function: what a set of rules that all match one peer and one port says. Everything else (rows, check, why) asks this.
 * Admin by priority, Pass leaving the tier; then Normal: any deny, any allow, else isolated (or withheld); then Baseline by priority; then allow.
 */
import type { CompiledPolicy, CompiledRule } from '@seine/events';

/** One rule in the company of its policy. */
export interface PlacedRule {
  readonly policy: CompiledPolicy;
  readonly rule: CompiledRule;
  /** Position among all rules of a subject's direction: a stable order for attribution. */
  readonly order: number;
}

export type Outcome =
  | { readonly verdict: 'allow' | 'deny'; readonly by: readonly PlacedRule[]; readonly overruled: readonly PlacedRule[] }
  /** Isolated, and no rule allows it; `by` are rules that would on a condition that cannot be enforced here, whether isolated or not. */
  | { readonly verdict: 'default-deny'; readonly by: readonly PlacedRule[]; readonly overruled: readonly [] }
  /** Nothing isolates. */
  | { readonly verdict: 'open'; readonly by: readonly []; readonly overruled: readonly [] }
  /** Would be denied by audit policies only: passes, and is told. */
  | { readonly verdict: 'audit'; readonly by: readonly PlacedRule[]; readonly overruled: readonly PlacedRule[] };

type Enforced = Exclude<Outcome, { readonly verdict: 'audit' }>;

const byPriority = (a: PlacedRule, b: PlacedRule): number => a.policy.priority - b.policy.priority || a.order - b.order;

/** The first rule of a tier that is ordered by priority. */
const firstOf = (tier: 'admin' | 'baseline', rules: readonly PlacedRule[]): PlacedRule | undefined =>
  rules.filter(({ policy }) => policy.tier === tier).sort(byPriority)[0];

const allows = (outcome: Enforced): boolean => outcome.verdict === 'allow' || outcome.verdict === 'open';

const enforce = (rules: readonly PlacedRule[], isolated: boolean): Enforced => {
  const admin = firstOf('admin', rules);
  if (admin?.rule.action === 'allow' || admin?.rule.action === 'deny') {
    return { verdict: admin.rule.action, by: [admin], overruled: rules.filter((rule) => rule !== admin && rule.rule.action !== admin.rule.action) };
  }
  const normal = rules.filter(({ policy }) => policy.tier === 'normal');
  const denies = normal.filter(({ rule }) => rule.action === 'deny');
  const permits = normal.filter(({ rule }) => rule.action === 'allow');
  if (denies.length > 0) return { verdict: 'deny', by: denies, overruled: permits };
  if (permits.length > 0) return { verdict: 'allow', by: permits, overruled: [] };
  const withheld = normal.filter(({ rule }) => rule.action === 'withheld');
  if (isolated || withheld.length > 0) return { verdict: 'default-deny', by: withheld, overruled: [] };
  const baseline = firstOf('baseline', rules);
  if (baseline?.rule.action === 'allow' || baseline?.rule.action === 'deny') return { verdict: baseline.rule.action, by: [baseline], overruled: [] };
  return { verdict: 'open', by: [], overruled: [] };
};

/**
 * @param rules every rule of the subject's policies in this direction that matches the peer and the port
 * @param isolatedBy which policies isolate the subject in this direction
 *
 * Audit policies never change a verdict: E is the outcome without them, neither their rules nor their isolation; F with all.
 */
export const decide = (rules: readonly PlacedRule[], isolatedBy: readonly CompiledPolicy[]): Outcome => {
  const enforced = enforce(rules.filter(({ policy }) => !policy.audit), isolatedBy.some((policy) => !policy.audit));
  if (!allows(enforced) || !(rules.some(({ policy }) => policy.audit) || isolatedBy.some((policy) => policy.audit))) return enforced;
  const full = enforce(rules, isolatedBy.length > 0);
  return allows(full) ? enforced : { verdict: 'audit', by: full.by, overruled: [] };
};
