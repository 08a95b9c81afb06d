/**
 * Follows lanes of the log: the broker's live copy where it is gapless, reading where it is not. The stream numbers all lanes
 * together and nothing is ever deleted from it, so "nothing is missing" is a sequence without a hole. Each lane's chain is checked
 * on the way: a live commit that does not fit is refused and read instead; a stored one that does not fit is not trusted.
 */
import { LANES, type Lane } from '@seine/events';
import { SeineError, isSeineError } from '@seine/model';

import type { Broker, LiveCommit } from './broker.ts';
import { chainBreak, hashOf, toCommit, type StoredCommit } from './chain.ts';
import { sleep, type Clock } from './clock.ts';
import type { Commit, FollowOptions, Followed, LanePosition } from './port.ts';
import { tickSubject } from './subject.ts';
import { parseTick } from './tick.ts';
import { BACKWARDS_PATIENCE_MS } from './writer.ts';

/** Live commits that wait while older ones are read; above it all are dropped and read again. */
export const LIVE_BUFFER_BYTES_MAX = 64 * 1024 * 1024;
/** No tick of a lane for this long: stale. */
export const STALE_AFTER_MS = 5_000;
/** A tick that names an unseen head for this long means that the live copy was lost. */
const LOSS_PATIENCE_MS = 250;
const RETRY_MS = 200;
/** Reads under way at once; also the most commits of one batch. */
const READ_AHEAD = 128;
const BATCH_MAX = 1_024;

/** Written by people and jobs, so silence means nothing. */
const LANES_WITHOUT_TICKS: readonly Lane[] = ['audit'];

