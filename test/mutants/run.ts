/**
 * Plants one defect at a time and runs the tests that should notice: `npm run mutants [-- NAME or NUMBER …]`. A mutant is a patch whose first line names them:
 *
 *   caught by: unit services/datapath-writer/core/policy
 *
 * The patch is applied to the work tree and taken back; files that it touches must have no changes of their own.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('../../', import.meta.url).pathname;
const FOLDER = join(ROOT, 'test/mutants');
const only = process.argv.slice(2);

const git = (...args: readonly string[]): string => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' });
const make = (): void => { execFileSync('make', ['-C', 'bpf'], { cwd: ROOT, stdio: 'ignore' }); };

const all = readdirSync(FOLDER).filter((name) => name.endsWith('.patch')).sort();
const isNamed = (patch: string, given: string): boolean => patch === `${given}.patch` || patch.startsWith(`${given}-`);
for (const given of only) if (!all.some((patch) => isNamed(patch, given))) throw new Error(`${given}: expected a mutant's name or number: ${all.map((patch) => patch.replace('.patch', '')).join(', ')}`);
const patches = all.filter((patch) => only.length === 0 || only.some((given) => isNamed(patch, given)));
const results = patches.map((name) => {
  const path = join(FOLDER, name);
  const text = readFileSync(path, 'utf8');
  const [, suite, pattern] = /^caught by: (\S+) (.+)$/m.exec(text) ?? [];
  const touched = [...text.matchAll(/^\+\+\+ b\/(.+)$/gm)].map((match) => match[1]!);
  if (suite === undefined || pattern === undefined || touched.length === 0) throw new Error(`${name}: expected "caught by: SUITE PATH" and a patch`);
  if (git('status', '--porcelain', '--', ...touched).trim() !== '') throw new Error(`${name}: ${touched.join(', ')} has changes of its own: commit them first`);
  const compiled = touched.some((file) => file.startsWith('bpf/'));
  git('apply', '--unidiff-zero', path);
  try {
    if (compiled) make();
    const { status } = spawnSync(process.execPath, ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', join(ROOT, 'node_modules/jest/bin/jest.js'), '--selectProjects', suite, '-i', '--testPathPatterns', pattern],
      { cwd: ROOT, stdio: 'ignore' });
    process.stderr.write(`${status === 0 ? 'MISSED' : 'caught'}  ${name}\n`);
    return { name: name.replace('.patch', ''), caught: status !== 0 };
  } finally {
    git('apply', '-R', '--unidiff-zero', path);
    if (compiled) make();
  }
});
const caught = results.filter((result) => result.caught).length;
process.stdout.write(`${JSON.stringify({ planted: results.length, caught, missed: results.filter((result) => !result.caught).map(({ name }) => name) })}\n`);
process.exit(caught === results.length ? 0 : 1);
