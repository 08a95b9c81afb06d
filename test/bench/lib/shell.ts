/** Child processes of the benches: set-up and load, never what is measured. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

import { SeineError } from '@seine/model';

const PACKAGE_OF = { 'iptables-legacy-restore': 'iptables', 'iptables-nft-restore': 'iptables', ipset: 'ipset', nft: 'nftables' } as const;
const PATHS = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
const runs = (command: string): boolean => PATHS.some((directory) => {
  try {
    accessSync(join(directory, command), constants.X_OK);
    return true;
  } catch {
    return false;
  }
});

/** @throws SEINE_BENCH_INCOMPLETE naming the packages that the yardsticks need */
export const requireCommands = (...commands: readonly (keyof typeof PACKAGE_OF)[]): void => {
  const missing = [...new Set(commands.filter((command) => !runs(command)).map((command) => PACKAGE_OF[command]))];
  if (missing.length > 0) throw new SeineError('SEINE_BENCH_INCOMPLETE', `the yardsticks need ${missing.join(', ')}: apt-get install ${missing.join(' ')}`, { missing });
};

/** Runs to the end; throws with what it printed. */
export const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20 });

export const inNetns = (netns: string): readonly string[] => [`--net=${netns.startsWith('/') ? netns : `/run/netns/${netns}`}`];

/** Runs in a namespace with this on its standard input; throws with what it printed. */
export const feed = (netns: string, input: string, ...command: readonly string[]): void => {
  execFileSync('nsenter', [...inNetns(netns), ...command], { input, stdio: ['pipe', 'ignore', 'pipe'], maxBuffer: 64 << 20 });
};

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

/** Starts a server in a namespace; resolves when it has printed its first line. */
export const serve = async (netns: string, env: Readonly<Record<string, string>>, ...command: readonly string[]): Promise<ChildProcess> => {
  const child = spawn('nsenter', [...inNetns(netns), ...command], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
};

export const runIn = (netns: string, env: Readonly<Record<string, string>>, ...command: readonly string[]): string =>
  execFileSync('nsenter', [...inNetns(netns), ...command], { encoding: 'utf8', env: { ...process.env, ...env } });
