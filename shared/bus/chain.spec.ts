import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from '@jest/globals';
import { LANES, NO_PREVIOUS, serialiseCommit, type CommitHeader, type SeineEvent } from '@seine/events';

import { hashOf, parseExportLine, toExportLine, verifyChain, type StoredCommit } from './chain.ts';
import { importLog } from './export.ts';

const event: SeineEvent = { type: 'namespace.vanished.v1', key: 'a', time: '2026-01-01T00:00:00Z', data: { uid: 'u' } };
const bytes = (header: Partial<CommitHeader>): Uint8Array =>
  serialiseCommit({ log: 'l', lane: 'fact', laneSeq: 1, epoch: 1, prev: NO_PREVIOUS, seen: 0, writer: 'w', ...header }, [event]);
const first: StoredCommit = { seq: 2, lane: 'fact', storedMs: 1, bytes: bytes({}) };
const second: StoredCommit = { seq: 5, lane: 'fact', storedMs: 2, bytes: bytes({ laneSeq: 2, prev: hashOf(first.bytes) }) };
const after = (header: Partial<CommitHeader>, stored: Partial<StoredCommit> = {}): StoredCommit[] =>
  [first, second, { seq: 6, lane: 'fact', storedMs: 3, bytes: bytes({ laneSeq: 3, prev: hashOf(second.bytes), ...header }), ...stored }];

describe('a chain', () => {
  test('holds when each commit names the one before it', () => {
    expect(verifyChain(after({}))).toEqual({ ok: true, commits: 3, events: 3, seq: 6 });
  });

  test.each([
    { name: 'a commit is missing', commits: after({}).toSpliced(1, 1), damagedAt: 6, reason: 'laneSeq is 3, 2 was to come' },
    { name: 'the first commit is missing', commits: after({}).slice(1), damagedAt: 5, reason: 'laneSeq is 2, 1 was to come' },
    { name: 'a commit was changed', commits: after({}).with(1, { ...second, bytes: Buffer.from(Buffer.from(second.bytes).toString().replace('namespace/a', 'namespace/b')) }), damagedAt: 6, reason: undefined },
    { name: 'the predecessor is another', commits: after({ prev: 'b'.repeat(64) }), damagedAt: 6, reason: `prev is bbbbbbbbbbbbbbbb…, the commit before it has ${hashOf(second.bytes).slice(0, 16)}…` },
    { name: 'a number of the lane comes twice', commits: after({ laneSeq: 2 }), damagedAt: 6, reason: 'laneSeq is 2, 3 was to come' },
    { name: 'the term goes back', commits: after({ epoch: 0 }), damagedAt: 6, reason: 'epoch is 0 after 1' },
    { name: 'the log is another', commits: after({ log: 'other' }), damagedAt: 6, reason: 'belongs to log other, not to l' },
    { name: 'the lane is another', commits: after({ lane: 'fact' }, { lane: 'ipam' }), damagedAt: 6, reason: 'says that it is of lane fact' },
    { name: 'the order is another', commits: after({}, { seq: 4 }), damagedAt: 4, reason: 'sequence 4 after 5' },
    { name: 'a commit is no JSON', commits: after({}, { bytes: Buffer.from('{') }), damagedAt: 6, reason: 'a commit of 1 bytes is not JSON' },
  ])('is damaged where $name', ({ commits, damagedAt, reason }) => {
    expect(verifyChain(commits)).toMatchObject({ ok: false, damagedAt, ...(reason === undefined ? {} : { reason }) });
  });
});

describe('an exported log', () => {
  const read = async (text: string) => {
    const directory = mkdtempSync(join(tmpdir(), 'seine-export-'));
    const file = join(directory, 'log.jsonl');
    writeFileSync(file, text);
    try {
      return await importLog(file);
    } finally {
      rmSync(directory, { recursive: true });
    }
  };

  test('is read with its bytes as they were', async () => {
    const log = await read([first, second].map(toExportLine).join(''));
    const commits: StoredCommit[] = [];
    for await (const commit of log.stored({ lanes: LANES })) commits.push(commit);
    expect(commits).toEqual([first, second]);
    expect(log.logId).toBe('l');
    expect(await log.lastSeq()).toBe(5);
  });

  test('that holds nothing is refused', async () => {
    await expect(read('')).rejects.toMatchObject({ code: 'SEINE_EXPORT_EMPTY' });
  });

  test.each(['{"seq":1}', 'x', '{"seq":1.5,"lane":"fact","storedMs":1,"commit":""}'])('names the line that is none: %s', async (line) => {
    await expect(read(`${toExportLine(first)}${line}\n`)).rejects.toMatchObject({ code: 'SEINE_EXPORT_MALFORMED', details: { line: 2 } });
  });

  test('a line is the commit', () => {
    expect(parseExportLine(toExportLine(first), 1)).toEqual(first);
  });
});
