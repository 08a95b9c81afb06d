/** What the writer keeps beside its maps: whole files, replaced by rename, so that a kill at any time leaves the old or the new. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { LocalEndpoint } from '@seine/node';

import { emptyTables, restoreTables, storeTables, type StoredTables, type Tables } from '../core/index.ts';

export interface LocalTable { readonly endpoints: readonly LocalEndpoint[]; readonly lastAddress: string | undefined }

const readJson = <T>(path: string): T | undefined => {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T; // written by this process only
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

export const openStore = (directory: string) => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const replace = (name: string, value: unknown): void => {
    const path = join(directory, name);
    writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  let tablesText = '';
  return {
    readTable: (): LocalTable => readJson<LocalTable>(join(directory, 'endpoints.json')) ?? { endpoints: [], lastAddress: undefined },
    writeTable: (table: LocalTable): void => { replace('endpoints.json', table); },
    readTables: (): Tables => {
      const stored = readJson<StoredTables>(join(directory, 'numbers.json'));
      return stored === undefined ? emptyTables() : restoreTables(stored);
    },
    /** Before the kernel refers to a number it is on disk. */
    writeTables: (tables: Tables): void => {
      const stored = storeTables(tables);
      const text = JSON.stringify(stored);
      if (text === tablesText) return;
      replace('numbers.json', stored);
      tablesText = text;
    },
  };
};
export type Store = ReturnType<typeof openStore>;
