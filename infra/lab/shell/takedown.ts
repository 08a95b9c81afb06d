/** Takes everything of a lab away, by names alone: also after a kill -9 of anything. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { BPFFS, cgroupRoot, deleteNetns, netnsNames, removeCgroup } from '@seine/kernel';

import { placesOf, type Places } from './places.ts';

const EMPTY_PATIENCE_MS = 3_000;

const pidsIn = (cgroup: string): readonly number[] => {
  try {
    return readFileSync(join(cgroup, 'cgroup.procs'), 'utf8').split('\n').filter((line) => line !== '').map(Number);
  } catch {
    return [];
  }
};

/** Processes whose environment or arguments name this lab's run directory. */
const pidsOf = (places: Places): readonly number[] => readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name)).map(Number).filter((pid) => {
  if (pid === process.pid) return false;
  try {
    const text = readFileSync(`/proc/${pid}/environ`, 'utf8') + readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return [`SEINE_INSTANCE=${places.lab}\0`, `SEINE_PODS_SOCKET=${places.run}/`, `${places.state}/nats`, `supervisor.ts\0{"lab":"${places.lab}"`].some((mark) => text.includes(mark));
  } catch {
    return false; // it has ended
  }
});

const ended = async (pids: readonly number[]): Promise<void> => {
  const end = Date.now() + EMPTY_PATIENCE_MS;
  while (Date.now() < end && pids.some((pid) => existsSync(`/proc/${pid}`))) await new Promise((resolve) => { setTimeout(resolve, 10); });
};

export const takeDown = async (places: Places): Promise<void> => {
  const pids = pidsOf(places);
  for (const pid of pids) { try { process.kill(pid, 'SIGKILL'); } catch { /* it has ended */ } }
  await ended(pids);
  for (const name of netnsNames()) if (name.startsWith(places.netnsPrefix)) deleteNetns(name);
  rmSync(places.pins, { recursive: true, force: true });
  if (existsSync(places.cgroup)) {
    const children = readdirSync(places.cgroup, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => join(places.cgroup, entry.name));
    for (const child of children) {
      const left = pidsIn(child);
      for (const pid of left) { try { process.kill(pid, 'SIGKILL'); } catch { /* it has ended */ } }
      await ended(left);
      removeCgroup(child);
    }
    removeCgroup(places.cgroup);
  }
  rmSync(places.run, { recursive: true, force: true });
  rmSync(places.state, { recursive: true, force: true });
};

/** Names of labs that left anything behind, whatever it is. */
export const knownLabs = (): readonly string[] => {
  const names = new Set<string>();
  const note = (text: string, pattern: RegExp): void => { const match = pattern.exec(text); if (match?.[1] !== undefined) names.add(match[1]); };
  for (const name of netnsNames()) note(name, /^seine-(.+?)-(?:hub|ext|node-.+|pod-[0-9a-f]{14})$/);
  for (const directory of [BPFFS, cgroupRoot()]) if (existsSync(directory)) for (const name of readdirSync(directory)) note(name, /^seine-([a-z0-9-]+)$/);
  if (existsSync('/run/seine')) for (const entry of readdirSync('/run/seine', { withFileTypes: true })) if (entry.isDirectory()) note(entry.name, /^([a-z0-9][a-z0-9-]*)$/);
  return [...names].filter((name) => { try { placesOf(name); return true; } catch { return false; } }).sort();
};
