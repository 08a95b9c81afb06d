/**
 * `npm run bench -- NAME…`: prints one JSON line a figure and keeps them in test/bench/results/<date>-<commit>.jsonl.
 * Not timed tests: a missed aim is printed, never an error.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { cpus, release } from 'node:os';

import { toLine, type Figure } from './lib/line.ts';

const BENCHES: Readonly<Record<string, () => Promise<{ readonly measure: () => Promise<readonly Figure[]> }>>> = {
  'pod-to-pod': () => import('./pod-to-pod.ts'),
  verdict: () => import('./verdict.ts'),
  program: () => import('./program.ts'),
  'cni-add': () => import('./cni-add.ts'),
  memory: () => import('./memory.ts'),
  services: () => import('./services.ts'),
  'services-scale': () => import('./services-scale.ts'),
  'services-memory': () => import('./services-memory.ts'),
  policy: () => import('./policy.ts'),
  'policy-growth': () => import('./policy-growth.ts'),
  nodeport: () => import('./nodeport.ts'),
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
if (names.length === 0 || unknown.length > 0) {
  process.stderr.write(`${unknown.length > 0 ? `${unknown.join(', ')}: no such bench; ` : ''}usage: npm run bench -- ${Object.keys(BENCHES).join('|')} …\n`);
  process.exit(2);
}

const machine = `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} CPUs, Linux ${release()}`;
const commit = execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
const results = new URL('./results/', import.meta.url);
mkdirSync(results, { recursive: true });

for (const name of names) {
  const { measure } = await BENCHES[name]!();
  for (const figure of await measure()) {
    const line = `${JSON.stringify(toLine(name, figure, { machine, commit }))}\n`;
    process.stdout.write(line);
    appendFileSync(new URL(`${new Date().toISOString().slice(0, 10)}-${commit}.jsonl`, results), line);
  }
}
