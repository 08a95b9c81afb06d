/**
 * The right to write a lane. The lane's head is the lease: a commit names the head that it was decided on, and the broker refuses it
 * when the head has moved. No clock is compared and no lease is renewed; silence of the ticks only says when it is polite to try.
 *
 *   standby --(ticks silent, or closed)--> writer.opened stored --> writer --(head moved, not mine)--> lost
 */
import {
  COMMIT_BYTES_MAX, COMMIT_EVENTS_MAX, NO_PREVIOUS, WRITER_EVENT_TYPES, assertEvent, eventSizeBytes, parseCommitHeader, serialiseCommit,
  type Lane, type SeineEvent,
} from '@seine/events';
import { SeineError, isSeineError } from '@seine/model';

import type { Broker } from './broker.ts';
import { hashOf } from './chain.ts';
import { sleep, type Clock } from './clock.ts';
import type { LaneWriter } from './port.ts';
import { tickSubject } from './subject.ts';
import { parseTick, tickBytes } from './tick.ts';

/** Silence of a lane's ticks after which a standby tries, plus up to a third of it by chance so that two do not try at once. */
export const TAKEOVER_SILENCE_MS = 3_000;
export const TICK_EVERY_MS = 1_000;
/** After a commit the next tick comes within this time, once for all commits of it. */
export const TICK_AFTER_COMMIT_MS = 100;
/** How long a head below the own one may be a replica that catches up. */
export const BACKWARDS_PATIENCE_MS = 15_000;
const RETRY_MS = 100;
/** A hand-over that the broker does not take within this time is left to the silence of the ticks. */
const CLOSE_PATIENCE_MS = 2_000;

export interface WriterPorts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly cluster: string;
  readonly log: string;
  readonly build: string;
  /** Aborted when the bus is closed: whatever runs here ends. */
  readonly closed: AbortSignal;
  /** Told of what a person should know but no caller can act on. */
  readonly warn: (sentence: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** The last message of a lane. An empty lane has seq, laneSeq and epoch 0. */
export interface Head {
  readonly seq: number;
  readonly laneSeq: number;
  readonly hash: string;
  readonly epoch: number;
  readonly seen: number;
  readonly writer: string;
  readonly closed: boolean;
}

const EMPTY_HEAD: Head = { seq: 0, laneSeq: 0, hash: NO_PREVIOUS, epoch: 0, seen: 0, writer: '', closed: true };

/** @throws SEINE_BUS_UNAVAILABLE, SEINE_COMMIT_MALFORMED */
export const readHead = async (broker: Broker, lane: Lane): Promise<Head> => {
  const stored = await broker.last(lane);
  if (stored === undefined) return EMPTY_HEAD;
  const { laneSeq, epoch, seen, writer, events } = parseCommitHeader(stored.bytes);
  const closed = events.at(-1)?.type === `seine.${lane}.${WRITER_EVENT_TYPES.closed}`;
  return { seq: stored.seq, laneSeq, hash: hashOf(stored.bytes), epoch, seen, writer, closed };
};

const patientHead = async ({ broker, clock }: WriterPorts, lane: Lane, signal: AbortSignal): Promise<Head> => {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await readHead(broker, lane);
    } catch (error) {
      if (!isSeineError(error, 'SEINE_BUS_UNAVAILABLE')) throw error;
      await sleep(clock, RETRY_MS, signal);
    }
  }
};

type Settled = { readonly type: 'stored'; readonly head: Head } | { readonly type: 'fenced'; readonly by: Head };

interface Attempt {
  readonly head: Head;
  readonly epoch: number;
  readonly seen: number;
  readonly instance: string;
  readonly events: readonly SeineEvent[];
}

/**
 * Stores one commit on `head`, or learns that another one is there. Whatever is unclear is settled by reading the lane's head again:
 * mine by hash: done; unchanged: the same bytes again; beyond and not mine: fenced; below: read for a while, then give up.
 */
