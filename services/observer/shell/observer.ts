/** Samples from the loader ──► flows (names and deciding peers from the writer) ──► the bus, a ring for questions, metrics. */
import { flowsSubject, type Bus } from '@seine/bus';
import { decode, decodeAll, SAMPLE } from '@seine/layout';
import { isCidrIdentity, isReserved, SeineError } from '@seine/model';
import type { Flow, FlowAttribution, FlowQuery, Handler, PersistentUnix } from '@seine/node';
import type { MetricDefinitions, Metrics } from '@seine/role';

import { createAttributions, createFlowRing, emptyNames, selectFlows, toFlow, type Names } from '../core/index.ts';

export const OBSERVER_METRICS = {
  flows: { type: 'counter', name: 'flows_total', help: 'Flows told, by verdict.' },
  drops: { type: 'counter', name: 'drops_total', help: 'Drops told, by reason and direction.' },
  lost: { type: 'counter', name: 'samples_lost_total', help: 'Samples that the kernel could not tell.' },
} as const satisfies MetricDefinitions;

const RING = 65_536;
/** A name that is missing is asked for soon, names that may have changed now and then: not for every sample. */
const MISSING_NAMES_EVERY_MS = 25;
const OLD_NAMES_EVERY_MS = 250;
const ASK_TIMEOUT_MS = 1_000;

interface NamesAnswer {
  /** Log sequence that the names stand for. */
  readonly seq: number;
  readonly rules: readonly (readonly [number, string])[]; readonly identities: readonly (readonly [number, readonly string[]])[];
  readonly addresses: readonly (readonly [string, string])[]; readonly local: readonly (readonly [string, string])[]; readonly classes: readonly (readonly [number, string])[];
}

const isPodIdentity = (identity: number): boolean => !isReserved(identity) && !isCidrIdentity(identity);

export interface ObserverPorts {
  readonly node: string;
  readonly cluster: string;
  readonly bus: Bus;
  readonly writer: PersistentUnix;
  readonly metrics: Metrics<typeof OBSERVER_METRICS>;
}

export const createObserver = ({ node, cluster, bus, writer, metrics }: ObserverPorts) => {
  /** The kernel's samples are on the monotonic clock. */
  const bootMs = Date.now() - Number(process.hrtime.bigint() / 1_000_000n);
  const ring = createFlowRing(RING, SAMPLE.size, (sample) => toFlow(decode(SAMPLE, sample), node, bootMs, emptyNames()));
  const attributions = createAttributions();
  let names: Names = emptyNames();
  let namesSeq = -1;
  let askedMs = 0;

  const refreshNames = async (): Promise<void> => {
    askedMs = Date.now();
    const answer = await writer.call<NamesAnswer>('names', {}, ASK_TIMEOUT_MS);
    namesSeq = answer.seq;
    names = { rules: new Map(answer.rules), identities: new Map(answer.identities), pods: new Map([...answer.addresses, ...answer.local]), classes: new Map(answer.classes) };
  };

  const unnamed = (flow: Flow): boolean => flow.rule?.startsWith('rule ') === true ||
    [flow.source, flow.destination].some(({ identity, labels, pod }) => (identity > 0 && labels.length === 0) || (isPodIdentity(identity) && pod === null));
  const namesAreDue = (flows: readonly Flow[]): boolean => {
    const since = Date.now() - askedMs;
    return (since > MISSING_NAMES_EVERY_MS && flows.some(unnamed)) || (since > OLD_NAMES_EVERY_MS && flows.some(({ seen }) => seen > namesSeq));
  };

  const askWhoDecided = async (flows: readonly Flow[]): Promise<void> => {
    const questions = attributions.missing(flows);
    if (questions.length === 0) return;
    attributions.learn(questions, (await writer.call<{ readonly answers: readonly FlowAttribution[] }>('attribute', { questions }, ASK_TIMEOUT_MS)).answers);
  };

  /** A batch's flows are mostly of one kind: each kind is counted once. */
  const countFlows = (flows: readonly Flow[]): void => {
    const verdicts = new Map<Flow['verdict'], number>();
    let lost = 0;
    for (const { verdict, reason, direction, lost: before } of flows) {
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      lost += before;
      if (reason !== null) metrics.drops.add(1, { reason: reason.name, direction: direction ?? 'none' });
    }
    for (const [verdict, count] of verdicts) metrics.flows.add(count, { verdict });
    if (lost > 0) metrics.lost.add(lost);
  };

  let turn: Promise<void> = Promise.resolve();
  const take = async (data: string, count: number): Promise<void> => {
    const bytes = Buffer.from(data, 'base64');
    const samples = decodeAll(SAMPLE, bytes, count);
    let flows = samples.map((sample) => toFlow(sample, node, bootMs, names));
    if (namesAreDue(flows)) {
      await refreshNames().catch(() => {}); // the writer is away: numbers stay numbers
      flows = samples.map((sample) => toFlow(sample, node, bootMs, names));
    }
    await askWhoDecided(flows).catch(() => {}); // likewise
    flows = flows.map(attributions.apply);
    for (const [index, flow] of flows.entries()) ring.add(bytes.subarray(index * SAMPLE.size, (index + 1) * SAMPLE.size), flow);
    countFlows(flows);
    bus.publish(flowsSubject(cluster, node), { flows });
  };

  const handle: Handler = async (op, body) => {
    if (op !== 'flows') throw new SeineError('SEINE_QUERY_UNKNOWN', `${op}: no such query`);
    return { flows: selectFlows(ring.all(), body as FlowQuery), seen: ring.seen() };
  };

  return {
    handle,
    onPush: (name: string, body: unknown): void => {
      if (name !== 'samples') return;
      const { data, count } = body as { readonly data: string; readonly count: number };
      turn = turn.then(() => take(data, count)).catch(() => {});
    },
  };
};
