/**
 * Hosts a decider: follows its inputs and its own lane, stands by hot, takes the lane when it is free, decides, commits.
 *
 *   follow ──► fold ──► (writer?) ──► decide ──► commit ──► lane
 *                ▲                                          │
 *                └──────────── own lane, as stored ◄────────┘
 */
import type { Bus, Commit, Followed, LaneWriter } from '@seine/bus';
import { WRITER_EVENT_TYPES, createDeciderFold, type Decider, type Lane } from '@seine/events';
import { SeineError, assertNever, isSeineError } from '@seine/model';

import type { Logger } from './log.ts';
import type { MetricDefinitions, Metrics } from './metrics.ts';
import type { Role } from './run.ts';
import { withSpan } from './telemetry.ts';

export const DECIDER_METRICS = {
  active: { type: 'gauge', name: 'writer_active', help: '1 while this process writes its lane, 0 while it stands by.' },
  inputs: { type: 'counter', name: 'inputs_total', help: 'Commits of other lanes that were taken.' },
  decisions: { type: 'counter', name: 'decisions_total', help: 'Events decided and stored.' },
  complete: { type: 'gauge', name: 'complete_sequence', help: 'Sequence below which nothing that this process reads is missing.' },
  decided: { type: 'gauge', name: 'decided_sequence', help: 'Sequence up to which this process has decided everything and stored what it decided.' },
  stored: { type: 'gauge', name: 'stored_sequence', help: 'Sequence of the last commit of this process.' },
  commit: { type: 'histogram', name: 'commit_seconds', help: 'From deciding to the acknowledgement.' },
} as const satisfies MetricDefinitions;

export interface DeciderHost<State> {
  readonly bus: Bus;
  readonly lane: Lane;
  /** Lanes that the decider reads besides its own. */
  readonly inputs: readonly Lane[];
  readonly decider: Decider<State>;
  /** Name of this process among those that may write the lane. */
  readonly instance: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly metrics: Metrics<typeof DECIDER_METRICS>;
  /** Told whenever everything up to the head was taken. */
  readonly caughtUp?: () => void;
}

/** One term: from standby to the end of the right to write. Returns when another process has the lane, or on abort. */
const serveTerm = async <State>(host: DeciderHost<State>): Promise<void> => {
  const { bus, lane, inputs, decider, instance, log, metrics } = host;
  const fold = createDeciderFold(decider);
  const ended = new AbortController();
  const signal = AbortSignal.any([host.signal, ended.signal]);
  let failure: unknown;
  let writer: LaneWriter | undefined;
  let opening: Promise<void> | undefined;
  let complete = 0;
  /** Term of the last own `writer.opened` that came by: from there on the fold holds everything that was stored before it. */
  let openedEpoch = 0;
  let active = false;

  const end = (reason?: unknown): void => {
    failure ??= reason;
    ended.abort();
  };
  let turn: Promise<void> = Promise.resolve();
  /** Taking a batch and becoming the writer must not interleave. */
  const inTurn = (work: () => Promise<void>): Promise<void> => (turn = turn.then(work).catch(end));

  const act = async (): Promise<void> => {
    if (writer === undefined || openedEpoch !== writer.epoch || ended.signal.aborted) return;
    if (!active) {
      active = true;
      metrics.active.set(1);
      log.info('writing', { lane, epoch: writer.epoch });
    }
    const { events, seen } = fold.decide();
    if (events.length > 0) {
      const startMs = performance.now();
      const { commit } = writer;
      // The span is where time went; the stored traceparent stays the input's, as decisions depend on nothing else.
      const { seq } = await withSpan(`decide ${lane}`, { traceparent: events[0]!.traceparent, attributes: { 'seine.lane': lane, 'seine.seen': seen, 'seine.decisions': events.length } },
        () => commit(events, seen));
      metrics.stored.set(seq);
      metrics.commit.observe((performance.now() - startMs) / 1000);
      metrics.decisions.add(events.length);
    }
    writer.folded(complete);
    metrics.decided.set(complete);
  };
  const open = async (): Promise<void> => {
    const opened = await bus.openLane(lane, instance, signal);
    opened.lost.addEventListener('abort', () => end(opened.lost.reason), { once: true });
    writer = opened;
    await inTurn(act);
  };
  const takeCommit = (commit: Commit): void => {
    if (commit.lane !== lane) {
      metrics.inputs.add();
      fold.input(commit);
      return;
    }
    const opened = commit.events.some(({ type }) => type === WRITER_EVENT_TYPES.opened);
    if (active && writer?.epoch === commit.epoch && !opened) return; // what was decided here, coming back
    fold.own(commit);
    if (opened && commit.writer === instance) openedEpoch = commit.epoch;
  };
  const takeBatch = (batch: readonly Followed[]): void => {
    for (const item of batch) {
      switch (item.type) {
        case 'commit': takeCommit(item.commit); break;
        case 'complete': complete = item.seq; break;
        case 'inSync':
          host.caughtUp?.();
          opening ??= open().catch(end);
          break;
        case 'stale': log.debug('no tick of a lane', { lane: item.lane }); break;
        case 'distrusted': throw new SeineError('SEINE_LOG_DISTRUSTED', `the log is not trusted: ${item.reason}`, { lane });
        default: assertNever(item);
      }
    }
    metrics.complete.set(complete);
  };

  // Stopping hands the lane over while a commit may still be under way.
  const handOver = (): void => { void writer?.close(); };
  host.signal.addEventListener('abort', handOver, { once: true });
  try {
    for await (const batch of bus.follow({ lanes: [...inputs, lane], from: 0, signal })) {
      await inTurn(async () => {
        takeBatch(batch);
        await act();
      });
    }
  } catch (error) {
    end(error);
  } finally {
    metrics.active.set(0);
    ended.abort();
    await opening;
    await writer?.close();
    host.signal.removeEventListener('abort', handOver);
  }
  if (host.signal.aborted) return;
  if (!isSeineError(failure, 'SEINE_WRITER_FENCED')) throw failure;
  log.warn('the lane has another writer; standing by', { lane, reason: failure.message });
};

/** Serves terms until the signal aborts. After each lost term the state is folded anew: nothing that was not stored stays. */
export const serveDecider = async <State>(host: DeciderHost<State>): Promise<void> => {
  host.metrics.active.set(0);
  while (!host.signal.aborted) await serveTerm(host);
};

/** The whole of a deciding role: connects, serves, is ready when it has caught up. */
export const runDecider = async <State>(
  role: Role<object>, { lane, inputs, decider, bus }: Pick<DeciderHost<State>, 'lane' | 'inputs' | 'decider' | 'bus'>,
): Promise<void> => {
  const metrics = role.metrics(DECIDER_METRICS);
  const caughtUp = Promise.withResolvers<void>();
  role.background('decider', (signal) => serveDecider({
    bus, lane, inputs, decider, signal, metrics, log: role.log, instance: `${role.config.instance}/${role.name}`, caughtUp: caughtUp.resolve,
  }));
  await caughtUp.promise;
};
