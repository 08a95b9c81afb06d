/** Rows against the sentences that they come from, on rules that nobody wrote: tiers, Pass, audit, overlapping ranges. */
import type { CompiledPolicy, CompiledRule, PortItem } from '@seine/events';
import { PROTOCOL } from '@seine/model';

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import type { PlacedRule } from './decide.ts';
import { prefixRange } from './port-prefix.ts';
import { rowOf, type RowAnswer, type RowContent } from './row.ts';

const { ICMP, TCP, UDP, SCTP } = PROTOCOL;

interface Made { readonly tier: CompiledPolicy['tier']; readonly action: Exclude<CompiledRule['action'], 'withheld'>; readonly priority: number; readonly audit: boolean; readonly isolates: boolean; readonly ports: 'any' | readonly PortItem[] }

const EDGES = [0, 1, 79, 80, 81, 443, 1023, 1024, 8079, 8080, 8087, 8088, 32767, 32768, 65534, 65535];
const port = fc.oneof(fc.constantFrom(...EDGES), fc.nat(65535));
const item: fc.Arbitrary<PortItem> = fc.oneof(
  fc.tuple(fc.constantFrom<number>(TCP, TCP, UDP, SCTP), port, port).map(([protocol, a, b]): PortItem => ({ type: 'range', protocol, from: Math.min(a, b), to: Math.max(a, b) })),
  fc.constantFrom<PortItem>({ type: 'named', protocol: TCP, name: 'web' }, { type: 'named', protocol: UDP, name: 'web' }, { type: 'range', protocol: 0, from: 0, to: 65535 }),
);
const made: fc.Arbitrary<Made> = fc.record({
  tier: fc.constantFrom('admin', 'normal', 'normal', 'baseline'), action: fc.constantFrom('allow', 'deny', 'pass'), priority: fc.nat(3), audit: fc.boolean(), isolates: fc.boolean(),
  ports: fc.oneof(fc.constant('any' as const), fc.array(item, { minLength: 1, maxLength: 3 })),
}).map((rule) => (rule.tier === 'normal' && rule.action === 'pass' ? { ...rule, action: 'allow' as const } : rule));

/** Two pods bind `web` to these. */
const BINDINGS = new Map([[`${TCP}/web`, [8080, 8443]]]);

const placedOf = (rule: Made, order: number): PlacedRule => {
  const compiled: CompiledRule = { direction: 'ingress', section: 'ingress', index: order, action: rule.action, peers: 'any', ports: rule.ports };
  return {
    order, rule: compiled, policy: {
      object: { kind: 'Policy', namespace: 'shop', name: `p${order}` }, uid: '', tier: rule.tier, priority: rule.tier === 'normal' ? 0 : rule.priority, audit: rule.audit, rules: [compiled],
      subject: { type: 'pods', namespace: 'shop', pods: [] }, isolates: { ingress: rule.tier === 'normal' && rule.isolates, egress: false },
    },
  };
};

const means = ({ ports }: Made, protocol: number, number: number): boolean => ports === 'any' || ports.some((candidate) =>
  (candidate.type === 'named' ? candidate.protocol === protocol && (BINDINGS.get(`${protocol}/${candidate.name}`) ?? []).includes(number) :
    (candidate.protocol === 0 || candidate.protocol === protocol) && candidate.from <= number && number <= candidate.to));

type Said = 'allow' | 'deny' | 'default-deny';

/** One sentence of the datapath's page after the other, for one packet. */
const literally = (rules: readonly Made[], isolated: boolean): Said => {
  const inOrder = (tier: Made['tier']): readonly Made[] => [0, 1, 2, 3].flatMap((priority) => rules.filter((rule) => rule.tier === tier && rule.priority === priority));
  for (const { action } of inOrder('admin').slice(0, 1)) if (action !== 'pass') return action;
  if (rules.some(({ tier, action }) => tier === 'normal' && action === 'deny')) return 'deny';
  if (rules.some(({ tier, action }) => tier === 'normal' && action === 'allow')) return 'allow';
  if (isolated) return 'default-deny';
  for (const { action } of inOrder('baseline').slice(0, 1)) if (action !== 'pass') return action;
  return 'allow';
};

