/** What the writer keeps beside its maps: whole files, replaced by rename, so that a kill at any time leaves the old or the new. */
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { LocalEndpoint } from '@seine/node';

import { emptyTables, replayTableChange, restoreTables, storeTables, takeTableChanges, type StoredTables, type TableChange, type Tables } from '../core/index.ts';

export interface LocalTable { readonly endpoints: readonly LocalEndpoint[]; /** The addresses given last, one of each family. */ readonly lastAddresses: readonly string[] }

const readJson = <T>(path: string): T | undefined => {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T; // written by this process only
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

const JOURNAL_BYTES_MAX = 8 * 1024 * 1024;

/** One change a line, appended; a line that a kill cut short was never acted on. */
const openJournal = (path: string) => ({
  read: (): readonly TableChange[] => {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as TableChange])); // written by this process only
  },
  /** @returns how much it grew, in bytes */
  append: (changes: readonly TableChange[]): number => {
    const bytes = Buffer.from(changes.map((change) => `${JSON.stringify(change)}\n`).join(''));
    appendFileSync(path, bytes, { mode: 0o600 });
    return bytes.length;
  },
  empty: (): void => { rmSync(path, { force: true }); },
});

export const openStore = (directory: string) => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const replace = (name: string, value: unknown): void => {
    const path = join(directory, name);
    writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  const path = (name: string): string => join(directory, name);
  const journal = openJournal(path('numbers.log'));
  let journalBytes = 0;
  /** The tables whole; what the journal says after it is in them already, and saying it again changes nothing. */
  const writeSnapshot = (tables: Tables): void => {
    takeTableChanges(tables);
    replace('numbers.json', storeTables(tables));
    journal.empty();
    journalBytes = 0;
  };
  return {
    /** A table of a former build may lack what came later. */
    readTable: (): LocalTable => ({ endpoints: [], lastAddresses: [], ...readJson<Partial<LocalTable>>(path('endpoints.json')) }),
    writeTable: (table: LocalTable): void => { replace('endpoints.json', table); },
    readTables: (): Tables => {
      const stored = readJson<StoredTables>(path('numbers.json'));
      const tables = stored === undefined ? emptyTables() : restoreTables(stored);
      for (const change of journal.read()) replayTableChange(tables, change);
      writeSnapshot(tables);
      return tables;
    },
    /** Before the kernel refers to a number it is on disk: what changed is appended, seldom all is written. */
    writeTables: (tables: Tables): void => {
      const changes = takeTableChanges(tables);
      if (changes.length === 0) return;
      journalBytes += journal.append(changes);
      if (journalBytes > JOURNAL_BYTES_MAX) writeSnapshot(tables);
    },
  };
};
export type Store = ReturnType<typeof openStore>;
