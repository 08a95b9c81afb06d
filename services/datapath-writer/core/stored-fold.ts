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

type StoredState = { readonly [K in keyof NodeState]: readonly unknown[] };
export interface StoredFold { readonly format: string; readonly node: string; readonly position: FoldPosition; readonly state: StoredState }

/** Folds of another build may lack what this one reads: the fold's own text and the events that there are name the format. */
export const FOLD_FORMAT = digest(JSON.stringify([String(evolveNode), EVENT_CATALOGUE.map(({ type }) => type), Object.keys(emptyNodeState())]));

export const storeFold = (node: string, state: Readonly<NodeState>, position: FoldPosition): StoredFold => ({
  format: FOLD_FORMAT, node, position,
  state: Object.fromEntries(Object.entries(state).map(([name, held]) => [name, [...held as Iterable<unknown>]])) as unknown as StoredState, // every member is a map or a set
});

/** undefined: of another node, or of a build that folds otherwise. */
export const restoreFold = (node: string, stored: StoredFold): { readonly state: NodeState; readonly position: FoldPosition } | undefined => {
  if (stored.format !== FOLD_FORMAT || stored.node !== node) return undefined;
  const state = emptyNodeState();
  for (const [name, held] of Object.entries(state)) {
    for (const each of stored.state[name as keyof NodeState]) {
      if (held instanceof Set) (held as Set<unknown>).add(each);
      else (held as Map<unknown, unknown>).set(...each as [unknown, unknown]); // as it was stored, from a map
    }
  }
  return { state, position: stored.position };
};
