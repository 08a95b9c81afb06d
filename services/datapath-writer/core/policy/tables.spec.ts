import { describe, expect, test } from '@jest/globals';

import { emptyTables, forget, numberFor, replayTableChange, restoreTables, storeTables, takeTableChanges } from './tables.ts';

describe('node-local numbers', () => {
  test('the same content keeps its number, other content has another', () => {
    const { row } = emptyTables();
    expect(['a', 'b', 'a'].map((text) => numberFor(row, text))).toEqual([1, 2, 1]);
  });
  test('survive a restart through JSON', () => {
    const tables = emptyTables();
    numberFor(tables.cidrClass, '10.0.0.0/8');
    numberFor(tables.cidrClass, '10.1.0.0/16');
    forget(tables.cidrClass, 1);
    const restored = restoreTables(JSON.parse(JSON.stringify(storeTables(tables))) as ReturnType<typeof storeTables>);
    expect([numberFor(restored.cidrClass, '10.1.0.0/16'), numberFor(restored.cidrClass, '10.2.0.0/16')]).toEqual([2, 3]);
  });
  test('are what their changes make of an older copy, told once or twice', () => {
    const tables = emptyTables();
    for (const text of ['a', 'b', 'c']) numberFor(tables.row, text);
    const older = storeTables(tables);
    takeTableChanges(tables);
    forget(tables.row, 1);
    forget(tables.row, 2);
    numberFor(tables.row, 'd');
    numberFor(tables.row, 'a');
    numberFor(tables.nodes, 'n2');
    const changes = takeTableChanges(tables);
    expect(takeTableChanges(tables)).toEqual([]);
    for (const start of [older, storeTables(tables)]) {
      const restored = restoreTables(start);
      for (const change of changes) replayTableChange(restored, change);
      expect(restored.row.textOf).toEqual(tables.row.textOf);
      expect([restored.row.next, restored.row.numberOf.get('a'), restored.nodes.numberOf.get('n2')]).toEqual([tables.row.next, 5, 1]);
    }
  });
  test('a number that was freed is not the next to be given, and is given once the space has gone round', () => {
    const space = { ...emptyTables().row, max: 3 };
    for (const text of ['a', 'b', 'c']) numberFor(space, text);
    for (const number of [1, 3]) forget(space, number);
    expect(['d', 'e'].map((text) => numberFor(space, text))).toEqual([1, 3]);
  });
  test('are never shared by two contents: the space ends with an error', () => {
    const space = { ...emptyTables().row, max: 2 };
    for (const text of ['a', 'b']) numberFor(space, text);
    expect(() => numberFor(space, 'c')).toThrow(expect.objectContaining({ code: 'SEINE_NUMBERS_EXHAUSTED' }));
  });
});
