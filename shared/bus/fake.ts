/**
 * A broker in memory that behaves like the real one: fences, message ids, live copies, lost connections, lost answers, lost tails.
 * Everything happens in microtasks and by the given clock, so a test or a simulation owns the order.
 */
import { NO_PREVIOUS, serialiseCommit, type Lane } from '@seine/events';
import { SeineError } from '@seine/model';

import type { Broker, BrokerListener, StoreAnswer } from './broker.ts';
import { createBus } from './bus.ts';
import type { StoredCommit } from './chain.ts';
import type { Clock } from './clock.ts';
import type { Bus } from './port.ts';

export interface FakeLogOptions {
  readonly clock: Clock;
  readonly cluster?: string;
  readonly log?: string;
  readonly base?: number;
}

/** What goes wrong next; each is used up once per message unless said otherwise. */
export interface FakeFaults {
  /** Stored, but the writer hears nothing. */
  loseAcks: number;
  /** Never stored, and the writer hears nothing. */
  loseRequests: number;
  /** Stored, but no follower hears of it. */
  loseLive: number;
  /** Live copies come twice, until set back. */
  doubleLive: boolean;
}

export interface FakeLog {
  readonly connect: (name: string) => Bus;
  readonly broker: () => Broker;
  readonly faults: FakeFaults;
  /** Nothing answers and nothing arrives until it ends. */
  readonly outage: (begins: boolean) => void;
  /** The broker forgets everything beyond `seq`. */
  readonly truncate: (seq: number) => void;
  readonly stored: () => readonly StoredCommit[];
  /** Puts bytes into a lane past every check, as damage would. */
  readonly inject: (lane: Lane, bytes: Uint8Array) => void;
  /** Sends a live copy that the log does not hold. */
  readonly forge: (commit: StoredCommit) => void;
}

/** As many message ids as the real broker remembers for some time. */
const MESSAGE_IDS_MAX = 10_000;

export const createFakeLog = ({ clock, cluster = 'default', log = 'fake-log', base = 0 }: FakeLogOptions): FakeLog => {
  const faults: FakeFaults = { loseAcks: 0, loseRequests: 0, loseLive: 0, doubleLive: false };
  const commits: StoredCommit[] = [];
  const messageIds = new Map<string, number>();
  const listeners = new Set<BrokerListener>();
  const subscriptions = new Set<{ readonly pattern: RegExp; readonly listener: (subject: string, bytes: Uint8Array) => void }>();
  const reports = new Map<string, Uint8Array>();
  const reportListeners = new Set<(node: string, bytes: Uint8Array) => void>();
  let away = false;

  const later = (action: () => void): void => queueMicrotask(() => { if (!away) action(); });
  const reachable = async (): Promise<void> => {
    await Promise.resolve();
    if (away) throw new SeineError('SEINE_BUS_UNAVAILABLE', 'the broker is away');
  };
  const lastOf = (lane: Lane): StoredCommit | undefined => commits.findLast((commit) => commit.lane === lane);
  const append = (lane: Lane, bytes: Uint8Array): StoredCommit => {
    const commit = { seq: base + commits.length + 1, lane, storedMs: clock.nowMs(), bytes };
    commits.push(commit);
    return commit;
  };
  const tell = (commit: StoredCommit): void => {
    if (faults.loseLive > 0) {
      faults.loseLive -= 1;
      return;
    }
    for (const listener of listeners) {
      later(() => listener.live(commit));
      if (faults.doubleLive) later(() => listener.live(commit));
    }
  };
  /** One fault of this kind, if there is one left. */
  const takeFault = (kind: 'loseAcks' | 'loseRequests'): boolean => {
    if (faults[kind] === 0) return false;
    faults[kind] -= 1;
    return true;
  };

  const store: Broker['store'] = async (lane, bytes, { expected, messageId }): Promise<StoreAnswer> => {
    await Promise.resolve();
    if (away) return { type: 'unclear', reason: 'the broker is away' };
    if (takeFault('loseRequests')) return { type: 'unclear', reason: 'timeout' };
    const known = messageIds.get(messageId);
    if (known !== undefined) return { type: 'stored', seq: known };
    if ((lastOf(lane)?.seq ?? 0) !== expected) return { type: 'refused' };
    const commit = append(lane, bytes);
    messageIds.set(messageId, commit.seq);
    if (messageIds.size > MESSAGE_IDS_MAX) messageIds.delete(messageIds.keys().next().value!);
    tell(commit);
    return takeFault('loseAcks') ? { type: 'unclear', reason: 'timeout' } : { type: 'stored', seq: commit.seq };
  };

  const broker = (): Broker => ({
    store,
    last: async (lane) => { await reachable(); return lastOf(lane); },
    at: async (seq) => { await reachable(); return commits[seq - base - 1]; },
    lastSeq: async () => { await reachable(); return base + commits.length; },
    listen: async (listener) => {
      listeners.add(listener);
      await Promise.resolve();
      return () => { listeners.delete(listener); };
    },
    storeReport: async (node, bytes) => {
      await reachable();
      reports.set(node, bytes);
      for (const listener of reportListeners) later(() => listener(node, bytes));
    },
    onReport: (listener) => {
      reportListeners.add(listener);
      for (const [node, bytes] of reports) later(() => listener(node, bytes));
      return () => { reportListeners.delete(listener); };
    },
    publish: (subject, bytes) => {
      for (const { pattern, listener } of subscriptions) if (pattern.test(subject)) later(() => listener(subject, bytes));
    },
    subscribe: (subject, listener) => {
      const pattern = subject.split('.').map((part) => (part === '*' ? '[^.]+' : part === '>' ? '.+' : part.replaceAll(/[^A-Za-z0-9]/g, '\\$&'))).join('\\.');
      const subscription = { pattern: new RegExp(`^${pattern}$`), listener };
      subscriptions.add(subscription);
      return () => { subscriptions.delete(subscription); };
    },
    close: async () => { await Promise.resolve(); },
  });

  append('audit', serialiseCommit(
    { log, lane: 'audit', laneSeq: 1, epoch: 0, prev: NO_PREVIOUS, seen: 0, writer: 'fake' },
    [{ type: 'log.created.v1', key: log, time: new Date(clock.nowMs()).toISOString(), data: { log, cluster, base, build: 'fake' } }],
  ));

  return {
    broker,
    faults,
    connect: (name) => createBus({ broker: broker(), clock, cluster, build: name, warn: () => {} }, { log, base }),
    outage: (begins) => {
      away = begins;
      for (const listener of listeners) {
        if (begins) listener.disconnected();
        else listener.reconnected();
      }
    },
    truncate: (seq) => {
      commits.length = seq - base;
      for (const [id, stored] of messageIds) if (stored > seq) messageIds.delete(id);
    },
    stored: () => commits,
    inject: (lane, bytes) => tell(append(lane, bytes)),
    forge: (commit) => { for (const listener of listeners) later(() => listener.live(commit)); },
  };
};
