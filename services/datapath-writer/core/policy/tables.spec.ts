import { describe, expect, test } from '@jest/globals';

import { emptyTables, keepOnly, numberFor, restoreTables, storeTables } from './tables.ts';

describe('node-local numbers', () => {
  test('the same content keeps its number, other content has another', () => {
    const { row } = emptyTables();
    expect(['a', 'b', 'a'].map((text) => numberFor(row, text))).toEqual([1, 2, 1]);
  });
  test('survive a restart through JSON', () => {
    const tables = emptyTables();
    numberFor(tables.cidrClass, '10.0.0.0/8');
    numberFor(tables.cidrClass, '10.1.0.0/16');
    keepOnly(tables.cidrClass, new Set(['10.1.0.0/16']));
    const restored = restoreTables(JSON.parse(JSON.stringify(storeTables(tables))) as ReturnType<typeof storeTables>);
    expect([numberFor(restored.cidrClass, '10.1.0.0/16'), numberFor(restored.cidrClass, '10.2.0.0/16')]).toEqual([2, 3]);
  });
  test('a number that was freed is not the next to be given, and is given once the space has gone round', () => {
    const space = { ...emptyTables().row, max: 3 };
    for (const text of ['a', 'b', 'c']) numberFor(space, text);
    keepOnly(space, new Set(['b']));
    expect(['d', 'e'].map((text) => numberFor(space, text))).toEqual([1, 3]);
  });
  test('are never shared by two contents: the space ends with an error', () => {
    const space = { ...emptyTables().row, max: 2 };
    for (const text of ['a', 'b']) numberFor(space, text);
    expect(() => numberFor(space, 'c')).toThrow(expect.objectContaining({ code: 'SEINE_NUMBERS_EXHAUSTED' }));
  });
});
