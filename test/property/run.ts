/**
 * Random clusters, policies of every kind and questions, judged by the texts of the APIs, by `check` and by the kernel: `npm run property`.
 *
 *   run.ts --cases N --seed S [--kernel N] [--keep FOLDER]
 *
 * Prints one line of JSON. Exit: 0 all agree, no answer and no feature is rare; 1 otherwise. A disagreement is made small and kept.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { caseOf } from './generate.ts';
import { judged, shrunk, spokenKinds, type Disagreement } from './judge.ts';
import { openKernel } from './kernel.ts';
import { countsByKind, rareFeatures } from './features.ts';

const { values } = parseArgs({ options: { cases: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' }, kernel: { type: 'string' }, keep: { type: 'string', default: new URL('kept', import.meta.url).pathname } } });
const cases = Number(values.cases);
const seed = Number(values.seed);
const inKernel = Number(values.kernel ?? values.cases);
const MOST_KEPT = 5;

const kinds = spokenKinds();
const kernel = inKernel > 0 ? openKernel() : undefined;
const features = new Map<string, number>();
const found: Disagreement[] = [];
const refused = new Set<string>();
let [allow, deny, kernelAnswers] = [0, 0, 0];

for (let index = 0; index < cases; index += 1) {
  const made = caseOf(seed, index, { kinds });
  for (const feature of made.features) features.set(feature, (features.get(feature) ?? 0) + 1);
  for (const { want } of made.probes) { if (want === 'allow') allow += 1; else deny += 1; }
  const { cluster, refused: here, disagreements } = judged(made);
  for (const each of here) refused.add(`${made.name}: ${each}`);
  found.push(...disagreements);
  if (kernel !== undefined && index < inKernel) {
    const asked = kernel.ask(cluster, made);
    kernelAnswers += asked.answers;
    found.push(...asked.disagreements);
  }
  if (process.stderr.isTTY === true && index % 100 === 0) process.stderr.write(`\r${index} of ${cases}, ${found.length} disagree `);
}
for (const [index, each] of found.slice(0, MOST_KEPT).entries()) {
  const small = shrunk(each, kernel !== undefined && each.got.startsWith('kernel') ? kernel.differently : undefined);
  mkdirSync(values.keep, { recursive: true });
  const path = join(values.keep, `seed-${seed}-${index}.json`);
  writeFileSync(path, `${JSON.stringify(small, null, 1)}\n`);
  process.stderr.write(`${each.name}: wanted ${small.want}, got ${small.got}: ${path}\n`);
}
kernel?.close();
for (const each of [...refused].slice(0, MOST_KEPT)) process.stderr.write(`refused: ${each}\n`);

const share = deny / (allow + deny);
const rare = rareFeatures(features, cases, kinds);
for (const each of rare) process.stderr.write(`in too few cases: ${each}\n`);
const isBalanced = share >= 0.3 && share <= 0.7;
if (!isBalanced) process.stderr.write(`the share of denials is ${share.toFixed(2)}: expected 0.3 to 0.7\n`);
process.stdout.write(`${JSON.stringify({ cases, seed, allow, deny, kernel: kernelAnswers, byKind: countsByKind(features), refused: refused.size, disagreements: found.length })}\n`);
process.exit(found.length === 0 && refused.size === 0 && rare.length === 0 && isBalanced ? 0 : 1);
