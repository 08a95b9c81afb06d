import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { addEntries, NO_ENTRIES, sameSum, type EntrySum } from './sum.ts';

type Entry = readonly [number, number, number];
const words = (numbers: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(numbers).buffer);
const sumOf = (entries: readonly Entry[]): EntrySum => addEntries(NO_ENTRIES, { keys: words(entries.map(([key]) => key)), values: words(entries.flatMap(([, ...value]) => value)), count: entries.length });

const word = fc.integer({ min: 0, max: 0xffffffff });
const entries = fc.uniqueArray(fc.tuple(word, word, word), { selector: ([key]) => key, minLength: 1, maxLength: 20 });

test('entries have one sum in whatever order, and in however many parts', () => {
  fc.assert(fc.property(entries, fc.nat(20), (all, cut) => {
    const [first, rest] = [all.slice(0, cut), all.slice(cut)];
    const parts = addEntries(sumOf(first), { keys: words(rest.map(([key]) => key)), values: words(rest.flatMap(([, ...value]) => value)), count: rest.length });
    expect([sameSum(sumOf(all.toReversed()), sumOf(all)), sameSum(parts, sumOf(all))]).toEqual([true, true]);
  }));
});
test('one word that differs, an entry more, values that changed places: another sum', () => {
  fc.assert(fc.property(entries, fc.nat(), fc.nat(2), fc.integer({ min: 1, max: 0xffffffff }), (all, at, member, by) => {
    const index = at % all.length;
    const other = (all as readonly Entry[]).with(index, all[index]!.map((value, place) => (place === member ? (value ^ by) >>> 0 : value)) as unknown as Entry);
    expect(sameSum(sumOf(other), sumOf(all))).toBe(false);
    expect(sameSum(sumOf(all.slice(1)), sumOf(all))).toBe(false);
  }));
  expect(sameSum(sumOf([[1, 10, 0], [2, 20, 0]]), sumOf([[1, 20, 0], [2, 10, 0]]))).toBe(false);
});
