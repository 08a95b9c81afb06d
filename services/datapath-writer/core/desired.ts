/** A row that a map should hold, in words that the codec understands. */
import type { KeyRow, MapName, ValueRow } from '@seine/layout';

export type DesiredRow = { readonly [M in MapName]: { readonly map: M; readonly key: KeyRow<M>; readonly value: ValueRow<M> } }[MapName];
