/** The C library and system calls, through koffi. Only what this package uses; anonymous types only (docs/adr/0003). */
import { constants } from 'node:os';
import koffi from 'koffi';

import { SeineError } from '@seine/model';

const libc = koffi.load('libc.so.6');

const NUMBER = {
  x64: { bpf: 321, membarrier: 324, mmap: 9, setns: 308, unshare: 272 },
  arm64: { bpf: 280, membarrier: 283, mmap: 222, setns: 268, unshare: 97 },
}[process.arch as 'x64' | 'arm64'];

export const ERRNO: Readonly<Record<number, string>> = Object.fromEntries(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** A failed call of the kernel: `code` SEINE_KERNEL_<errno>, details {call, errno}. */
export const kernelError = (call: string, errno: number): SeineError =>
  new SeineError(`SEINE_KERNEL_${ERRNO[errno] ?? errno}`, `${call}: ${ERRNO[errno] ?? `errno ${errno}`}`, { call, errno: ERRNO[errno] ?? errno });

const syscall6 = libc.func('long syscall(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)');

export const addressOf = (bytes: Uint8Array): bigint => koffi.address(bytes) as bigint;

const raw = (name: keyof typeof NUMBER, args: readonly (number | bigint)[]): number => {
  const padded = [...args, 0, 0, 0, 0, 0, 0].slice(0, 6);
  return Number(syscall6(NUMBER[name], ...padded));
};

/** @throws kernelError */
export const syscall = (name: keyof typeof NUMBER, what: string, ...args: readonly (number | bigint)[]): number => {
  const result = raw(name, args);
  if (result < 0) throw kernelError(what, koffi.errno());
  return result;
};

/** The same without a throw: the result, or -errno. */
export const trySyscall = (name: keyof typeof NUMBER, ...args: readonly (number | bigint)[]): number => {
  const result = raw(name, args);
  return result < 0 ? -koffi.errno() : result;
};

/** On a pool thread, for calls that wait for RCU. Resolves with the result or -errno. Buffers behind pointers must stay referenced by the caller. */
export const syscallAsync = async (name: keyof typeof NUMBER, ...args: readonly (number | bigint)[]): Promise<number> => {
  const padded = [...args, 0, 0, 0, 0, 0, 0].slice(0, 6);
  return await new Promise((resolve, reject) => {
    syscall6.async(NUMBER[name], ...padded, (error: Error | null, result: number | bigint) => {
      if (error !== null) reject(error);
      else resolve(Number(result) < 0 ? -koffi.errno() : Number(result));
    });
  });
};

export const c = {
  close: libc.func('int close(int fd)'),
  open: libc.func('int open(const char *path, int flags, int mode)'),
  socket: libc.func('int socket(int domain, int type, int protocol)'),
  bind: libc.func('int bind(int fd, const void *address, uint32_t length)'),
  listen: libc.func('int listen(int fd, int backlog)'),
  connect: libc.func('int connect(int fd, const void *address, uint32_t length)'),
  accept4: libc.func('int accept4(int fd, void *address, void *length, int flags)'),
  sendto: libc.func('long sendto(int fd, const void *buffer, size_t length, int flags, const void *address, uint32_t size)'),
  recvfrom: libc.func('long recvfrom(int fd, void *buffer, size_t length, int flags, void *address, void *size)'),
  setsockopt: libc.func('int setsockopt(int fd, int level, int option, const void *value, uint32_t length)'),
  getsockopt: libc.func('int getsockopt(int fd, int level, int option, void *value, void *length)'),
  getsockname: libc.func('int getsockname(int fd, void *address, void *length)'),
  mount: libc.func('int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)'),
  umount2: libc.func('int umount2(const char *target, int flags)'),
  mmap: libc.func('void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)'),
  munmap: libc.func('int munmap(void *address, size_t length)'),
  if_nametoindex: libc.func('uint32_t if_nametoindex(const char *name)'),
} as const;

/** @throws kernelError when the call answers -1 */
export const must = (what: string, result: number | bigint): number => {
  if (Number(result) < 0) throw kernelError(what, koffi.errno());
  return Number(result);
};

export const lastErrno = (): number => koffi.errno();
export const viewOf = (pointer: unknown, size: number): ArrayBuffer => koffi.view(pointer, size);

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
export const openFd = (path: string): number => must(`open ${path}`, c.open(path, O_RDONLY | O_CLOEXEC, 0) as number);
export const closeFd = (fd: number): void => { c.close(fd); };

const MEMBARRIER_CMD_GLOBAL = 1;
/** Waits, off the main thread, until every program that ran at the call has ended: after it nobody holds what was unlinked before. */
export const gracePeriod = async (): Promise<void> => {
  const result = await syscallAsync('membarrier', MEMBARRIER_CMD_GLOBAL, 0);
  if (result < 0) throw kernelError('membarrier', -result);
};
