/**
 * From what is to what should be, in the order that no packet can trip over: referent before reference on the way in, the reverse on
 * the way out, the epoch bumped before anything that was referred to goes, and gone only after a grace period. Pure.
 */
import { FOLDED_MAPS, MAPS, type FoldedMapName, type MapName, type StructLayout } from '@seine/layout';
import { parseAddress, prefixCovers, RESERVED_IDENTITY, type Prefix } from '@seine/model';
import type { AnyRow, MapEntry, Step } from '@seine/node';

import type { DesiredRow } from './desired.ts';

/** Rows of one map by key text. */
export type RowsByKey = ReadonlyMap<string, MapEntry>;
export type Rows = ReadonlyMap<MapName, RowsByKey>;

export const keyText = (key: AnyRow): string => Object.values(key).join(' ');
export const valueText = keyText;

/** The same members in the layout's order: texts of rows compare only then. */
const inOrder = (layout: StructLayout, row: AnyRow): AnyRow => Object.fromEntries(layout.fields.map(({ name }) => [name, row[name]!]));

/** Also of decoded dumps: their order is the layout's. */
export const rowsByMap = (rows: readonly DesiredRow[]): Rows => {
  const byMap = new Map<FoldedMapName, Map<string, MapEntry>>(FOLDED_MAPS.map((map) => [map, new Map()]));
  for (const { map, key, value } of rows) {
    const ordered = inOrder(MAPS[map].key, key);
    byMap.get(map)!.set(keyText(ordered), { key: ordered, value: inOrder(MAPS[map].value, value) });
  }
  return byMap;
};

/** Referents first. */
const UP: readonly MapName[] = ['sn_shape_01', 'sn_backend_01', 'sn_slot_02', 'sn_row_01', 'sn_peer_01', 'sn_class_01', 'sn_subject_01', 'sn_ipprefix_01', 'sn_ipcache_01', 'sn_endpoint_01', 'sn_srange_01', 'sn_frontend_02'];
/** Changes here may change the verdict of a live flow. */
const JUDGING: ReadonlySet<MapName> = new Set<MapName>(['sn_subject_01', 'sn_class_01', 'sn_ipprefix_01', 'sn_ipcache_01', 'sn_endpoint_01']);
/** Referred to by number: they go a grace period after their references. */
const REFERRED: ReadonlySet<MapName> = new Set<MapName>(['sn_peer_01', 'sn_row_01', 'sn_slot_02', 'sn_backend_01']);

export interface Ordered {
  readonly steps: readonly Step[];
  /** What the maps hold once every step is done. */
  readonly writes: number;
}

const prefixOf = ({ prefixLength, address }: AnyRow): Prefix => ({ length: prefixLength as number, address: parseAddress(address as string)! });

/** The class of the longest of `classes` that strictly contains the prefix; 0 = none. */
const parentClass = (prefix: Prefix, classes: Iterable<MapEntry>): number => {
  let best: { readonly length: number; readonly value: number } | undefined;
  for (const { key, value } of classes) {
    const outer = prefixOf(key);
    if (outer.length < prefix.length && prefixCovers(outer, prefix) && (best === undefined || outer.length > best.length)) best = { length: outer.length, value: value['value'] as number };
  }
  return best?.value ?? 0;
};

/**
 * While a class comes or goes, the trie and the revisions change one after the other: for that moment, each revision that does not know the
 * class judges its addresses as its parent's. `peers` are the revision's rows, keyed by the class they were made for.
 */
const inheritPeers = (peers: Iterable<MapEntry>, child: number, parent: number, echo: (key: AnyRow) => number): readonly MapEntry[] => {
  const inherited: MapEntry[] = [];
  for (const { key, value } of peers) {
    const classVariant = key['classVariant'] as number;
    if (classVariant >>> 16 !== parent) continue;
    const copy = { ...key, classVariant: ((child << 16) | (classVariant & 0xffff)) >>> 0 };
    inherited.push({ key: copy, value: { ...value, echo: echo(copy) } });
  }
  return inherited;
};