const withAudit = (all: readonly Made[], protocol: number, number: number): Said | 'audit' => {
  const judge = (rules: readonly Made[]): Said => literally(rules.filter((rule) => means(rule, protocol, number)), rules.some(({ tier, isolates }) => tier === 'normal' && isolates));
  const enforced = judge(all.filter(({ audit }) => !audit));
  return enforced === 'allow' && judge(all) !== 'allow' ? 'audit' : enforced;
};

/** As the kernel looks: the longest prefix of the protocol, else the root. */
const answerOf = ({ entries }: RowContent, protocol: number, number: number): RowAnswer => {
  const holds = entries.filter((entry) => { const { from, to } = prefixRange(entry); return entry.protocol === protocol && from <= number && number <= to; });
  return holds.sort((a, b) => b.length - a.length)[0] ?? entries[0]!;
};

describe('a row of any rules', () => {
  const cluster = fc.record({ rules: fc.array(made, { maxLength: 6 }), asked: fc.array(fc.tuple(fc.constantFrom<number>(TCP, TCP, UDP, SCTP, ICMP), port), { minLength: 8, maxLength: 8 }) });
  const rowFor = (rules: readonly Made[]): RowContent => {
    const placed = rules.map(placedOf);
    return rowOf(placed, placed.map(({ policy }) => policy).filter(({ isolates }) => isolates.ingress), BINDINGS);
  };

  test('answers as the sentences do', () => {
    const seen = new Map<string, number>();
    fc.assert(fc.property(cluster, ({ rules, asked }) => {
      const row = rowFor(rules);
      for (const [protocol, number] of asked) {
        const want = withAudit(rules, protocol, number);
        seen.set(want, (seen.get(want) ?? 0) + 1);
        expect({ protocol, number, verdict: answerOf(row, protocol, number).verdict }).toEqual({ protocol, number, verdict: want });
      }
    }), { numRuns: 1500 });
    for (const verdict of ['allow', 'deny', 'default-deny', 'audit']) expect(seen.get(verdict) ?? 0).toBeGreaterThan(300);
  });

  test('names a rule that means the port and says what the row says', () => {
    fc.assert(fc.property(cluster, ({ rules, asked }) => {
      const row = rowFor(rules);
      for (const [protocol, number] of asked) {
        const { verdict, rule } = answerOf(row, protocol, number);
        if (rule === undefined) continue;
        const found = rules[Number(/\[(\d+)\]$/.exec(rule)![1])]!;
        expect([means(found, protocol, number), found.action]).toEqual([true, verdict === 'audit' ? 'deny' : verdict]);
      }
    }));
  });

  test('says nothing twice: no entry repeats what contains it', () => {
    fc.assert(fc.property(cluster, ({ rules }) => {
      const { entries } = rowFor(rules);
      entries.slice(1).forEach((entry, index) => {
        const ancestors = entries.slice(1, index + 1).filter((outer) => outer.protocol === entry.protocol && prefixRange(outer).from <= entry.port && entry.port <= prefixRange(outer).to);
        const ancestor = ancestors.at(-1) ?? entries[0]!;
        expect([ancestor.verdict, ancestor.rule]).not.toEqual([entry.verdict, entry.rule]);
      });
    }));
  });

  test('is the same row whatever the order in which policies came', () => {
    fc.assert(fc.property(fc.array(made, { maxLength: 5 }), (rules) => {
      const placed = rules.map(placedOf);
      const isolatedBy = placed.map(({ policy }) => policy).filter(({ isolates }) => isolates.ingress);
      expect(rowOf([...placed].reverse(), [...isolatedBy].reverse(), BINDINGS).entries.map(({ verdict }) => verdict)).toEqual(rowOf(placed, isolatedBy, BINDINGS).entries.map(({ verdict }) => verdict));
    }));
  });
});
