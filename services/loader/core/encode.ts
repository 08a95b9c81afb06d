/** Steps in words → bytes for the kernel. Pure. */
import { encodeAll, MAPS, type MapName, type StructLayout } from '@seine/layout';
import type { AnyRow, MapEntry } from '@seine/node';

const layoutOf = (map: MapName): { readonly key: StructLayout; readonly value: StructLayout } => MAPS[map];

/** @throws SEINE_LAYOUT_RANGE naming struct, field, value and range */
export const encodeEntries = (map: MapName, rows: readonly MapEntry[]): { readonly keys: Uint8Array; readonly values: Uint8Array; readonly count: number } => {
  const { key, value } = layoutOf(map);
  return { keys: encodeAll(key, rows.map((row) => row.key) as never), values: encodeAll(value, rows.map((row) => row.value) as never), count: rows.length }; // rows of this map: the codec checks every member
};

export const encodeKeys = (map: MapName, keys: readonly AnyRow[]): Uint8Array => encodeAll(layoutOf(map).key, keys as never); // as above
