import { describe, expect, test } from '@jest/globals';

import { inBothFamilies, twin } from './families.ts';
import { caseOf } from './generate.ts';
import { clusterOf, judged } from './judge.ts';

const SEED = 31;
const CASES = Array.from({ length: 250 }, (_, index) => inBothFamilies(caseOf(SEED, index)));

test.each([['10.244.1.10', '2001:db8:4::af4:10a'], ['10.0.0.0/8', '2001:db8:4::a00:0/104'], ['0.0.0.0/0', '::/0']])('the twin of %s is %s', (text, want) => { expect(twin(text)).toBe(want); });

describe('random clusters of both families', () => {
  test('ask what is not rare', () => {
    const wants = CASES.flatMap(({ twins }) => twins.map(({ want }) => want));
    expect(wants.length).toBeGreaterThan(1000);
    expect(wants.filter((want) => want === 'deny').length / wants.length).toBeGreaterThan(0.25);
    expect(wants.filter((want) => want === 'allow').length / wants.length).toBeGreaterThan(0.25);
  });
  test('refuse no object of theirs', () => { expect(CASES.flatMap(({ made }) => judged({ ...made, probes: [] }).refused)).toEqual([]); });
  test('say over IPv6 what the texts of the APIs say over IPv4', () => {
    const wrong = CASES.flatMap(({ made, twins }) => {
      const cluster = clusterOf(made);
      return twins.map(({ want, ...probe }) => ({ case: made.name, ...probe, want, got: cluster.verdict(probe).got })).filter(({ want, got }) => want !== got);
    });
    expect(wrong).toEqual([]);
  });
  test('and over IPv4 what they said without IPv6', () => {
    expect(CASES.flatMap(({ made }) => judged({ ...made, probes: made.probes.map((probe) => ({ ...probe, family: 4 as const })) }).disagreements)).toEqual([]);
  });
});
