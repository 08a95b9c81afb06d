/**
 * Network namespaces. A window into one is synchronous and on the main thread: nothing is awaited inside, nothing asynchronous that takes
 * an interface index starts inside (a pool thread lives in the process's own namespace). If the way back fails, the process ends.
 */
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';

import { c, closeFd, must, openFd, syscall, trySyscall } from './libc.ts';

const CLONE_NEWNET = 0x40000000;
const MS_BIND = 4096;
const MNT_DETACH = 2;
const DIRECTORY = '/run/netns';

export const netnsPath = (name: string): string => `${DIRECTORY}/${name}`;

let ownNamespace: number | undefined;
const own = (): number => (ownNamespace ??= openFd('/proc/self/ns/net'));

const back = (home: number): void => {
  if (trySyscall('setns', home, CLONE_NEWNET) < 0) {
    process.stderr.write('setns back failed: this process would act in a foreign network namespace, so it ends\n');
    process.abort();
  }
};

/** Runs `inside` in the namespace behind `fd` and comes back. */
export const inNetns = <T>(fd: number, inside: () => T): T => {
  const home = own();
  syscall('setns', 'enter network namespace', fd, CLONE_NEWNET);
  try {
    return inside();
  } finally {
    back(home);
  }
};

/** By path or by name under /run/netns. */
export const inNetnsAt = <T>(path: string, inside: () => T): T => {
  const fd = openFd(path.startsWith('/') ? path : netnsPath(path));
  try {
    return inNetns(fd, inside);
  } finally {
    closeFd(fd);
  }
};

/** Moves the main thread for good: sockets opened later are of that namespace. */
export const moveToNetns = (path: string): void => {
  const fd = openFd(path.startsWith('/') ? path : netnsPath(path));
  syscall('setns', `enter ${path}`, fd, CLONE_NEWNET);
  closeFd(fd);
  if (ownNamespace !== undefined) closeFd(ownNamespace);
  ownNamespace = undefined;
};

export const netnsExists = (name: string): boolean => existsSync(netnsPath(name));
export const netnsNames = (): readonly string[] => (existsSync(DIRECTORY) ? readdirSync(DIRECTORY) : []);

/** Makes a named namespace, with loopback down as the kernel leaves it. */
export const createNetns = (name: string): void => {
  mkdirSync(DIRECTORY, { recursive: true, mode: 0o755 });
  const path = netnsPath(name);
  closeSync(openSync(path, 'wx', 0o444));
  const home = own();
  try {
    syscall('unshare', `make network namespace ${name}`, CLONE_NEWNET);
    try {
      must(`mount ${path}`, c.mount('/proc/thread-self/ns/net', path, 'none', MS_BIND, null) as number);
    } finally {
      back(home);
    }
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
};

/** Unmounts and removes; a namespace that is not there is no error. */
export const deleteNetns = (name: string): void => {
  const path = netnsPath(name);
  if (!existsSync(path)) return;
  c.umount2(path, MNT_DETACH);
  rmSync(path, { force: true });
};
