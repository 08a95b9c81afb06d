/** Writes every generated file, or with --check says which differ: layouts from BTF, the document of events. */
import { spawnSync } from 'node:child_process';

const ROOT = new URL('../../', import.meta.url).pathname;
const GENERATORS = ['shared/layout/generate.ts', 'shared/events/generate-docs.ts'];

const results = GENERATORS.map((script) => spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', script, ...process.argv.slice(2)], { cwd: ROOT, stdio: 'inherit' }).status);
process.exit(results.every((status) => status === 0) ? 0 : 1);
