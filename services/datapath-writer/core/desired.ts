/** A row that a map should hold, in words that the codec understands. */
import type { FoldedMapName, KeyRow, ValueRow } from '@seine/layout';

export type DesiredRow = { readonly [M in FoldedMapName]: { readonly map: M; readonly key: KeyRow<M>; readonly value: ValueRow<M> } }[FoldedMapName];
