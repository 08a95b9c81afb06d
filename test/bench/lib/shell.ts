/** Child processes of the benches: set-up and load, never what is measured. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Runs to the end; throws with what it printed. */
export const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20 });

/** Runs and forgets a failure: for taking down what may not be there. */
export const attempt = (command: string, ...args: readonly string[]): void => {
  try {
    run(command, ...args);
  } catch {
    // it was not there
  }
};

/** Lines of a script for `ip -batch`. */
export const ipBatch = (...lines: readonly string[]): void => {
  execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: ['pipe', 'pipe', 'pipe'] });
};

export const inNetns = (netns: string): readonly string[] => [`--net=${netns.startsWith('/') ? netns : `/run/netns/${netns}`}`];

/** Starts a server in a namespace; resolves when it has printed its first line. */
export const serve = async (netns: string, env: Readonly<Record<string, string>>, ...command: readonly string[]): Promise<ChildProcess> => {
  const child = spawn('nsenter', [...inNetns(netns), ...command], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
};

export const runIn = (netns: string, env: Readonly<Record<string, string>>, ...command: readonly string[]): string =>
  execFileSync('nsenter', [...inNetns(netns), ...command], { encoding: 'utf8', env: { ...process.env, ...env } });
