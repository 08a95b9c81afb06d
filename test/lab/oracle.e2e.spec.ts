import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
    const made = readFileSync(cases, 'utf8').trim().split('\n').length;
    /* What is no case, or no probe in one, ends neither engine's batch. */
    appendFileSync(cases, `\n{"name":\n${JSON.stringify({ name: 'half', objects: [], probes: [{ from: 'external', to: 'node:n1', protocol: 'ICMP', want: 'allow' }, { from: 'external', to: 'node:n1', port: 0 }] })}\n`);
    const predicted = await seine('check', '--batch', cases);
    const judged = await seine('probe', '--batch', cases, '--name', 'e2eoracle');
    expect(said(judged.out)).toEqual(said(predicted.out));
    expect([predicted.code, judged.code]).toEqual([2, 2]);
    const [broken, half] = (said(judged.out) as readonly Pick<Line, 'pass' | 'probes'>[]).slice(made);
    expect(broken).toMatchObject({ pass: false, probes: [] });
    expect(half).toMatchObject({ pass: false, probes: [{ got: 'allow' }, { got: 'error', message: expect.stringContaining('probes[1].port: 0: expected a number from 1 to 65535') }] });
    expect((said(judged.out) as readonly Line[]).slice(0, made).filter(({ pass }) => !pass)).toEqual([]);
  }, 120_000);
});
