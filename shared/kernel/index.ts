export * from './bpf.ts';
export * from './cgroup.ts';
export { closeFd, gracePeriod, kernelError, openFd } from './libc.ts';
export * from './netlink.ts';
export * from './netns.ts';
export * from './object.ts';
export * from './port.ts';
export * from './ring-buffer.ts';
export * from './socket.ts';
