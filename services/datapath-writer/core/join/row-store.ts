/** The rows that the maps should hold, and what changed since they last did. Each kind of map is kept as its changes come. Owned by one join; pure. */
import { FOLDED_MAPS, type FoldedMapName, type MapName } from '@seine/layout';
import type { MapEntry } from '@seine/node';

import type { DesiredRow } from '../desired.ts';
import { entryOf, keyText, valueText, type Change, type Changes, type RowsByKey } from '../order.ts';
import { createPackedRows, PACKED_MAPS, type PackedMapName, type PackedRows } from './packed-rows.ts';
import { createPeerStore, type PeerStore } from './peer-store.ts';

export interface RowStore {
  readonly rows: ReadonlyMap<MapName, RowsByKey>;
  /** Peers come and go by whole revisions: they are kept so. */
  readonly peers: PeerStore;
  /** What Services fill: as bytes. */
  readonly packed: Readonly<Record<PackedMapName, PackedRows>>;
  /** Of any other map. */
  readonly put: (row: DesiredRow) => void;
  readonly remove: (map: FoldedMapName, key: string) => void;
  /** Since the last `settle`. */
  readonly changes: () => Changes;
  /** The maps hold these rows. */
  readonly settle: () => void;
}

export const createRowStore = (): RowStore => {
  const peers = createPeerStore();
  const packed = Object.fromEntries(PACKED_MAPS.map((map) => [map, createPackedRows(map)])) as unknown as Readonly<Record<PackedMapName, PackedRows>>; // every map is there
  const plain = new Map<MapName, Map<string, MapEntry>>(FOLDED_MAPS.filter((map) => map !== 'sn_peer_01' && !Object.hasOwn(packed, map)).map((map) => [map, new Map()]));
  const formers = new Map<MapName, Map<string, MapEntry | undefined>>([...plain.keys()].map((map) => [map, new Map()]));
  const note = (map: MapName, key: string, former: MapEntry | undefined): void => {
    const noted = formers.get(map)!;
    if (!noted.has(key)) noted.set(key, former);
  };
  return {
    peers,
    packed,
    rows: new Map<MapName, RowsByKey>([...plain, ['sn_peer_01', peers.rows], ...PACKED_MAPS.map((map) => [map, packed[map].rows] as const)]),
    put: (row) => {
      const entry = entryOf(row);
      const key = keyText(entry.key);
      const held = plain.get(row.map)!;
      const former = held.get(key);
      if (former !== undefined && valueText(former.value) === valueText(entry.value)) return;
      note(row.map, key, former);
      held.set(key, entry);
    },
    remove: (map, key) => {
      const held = plain.get(map)!;
      const former = held.get(key);
      if (former === undefined) return;
      note(map, key, former);
      held.delete(key);
    },
    changes: () => {
      const changes = new Map<MapName, readonly Change[]>([['sn_peer_01', peers.changes()], ...PACKED_MAPS.map((map) => [map, packed[map].changes()] as const)]);
      for (const [map, noted] of formers) {
        const found: Change[] = [];
        for (const [key, former] of noted) {
          const now = plain.get(map)!.get(key);
          if (former === now || (former !== undefined && now !== undefined && valueText(former.value) === valueText(now.value))) continue;
          found.push({ key, former, now });
        }
        changes.set(map, found);
      }
      return changes;
    },
    settle: () => {
      peers.settle();
      for (const map of PACKED_MAPS) packed[map].settle();
      for (const noted of formers.values()) noted.clear();
    },
  };
};