/** @param echo of a peer key; the codec's */
export const orderSteps = (realized: Rows, desired: Rows, echo: (key: AnyRow) => number): Ordered => {
  const upserts = new Map<MapName, MapEntry[]>();
  const deletes = new Map<MapName, AnyRow[]>();
  let bump = false;
  for (const map of UP) {
    const is = realized.get(map) ?? new Map<string, MapEntry>();
    const want = desired.get(map) ?? new Map<string, MapEntry>();
    const up: MapEntry[] = [];
    for (const [key, entry] of want) {
      const former = is.get(key);
      if (former !== undefined && valueText(former.value) === valueText(entry.value)) continue;
      if (former !== undefined && JUDGING.has(map)) bump = true;
      up.push(entry);
    }
    const gone = [...is].filter(([key]) => !want.has(key)).map(([, { key }]) => key);
    if (gone.length > 0 && JUDGING.has(map)) bump = true;
    if (map === 'sn_class_01' && up.length > 0) bump = true;
    /* Without a row the node itself was not judged at all. */
    if (map === 'sn_subject_01' && up.some(({ key }) => key['identity'] === RESERVED_IDENTITY.host)) bump = true;
    upserts.set(map, up);
    deletes.set(map, gone);
  }

  /* Peers that stand only while classes change. */
  const isClass = realized.get('sn_class_01') ?? new Map<string, MapEntry>();
  const wantClass = desired.get('sn_class_01') ?? new Map<string, MapEntry>();
  const bridge = new Map<string, MapEntry>();
  const add = (entries: readonly MapEntry[]): void => {
    for (const entry of entries) {
      const key = keyText(entry.key);
      if (!(realized.get('sn_peer_01')?.has(key) ?? false) && !(desired.get('sn_peer_01')?.has(key) ?? false)) bridge.set(key, entry);
    }
  };
  for (const [key, { key: prefix, value }] of wantClass) {
    if (!isClass.has(key)) add(inheritPeers(realized.get('sn_peer_01')?.values() ?? [], value['value'] as number, parentClass(prefixOf(prefix), isClass.values()), echo));
  }
  for (const [key, { key: prefix, value }] of isClass) {
    if (!wantClass.has(key)) add(inheritPeers(desired.get('sn_peer_01')?.values() ?? [], value['value'] as number, parentClass(prefixOf(prefix), wantClass.values()), echo));
  }

  const steps: Step[] = [];
  const upsert = (map: MapName, rows: readonly MapEntry[]): void => { if (rows.length > 0) steps.push({ step: 'upsert', map, rows }); };
  const remove = (map: MapName, keys: readonly AnyRow[]): void => { if (keys.length > 0) steps.push({ step: 'delete', map, keys }); };
  for (const map of UP) upsert(map, map === 'sn_peer_01' ? [...upserts.get(map)!, ...bridge.values()] : upserts.get(map)!);
  const down = [...UP].reverse();
  for (const map of down) if (!REFERRED.has(map)) remove(map, deletes.get(map)!);
  if (bump) steps.push({ step: 'bump' });
  const lastRemovals = down.filter((map) => REFERRED.has(map)).map((map) => [map, map === 'sn_peer_01' ? [...deletes.get(map)!, ...[...bridge.values()].map(({ key }) => key)] : deletes.get(map)!] as const);
  if (lastRemovals.some(([, keys]) => keys.length > 0)) steps.push({ step: 'grace' });
  for (const [map, keys] of lastRemovals) remove(map, keys);
  const writes = steps.reduce((sum, step) => sum + (step.step === 'upsert' ? step.rows.length : step.step === 'delete' ? step.keys.length : 0), 0);
  return { steps, writes };
};

/** One line a change, as people read it. */
export const stepText = (step: Step): readonly string[] => {
  const named = (row: AnyRow): string => Object.entries(row).map(([name, value]) => `${name}=${value}`).join(' ');
  switch (step.step) {
    case 'upsert': return step.rows.map(({ key, value }) => `${step.map} upsert ${named(key)} → ${named(value)}`);
    case 'delete': return step.keys.map((key) => `${step.map} delete ${named(key)}`);
    case 'bump': return ['bump the verdict epoch'];
    case 'grace': return ['wait for a grace period'];
  }
};

