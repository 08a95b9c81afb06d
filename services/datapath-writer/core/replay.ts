/** The log alone → what a node's maps should hold, byte for byte as a dump of the kernel shows it. Pure. */
import type { SeineEvent } from '@seine/events';
import type { DumpReport } from '@seine/node';

import { canonicalEntries } from './canonical.ts';
import { emptyNodeState, evolveNode, type NodeState } from './fold.ts';
import { endpointsOfLog, nodeRows, type NodeRows } from './node.rows.ts';
import { rowsByMap } from './order.ts';
import { emptyTables, type Tables } from './policy/index.ts';

export interface SequencedEvents { readonly seq: number; readonly events: readonly SeineEvent[] }

/** @param commits in the order of the log */
export const foldNode = (commits: Iterable<SequencedEvents>): NodeState => {
  const state = emptyNodeState();
  for (const { seq, events } of commits) for (const event of events) evolveNode(state, event, seq);
  return state;
};

export interface Replay { readonly rows: NodeRows; readonly tables: Tables; readonly dump: DumpReport }

/** @param seq the sequence that the state stands for */
export const replayNode = (node: string, state: Readonly<NodeState>, seq: number): Replay => {
  const interfaces: string[] = [];
  const local = endpointsOfLog(node, state, (name) => interfaces.push(name));
  const tables = emptyTables();
  const rows = nodeRows(node, state, local, tables);
  return { rows, tables, dump: { node, seq, entries: canonicalEntries(rowsByMap(rows.rows), { tables, interfaceName: (ifindex) => interfaces[ifindex - 1] }) } };
};
