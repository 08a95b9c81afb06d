/** A log as a file: one stored commit per line, its bytes as they were stored, so that the chain can be checked anywhere. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';

import { LANES, parseCommitHeader } from '@seine/events';
import { SeineError } from '@seine/model';

import { parseExportLine, toCommit, toExportLine, type StoredCommit } from './chain.ts';
import type { Bus } from './port.ts';

/** What reading the past needs: the bus has it, and so does an exported file. */
export type LogReader = Pick<Bus, 'logId' | 'read' | 'stored' | 'lastSeq'>;

/** Lines of the whole log, in the stream's order. */
export async function* exportLog(log: Pick<LogReader, 'stored'>): AsyncGenerator<string> {
  for await (const stored of log.stored({ lanes: LANES })) yield toExportLine(stored);
}

/** A reader over stored commits that are in memory. */
export const readerOf = (commits: readonly StoredCommit[]): LogReader => {
  const first = commits[0];
  if (first === undefined) throw new SeineError('SEINE_EXPORT_EMPTY', 'the file holds no commit; a log has at least its genesis');
  async function* stored({ lanes, after = 0, until = Number.MAX_SAFE_INTEGER }: Parameters<Bus['stored']>[0]): AsyncGenerator<StoredCommit> {
    for (const commit of commits) if (commit.seq > after && commit.seq <= until && lanes.includes(commit.lane)) yield commit;
  }
  return {
    logId: parseCommitHeader(first.bytes).log,
    stored,
    read: async function* read(options) { for await (const commit of stored(options)) yield toCommit(commit); },
    lastSeq: async () => commits.at(-1)!.seq,
  };
};

/** @throws SEINE_EXPORT_MALFORMED, SEINE_EXPORT_EMPTY; ENOENT and the like as they come */
export const importLog = async (file: string): Promise<LogReader> => {
  const commits: StoredCommit[] = [];
  let number = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    number += 1;
    if (line !== '') commits.push(parseExportLine(line, number));
  }
  return readerOf(commits);
};
