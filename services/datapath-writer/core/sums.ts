/** Rows of a map → the checksum that the map itself would have. Pure. */
import { addEntries, encodeAll, MAPS, NO_ENTRIES, type EntrySum, type FoldedMapName, type StructLayout } from '@seine/layout';

import { isPacked, packedChunks } from './join/packed-rows.ts';
import type { RowsByKey } from './order.ts';

export const sumOfRows = (map: FoldedMapName, rows: RowsByKey): EntrySum => {
  const { key, value }: { readonly key: StructLayout; readonly value: StructLayout } = MAPS[map];
  const entries = [...rows.values()];
  if (isPacked(entries)) {
    let sum = NO_ENTRIES;
    for (const chunk of packedChunks(entries)) sum = addEntries(sum, chunk);
    return sum;
  }
  return addEntries(NO_ENTRIES, { keys: encodeAll(key, entries.map((entry) => entry.key) as never), values: encodeAll(value, entries.map((entry) => entry.value) as never), count: entries.length }); // rows of this map: the codec checks every member
};
