/** The unified cgroup hierarchy and the BPF file system: where they are, and children of ours. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';

import { SeineError } from '@seine/model';

import { c, must } from './libc.ts';

/** Mount point of cgroup v2, on pure and hybrid machines. */
export const cgroupRoot = (): string => {
  const line = readFileSync('/proc/self/mounts', 'utf8').split('\n').find((mount) => mount.split(' ')[2] === 'cgroup2');
  const path = line?.split(' ')[1];
  if (path === undefined) throw new SeineError('SEINE_KERNEL_FEATURE', 'cgroup2 is not mounted; Seine attaches its socket programs there');
  return path;
};

export const createCgroup = (path: string): void => { mkdirSync(path, { recursive: true }); };
export const moveToCgroup = (path: string, pid: number): void => { writeFileSync(`${path}/cgroup.procs`, String(pid)); };
export const removeCgroup = (path: string): void => { if (existsSync(path)) rmdirSync(path); };

export const BPFFS = '/sys/fs/bpf';

/** Mounts the BPF file system where it is not. */
export const ensureBpffs = (): void => {
  const mounted = readFileSync('/proc/self/mounts', 'utf8').split('\n').some((line) => line.split(' ')[1] === BPFFS && line.split(' ')[2] === 'bpf');
  if (!mounted) must(`mount ${BPFFS}`, c.mount('bpf', BPFFS, 'bpf', 0, null) as number);
};
