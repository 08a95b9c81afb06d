/** Connected sockets of UDP whose backend is gone (bpf/destroy.bpf.c), of the node's own processes and of its pods. */
import { closeFd, openFd, runSocketIterator } from '@seine/kernel';

import type { NodeObjects } from './objects.ts';

const opened = (path: string): readonly number[] => {
  try {
    return [openFd(path)];
  } catch {
    return []; // the pod is gone, and its sockets with it
  }
};

/** @returns how many were destroyed; 0 where the kernel cannot (before 6.5) */
export const destroyAbandoned = async ({ destroyer }: Pick<NodeObjects, 'destroyer'>, netnsPaths: readonly string[]): Promise<number> => {
  if ('refused' in destroyer) return 0;
  let destroyed = await runSocketIterator(destroyer.fd);
  for (const path of new Set(netnsPaths)) {
    for (const netns of opened(path)) {
      try {
        destroyed += await runSocketIterator(destroyer.fd, netns);
      } finally {
        closeFd(netns);
      }
    }
  }
  return destroyed;
};
