/** Steps in words → bytes for the kernel. Pure. */
import { encodeAll, MAPS, type MapName, type StructLayout } from '@seine/layout';
import { SeineError } from '@seine/model';
import type { AnyRow, MapEntry, Packed } from '@seine/node';

const layoutOf = (map: MapName): { readonly key: StructLayout; readonly value: StructLayout } => MAPS[map];

/** @throws SEINE_LAYOUT_RANGE naming struct, field, value and range */
export const encodeEntries = (map: MapName, rows: readonly MapEntry[]): { readonly keys: Uint8Array; readonly values: Uint8Array; readonly count: number } => {
  const { key, value } = layoutOf(map);
  return { keys: encodeAll(key, rows.map((row) => row.key) as never), values: encodeAll(value, rows.map((row) => row.value) as never), count: rows.length }; // rows of this map: the codec checks every member
};

export const encodeKeys = (map: MapName, keys: readonly AnyRow[]): Uint8Array => encodeAll(layoutOf(map).key, keys as never); // as above

/** @throws SEINE_LAYOUT_RANGE where the bytes are not those of so many rows */
export const unpack = (map: MapName, { count, keys, values }: Packed, hasValues: boolean): { readonly keys: Uint8Array; readonly values: Uint8Array; readonly count: number } => {
  const { key, value } = layoutOf(map);
  const [keyBytes, valueBytes] = [Buffer.from(keys, 'base64'), Buffer.from(values, 'base64')];
  const wants = [count * key.size, hasValues ? count * value.size : 0] as const;
  if (!Number.isSafeInteger(count) || count < 0 || keyBytes.length !== wants[0] || valueBytes.length !== wants[1]) {
    throw new SeineError('SEINE_LAYOUT_RANGE', `${map}: ${count} rows in ${keyBytes.length} and ${valueBytes.length} bytes: expected ${wants[0]} and ${wants[1]}`, { map });
  }
  return { keys: keyBytes, values: valueBytes, count };
};
