/** Rows of a map → the checksum that the map itself would have. Pure. */
import { addEntries, encodeAll, MAPS, NO_ENTRIES, type EntrySum, type FoldedMapName, type StructLayout } from '@seine/layout';

import { packedChunks, PackedEntry } from './join/packed-rows.ts';
import type { RowsByKey } from './order.ts';

export const sumOfRows = (map: FoldedMapName, rows: RowsByKey): EntrySum => {
  const { key, value }: { readonly key: StructLayout; readonly value: StructLayout } = MAPS[map];
  const [first] = rows.values();
  if (first instanceof PackedEntry) {
    let sum = NO_ENTRIES;
    for (const chunk of packedChunks(rows.values() as Iterable<PackedEntry>)) sum = addEntries(sum, chunk); // as the first
    return sum;
  }
  const entries = [...rows.values()];
  return addEntries(NO_ENTRIES, { keys: encodeAll(key, entries.map((entry) => entry.key) as never), values: encodeAll(value, entries.map((entry) => entry.value) as never), count: entries.length }); // rows of this map: the codec checks every member
};