const settle = async (ports: WriterPorts, lane: Lane, { head, epoch, seen, instance, events }: Attempt, signal: AbortSignal): Promise<Settled> => {
  const header = { log: ports.log, lane, laneSeq: head.laneSeq + 1, epoch, prev: head.hash, seen, writer: instance };
  const bytes = serialiseCommit(header, events);
  const hash = hashOf(bytes);
  const closed = events.at(-1)?.type === WRITER_EVENT_TYPES.closed;
  const mine = (seq: number): Settled => ({ type: 'stored', head: { seq, laneSeq: header.laneSeq, hash, epoch, seen, writer: instance, closed } });
  const messageId = `${lane}:${header.laneSeq}:${hash.slice(0, 16)}`;
  let belowSinceMs: number | undefined;
  for (let attempt = 1; ; attempt += 1) {
    if (belowSinceMs === undefined) {
      const answer = await ports.broker.store(lane, bytes, { expected: head.seq, messageId });
      if (answer.type === 'stored') return mine(answer.seq);
      // Each time would fill the log of a process whose broker is full or away.
      if (answer.type === 'unclear' && (attempt & (attempt - 1)) === 0) ports.warn('a commit was not acknowledged', { lane, laneSeq: header.laneSeq, attempt, reason: answer.reason });
    }
    const found = await patientHead(ports, lane, signal);
    if (found.hash === hash) return mine(found.seq);
    if (found.seq > head.seq) return { type: 'fenced', by: found };
    if (found.seq === head.seq && found.hash === head.hash) {
      belowSinceMs = undefined;
    } else {
      belowSinceMs ??= ports.clock.nowMs();
      if (ports.clock.nowMs() - belowSinceMs >= BACKWARDS_PATIENCE_MS) {
        throw new SeineError('SEINE_LOG_BACKWARDS',
          `the ${lane} lane ends at ${found.seq} (${found.hash.slice(0, 16)}…), it was at ${head.seq} (${head.hash.slice(0, 16)}…) before; `
          + 'the broker has lost acknowledged commits: stop it and look before anything is written', { lane, found: found.seq, expected: head.seq });
      }
    }
    await sleep(ports.clock, RETRY_MS, signal);
  }
};

/**
 * Resolves when nothing was heard of the lane's writer for the silence, or when it closed the lane. Time without a broker does not
 * count: after an outage the one that wrote before goes on.
 */
const untilFree = (ports: WriterPorts, lane: Lane, head: Head, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    let cancelTimer: () => void = () => {};
    let ended = false;
    const end = (settlePromise: () => void): void => {
      if (ended) return;
      ended = true;
      cancelTimer();
      signal.removeEventListener('abort', aborted);
      unsubscribe();
      void listening.then((stop) => stop(), () => {});
      settlePromise();
    };
    const aborted = (): void => end(() => reject(signal.reason));
    const heard = (): void => {
      cancelTimer();
      if (!ended) cancelTimer = ports.clock.after(TAKEOVER_SILENCE_MS * (1 + ports.clock.random() / 3), () => end(resolve));
    };
    const unsubscribe = ports.broker.subscribe(tickSubject(ports.cluster, lane), (_, bytes) => {
      const tick = parseTick(bytes);
      if (tick === undefined || tick.epoch < head.epoch) return; // a woken writer of an ended term
      if (tick.closed === true) end(resolve);
      else heard();
    });
    const listening = ports.broker.listen({
      live: (commit) => { if (commit.lane === lane) heard(); },
      disconnected: () => cancelTimer(),
      reconnected: heard,
    });
    listening.catch((error: unknown) => end(() => reject(error)));
    signal.addEventListener('abort', aborted, { once: true });
    heard();
  });

interface Offered {
  readonly events: readonly SeineEvent[];
  readonly seen: number;
  readonly resolve: (stored: { readonly seq: number }) => void;
  readonly reject: (error: unknown) => void;
}

const fencedError = (lane: Lane, by: Head): SeineError =>
  new SeineError('SEINE_WRITER_FENCED',
    `the ${lane} lane is written by ${by.writer} since term ${by.epoch}; this process drops what was not acknowledged and stands by`,
    { lane, epoch: by.epoch, writer: by.writer });

/** Cuts events into runs that fit into one commit each. */
const cut = (events: readonly SeineEvent[]): (readonly SeineEvent[])[] => {
  const runs: SeineEvent[][] = [];
  let sizeBytes = 0;
  for (const event of events) {
    const eventBytes = eventSizeBytes(event);
    const run = runs.at(-1);
    if (run === undefined || run.length === COMMIT_EVENTS_MAX || sizeBytes + eventBytes > COMMIT_BYTES_MAX - 1024) {
      runs.push([event]);
      sizeBytes = eventBytes;
    } else {
      run.push(event);
      sizeBytes += eventBytes;
    }
  }
  return runs;
};

