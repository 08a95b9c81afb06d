/**
 * `npm run acceptance`: every row of the table with real packets in a lab and by `check`, and the flows that the observer tells of them.
 * Exit 1 when anything is not as the table says.
 *
 *   npm run acceptance -- [-o table|json] [--only TEXT] [--name LAB]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { isSeineError } from '@seine/model';

import { ROOT } from './engines.ts';
import { runAcceptance, type RowReport } from './accept.ts';

const { values } = parseArgs({ options: { output: { type: 'string', short: 'o', default: 'table' }, only: { type: 'string' }, name: { type: 'string', default: 'acceptance' } } });
if (values.output !== 'table' && values.output !== 'json') {
  process.stderr.write(`-o ${values.output}: expected table or json\n`);
  process.exit(2);
}
const people = values.output === 'table';
const rowText = ({ section, name, state, why, ms, probe, flows }: RowReport): string =>
  `${section}  ${name.padEnd(64)} ${state.padEnd(8)} ${String(probe.total).padStart(3)} probes ${String(flows.wanted).padStart(3)} flows ${(ms / 1000).toFixed(2).padStart(6)} s${why === null ? '' : `\n     ${why.replaceAll('\n', '\n     ')}`}\n`;

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => { stop.abort(); });

const report = await runAcceptance({ lab: values.name, only: values.only, signal: stop.signal, tell: (row) => { if (people) process.stdout.write(rowText(row)); } }).catch((error: unknown) => {
  if (!isSeineError(error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(2);
});
mkdirSync(join(ROOT, 'test/results'), { recursive: true });
writeFileSync(join(ROOT, 'test/results/acceptance.json'), `${JSON.stringify(report, undefined, 2)}\n`);
const { passed, refused, absent, failed, ms } = report;
process.stdout.write(people ? `${passed} passed, ${refused} refused, ${absent} absent, ${failed} failed (${(ms / 1000).toFixed(1)} s)\n` : `${JSON.stringify(report)}\n`);
process.exitCode = failed === 0 && !stop.signal.aborted ? 0 : 1;
