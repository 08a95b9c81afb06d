import { describe, expect, test } from '@jest/globals';

import { maglevSize, maglevTable } from './maglev.ts';

const names = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `10.244.${index >> 8}.${index & 255}/8080`);
const shares = (table: readonly string[]): readonly number[] => [...table.reduce((counts, name) => counts.set(name, (counts.get(name) ?? 0) + 1), new Map<string, number>()).values()];
const moved = (before: readonly string[], after: readonly string[], gone: string): number => before.filter((name, place) => name !== gone && after[place] !== name).length / before.length;

describe('a Maglev table', () => {
  test.each([1, 2, 3, 10, 100])('of %i backends gives each nearly the same share', (count) => {
    const table = maglevTable(names(count));
    expect(table).toHaveLength(maglevSize(count));
    expect(shares(table)).toHaveLength(count);
    expect(Math.max(...shares(table)) - Math.min(...shares(table))).toBeLessThanOrEqual(1);
  });
  test.each([2, 3, 6, 10, 11, 40, 100])('of %i backends moves few of the others\' places when one goes', (count) => {
    const all = names(count);
    const gone = all[1]!;
    const [before, after] = [maglevTable(all), maglevTable(all.filter((name) => name !== gone))];
    expect(after).toHaveLength(before.length);
    expect(moved(before, after, gone)).toBeLessThan(0.05);
  });
  test('does not depend on the order of the backends', () => {
    expect(maglevTable([...names(10)].reverse())).toEqual(maglevTable(names(10)));
  });
  test('of nobody is empty', () => { expect(maglevTable([])).toEqual([]); });
  test('has one size up to forty backends, and a larger one beyond', () => {
    expect([1, 40, 41, 1000].map(maglevSize)).toEqual([4093, 4093, 16_381, 16_381]);
  });
});
