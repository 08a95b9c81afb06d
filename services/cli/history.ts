/** Where a verb reads the past from: a lab's log on its bus, or an exported file. */
import { connectBus, importLog, type Bus, type LogReader } from '@seine/bus';
import { LANES, type ObjectRef, type Refusal, type ServiceData } from '@seine/events';
import { emptyNodeState, evolveNode, type NodeState } from '@seine/datapath-writer';
import { moveToNetns } from '@seine/kernel';
import { placesOf } from '@seine/lab/places';
import { connectLab } from '@seine/lab/client';

import type { Moment } from './moment.ts';
import { badInput, unreachable } from './verb/verb.ts';

/** The lab's bus; this process then lives in the lab's hub (unix sockets work as before). */
export const labBus = async (name: string): Promise<Bus> => {
  const lab = await connectLab(name);
  const { bus: url } = await lab.call<{ readonly bus: string }>('ping').finally(() => { lab.close(); });
  moveToNetns(placesOf(name).hub);
  try {
    return await connectBus({ url, cluster: 'default', name: 'seine', patienceMs: 5_000 });
  } catch (cause) {
    throw unreachable(`the log of lab ${name} does not answer: ${(cause as Error).message}`);
  }
};

export interface History extends LogReader { readonly close: () => Promise<void> }

export const openHistory = async (source: { readonly log?: string | undefined; readonly name: string }): Promise<History> => {
  if (source.log !== undefined) {
    try {
      return { ...await importLog(source.log), close: async () => {} };
    } catch (error) {
      throw badInput(`--log ${source.log}: ${(error as Error).message}`);
    }
  }
  const bus = await labBus(source.name);
  return { logId: bus.logId, read: bus.read, stored: bus.stored, lastSeq: bus.lastSeq, close: bus.close };
};

export interface Past {
  readonly state: NodeState; readonly seq: number; readonly storedMs: number; readonly head: number;
  /** Objects that were not admitted, by `<kind>/<namespace>/<name>`. */
  readonly refusedObjects: ReadonlyMap<string, { readonly object: ObjectRef; readonly refusals: readonly Refusal[] }>;
  /** Services as they were observed: those without a frontend too, and why they have none. */
  readonly observedServices: ReadonlyMap<string, ServiceData>;
  /** How far each node was when it last told the log: at most once a minute. */
  readonly positions: ReadonlyMap<string, number>;
}

/**
 * The fold up to a moment: a sequence, or the greatest sequence whose running maximum of broker time is not after it.
 * @throws SEINE_INPUT_INVALID when the log begins later, saying when it does
 */
export const foldUntil = async (history: LogReader, until: Moment | undefined): Promise<Past> => {
  const head = await history.lastSeq();
  const state = emptyNodeState();
  const refusedObjects = new Map<string, { readonly object: ObjectRef; readonly refusals: readonly Refusal[] }>();
  const observedServices = new Map<string, ServiceData>();
  const positions = new Map<string, number>();
  let [seq, storedMs, firstMs] = [0, 0, Number.POSITIVE_INFINITY];
  let running = 0;
  for await (const commit of history.read({ lanes: LANES, ...(until?.type === 'sequence' ? { until: until.seq } : {}) })) {
    firstMs = Math.min(firstMs, commit.storedMs);
    running = Math.max(running, commit.storedMs);
    if (until?.type === 'time' && running > until.ms) break;
    for (const event of commit.events) {
      evolveNode(state, event, commit.seq);
      if (event.type === 'object.refused.v1') refusedObjects.set(event.key, event.data);
      if (event.type === 'refusal.vanished.v1') refusedObjects.delete(event.key);
      if (event.type === 'service.observed.v1') observedServices.set(event.key, event.data);
      if (event.type === 'service.vanished.v1') observedServices.delete(event.key);
      if (event.type === 'nodeposition.observed.v1') positions.set(event.key, event.data.complete);
    }
    [seq, storedMs] = [commit.seq, commit.storedMs];
  }
  if (seq === 0 && until !== undefined) throw badInput(`the log begins at ${new Date(firstMs).toISOString()}, after the moment that was asked for`);
  if (until?.type === 'sequence' && until.seq > head) throw badInput(`#${until.seq}: the log ends at #${head}`);
  return { state, seq: until?.type === 'sequence' ? until.seq : Math.max(seq, until === undefined ? head : 0), storedMs, head, refusedObjects, observedServices, positions };
};
