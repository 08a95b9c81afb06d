import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { forget, numberFor } from '../core/index.ts';
import { openStore } from './store.ts';

let directory: string;
beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'seine-store-')); });
afterEach(() => { rmSync(directory, { recursive: true }); });

describe('numbers on disk', () => {
  test('are there again after a stop at any time', () => {
    const store = openStore(directory);
    const tables = store.readTables();
    numberFor(tables.row, 'a');
    store.writeTables(tables);
    numberFor(tables.row, 'b');
    forget(tables.row, 1);
    store.writeTables(tables);
    numberFor(tables.row, 'never told');
    expect([...openStore(directory).readTables().row.numberOf]).toEqual([['b', 2]]);
  });

  test('do not read a line that was cut short, and write past it', () => {
    const store = openStore(directory);
    const tables = store.readTables();
    numberFor(tables.row, 'a');
    store.writeTables(tables);
    appendFileSync(join(directory, 'numbers.log'), '["row","cut sh');
    const again = openStore(directory);
    const restored = again.readTables();
    numberFor(restored.row, 'c');
    again.writeTables(restored);
    expect([...openStore(directory).readTables().row.numberOf]).toEqual([['a', 1], ['c', 2]]);
  });

  test('cost what changed', () => {
    const store = openStore(directory);
    const tables = store.readTables();
    for (let index = 0; index < 100; index += 1) numberFor(tables.row, `row ${index}`);
    store.writeTables(tables);
    const before = readFileSync(join(directory, 'numbers.log')).length;
    store.writeTables(tables);
    numberFor(tables.row, 'one more');
    store.writeTables(tables);
    expect(readFileSync(join(directory, 'numbers.log'), 'utf8').slice(before)).toBe('["row","one more",101]\n');
  });
});
