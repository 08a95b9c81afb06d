/** The fold as the disk keeps it: the state, and how far of which log it is. Pure. */
import { EVENT_CATALOGUE } from '@seine/events';
import { digest } from '@seine/model';

import { emptyNodeState, evolveNode, type NodeState } from './fold.ts';

/** How far a fold is, and of which log (log.md, section 5). */
export interface FoldPosition {
  readonly log: string;
  readonly seq: number;
  readonly lanes: Readonly<Record<string, { readonly seq: number; readonly laneSeq: number; readonly hash: string }>>;
}

interface Head { readonly format: string; readonly node: string; readonly position: FoldPosition }

/** Folds of another build may lack what this one reads: the fold's own text and the events that there are name the format. */
export const FOLD_FORMAT = digest(JSON.stringify([String(evolveNode), EVENT_CATALOGUE.map(({ type }) => type), Object.keys(emptyNodeState())]));

const ENTRIES_MAX = 1_000;

/** One line after the other: the state of a large cluster is a text that nobody should hold at once. */
export function* storeFold(node: string, state: Readonly<NodeState>, position: FoldPosition): Generator<string> {
  yield JSON.stringify({ format: FOLD_FORMAT, node, position } satisfies Head);
  for (const [member, held] of Object.entries(state)) {
    let entries: unknown[] = [];
    for (const entry of held as Iterable<unknown>) { // every member is a map or a set
      entries.push(entry);
      if (entries.length < ENTRIES_MAX) continue;
      yield JSON.stringify([member, entries]);
      entries = [];
    }
    if (entries.length > 0) yield JSON.stringify([member, entries]);
  }
}

/** @param lines as they were stored, parsed. @returns undefined: of another node, or of a build that folds otherwise */
export const restoreFold = (node: string, lines: Iterable<unknown>): { readonly state: NodeState; readonly position: FoldPosition } | undefined => {
  let head: Head | undefined;
  const state = emptyNodeState();
  for (const line of lines) {
    if (head === undefined) {
      head = line as Head; // written by storeFold, as all that follows
      if (head.format !== FOLD_FORMAT || head.node !== node) return undefined;
      continue;
    }
    const [member, entries] = line as readonly [keyof NodeState, readonly unknown[]];
    const held = state[member] as Map<unknown, unknown> | Set<unknown>;
    for (const entry of entries) {
      if (held instanceof Set) held.add(entry);
      else held.set(...entry as [unknown, unknown]); // from a map
    }
  }
  return head === undefined ? undefined : { state, position: head.position };
};
