/**
 * Everything that `npm test` claims: types, lint, generated files, then every suite, then that nothing of ours is left on the machine.
 * The last line is `N passed, N failed, N skipped`; a skipped test is a failure.
 *
 *   node infra/test/run.ts [unit|int|root|e2e|golden]…
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('../../', import.meta.url).pathname;
const RESULTS = join(ROOT, 'test/results');
const SUITES = ['unit', 'golden', 'int', 'root', 'e2e'] as const;
type Suite = (typeof SUITES)[number];
/** These share the machine's kernel, namespaces or ports: one file after the other. */
const IN_BAND: ReadonlySet<Suite> = new Set(['root', 'e2e']);
/** A suite that hangs is a failure, not a wait without end; so is a test that says nothing of its own, but not one on a busy machine. */
const SUITE_TIMEOUT_MS = 30 * 60_000;
const TEST_TIMEOUT_MS = 60_000;

interface Count { readonly passed: number; readonly failed: number; readonly skipped: number; readonly seconds: number }
interface JestReport { readonly numPassedTests: number; readonly numFailedTests: number; readonly numPendingTests: number; readonly numTodoTests: number; readonly numRuntimeErrorTestSuites: number }

const node = process.execPath;
const say = (text: string): void => { process.stdout.write(`${text}\n`); };

const run = (what: string, command: string, args: readonly string[]): boolean => {
  const started = performance.now();
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  say(`  ${status === 0 ? 'ok  ' : 'FAIL'} ${what} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  return status === 0;
};

const suite = (name: Suite): Count => {
  const started = performance.now();
  const report = join(RESULTS, `${name}.json`);
  rmSync(report, { force: true });   // a run that dies must not be judged by the report of the run before
  const { status, signal } = spawnSync(node, ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', join(ROOT, 'node_modules/jest/bin/jest.js'), '--selectProjects', name, `--testTimeout=${TEST_TIMEOUT_MS}`, '--json', `--outputFile=${report}`, ...(IN_BAND.has(name) ? ['-i'] : [])],
    { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'], timeout: SUITE_TIMEOUT_MS, killSignal: 'SIGKILL', env: { ...process.env, NODE_COMPILE_CACHE: join(ROOT, '.seine/compile-cache') } });
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  if (!existsSync(report)) {
    say(`  FAIL ${name}: no report, the runner ended with ${signal ?? status} (${seconds} s)`);
    return { passed: 0, failed: 1, skipped: 0, seconds };
  }
  const found = JSON.parse(readFileSync(report, 'utf8')) as JestReport;
  const told = found.numFailedTests + found.numRuntimeErrorTestSuites;
  const untold = told === 0 && status !== 0 ? 1 : 0;   // the runner failed beside its tests
  if (untold > 0) say(`  FAIL ${name}: the runner ended with ${signal ?? status} though no test failed`);
  const count = { passed: found.numPassedTests, failed: told + untold, skipped: found.numPendingTests + found.numTodoTests, seconds };
  say(`  ${count.failed + count.skipped === 0 ? 'ok  ' : 'FAIL'} ${name}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped (${seconds} s)`);
  return count;
};

const namesIn = (directory: string): readonly string[] => (existsSync(directory) ? readdirSync(directory) : []);

/** What of ours is on this machine: namespaces, pins, cgroups, interfaces, routes, processes. */
const ours = (): ReadonlySet<string> => {
  const found: string[] = [];
  for (const name of namesIn('/run/netns')) if (/^(seine|sbench)-/.test(name)) found.push(`network namespace ${name}`);
  for (const name of namesIn('/sys/fs/bpf')) if (name.startsWith('seine')) found.push(`pin /sys/fs/bpf/${name}`);
  for (const root of ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']) for (const name of namesIn(root)) if (name.startsWith('seine')) found.push(`cgroup ${root}/${name}`);
  for (const name of namesIn('/sys/class/net')) if (/^sn[0-9a-f]{12}$|^sntcx/.test(name)) found.push(`interface ${name}`);
  for (const line of readFileSync('/proc/net/route', 'utf8').trim().split('\n').slice(1)) {
    const [device, destinationHex, , , , , , maskHex] = line.split('\t');
    found.push(`route ${destinationHex}/${maskHex} (hexadecimal) by ${device}`);   // not all ours; what was there before is not counted
  }
  for (const pid of namesIn('/proc').filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      if (line.includes(ROOT) && /services\/[a-z-]+\/main\.ts|supervisor\.ts|pod-host\.ts|nats-server -c/.test(line)) found.push(`process ${pid}: ${line.slice(0, 100)}`);
    } catch {
      // it has ended
    }
  }
  return new Set(found);
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(SUITES as readonly string[]).includes(name));
if (unknown.length > 0) {
  process.stderr.write(`${unknown.join(', ')}: expected some of ${SUITES.join(', ')}\n`);
  process.exit(2);
}
mkdirSync(RESULTS, { recursive: true });
const before = ours();
const checks = wanted.length > 0 ? [] : [
  run('types', node, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', ROOT]),
  run('lint', join(ROOT, 'node_modules/.bin/oxlint'), ['--type-aware', '--quiet']),
  run('generated files', node, [join(ROOT, 'infra/test/gen.ts'), '--check']),
];
const counts = new Map(SUITES.filter((name) => wanted.length === 0 || wanted.includes(name)).map((name) => [name, suite(name)]));
const left = [...ours()].filter((name) => !before.has(name));
for (const name of left) say(`  FAIL left behind: ${name}`);

const sum = (member: 'passed' | 'failed' | 'skipped'): number => [...counts.values()].reduce((total, count) => total + count[member], 0);
const failedChecks = checks.filter((ok) => !ok).length + left.length;
const empty = wanted.length > 0 ? [] : SUITES.filter((name) => (counts.get(name)?.passed ?? 0) === 0);
for (const name of empty) say(`  FAIL ${name}: no test ran`);
writeFileSync(join(RESULTS, 'summary.json'), `${JSON.stringify({ ...Object.fromEntries(counts), checks: { passed: checks.filter((ok) => ok).length, failed: failedChecks } }, undefined, 2)}\n`);
const [passed, failed, skipped] = [sum('passed'), sum('failed') + failedChecks + empty.length, sum('skipped')];
say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed + skipped === 0 ? 0 : 1);
