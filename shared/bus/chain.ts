/** The chain of a lane: each commit names the SHA-256 of the stored bytes of the one before it. Pure. */
import { createHash } from 'node:crypto';

import { NO_PREVIOUS, parseCommit, parseCommitHeader, type Lane } from '@seine/events';
import { SeineError } from '@seine/model';

import type { Commit } from './port.ts';

/** One message of the log as the broker holds it; `bytes` are never re-encoded. */
export interface StoredCommit {
  readonly seq: number;
  readonly lane: Lane;
  readonly storedMs: number;
  readonly bytes: Uint8Array;
}

/** Lower-case hex. */
export const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** @throws SEINE_COMMIT_MALFORMED, SEINE_EVENT_UNKNOWN, SEINE_EVENT_MALFORMED */
export const toCommit = (stored: StoredCommit, hash = hashOf(stored.bytes)): Commit => {
  const { laneSeq, epoch, prev, seen, writer, events } = parseCommit(stored.bytes);
  return { seq: stored.seq, lane: stored.lane, laneSeq, epoch, seen, writer, storedMs: stored.storedMs, hash, prev, events };
};

export type ChainVerdict =
  | { readonly ok: true; readonly commits: number; readonly events: number; readonly seq: number }
  | { readonly ok: false; readonly damagedAt: number; readonly lane: Lane; readonly reason: string };

/** Why `commit` cannot follow `before` in its lane; undefined when it can. */
export const chainBreak = (
  before: { readonly laneSeq: number; readonly hash: string; readonly epoch?: number } | undefined,
  commit: { readonly laneSeq: number; readonly prev: string; readonly epoch: number },
): string | undefined => {
  const laneSeq = (before?.laneSeq ?? 0) + 1;
  if (commit.laneSeq !== laneSeq) return `laneSeq is ${commit.laneSeq}, ${laneSeq} was to come`;
  const prev = before?.hash ?? NO_PREVIOUS;
  if (commit.prev !== prev) return `prev is ${commit.prev.slice(0, 16)}…, the commit before it has ${prev.slice(0, 16)}…`;
  if (before?.epoch !== undefined && commit.epoch < before.epoch) return `epoch is ${commit.epoch} after ${before.epoch}`;
  return undefined;
};

/** Checks whole lanes from their first commit, one commit at a time: log id, sequences, hashes, epochs. Ends at the first damage. */
export const createChainCheck = () => {
  const lanes = new Map<Lane, { laneSeq: number; hash: string; epoch: number }>();
  let log: string | undefined;
  let verdict: ChainVerdict = { ok: true, commits: 0, events: 0, seq: 0 };
  return {
    take: (stored: StoredCommit): void => {
      if (!verdict.ok) return;
      const damaged = (reason: string): void => { verdict = { ok: false, damagedAt: stored.seq, lane: stored.lane, reason }; };
      let header: ReturnType<typeof parseCommitHeader>;
      try {
        header = parseCommitHeader(stored.bytes);
      } catch (error) {
        return damaged(error instanceof Error ? error.message : String(error));
      }
      log ??= header.log;
      if (header.log !== log) return damaged(`belongs to log ${header.log}, not to ${log}`);
      if (header.lane !== stored.lane) return damaged(`says that it is of lane ${header.lane}`);
      if (stored.seq <= verdict.seq) return damaged(`sequence ${stored.seq} after ${verdict.seq}`);
      const broken = chainBreak(lanes.get(stored.lane), header);
      if (broken !== undefined) return damaged(broken);
      lanes.set(stored.lane, { laneSeq: header.laneSeq, hash: hashOf(stored.bytes), epoch: header.epoch });
      verdict = { ok: true, commits: verdict.commits + 1, events: verdict.events + header.events.length, seq: stored.seq };
    },
    verdict: (): ChainVerdict => verdict,
  };
};

export const verifyChain = (commits: Iterable<StoredCommit>): ChainVerdict => {
  const check = createChainCheck();
  for (const commit of commits) check.take(commit);
  return check.verdict();
};

/** One line of an exported log: the stored bytes as they are, base64. */
export const toExportLine = ({ seq, lane, storedMs, bytes }: StoredCommit): string =>
  `${JSON.stringify({ seq, lane, storedMs, commit: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') })}\n`;

/** @throws SEINE_EXPORT_MALFORMED with the line's number, from 1 */
export const parseExportLine = (line: string, number: number): StoredCommit => {
  try {
    const { seq, lane, storedMs, commit } = JSON.parse(line) as { seq: number; lane: Lane; storedMs: number; commit: string };
    if (!Number.isSafeInteger(seq) || typeof lane !== 'string' || typeof storedMs !== 'number' || typeof commit !== 'string') throw new TypeError('members');
    return { seq, lane, storedMs, bytes: Buffer.from(commit, 'base64') };
  } catch (cause) {
    throw new SeineError('SEINE_EXPORT_MALFORMED',
      `line ${number} is no exported commit: {"seq","lane","storedMs","commit"} was expected`, { line: number }, { cause });
  }
};
