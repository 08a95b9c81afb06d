import { execFile } from 'node:child_process';

import { beforeAll, describe, expect, test } from '@jest/globals';

import type { AcceptanceReport } from './accept.ts';
import { acceptanceCases } from './cases.ts';

const RUN = new URL('./run.ts', import.meta.url).pathname;

describe('the acceptance table, by real packets, by check, by flows', () => {
  let report: AcceptanceReport;
  beforeAll(async () => {
    const out = await new Promise<string>((resolve, reject) => {
      execFile(process.execPath, ['--disable-warning=ExperimentalWarning', RUN, '-o', 'json', '--name', 'e2eaccept'], { encoding: 'utf8', maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
        if (stdout === '') reject(new Error(stderr, { cause: error }));
        else resolve(stdout);
      });
    });
    report = JSON.parse(out) as AcceptanceReport;
  }, 180_000);

  test.each(acceptanceCases().map(({ name, row }) => ({ name, want: row.refused !== undefined ? 'refused' : row.absent !== undefined ? 'absent' : 'pass' })))('$name: $want', ({ name, want }) => {
    expect(report.rows.find((row) => row.name === name)).toMatchObject({ state: want, probe: { unexplained: 0 } });
  });
});
