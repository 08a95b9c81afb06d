/**
 * From what is to what should be, in the order that no packet can trip over: referent before reference on the way in, the reverse on
 * the way out, the epoch bumped before anything that was referred to goes, and gone only after a grace period. Pure.
 */
import { FOLDED_MAPS, MAPS, type FoldedMapName, type MapName, type StructLayout } from '@seine/layout';
import { parseAddress, prefixCovers, RESERVED_IDENTITY, type Prefix } from '@seine/model';
import type { AnyRow, MapEntry, Step } from '@seine/node';

import type { DesiredRow } from './desired.ts';

/** Rows of one map by key text; a map is one. */
export interface RowsByKey extends Iterable<readonly [string, MapEntry]> {
  readonly size: number;
  readonly get: (key: string) => MapEntry | undefined;
  readonly has: (key: string) => boolean;
  readonly values: () => Iterable<MapEntry>;
}
export type Rows = ReadonlyMap<MapName, RowsByKey>;

export const keyText = (key: AnyRow): string => Object.values(key).join(' ');
export const valueText = keyText;

/** The same members in the layout's order: texts of rows compare only then. */
const inOrder = (layout: StructLayout, row: AnyRow): AnyRow => Object.fromEntries(layout.fields.map(({ name }) => [name, row[name]!]));

/** As decoded dumps have it. */
export const entryOf = ({ map, key, value }: DesiredRow): MapEntry => ({ key: inOrder(MAPS[map].key, key), value: inOrder(MAPS[map].value, value) });

export const rowsByMap = (rows: readonly DesiredRow[]): Rows => {
  const byMap = new Map<FoldedMapName, Map<string, MapEntry>>(FOLDED_MAPS.map((map) => [map, new Map()]));
  for (const row of rows) {
    const entry = entryOf(row);
    byMap.get(row.map)!.set(keyText(entry.key), entry);
  }
  return byMap;
};

/** Referents first. */
const UP: readonly MapName[] = ['sn_shape_01', 'sn_backend_01', 'sn_slot_02', 'sn_row_01', 'sn_peer_01', 'sn_class_01', 'sn_subject_01', 'sn_ipprefix_01', 'sn_ipcache_01', 'sn_endpoint_01', 'sn_nomasq_01', 'sn_self_01', 'sn_srange_01', 'sn_direct_01', 'sn_frontend_02'];
/** Changes here may change the verdict of a live flow. */
const JUDGING: ReadonlySet<MapName> = new Set<MapName>(['sn_subject_01', 'sn_class_01', 'sn_ipprefix_01', 'sn_ipcache_01', 'sn_endpoint_01']);
/** Referred to by number: they go a grace period after their references. */
const REFERRED: ReadonlySet<MapName> = new Set<MapName>(['sn_peer_01', 'sn_row_01', 'sn_slot_02', 'sn_backend_01']);

export interface Ordered {
  readonly steps: readonly Step[];
  /** What the maps hold once every step is done. */
  readonly writes: number;
}

/** One key that differs: `former` is what the map holds, `now` what it should hold. */
export interface Change { readonly key: string; readonly former: MapEntry | undefined; readonly now: MapEntry | undefined }
export type Changes = ReadonlyMap<MapName, readonly Change[]>;

/** Every key that differs between two states of all maps. */
export const changesBetween = (realized: Rows, desired: Rows): Changes => new Map(UP.map((map) => {
  const is = realized.get(map) ?? new Map<string, MapEntry>();
  const want = desired.get(map) ?? new Map<string, MapEntry>();
  const found: Change[] = [];
  if (is === want) return [map, found];
  for (const [key, now] of want) {
    const former = is.get(key);
    if (former === undefined || valueText(former.value) !== valueText(now.value)) found.push({ key, former, now });
  }
  for (const [key, former] of is) if (!want.has(key)) found.push({ key, former, now: undefined });
  return [map, found];
}));

/** A subject's key: of the node itself. */
const isHost = (key: AnyRow): boolean => key['identity'] === RESERVED_IDENTITY.host;

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

/** What a map held before its changes. */
const before = (desired: RowsByKey | undefined, changes: readonly Change[]): RowsByKey => {
  const rows = new Map(desired ?? []);
  for (const { key, former } of changes) {
    if (former === undefined) rows.delete(key);
    else rows.set(key, former);
  }
  return rows;
};

