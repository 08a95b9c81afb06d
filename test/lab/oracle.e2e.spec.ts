import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { ROOT, seine, SHOP } from './lab.ts';

const SEED = '2026';
const EDITS = '6';

interface Line { readonly name: string; readonly pass: boolean; readonly rejected: readonly unknown[]; readonly probes: readonly Readonly<Record<string, unknown>>[] }

/** What both engines must say alike: everything but evidence. */
const said = (text: string): readonly unknown[] => text.trim().split('\n').map((line) => JSON.parse(line) as Line).map(({ name, pass, rejected, probes }) => ({
  name, pass, rejected,
  probes: probes.map(({ evidence: _evidence, ...result }) => result),
}));

describe('prediction and packets', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'seine-oracle-'));
    writeFileSync(join(folder, 'cases.jsonl'), execFileSync(process.execPath, [`${ROOT}test/oracle/mutate.mjs`, '--seed', SEED, '--edits', EDITS, SHOP], { encoding: 'utf8', maxBuffer: 64 << 20 }));
  });
  afterAll(() => { rmSync(folder, { recursive: true }); });

  test('agree on clusters that nobody wrote, and with the naive evaluator', async () => {
    const cases = join(folder, 'cases.jsonl');
    const predicted = await seine('check', '--batch', cases);
    const judged = await seine('probe', '--batch', cases, '--name', 'e2eoracle');
    expect(said(judged.out)).toEqual(said(predicted.out));
    expect([predicted.code, judged.code]).toEqual([0, 0]);
  }, 120_000);
});
