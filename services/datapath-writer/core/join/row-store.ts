/** The rows that the maps should hold, and what changed since they last did. Owned by one join; pure. */
import { FOLDED_MAPS, type FoldedMapName, type MapName } from '@seine/layout';
import type { MapEntry } from '@seine/node';

import type { DesiredRow } from '../desired.ts';
import { entryOf, keyText, valueText, type Change, type Changes, type RowsByKey } from '../order.ts';

export interface RowStore {
  readonly rows: ReadonlyMap<MapName, RowsByKey>;
  readonly put: (row: DesiredRow) => void;
  /** As `put`, for callers that have the key's text already; members are in the layout's order. */
  readonly putEntry: (map: FoldedMapName, key: string, entry: MapEntry) => void;
  readonly remove: (map: FoldedMapName, key: string) => void;
  /** Since the last `settle`. */
  readonly changes: () => Changes;
  /** The maps hold these rows. */
  readonly settle: () => void;
}

export const createRowStore = (): RowStore => {
  const rows = new Map<FoldedMapName, Map<string, MapEntry>>(FOLDED_MAPS.map((map) => [map, new Map()]));
  const formers = new Map<FoldedMapName, Map<string, MapEntry | undefined>>(FOLDED_MAPS.map((map) => [map, new Map()]));

  const note = (map: FoldedMapName, key: string, former: MapEntry | undefined): void => {
    const noted = formers.get(map)!;
    if (!noted.has(key)) noted.set(key, former);
  };
  const putEntry: RowStore['putEntry'] = (map, key, entry) => {
    const held = rows.get(map)!;
    const former = held.get(key);
    if (former !== undefined && valueText(former.value) === valueText(entry.value)) return;
    note(map, key, former);
    held.set(key, entry);
  };
  return {
    rows,
    putEntry,
    put: (row) => {
      const entry = entryOf(row);
      putEntry(row.map, keyText(entry.key), entry);
    },
    remove: (map, key) => {
      const held = rows.get(map)!;
      const former = held.get(key);
      if (former === undefined) return;
      note(map, key, former);
      held.delete(key);
    },
    changes: () => {
      const changes = new Map<MapName, Change[]>();
      for (const [map, noted] of formers) {
        const found: Change[] = [];
        for (const [key, former] of noted) {
          const now = rows.get(map)!.get(key);
          if (former === now || (former !== undefined && now !== undefined && valueText(former.value) === valueText(now.value))) continue;
          found.push({ key, former, now });
        }
        changes.set(map, found);
      }
      return changes;
    },
    settle: () => { for (const noted of formers.values()) noted.clear(); },
  };
};