/** Peers that stand only while classes change. Asks for whole maps: classes change seldom. */
const bridgePeers = (changes: Changes, desired: Rows, echo: (key: AnyRow) => number): ReadonlyMap<string, MapEntry> => {
  const bridge = new Map<string, MapEntry>();
  const of = (map: MapName): readonly Change[] => changes.get(map) ?? [];
  const came = of('sn_class_01').filter(({ former }) => former === undefined);
  const went = of('sn_class_01').filter(({ now }) => now === undefined);
  if (came.length === 0 && went.length === 0) return bridge;
  const wantClass = desired.get('sn_class_01') ?? new Map<string, MapEntry>();
  const isClass = before(wantClass, of('sn_class_01'));
  const wantPeers = desired.get('sn_peer_01') ?? new Map<string, MapEntry>();
  const isPeers = before(wantPeers, of('sn_peer_01'));
  const add = (entries: readonly MapEntry[]): void => {
    for (const entry of entries) {
      const key = keyText(entry.key);
      if (!isPeers.has(key) && !wantPeers.has(key)) bridge.set(key, entry);
    }
  };
  for (const { now } of came) add(inheritPeers(isPeers.values(), now!.value['value'] as number, parentClass(prefixOf(now!.key), isClass.values()), echo));
  for (const { former } of went) add(inheritPeers(wantPeers.values(), former!.value['value'] as number, parentClass(prefixOf(former!.key), wantClass.values()), echo));
  return bridge;
};

/**
 * @param desired what the maps hold once the changes are made
 * @param echo of a peer key; the codec's
 */
export const orderChanges = (changes: Changes, desired: Rows, echo: (key: AnyRow) => number): Ordered => {
  const upserts = new Map<MapName, MapEntry[]>();
  const deletes = new Map<MapName, AnyRow[]>();
  let bump = false;
  for (const map of UP) {
    const up: MapEntry[] = [];
    const gone: AnyRow[] = [];
    for (const { former, now } of changes.get(map) ?? []) {
      if (former !== undefined && JUDGING.has(map)) bump = true;
      if (now === undefined) gone.push(former!.key);
      else up.push(now);
    }
    if (map === 'sn_class_01' && up.length > 0) bump = true;
    /* Without a row the node itself was not judged at all. */
    if (map === 'sn_subject_01' && up.some(({ key }) => isHost(key))) bump = true;
    upserts.set(map, up);
    deletes.set(map, gone);
  }
  const bridge = bridgePeers(changes, desired, echo);

  const steps: Step[] = [];
  const upsert = (map: MapName, rows: readonly MapEntry[]): void => { if (rows.length > 0) steps.push({ step: 'upsert', map, rows }); };
  const remove = (map: MapName, keys: readonly AnyRow[]): void => { if (keys.length > 0) steps.push({ step: 'delete', map, keys }); };
  for (const map of UP) upsert(map, map === 'sn_peer_01' && bridge.size > 0 ? [...upserts.get(map)!, ...bridge.values()] : upserts.get(map)!);
  const down = [...UP].reverse();
  /* A subject is referred to by its endpoints; the node itself by nobody, and without its row it is not judged: that must not outlast its peers. */
  const [ownSubjects, subjects] = [deletes.get('sn_subject_01')!.filter(isHost), deletes.get('sn_subject_01')!.filter((key) => !isHost(key))];
  for (const map of down) if (!REFERRED.has(map)) remove(map, map === 'sn_subject_01' ? ownSubjects : deletes.get(map)!);
  if (bump) steps.push({ step: 'bump' });
  const last = (map: MapName): readonly AnyRow[] => (map === 'sn_subject_01' ? subjects : map === 'sn_peer_01' ? [...deletes.get(map)!, ...[...bridge.values()].map(({ key }) => key)] : deletes.get(map)!);
  const lastRemovals = down.filter((map) => map === 'sn_subject_01' || REFERRED.has(map)).map((map) => [map, last(map)] as const);
  if (lastRemovals.some(([, keys]) => keys.length > 0)) steps.push({ step: 'grace' });
  for (const [map, keys] of lastRemovals) remove(map, keys);
  const writes = steps.reduce((sum, step) => sum + (step.step === 'upsert' ? step.rows.length : step.step === 'delete' ? step.keys.length : 0), 0);
  return { steps, writes };
};

/** From one whole state to another: where only a dump says what the maps hold. */
export const orderSteps = (realized: Rows, desired: Rows, echo: (key: AnyRow) => number): Ordered => orderChanges(changesBetween(realized, desired), desired, echo);

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