/** One commit in flight; what is offered meanwhile forms the next one. */
const createWriter = (ports: WriterPorts, lane: Lane, instance: string, opened: Head): LaneWriter => {
  const { broker, clock, cluster } = ports;
  const subject = tickSubject(cluster, lane);
  const lost = new AbortController();
  const stopped = new AbortController();
  let head = opened;
  let asOf = opened.seen;
  let offered: Offered[] = [];
  let draining = false;
  let closing: Promise<void> | undefined;
  let cancelTick: () => void = () => {};
  let tickSoon = false;

  const closedError = (): SeineError => new SeineError('SEINE_WRITER_CLOSED', `the ${lane} lane was handed over; nothing more is written to it`, { lane });
  const tick = (closed?: true): void => {
    broker.publish(subject, tickBytes({ epoch: head.epoch, head: head.seq, asOf, ...(closed === undefined ? {} : { closed }) }));
  };
  const scheduleTick = (delayMs: number): void => {
    cancelTick();
    cancelTick = clock.after(delayMs, () => {
      tickSoon = false;
      tick();
      scheduleTick(TICK_EVERY_MS);
    });
  };
  const stop = (): void => {
    cancelTick();
    unsubscribe();
    stopped.abort();
  };
  const lose = (error: unknown): void => {
    if (lost.signal.aborted) return;
    stop();
    lost.abort(error);
    const dropped = offered;
    offered = [];
    for (const { reject } of dropped) reject(error);
  };
  const unsubscribe = broker.subscribe(subject, (_, bytes) => {
    const heard = parseTick(bytes);
    if (heard !== undefined && heard.epoch > head.epoch) lose(fencedError(lane, { ...head, epoch: heard.epoch, writer: 'another process' }));
  });

  /** Takes as many whole offers as fit into one commit; a larger one alone. */
  const takeGroup = (): Offered[] => {
    let count = 0;
    let sizeBytes = 0;
    let taken = 0;
    for (const offer of offered) {
      count += offer.events.length;
      for (const event of offer.events) sizeBytes += eventSizeBytes(event);
      if (taken > 0 && (count > COMMIT_EVENTS_MAX || sizeBytes > COMMIT_BYTES_MAX - 1024)) break;
      taken += 1;
    }
    return offered.splice(0, taken);
  };

  const storeGroup = async (group: readonly Offered[]): Promise<void> => {
    const runs = cut(group.flatMap(({ events }) => events));
    const { seen } = group.at(-1)!;
    for (const [index, events] of runs.entries()) {
      // What is `seen` is decided as a whole: only the last part may say so, or a crash between the parts would lose the rest.
      const settled = await settle(ports, lane, {
        head, epoch: head.epoch, seen: index === runs.length - 1 ? Math.max(seen, head.seen) : head.seen, instance, events,
      }, stopped.signal);
      if (settled.type === 'fenced') throw fencedError(lane, settled.by);
      head = settled.head;
    }
  };

  const drain = async (): Promise<void> => {
    draining = true;
    while (offered.length > 0 && !lost.signal.aborted) {
      const group = takeGroup();
      try {
        await storeGroup(group);
      } catch (error) {
        lose(lost.signal.aborted ? lost.signal.reason : error);
        for (const { reject } of group) reject(lost.signal.reason);
        return;
      }
      if (offered.length === 0) asOf = Math.max(asOf, head.seen);
      if (!tickSoon && !stopped.signal.aborted) {
        tickSoon = true;
        scheduleTick(TICK_AFTER_COMMIT_MS);
      }
      for (const { resolve } of group) resolve({ seq: head.seq });
    }
    draining = false; // in the same step in which nothing was left, so that no offer falls between
  };

  const offer = (events: readonly SeineEvent[], seen: number): Promise<{ readonly seq: number }> =>
    new Promise((resolve, reject) => {
      if (lost.signal.aborted) return reject(lost.signal.reason);
      offered.push({ events, seen, resolve, reject });
      if (!draining) void drain(); // settles every offer itself, and rejects nothing
    });

  const commit: LaneWriter['commit'] = async (events, seen) => {
    if (closing !== undefined) throw closedError();
    if (events.length === 0) return { seq: head.seq };
    for (const event of events) assertEvent(lane, event);
    return await offer(events, seen);
  };

  const handOver = async (): Promise<void> => {
    const time = new Date(clock.nowMs()).toISOString();
    const handedOver = offer([{ type: WRITER_EVENT_TYPES.closed, key: lane, time, data: { epoch: head.epoch, instance } }], 0);
    const patience = new AbortController();
    await Promise.race([handedOver.then(() => tick(true), () => {}), sleep(clock, CLOSE_PATIENCE_MS, patience.signal)]);
    patience.abort();
    lose(closedError());
  };

  ports.closed.addEventListener('abort', () => lose(closedError()), { once: true });
  tick();
  scheduleTick(TICK_EVERY_MS);
  return {
    commit,
    close: () => (closing ??= lost.signal.aborted ? Promise.resolve() : handOver()), epoch: opened.epoch, lost: lost.signal,
    headSeq: () => head.seq,
    folded: (seq) => { if (offered.length === 0 && !draining) asOf = Math.max(asOf, seq); },
  };
};

/** Waits until the lane is free, then stores `writer.opened` of the next term; decides nothing before it is acknowledged. */
export const openLane = async (
  ports: WriterPorts, lane: Lane, { instance, returning }: { readonly instance: string; readonly returning: boolean }, signal: AbortSignal,
): Promise<LaneWriter> => {
  let welcome = returning;
  for (;;) {
    const head = await patientHead(ports, lane, signal);
    if (!head.closed && !(welcome && head.writer === instance)) await untilFree(ports, lane, head, signal);
    welcome = false;
    signal.throwIfAborted();
    const epoch = head.epoch + 1;
    const time = new Date(ports.clock.nowMs()).toISOString();
    const settled = await settle(ports, lane, {
      head, epoch, seen: head.seen, instance,
      events: [{ type: WRITER_EVENT_TYPES.opened, key: lane, time, data: { epoch, instance, build: ports.build } }],
    }, signal);
    if (settled.type === 'stored') return createWriter(ports, lane, instance, settled.head);
  }
};
