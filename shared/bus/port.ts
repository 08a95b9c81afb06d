/**
 * The bus as roles see it: commit to one lane, follow several, tick, report, tap. One real adapter (jetstream.ts), one fake
 * that behaves like it (fake.ts); both pass bus.conformance.ts.
 */
import type { Lane, SeineEvent } from '@seine/events';

import type { StoredCommit } from './chain.ts';

/** One commit as read: an atomic batch of one lane. */
export interface Commit {
  /** Sequence in the stream, plus the log's base: "the cluster at sequence N". */
  readonly seq: number;
  readonly lane: Lane;
  /** Counts the lane, from 1. */
  readonly laneSeq: number;
  readonly epoch: number;
  /** Stream sequence up to which the writer had folded everything it reads. */
  readonly seen: number;
  readonly writer: string;
  /** When the broker stored it, ms since the epoch; of a live commit from a broker that does not say, when it arrived. */
  readonly storedMs: number;
  /** SHA-256 of the stored bytes, lower-case hex, and of the lane's previous commit (64 zeros before the first). */
  readonly hash: string;
  readonly prev: string;
  readonly events: readonly SeineEvent[];
}

/** The last commit of a lane that a reader has taken. */
export interface LanePosition { readonly seq: number; readonly laneSeq: number; readonly hash: string }

/** How far a reader is, and of which log. */
export interface Position {
  readonly log: string;
  readonly seq: number;
  readonly lanes: Readonly<Partial<Record<Lane, LanePosition>>>;
}

export type Followed =
  | { readonly type: 'commit'; readonly commit: Commit }
  /** Nothing of my lanes below this sequence is missing. */
  | { readonly type: 'complete'; readonly seq: number }
  /** First `complete` at or beyond the highest head at start: prune only from then on. Once per follow. */
  | { readonly type: 'inSync'; readonly seq: number }
  /** No tick of this lane for 5 s, said again every 5 s while it lasts: nothing is pruned, nothing else changes. */
  | { readonly type: 'stale'; readonly lane: Lane }
  /** The log is not the one that was read before. The last thing that a follow says: freeze. */
  | { readonly type: 'distrusted'; readonly reason: string };

export interface FollowOptions {
  readonly lanes: readonly Lane[];
  readonly from: Position | 0;
  readonly signal: AbortSignal;
}

export interface ReadOptions { readonly lanes: readonly Lane[]; readonly after?: number; readonly until?: number }

/** The right to write one lane, as long as nobody else takes it. */
export interface LaneWriter {
  /** Stores one commit (split where it exceeds the limits, in order); resolves when acknowledged. Rejects SEINE_WRITER_FENCED for good. */
  readonly commit: (events: readonly SeineEvent[], seen: number) => Promise<{ readonly seq: number }>;
  readonly epoch: number;
  /** Sequence of the lane's last commit, as acknowledged. */
  readonly headSeq: () => number;
  /** Says in the ticks that everything up to `seq` is folded and nothing is undecided. */
  readonly folded: (seq: number) => void;
  /** Aborted when the lane is lost: fenced, or the log went backwards. `reason` is the error. */
  readonly lost: AbortSignal;
  /** Hands over: commits writer.closed. */
  readonly close: () => Promise<void>;
}

export interface Bus {
  /** `follow` batches: all that has arrived, in stream order; the consumer folds a batch, then acts once. */
  readonly follow: (options: FollowOptions) => AsyncIterable<readonly Followed[]>;
  /**
   * Waits as a standby until the lane is free (its tick silent for 3 s plus jitter, or closed, or never written), then opens the next epoch.
   * `instance` names this process; one that comes back under the name of the lane's last writer does not wait.
   */
  readonly openLane: (lane: Lane, instance: string, signal: AbortSignal) => Promise<LaneWriter>;
  readonly head: (lane: Lane) => Promise<{ readonly seq: number; readonly laneSeq: number; readonly hash: string; readonly epoch: number } | undefined>;
  /** Reads commits by sequence without following: history, export. Ends at the head as of the call, or at `until`. */
  readonly read: (options: ReadOptions) => AsyncIterable<Commit>;
  /** The same as stored bytes, unparsed: export and chain checks. */
  readonly stored: (options: ReadOptions) => AsyncIterable<StoredCommit>;
  /** The stream's last sequence, over all lanes. */
  readonly lastSeq: () => Promise<number>;
  /** A node's whole-state report, replacing its former one. */
  readonly report: (node: string, report: unknown) => Promise<void>;
  readonly reports: (signal: AbortSignal) => AsyncIterable<{ readonly node: string; readonly report: unknown }>;
  /** Core NATS for taps and flows: nobody acts on it. `subject` is built by bus/subject.ts only. */
  readonly publish: (subject: string, message: unknown) => void;
  readonly subscribe: (subject: string, signal: AbortSignal) => AsyncIterable<{ readonly subject: string; readonly message: unknown }>;
  readonly logId: string;
  readonly cluster: string;
  /** Resolves once the broker answers; for health. Rejects SEINE_BUS_UNAVAILABLE. */
  readonly ping: () => Promise<void>;
  readonly close: () => Promise<void>;
}
