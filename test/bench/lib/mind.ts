/** A node's mind over a made cluster: events in, ordered steps out, as the writer does it, and into real maps as the loader does it. */
import { createNodeJoin, emptyNodeState, emptyTables, endpointsOfLog, evolveNode, orderChanges, peerEcho, type NodeState, type Ordered } from '@seine/datapath-writer';
import type { SeineEvent } from '@seine/events';
import type { LocalEndpoint } from '@seine/node';

import { SELF } from './cluster.ts';

export const stateOf = (events: readonly SeineEvent[]): NodeState => {
  const state = emptyNodeState();
  for (const each of events) evolveNode(state, each, 1);
  return state;
};

/** @param indexOf a host side's index */
export const openMind = (state: NodeState, indexOf: (hostInterface: string) => number = () => 1) => {
  const tables = emptyTables();
  const join = createNodeJoin(SELF, state, tables);
  let local: readonly LocalEndpoint[] = endpointsOfLog(SELF, state, indexOf);
  return {
    state, tables, rows: join.rows,
    /** Events → steps in order. The steps count as done. */
    pass: (events: readonly SeineEvent[], look = false): { readonly ms: number; readonly ordered: Ordered } => {
      const started = performance.now();
      for (const each of events) { evolveNode(state, each, 1); join.note(each); }
      if (look) local = endpointsOfLog(SELF, state, indexOf);
      join.update(local);
      const ordered = orderChanges(join.changes(), join.rows, peerEcho);
      join.settle();
      return { ms: performance.now() - started, ordered };
    },
  };
};
export type Mind = ReturnType<typeof openMind>;

/** The same rows made from nothing. */
export const fromScratchMs = (state: NodeState): number => {
  const started = performance.now();
  const join = createNodeJoin(SELF, state, emptyTables());
  join.update(endpointsOfLog(SELF, state, () => 1));
  return performance.now() - started;
};
