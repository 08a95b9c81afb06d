/** Links that outlive their process: pinned under a name of their own. */
import { rmSync } from 'node:fs';

import { closeFd, linkDetach, pin, pinned } from '@seine/kernel';

/** Its program no longer runs, and its name is free. Nothing pinned there is no error. */
export const takeOffPinned = async (path: string): Promise<void> => {
  const link = pinned(path);
  if (link === undefined) return;
  try {
    await linkDetach(link);
  } finally {
    closeFd(link);
  }
  rmSync(path, { force: true });
};

export const keepLink = (link: number, path: string): void => {
  try {
    pin(link, path);
  } finally {
    closeFd(link);
  }
};

/** Of an interface's name: that file system takes no dot in a name, and an interface's name holds no colon. */
export const pinNameOf = (interfaceName: string): string => interfaceName.replaceAll('.', ':');
export const interfaceOfPin = (pinName: string): string => pinName.replaceAll(':', '.');

/** One wait for RCU at a time: more would only queue in the kernel. */
export const createLine = () => {
  let line: Promise<unknown> = Promise.resolve();
  return {
    inLine: <T>(work: () => Promise<T>): Promise<T> => {
      const done = line.then(work);
      line = done.catch(() => {});
      return done;
    },
    end: async (): Promise<void> => { await line; },
  };
};