export interface FollowerPorts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly cluster: string;
  readonly log: string;
  /** Sequence before the log's first commit. */
  readonly base: number;
  readonly warn: (sentence: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Thrown where the log turns out to be another one; its message is the reason that the follower tells. */
class Distrust extends Error {}

/** Sequences `from`..`to` in order, read ahead; ends early where the stream ends. */
export async function* readRange(broker: Broker, from: number, to: number): AsyncGenerator<StoredCommit> {
  for (let start = from; start <= to; start += READ_AHEAD) {
    const count = Math.min(READ_AHEAD, to - start + 1);
    const chunk = await Promise.all(Array.from({ length: count }, (_, index) => broker.at(start + index)));
    for (const stored of chunk) {
      if (stored === undefined) return;
      yield stored;
    }
  }
}

/** What arrives by itself: live commits by sequence, the highest sequence that was heard of, lost connections, silent lanes. */
const listenLive = async ({ broker, clock, cluster, warn }: FollowerPorts, lanes: readonly Lane[]) => {
  const buffer = new Map<number, LiveCommit>();
  let bufferBytes = 0;
  let highest = 0;
  let suspect = false;
  let wake: () => void = () => {};
  const cancels = new Set<() => void>();
  const lastTickMs = new Map<Lane, number>();
  const timed = lanes.filter((lane) => !LANES_WITHOUT_TICKS.includes(lane));
  for (const lane of timed) lastTickMs.set(lane, clock.nowMs());

  const clear = (): void => {
    buffer.clear();
    bufferBytes = 0;
  };
  const raise = (seq: number): void => {
    if (seq > highest) highest = seq;
    wake();
  };
  const live = (commit: LiveCommit): void => {
    bufferBytes += commit.bytes.length;
    if (bufferBytes > LIVE_BUFFER_BYTES_MAX) {
      warn('live commits arrive faster than they are read; starting again from the own position', { bufferBytes });
      clear();
    } else {
      buffer.set(commit.seq, commit);
    }
    raise(commit.seq);
  };
  const doubt = (): void => {
    suspect = true;
    clear();
    wake();
  };
  const stopListening = await broker.listen({ live, disconnected: doubt, reconnected: doubt });
  const stopTicks = timed.map((lane) => broker.subscribe(tickSubject(cluster, lane), (_, bytes) => {
    const tick = parseTick(bytes);
    if (tick === undefined) return;
    lastTickMs.set(lane, clock.nowMs());
    if (tick.head <= highest) return;
    const cancel = clock.after(LOSS_PATIENCE_MS, () => {
      cancels.delete(cancel);
      if (tick.head > highest) raise(tick.head);
    });
    cancels.add(cancel);
  }));

  return {
    take: (seq: number): LiveCommit | undefined => {
      const commit = buffer.get(seq);
      if (commit !== undefined) {
        buffer.delete(seq);
        bufferBytes -= commit.bytes.length;
      }
      return commit;
    },
    dropBelow: (seq: number): void => {
      for (const [key, commit] of buffer) {
        if (key >= seq) continue;
        buffer.delete(key);
        bufferBytes -= commit.bytes.length;
      }
    },
    has: (seq: number): boolean => buffer.has(seq),
    highest: () => highest,
    raise,
    /** The stream ends at `last`: whoever said more was wrong. */
    lower: (last: number): void => {
      highest = Math.min(highest, last);
    },
    /** True once after each lost connection: what is stored may not be what was read. */
    takeSuspicion: () => {
      const was = suspect;
      suspect = false;
      return was;
    },
    suspected: () => suspect,
    takeStale: (): readonly Lane[] => {
      const nowMs = clock.nowMs();
      const stale = timed.filter((lane) => nowMs - lastTickMs.get(lane)! >= STALE_AFTER_MS);
      for (const lane of stale) lastTickMs.set(lane, nowMs);
      return stale;
    },
    /** Resolves when something arrived, when a lane may have become stale, or on abort. */
    changed: async (signal: AbortSignal): Promise<void> => {
      const woken = new AbortController();
      wake = () => woken.abort();
      const stop = (): void => woken.abort();
      signal.addEventListener('abort', stop, { once: true });
      const oldest = Math.min(...lastTickMs.values(), clock.nowMs());
      await sleep(clock, timed.length === 0 ? STALE_AFTER_MS : Math.max(1, oldest + STALE_AFTER_MS - clock.nowMs()), signal.aborted ? signal : woken.signal);
      signal.removeEventListener('abort', stop);
      wake = () => {};
    },
    stop: (): void => {
      stopListening();
      for (const stop of stopTicks) stop();
      for (const cancel of cancels) cancel();
    },
  };
};

/** Is the stored log still the one that was read up to here? Grants a replica that lags some time. */
const assertSameLog = async (
  { broker, clock, base, log }: FollowerPorts, lanes: ReadonlyMap<Lane, LanePosition>, seq: number, signal: AbortSignal,
): Promise<number> => {
  const deadlineMs = clock.nowMs() + BACKWARDS_PATIENCE_MS;
  let last = await broker.lastSeq();
  while (last < seq) {
    if (clock.nowMs() >= deadlineMs) throw new Distrust(`the log ends at ${last}, it was read up to ${seq} before`);
    await sleep(clock, RETRY_MS, signal);
    signal.throwIfAborted();
    last = await broker.lastSeq();
  }
  const genesis = await broker.at(base + 1);
  const found = genesis === undefined ? undefined : toCommit(genesis).events[0];
  if (found?.type !== 'log.created.v1' || found.data.log !== log) throw new Distrust(`this log is ${found?.key ?? 'without a genesis'}, not ${log}`);
  for (const [lane, position] of lanes) {
    const stored = await broker.at(position.seq);
    if (stored === undefined || stored.lane !== lane || hashOf(stored.bytes) !== position.hash) {
      throw new Distrust(`commit ${position.seq} of the ${lane} lane is not the one that was read before`);
    }
  }
  return last;
};

export async function* follow(ports: FollowerPorts, { lanes, from, signal }: FollowOptions): AsyncGenerator<readonly Followed[]> {
  const { broker, clock, log, base, warn } = ports;
  const wanted = new Set<Lane>(lanes);
  const positions = new Map<Lane, LanePosition>();
  let complete = from === 0 ? base : from.seq;
  let target: number | undefined;
  let inSync = false;

  if (from !== 0) {
    if (from.log !== log) {
      yield [{ type: 'distrusted', reason: `this log is ${log}, the position is of ${from.log}` }];
      return;
    }
    for (const lane of LANES) if (wanted.has(lane) && from.lanes[lane] !== undefined) positions.set(lane, from.lanes[lane]);
  }
  const fromStart = from === 0;

  /** Takes a commit into its lane's chain, or says why it does not fit. */
  const accept = (stored: StoredCommit): Commit | string => {
    const hash = hashOf(stored.bytes);
    const commit = toCommit(stored, hash);
    const before = positions.get(stored.lane);
    // A position without this lane knows nothing of it: the first commit is taken as it comes.
    const broken = before === undefined && !fromStart && commit.laneSeq > 1 ? undefined : chainBreak(before, commit);
    if (broken !== undefined) return broken;
    positions.set(stored.lane, { seq: stored.seq, laneSeq: commit.laneSeq, hash });
    return commit;
  };

  /** Live commits without a hole from `complete` on. A wrong one is left out, and so read. */
  const takeLive = (batch: Followed[]): void => {
    while (batch.length < BATCH_MAX && !live.suspected()) {
      const next = live.take(complete + 1);
      if (next === undefined) return;
      if (wanted.has(next.lane)) {
        let accepted: Commit | string;
        try {
          accepted = accept(next);
        } catch (error) {
          if (isSeineError(error, 'SEINE_COMMIT_MALFORMED')) accepted = error.message;
          else throw error;
        }
        if (typeof accepted === 'string') {
          warn('a live commit does not fit and is read instead', { seq: next.seq, lane: next.lane, reason: accepted });
          return;
        }
        batch.push({ type: 'commit', commit: accepted });
      }
      complete = next.seq;
    }
  };

  const takeStored = async (batch: Followed[]): Promise<void> => {
    const before = complete;
    const upTo = Math.min(live.highest(), complete + READ_AHEAD);
    for await (const stored of readRange(broker, complete + 1, upTo)) {
      if (live.suspected()) return;
      if (wanted.has(stored.lane)) {
        const accepted = accept(stored);
        if (typeof accepted === 'string') throw new Distrust(`commit ${stored.seq} of the ${stored.lane} lane: ${accepted}`);
        batch.push({ type: 'commit', commit: accepted });
      }
      complete = stored.seq;
    }
    live.dropBelow(complete + 1);
    if (complete === before) live.lower(await broker.lastSeq());
  };

  const live = await listenLive(ports, lanes);
  try {
    let checked = false;
    let told = -1;
    while (!signal.aborted) {
      const batch: Followed[] = [];
      try {
        if (live.takeSuspicion() || !checked) {
          checked = false;
          const last = await assertSameLog(ports, positions, complete, signal);
          live.raise(last);
          target ??= last;
          checked = true;
        }
        takeLive(batch);
        if (batch.length === 0 && complete < live.highest() && !live.has(complete + 1)) await takeStored(batch);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Distrust) {
          yield [...batch, { type: 'distrusted', reason: error.message }];
          return;
        }
        if (!isSeineError(error, 'SEINE_BUS_UNAVAILABLE')) {
          throw error instanceof SeineError ? new SeineError(error.code, `at sequence ${complete + 1}: ${error.message}`, error.details, { cause: error }) : error;
        }
        await sleep(clock, RETRY_MS, signal);
      }
      for (const lane of live.takeStale()) batch.push({ type: 'stale', lane });
      if (complete !== told) batch.push({ type: 'complete', seq: complete });
      told = complete;
      if (!inSync && target !== undefined && complete >= target) {
        inSync = true;
        batch.push({ type: 'inSync', seq: complete });
      }
      if (batch.length > 0) yield batch;
      else if (checked && !live.suspected() && complete >= live.highest()) await live.changed(signal);
    }
  } finally {
    live.stop();
  }
}
