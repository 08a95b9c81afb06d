/** The processes of a lab, started inside their namespaces, started again at once when they die. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { moveToCgroup, netnsPath } from '@seine/kernel';

export interface ProcessSpec {
  readonly role: string;
  readonly node: string | undefined;
  readonly netns: string;
  readonly cgroup?: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Base URL of /readyz; undefined: ready once it runs. */
  readonly health?: string;
}

export interface Running { readonly spec: ProcessSpec; readonly pid: number | undefined; readonly starts: number }

const FIRST_DELAY_MS = 20;
const LONGEST_DELAY_MS = 2_000;
const STEADY_MS = 5_000;
const STOP_PATIENCE_MS = 5_000;

export const createProcesses = (logs: string) => {
  const all = new Map<string, { spec: ProcessSpec; child: ChildProcess | undefined; starts: number; delayMs: number; timer: NodeJS.Timeout | undefined }>();
  let stopping = false;
  const keyOf = (role: string, node: string | undefined): string => (node === undefined ? role : `${role}-${node}`);

  const launch = (key: string): void => {
    const entry = all.get(key)!;
    if (stopping) return;
    const { spec } = entry;
    const log = openSync(join(logs, `${key}.log`), 'a');
    const startedMs = Date.now();
    /* nsenter replaces itself by the command, so the pid is the process's own. */
    const child = spawn('nsenter', [`--net=${netnsPath(spec.netns)}`, '--', ...spec.command], { env: { ...process.env, ...spec.env }, stdio: ['ignore', log, log], detached: false });
    closeSync(log);
    entry.child = child;
    entry.starts += 1;
    if (child.pid !== undefined && spec.cgroup !== undefined) moveToCgroup(spec.cgroup, child.pid);
    child.once('exit', () => {
      entry.child = undefined;
      if (stopping) return;
      entry.delayMs = Date.now() - startedMs > STEADY_MS ? FIRST_DELAY_MS : Math.min(LONGEST_DELAY_MS, entry.delayMs * 2);
      entry.timer = setTimeout(() => { launch(key); }, entry.delayMs);
    });
    child.once('error', () => {}); // the exit handler starts it again
  };

  return {
    start: (spec: ProcessSpec): void => {
      const key = keyOf(spec.role, spec.node);
      all.set(key, { spec, child: undefined, starts: 0, delayMs: FIRST_DELAY_MS, timer: undefined });
      launch(key);
    },
    list: (): readonly Running[] => [...all.values()].map(({ spec, child, starts }) => ({ spec, pid: child?.pid, starts })),
    kill: (role: string, node: string | undefined): number => {
      let killed = 0;
      for (const { spec, child } of all.values()) {
        if (spec.role !== role || (node !== undefined && spec.node !== node) || child?.pid === undefined) continue;
        child.kill('SIGKILL');
        killed += 1;
      }
      return killed;
    },
    /** The same process with other settings; it comes back as after a kill. @returns once the former one has ended */
    configure: async (role: string, env: Readonly<Record<string, string>>): Promise<void> => {
      await Promise.all([...all.values()].filter(({ spec }) => spec.role === role).map((entry) => new Promise<void>((resolve) => {
        entry.spec = { ...entry.spec, env: { ...entry.spec.env, ...env } };
        if (entry.child?.pid === undefined) { resolve(); return; }
        entry.child.once('exit', () => { resolve(); });
        entry.child.kill('SIGKILL');
      })));
    },
    /** In the given order of roles; each gets a moment for a clean end. */
    stop: async (order: readonly string[]): Promise<void> => {
      stopping = true;
      for (const { timer } of all.values()) clearTimeout(timer);
      for (const role of order) {
        const children = [...all.values()].filter(({ spec, child }) => spec.role === role && child !== undefined).map(({ child }) => child!);
        for (const child of children) child.kill('SIGTERM');
        await Promise.all(children.map((child) => new Promise<void>((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) { resolve(); return; }
          const timer = setTimeout(() => { child.kill('SIGKILL'); }, STOP_PATIENCE_MS);
          child.once('exit', () => { clearTimeout(timer); resolve(); });
        })));
      }
    },
  };
};
export type Processes = ReturnType<typeof createProcesses>;

/** Resident memory of a process; 0 when it has gone. */
export const rssBytes = (pid: number): number => {
  try {
    return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
};
