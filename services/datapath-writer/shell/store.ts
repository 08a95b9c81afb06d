/** What the writer keeps beside its maps: whole files, replaced by rename, so that a kill at any time leaves the old or the new. */
import { createHash } from 'node:crypto';
import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { LocalEndpoint } from '@seine/node';

import { emptyTables, replayTableChange, restoreFold, restoreTables, storeFold, storeTables, takeTableChanges, type FoldPosition, type NodeState, type StoredTables, type TableChange, type Tables } from '../core/index.ts';

export interface LocalTable { readonly endpoints: readonly LocalEndpoint[]; /** The addresses given last, one of each family. */ readonly lastAddresses: readonly string[] }

const readBytes = (path: string): Buffer | undefined => {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};
const readText = (path: string): string | undefined => readBytes(path)?.toString('utf8');
const readJson = <T>(path: string): T | undefined => {
  const text = readText(path);
  return text === undefined ? undefined : JSON.parse(text) as T; // written by this process only
};
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const NEWLINE = 10;
function* parsedLines(bytes: Buffer): Generator<unknown> {
  for (let from = 0, end = bytes.indexOf(NEWLINE); end >= 0; from = end + 1, end = bytes.indexOf(NEWLINE, from)) yield JSON.parse(bytes.toString('utf8', from, end));
}

const JOURNAL_BYTES_MAX = 8 * 1024 * 1024;

/** One change a line, appended; a line that a kill cut short was never acted on. */
const openJournal = (path: string) => ({
  read: (): readonly TableChange[] => {
    const text = readText(path) ?? '';
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
  const path = (name: string): string => join(directory, name);
  const replaceText = (name: string, text: string): void => {
    writeFileSync(path(`${name}.new`), text, { mode: 0o600 });
    renameSync(path(`${name}.new`), path(name));
  };
  const replace = (name: string, value: unknown): void => { replaceText(name, JSON.stringify(value)); };
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
    /** The fold, the hash of its lines after it; undefined where there is none, or none that this build and node can trust. */
    readFold: (node: string): { readonly state: NodeState; readonly position: FoldPosition } | undefined => {
      const bytes = readBytes(path('fold.json'));
      if (bytes === undefined) return undefined;
      const end = bytes.lastIndexOf(NEWLINE, -2) + 1; // the last line is the hash of all before it
      return sha256(bytes.subarray(0, end)) === bytes.toString('latin1', end).trimEnd() ? restoreFold(node, parsedLines(bytes.subarray(0, end))) : undefined;
    },
    writeFold: (node: string, state: Readonly<NodeState>, position: FoldPosition): void => {
      const hash = createHash('sha256');
      const file = openSync(path('fold.json.new'), 'w', 0o600);
      try {
        for (const text of storeFold(node, state, position)) {
          const line = Buffer.from(`${text}\n`);
          hash.update(line);
          writeFileSync(file, line);
        }
        writeFileSync(file, `${hash.digest('hex')}\n`);
      } finally {
        closeSync(file);
      }
      renameSync(path('fold.json.new'), path('fold.json'));
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
