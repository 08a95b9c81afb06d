/** The verb table of `seine`. Each verb's module is loaded only when it is asked for. */
import { isSeineError } from '@seine/model';

import { helpText } from './print/help.ts';
import { EXIT, exitCodeOf, type Io, type Verb } from './verb/verb.ts';

const VERBS: Readonly<Record<string, () => Promise<Verb>>> = {
  lab: async () => (await import('./verb/lab.ts')).lab,
  start: async () => (await import('./verb/start.ts')).start,
  check: async () => (await import('./verb/check.ts')).check,
  probe: async () => (await import('./verb/probe.ts')).probe,
  why: async () => (await import('./verb/why.ts')).why,
  matrix: async () => (await import('./verb/matrix.ts')).matrix,
  diff: async () => (await import('./verb/diff.ts')).diff,
  observe: async () => (await import('./verb/observe.ts')).observe,
  get: async () => (await import('./verb/get.ts')).get,
  replay: async () => (await import('./verb/replay.ts')).replay,
  dump: async () => (await import('./verb/dump.ts')).dump,
  verify: async () => (await import('./verb/verify.ts')).verify,
  log: async () => (await import('./verb/log.ts')).log,
  status: async () => (await import('./verb/status.ts')).status,
  wait: async () => (await import('./verb/wait.ts')).wait,
  tap: async () => (await import('./verb/tap.ts')).tap,
  snapshot: async () => (await import('./verb/snapshot.ts')).snapshot,
};

export const VERB_NAMES = Object.keys(VERBS);

const overview = async (): Promise<string> => {
  const verbs = await Promise.all(Object.values(VERBS).map((load) => load()));
  const lines = verbs.map((verb) => `  ${verb.name.padEnd(9)} ${verb.summary}\n`).join('');
  return `seine - container networking with a memory\n\n${lines}\nseine VERB --help says more. Exit codes: 0 yes or done, 1 no or different, 2 bad input, 3 cannot reach or not converged.\n`;
};

/** Runs one command line; never throws for what a person did. */
export const runSeine = async (args: readonly string[], io: Io): Promise<number> => {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    io.stdout(await overview());
    return EXIT.yes;
  }
  const load = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (load === undefined) {
    io.stderr(`${name}: expected one of ${VERB_NAMES.join(', ')}\nsee: seine --help\n`);
    return EXIT.badInput;
  }
  const verb = await load();
  const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest; // what follows belongs to somebody else's command
  if (own.includes('--help') || own.includes('-h')) {
    io.stdout(helpText(verb));
    return EXIT.yes;
  }
  try {
    return await verb.run(rest, io);
  } catch (error) {
    if (!isSeineError(error)) throw error;
    io.stderr(`${error.message}\nsee: seine ${verb.name} --help\n`);
    return exitCodeOf(error);
  }
};

const main = async (): Promise<void> => {
  const stop = new AbortController();
  process.on('SIGINT', () => { stop.abort(); });
  process.on('SIGTERM', () => { stop.abort(); });
  process.stdout.on('error', () => { process.exit(EXIT.yes); }); // `seine observe | head`: the reader has gone
  const code = await runSeine(process.argv.slice(2), {
    stdout: (text) => { process.stdout.write(text); },
    stderr: (text) => { process.stderr.write(text); },
    terminal: process.stdout.isTTY === true,
    signal: stop.signal,
  });
  /* A verb that was refused may have left a connection open: it ends here all the same, once everything is written. */
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((resolve) => { stream.write('', resolve); })));
  process.exit(code);
};

if (import.meta.main) await main();
