/**
 * Rows of the maps that Services fill, kept as the bytes that the kernel takes: a fifth of what words would take, and no work on their way to the
 * loader. Who asks is shown words. Pure.
 */
import { decodeText, encodeText, MAPS, type StructLayout } from '@seine/layout';
import type { AnyRow, MapEntry } from '@seine/node';

import type { DesiredRow } from '../desired.ts';
import { keyText, type Change, type RowsByKey } from '../order.ts';

export const PACKED_MAPS = ['sn_frontend_02', 'sn_slot_02', 'sn_backend_01', 'sn_srange_01', 'sn_direct_01'] as const;
export type PackedMapName = (typeof PACKED_MAPS)[number];

const layoutOf = (map: PackedMapName): { readonly key: StructLayout; readonly value: StructLayout } => MAPS[map];
const words = (layout: StructLayout, bytes: string): AnyRow => decodeText(layout, bytes) as unknown as AnyRow; // these maps hold no 64-bit numbers

/** Key and value are latin1 texts of their bytes. */
export interface PackedRow { readonly map: PackedMapName; readonly key: string; readonly value: string }

/** @throws SEINE_LAYOUT_RANGE */
export const packRow = ({ map, key, value }: Extract<DesiredRow, { readonly map: PackedMapName }>): PackedRow => {
  const layout = layoutOf(map);
  return { map, key: encodeText(layout.key, key as never), value: encodeText(layout.value, value as never) }; // rows of this map: the codec checks every member
};

/** An entry whose words are made when they are asked for. */
export class PackedEntry implements MapEntry {
  readonly map: PackedMapName;
  readonly keyBytes: string;
  readonly valueBytes: string;
  constructor(map: PackedMapName, keyBytes: string, valueBytes: string) {
    this.map = map;
    this.keyBytes = keyBytes;
    this.valueBytes = valueBytes;
  }
  get key(): AnyRow { return words(layoutOf(this.map).key, this.keyBytes); }
  get value(): AnyRow { return words(layoutOf(this.map).value, this.valueBytes); }
  toJSON(): MapEntry { return { key: this.key, value: this.value }; }
}

class PackedChange implements Change {
  readonly former: PackedEntry | undefined;
  readonly now: PackedEntry | undefined;
  constructor(former: PackedEntry | undefined, now: PackedEntry | undefined) {
    this.former = former;
    this.now = now;
  }
  get key(): string { return keyText((this.now ?? this.former)!.key); } // one of them is there
}

export const isPacked = (rows: readonly MapEntry[]): rows is readonly PackedEntry[] => rows.every((row) => row instanceof PackedEntry);

/** Rows as the bytes that they are. */
export const joinPacked = (rows: readonly PackedEntry[]): { readonly keys: Buffer; readonly values: Buffer; readonly count: number } => {
  let [keys, values] = ['', ''];
  for (const { keyBytes, valueBytes } of rows) {
    keys += keyBytes;
    values += valueBytes;
  }
  return { keys: Buffer.from(keys, 'latin1'), values: Buffer.from(values, 'latin1'), count: rows.length };
};

const CHUNK = 4096;
/** The same, so many at once: all of a large map would be as large again. */
export function* packedChunks(rows: Iterable<PackedEntry>): Generator<ReturnType<typeof joinPacked>> {
  let chunk: PackedEntry[] = [];
  for (const row of rows) {
    chunk.push(row);
    if (chunk.length < CHUNK) continue;
    yield joinPacked(chunk);
    chunk = [];
  }
  yield joinPacked(chunk);
}

/** What a map holds, from its bytes. */
export const packedRowsOf = (map: PackedMapName, keys: Buffer, values: Buffer, count: number): RowsByKey => {
  const { put, rows } = createPackedRows(map);
  const { key, value } = layoutOf(map);
  for (let entry = 0; entry < count; entry += 1) put(keys.toString('latin1', entry * key.size, (entry + 1) * key.size), values.toString('latin1', entry * value.size, (entry + 1) * value.size));
  return rows;
};

export const isPackedMap = (map: string): map is PackedMapName => (PACKED_MAPS as readonly string[]).includes(map);

export interface PackedRows {
  /** In words. */
  readonly rows: RowsByKey;
  readonly get: (key: string) => string | undefined;
  /** @returns what the key held */
  readonly put: (key: string, value: string) => string | undefined;
  readonly remove: (key: string) => void;
  /** Entries that the map holds while the changes are made: what leaves goes last. */
  readonly occupied: () => number;
  /** Would this key be an entry more? */
  readonly isFresh: (key: string) => boolean;
  readonly changes: () => readonly Change[];
  readonly settle: () => void;
}

export const createPackedRows = (map: PackedMapName): PackedRows => {
  const held = new Map<string, string>();
  /** Until it is settled for the first time all of it is new. */
  let settled = false;
  /** What the map had, of keys that changed since it was settled. */
  let formers = new Map<string, string | undefined>();
  let leaving = 0;
  const { key: layout } = layoutOf(map);
  const entry = (key: string, value: string | undefined): PackedEntry | undefined => (value === undefined ? undefined : new PackedEntry(map, key, value));
  /** As `keyText` wrote it. */
  const bytesOf = (text: string): string => {
    const members = text.split(' ');
    return encodeText(layout, Object.fromEntries(layout.fields.map(({ name, kind }, index) => [name, kind === 'int' ? Number(members[index]) : members[index]])) as never);
  };
  const find = (text: string): PackedEntry | undefined => { const key = bytesOf(text); return entry(key, held.get(key)); };
  const entries = function* entries(): Generator<readonly [string, MapEntry]> {
    for (const [key, value] of held) { const found = new PackedEntry(map, key, value); yield [keyText(found.key), found]; }
  };
  return {
    rows: {
      get size() { return held.size; },
      get: find,
      has: (text) => find(text) !== undefined,
      values: function* values() { for (const [key, value] of held) yield new PackedEntry(map, key, value); },
      [Symbol.iterator]: entries,
    },
    get: (key) => held.get(key),
    put: (key, value) => {
      const former = held.get(key);
      if (former === value) return former;
      held.set(key, value);
      if (!settled) return former;
      if (!formers.has(key)) formers.set(key, former);
      else if (former === undefined && formers.get(key) !== undefined) leaving -= 1;
      return former;
    },
    remove: (key) => {
      const former = held.get(key);
      if (former === undefined) return;
      held.delete(key);
      if (!settled) return;
      if (!formers.has(key)) formers.set(key, former);
      if (formers.get(key) !== undefined) leaving += 1;
    },
    occupied: () => held.size + leaving,
    isFresh: (key) => !held.has(key) && formers.get(key) === undefined,
    changes: () => {
      const found: Change[] = [];
      if (!settled) for (const [key, value] of held) found.push(new PackedChange(undefined, new PackedEntry(map, key, value)));
      for (const [key, former] of formers) {
        const now = held.get(key);
        if (former !== now) found.push(new PackedChange(entry(key, former), entry(key, now)));
      }
      return found;
    },
    settle: () => {
      if (formers.size > 0) formers = new Map(); // clear() would keep the room of the largest change
      leaving = 0;
      settled = true;
    },
  };
};
