import type { CompiledPolicy, CompiledRule } from '@seine/events';

import { describe, expect, test } from '@jest/globals';

import { decide, type PlacedRule } from './decide.ts';
import { rowOf } from './row.ts';

type Tier = CompiledPolicy['tier'];
const placed = (tier: Tier, action: CompiledRule['action'], { priority = 0, audit = false, ports = 'any' as CompiledRule['ports'], order = 0 } = {}): PlacedRule => {
  const rule: CompiledRule = { direction: 'ingress', section: 'ingress', index: order, action, peers: 'any', ports };
  return {
    order, rule, policy: {
      object: { kind: 'NetworkPolicy', namespace: 'shop', name: `${tier}-${action}` }, uid: '', tier, priority, audit, rules: [rule],
      subject: { type: 'pods', namespace: 'shop', pods: [] }, isolates: { ingress: tier === 'normal', egress: false },
    },
  };
};
const normal = placed('normal', 'allow').policy;

describe('what a set of rules says', () => {
  test.each<{ name: string; rules: readonly PlacedRule[]; isolated?: boolean; want: string }>([
    { name: 'nothing isolates: open', rules: [], want: 'open' },
    { name: 'isolated and no rule: default-deny', rules: [], isolated: true, want: 'default-deny' },
    { name: 'an allow opens what is isolated', rules: [placed('normal', 'allow')], isolated: true, want: 'allow' },
    { name: 'deny wins over allow', rules: [placed('normal', 'allow'), placed('normal', 'deny')], isolated: true, want: 'deny' },
    { name: 'admin deny wins over a normal allow', rules: [placed('admin', 'deny'), placed('normal', 'allow')], isolated: true, want: 'deny' },
    { name: 'admin allow wins over isolation', rules: [placed('admin', 'allow')], isolated: true, want: 'allow' },
    { name: 'the lower priority number of the admin tier is first', rules: [placed('admin', 'deny', { priority: 2 }), placed('admin', 'allow', { priority: 1 })], want: 'allow' },
    { name: 'Pass leaves the admin tier', rules: [placed('admin', 'pass', { priority: 1 }), placed('admin', 'deny', { priority: 2 })], want: 'open' },
    { name: 'baseline denies where nothing isolates', rules: [placed('baseline', 'deny')], want: 'deny' },
    { name: 'baseline is not asked where something isolates', rules: [placed('baseline', 'allow')], isolated: true, want: 'default-deny' },
    { name: 'an audited deny passes, and is told', rules: [placed('normal', 'deny', { audit: true })], want: 'audit' },
    { name: 'an audited allow opens nothing', rules: [placed('normal', 'allow', { audit: true })], isolated: true, want: 'default-deny' },
  ])('$name', ({ rules, isolated = false, want }) => { expect(decide(rules, isolated ? [normal] : []).verdict).toBe(want); });

  test('audited isolation alone changes nothing but what is told', () => { expect(decide([], [{ ...normal, audit: true }]).verdict).toBe('audit'); });
});

describe('a row', () => {
  const range = (from: number, to: number) => [{ type: 'range' as const, protocol: 6, from, to }];
  test('keeps no prefix that says what its ancestor says', () => {
    const row = rowOf([placed('normal', 'allow', { ports: range(0, 65535) }), placed('normal', 'allow', { ports: range(80, 80) })], [normal], new Map());
    expect(row.entries.map(({ protocol, port, length, verdict }) => `${protocol} ${port}/${length} ${verdict}`)).toEqual(['0 0/0 default-deny', '6 0/0 allow']);
  });
  test('keeps the one port that differs', () => {
    const row = rowOf([placed('normal', 'allow', { ports: range(0, 65535) }), placed('normal', 'deny', { ports: range(80, 80) })], [normal], new Map());
    expect(row.entries.at(-1)).toMatchObject({ protocol: 6, port: 80, length: 16, verdict: 'deny' });
  });
  test('a name that nobody binds opens nothing', () => {
    const row = rowOf([placed('normal', 'allow', { ports: [{ type: 'named', protocol: 6, name: 'web' }] })], [normal], new Map());
    expect(row.entries).toHaveLength(1);
  });
});
