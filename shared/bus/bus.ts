/** The bus over any broker: the writer's and the follower's protocol, put together. */
import type { Lane } from '@seine/events';
import { SeineError } from '@seine/model';

import type { Broker } from './broker.ts';
import { toCommit, type StoredCommit } from './chain.ts';
import type { Clock } from './clock.ts';
import { follow, readRange } from './follower.ts';
import type { Bus, ReadOptions } from './port.ts';
import { openLane, readHead } from './writer.ts';

/** Of one node's whole-state report. */
export const REPORT_BYTES_MAX = 256 * 1024;
/** Messages that a slow reader of taps or reports may leave unread; the oldest go first. */
const UNREAD_MAX = 4_096;

export interface BusPorts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly cluster: string;
  readonly build: string;
  readonly warn: (sentence: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** What the genesis says of a log. */
export interface LogIdentity { readonly log: string; readonly base: number }

/** Pushed by callbacks, pulled by one reader; bounded. An item replaces an unread one of the same key. */
const createInbox = <T>(signal: AbortSignal) => {
  let unread = new Map<string | number, T>();
  let pushed = 0;
  let wake: () => void = () => {};
  signal.addEventListener('abort', () => wake(), { once: true });
  const push = (item: T, key: string | number = pushed): void => {
    pushed += 1;
    unread.set(key, item);
    if (unread.size > UNREAD_MAX) for (const oldest of unread.keys()) { unread.delete(oldest); break; }
    wake();
  };
  async function* items(): AsyncGenerator<T> {
    while (!signal.aborted) {
      const batch = unread;
      unread = new Map();
      yield* batch.values();
      if (unread.size === 0 && !signal.aborted) await new Promise<void>((resolve) => { wake = resolve; });
    }
  }
  return { push, items };
};

const parseMessage = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch {
    return undefined;
  }
};

const toMessage = (message: unknown): Uint8Array => Buffer.from(JSON.stringify(message));

export const createBus = (ports: BusPorts, { log, base }: LogIdentity): Bus => {
  const { broker, clock, cluster, build, warn } = ports;
  /** Lanes that this process has already asked for: only its first time can be a return. */
  const asked = new Set<Lane>();
  const closed = new AbortController();

  async function* stored({ lanes, after = base, until = Number.MAX_SAFE_INTEGER }: ReadOptions): AsyncGenerator<StoredCommit> {
    const wanted = new Set(lanes);
    const last = Math.min(until, await broker.lastSeq());
    for await (const commit of readRange(broker, Math.max(after, base) + 1, last)) if (wanted.has(commit.lane)) yield commit;
  }
  async function* read(options: ReadOptions): AsyncGenerator<ReturnType<typeof toCommit>> {
    for await (const commit of stored(options)) yield toCommit(commit);
  }
  async function* subscribe(subject: string, signal: AbortSignal): AsyncGenerator<{ subject: string; message: unknown }> {
    const inbox = createInbox<{ subject: string; message: unknown }>(AbortSignal.any([signal, closed.signal]));
    const stop = broker.subscribe(subject, (heard, bytes) => inbox.push({ subject: heard, message: parseMessage(bytes) }));
    try {
      yield* inbox.items();
    } finally {
      stop();
    }
  }
  async function* reports(signal: AbortSignal): AsyncGenerator<{ node: string; report: unknown }> {
    const inbox = createInbox<{ node: string; report: unknown }>(AbortSignal.any([signal, closed.signal]));
    const stop = broker.onReport((node, bytes) => inbox.push({ node, report: parseMessage(bytes) }, node));
    try {
      yield* inbox.items();
    } finally {
      stop();
    }
  }

  return {
    logId: log,
    cluster,
    follow: (options) => follow({ broker, clock, cluster, log, base, warn }, { ...options, signal: AbortSignal.any([options.signal, closed.signal]) }),
    openLane: (lane, instance, signal) => {
      const returning = !asked.has(lane);
      asked.add(lane);
      return openLane({ broker, clock, cluster, log, build, warn, closed: closed.signal }, lane, { instance, returning }, AbortSignal.any([signal, closed.signal]));
    },
    head: async (lane) => {
      const { seq, laneSeq, hash, epoch } = await readHead(broker, lane);
      return seq === 0 ? undefined : { seq, laneSeq, hash, epoch };
    },
    read,
    stored,
    lastSeq: () => broker.lastSeq(),
    report: async (node, report) => {
      const bytes = toMessage(report);
      if (bytes.length > REPORT_BYTES_MAX) {
        throw new SeineError('SEINE_REPORT_TOO_LARGE', `the report of node ${node} has ${bytes.length} bytes, at most ${REPORT_BYTES_MAX}`, { node, sizeBytes: bytes.length });
      }
      await broker.storeReport(node, bytes);
    },
    reports,
    publish: (subject, message) => broker.publish(subject, toMessage(message)),
    subscribe,
    ping: async () => { await broker.lastSeq(); },
    close: async () => {
      closed.abort();
      await broker.close();
    },
  };
};

