/**
 * Sees, and says what it saw, once. The only writer of the fact lane.
 *
 *   source ──► objects ──┐
 *   reports ─────────────┼──► diff against what the log says ──► commit ──► fact lane
 *   fact, ipam lanes ────┘
 */
import type { Bus, LaneWriter } from '@seine/bus';
import type { FactEvent } from '@seine/events';
import { isSeineError } from '@seine/model';
import type { Settings } from '@seine/objects';
import { newTraceparent, type Logger, type MetricDefinitions, type Metrics } from '@seine/role';

import { admitReport, diffFacts, emptyKnown, evolveKnown, parseReport, positionFact, type NodeReport } from '../core/index.ts';
import type { Source } from './source.ts';

export const WATCHER_METRICS = {
  facts: { type: 'counter', name: 'facts_total', help: 'Facts committed.' },
  refused: { type: 'gauge', name: 'refused_entries', help: 'Objects that are refused at the moment.' },
  reportsRefused: { type: 'counter', name: 'reports_refused_total', help: 'Claims of nodes that were not believed.' },
  active: { type: 'gauge', name: 'writer_active', help: '1 while this process writes the fact lane.' },
} as const satisfies MetricDefinitions;

export interface WatcherPorts {
  readonly bus: Bus;
  /** A new one for each term: what it has taken and not committed is lost with the term. */
  readonly openSource: () => Source;
  readonly settings: Settings;
  readonly instance: string;
  readonly log: Logger;
  readonly metrics: Metrics<typeof WATCHER_METRICS>;
  readonly now: () => Date;
}

/** One term as the lane's writer; returns when the lane is lost or the signal aborts. */
const serveTerm = async ({ bus, openSource, settings, instance, log, metrics, now }: WatcherPorts, hostSignal: AbortSignal, caughtUp: () => void): Promise<void> => {
  const ended = new AbortController();
  const signal = AbortSignal.any([hostSignal, ended.signal]);
  const known = emptyKnown();
  const blocks = new Map<string, readonly string[]>();
  const reports = new Map<string, NodeReport>();
  const warned = new Set<string>();
  let writer: LaneWriter | undefined;
  let openedEpoch = -1;
  let seen = 0;
  const source = openSource();
  let running = false;
  let again = false;
  let failure: unknown;
  const fail = (error: unknown): void => { failure ??= error; ended.abort(); };

  const collect = async (): Promise<readonly FactEvent[]> => {
    const time = now().toISOString();
    const facts: FactEvent[] = [];
    const news = await source.take();
    if (news !== undefined) {
      for (const warning of news.warnings) if (!warned.has(warning)) { warned.add(warning); log.warn('an object stands twice', { warning }); }
      facts.push(...diffFacts(known, { ...news, settings }, time, newTraceparent));
      for (const fact of facts) if (fact.type === 'object.refused.v1') log.warn('an object was refused', { object: fact.key, reasons: fact.data.refusals.map(({ message }) => message) });
    }
    for (const fact of facts) evolveKnown(known, fact);
    for (const [node, report] of reports) {
      reports.delete(node);
      const admitted = admitReport(known, blocks.get(node) ?? [], report, time);
      for (const reason of admitted.refused) log.warn('a report was not believed', { node, reason });
      metrics.reportsRefused.add(admitted.refused.length);
      const news = [...admitted.facts, ...positionFact(known, report, time)];
      for (const fact of news) evolveKnown(known, fact);
      facts.push(...news);
    }
    metrics.refused.set(known.refusals.size);
    return facts;
  };

  /** Never two at once: what comes meanwhile is taken by one more round. */
  const act = async (): Promise<void> => {
    if (running) { again = true; return; }
    if (writer === undefined || openedEpoch !== writer.epoch || ended.signal.aborted) return;
    running = true;
    metrics.active.set(1);
    try {
      do {
        again = false;
        const facts = await collect();
        if (facts.length > 0) {
          await writer.commit(facts, seen);
          metrics.facts.add(facts.length);
        }
        writer.folded(seen);
      } while (again);
    } finally {
      running = false;
    }
  };
  const trigger = (): void => { act().catch(fail); };

  const followLog = async (): Promise<void> => {
    for await (const batch of bus.follow({ lanes: ['fact', 'ipam'], from: 0, signal })) {
      for (const item of batch) {
        if (item.type === 'distrusted') throw new Error(`the log is not trusted: ${item.reason}`);
        if (item.type === 'complete') seen = Math.max(seen, item.seq);
        if (item.type === 'inSync') {
          caughtUp();
          bus.openLane('fact', instance, signal).then((opened) => {
            writer = opened;
            opened.lost.addEventListener('abort', () => { fail(opened.lost.reason); }, { once: true });
            trigger();
          }, fail);
        }
        if (item.type !== 'commit') continue;
        const { lane, epoch, events } = item.commit;
        if (lane === 'fact' && item.commit.writer === instance && events.some((event) => event.type === 'writer.opened.v1')) openedEpoch = epoch;
        if (lane === 'ipam') {
          for (const event of events) {
            if (event.type === 'podcidr.assigned.v1') blocks.set(event.key, event.data.cidrs);
            if (event.type === 'podcidr.released.v1') blocks.delete(event.key);
          }
        } else if (epoch !== writer?.epoch) {   // what this term committed was folded when it was decided; of former terms, its own too, nothing was
          for (const event of events) evolveKnown(known, event);
        }
      }
      trigger();
    }
  };
  const followReports = async (): Promise<void> => {
    for await (const { node, report } of bus.reports(signal)) {
      const parsed = parseReport(report);
      if (parsed === undefined || parsed.node !== node) { metrics.reportsRefused.add(); log.warn('no report', { node }); continue; }
      reports.set(node, parsed);
      trigger();
    }
  };
  await Promise.all([followLog(), source.run(signal, trigger), followReports()].map((part) => part.catch(fail)));
  metrics.active.set(0);
  await writer?.close();
  if (!hostSignal.aborted && !isSeineError(failure, 'SEINE_WRITER_FENCED')) throw failure;
};

export const serveWatcher = async (ports: WatcherPorts, signal: AbortSignal, caughtUp: () => void): Promise<void> => {
  while (!signal.aborted) await serveTerm(ports, signal, caughtUp);
};
