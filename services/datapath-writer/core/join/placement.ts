/**
 * Rule sets → rows of the policy maps. Equal rule sets are one revision, equal contents one row, whoever uses them; each is written with its
 * first user and taken away with its last. What would not fit is counted before anything of it is placed. Pure.
 */
import { MAPS } from '@seine/layout';
import { compareCodeUnits } from '@seine/model';
import type { MapEntry } from '@seine/node';

import { keyText } from '../order.ts';
import { contentRows, rowNumber, subjectKeyRow, subjectRow, type DirectionName, type RowContent, type SubjectName } from '../policy/index.ts';
import type { Holds } from './holds.ts';
import { peerEcho } from './peer-echo.ts';
import type { PeerBlock } from './peer-store.ts';
import type { RowStore } from './row-store.ts';
import { fullRuleSet, type ContentLedger, type PeerEntry, type RuleSet } from './rule-set.ts';

/** How many entries the maps hold at most; what does not fit is closed, never half open. */
export interface Capacity { readonly peers: number; readonly rows: number }
export const MAP_CAPACITY: Capacity = { peers: MAPS.sn_peer_01.maxEntries, rows: MAPS.sn_row_01.maxEntries };

/** A subject whose policy did not fit: closed with 155. */
export interface FullSubject extends SubjectName {
  /** peer entries it needs */
  readonly peers: number;
  /** row entries it needs beside those that are there */
  readonly entries: number;
  readonly capacity: Capacity;
}

interface PlacedContent { readonly row: number; readonly number: number; readonly ruleNumbers: readonly number[]; uses: number }
/** A rule set in the maps; its contents' rows, each held once for all its peers. */
interface Placed { readonly set: RuleSet; readonly revision: number; readonly rows: Map<RowContent, number>; users: number }
/** Someone who shall have a rule set. */
interface Want { readonly subject: SubjectName; readonly set: RuleSet }

/** The rows of a subject that is closed for want of room, and of one that nothing isolates: they always have their places. */
const RESERVED_ENTRIES = 2;

export const createPlacement = (holds: Holds, store: RowStore, capacity: Capacity) => {
  /* What all wanted rule sets need together. */
  const wantedContents = new Map<string, { readonly entries: number; sets: number }>();
  let wantedEntries = 0;
  const wants = new Map<string, Want>();
  const wantedSets = new Map<RuleSet, number>();
  /* What is in the maps. */
  const contents = new Map<string, PlacedContent>();
  const placed = new Map<RuleSet, Placed>();
  const shown = new Map<string, RuleSet>();
  const fullSets: Readonly<Record<DirectionName, RuleSet>> = { ingress: fullRuleSet('ingress'), egress: fullRuleSet('egress') };
  let full: readonly FullSubject[] = [];

  const ledger: ContentLedger = {
    came: ({ text, entries }) => {
      const known = wantedContents.get(text);
      if (known !== undefined) { known.sets += 1; return; }
      wantedContents.set(text, { entries: entries.length, sets: 1 });
      wantedEntries += entries.length;
    },
    went: ({ text }) => {
      const known = wantedContents.get(text)!;
      known.sets -= 1;
      if (known.sets > 0) return;
      wantedContents.delete(text);
      wantedEntries -= known.entries;
    },
  };

  const placeContent = (content: RowContent): number => {
    const known = contents.get(content.text);
    if (known !== undefined) { known.uses += 1; return known.row; }
    const number = holds.hold('row', content.text);
    const row = rowNumber(content, number);
    const ruleNumbers: number[] = [];
    for (const desired of contentRows(content, row, (rule) => { const ruleNumber = holds.hold('rule', rule); ruleNumbers.push(ruleNumber); return ruleNumber; })) store.put(desired);
    contents.set(content.text, { row, number, ruleNumbers, uses: 1 });
    return row;
  };
  const removeContent = (content: RowContent): void => {
    const known = contents.get(content.text)!;
    known.uses -= 1;
    if (known.uses > 0) return;
    contents.delete(content.text);
    for (const { key } of contentRows(content, known.row, () => 0)) store.remove('sn_row_01', keyText(key));
    for (const number of known.ruleNumbers) holds.drop('rule', number);
    holds.drop('row', known.number);
  };

  const rowOfPlaced = ({ rows }: Placed, content: RowContent): number => {
    const known = rows.get(content);
    if (known !== undefined) return known;
    const row = placeContent(content);
    rows.set(content, row);
    return row;
  };
  const peerEntry = (known: Placed, { identity, classVariant, row }: PeerEntry): MapEntry => {
    const key = { revision: known.revision, identity, classVariant };
    return { key, value: { row: rowOfPlaced(known, row), echo: peerEcho(key) } };
  };

  const placeSet = (set: RuleSet): Placed => {
    const known = placed.get(set);
    if (known !== undefined) { known.users += 1; return known; }
    const made: Placed = { set, revision: holds.hold('revision', set.name), rows: new Map(), users: 1 };
    placed.set(set, made);
    rowOfPlaced(made, set.defaultRow);
    const block: PeerBlock = new Map();
    for (const [key, peer] of set.peers) block.set(key, peerEntry(made, peer));
    store.peers.putBlock(made.revision, block);
    return made;
  };
  const removeSet = (set: RuleSet): void => {
    const known = placed.get(set)!;
    known.users -= 1;
    if (known.users > 0) return;
    placed.delete(set);
    store.peers.removeBlock(known.revision);
    for (const content of known.rows.keys()) removeContent(content);
    holds.drop('revision', known.revision);
  };

  const show = (key: string, subject: SubjectName, set: RuleSet | undefined): void => {
    const former = shown.get(key);
    if (former === set) return;
    if (set === undefined) {
      shown.delete(key);
      store.remove('sn_subject_01', keyText(subjectKeyRow(subject)));
    } else {
      const { revision, rows } = placeSet(set);
      shown.set(key, set);
      store.put(subjectRow(subject, set, { revision, defaultRow: rows.get(set.defaultRow)! }));
    }
    if (former !== undefined) removeSet(former);
  };

  const wantedPeers = (): number => { let sum = 0; for (const set of wantedSets.keys()) sum += set.peers.size; return sum; };

  /** Rule sets that have no room, in the order of their first subjects; none, as a rule. */
  const withoutRoom = (): ReadonlyMap<RuleSet, number> => {
    const closed = new Map<RuleSet, number>();
    if (wantedEntries + RESERVED_ENTRIES <= capacity.rows && wantedPeers() <= capacity.peers) return closed;
    const fits = new Set<RuleSet>();
    const counted = new Set<string>();
    let [peers, entries] = [0, RESERVED_ENTRIES];
    for (const [, { set }] of [...wants].sort(([a], [b]) => compareCodeUnits(a, b))) {
      if (!set.enforced || fits.has(set) || closed.has(set)) continue;
      const fresh = [...set.contents()].filter(({ text }) => !counted.has(text));
      const added = fresh.reduce((sum, content) => sum + content.entries.length, 0);
      if (peers + set.peers.size > capacity.peers || entries + added > capacity.rows) { closed.set(set, added); continue; }
      fits.add(set);
      for (const { text } of fresh) counted.add(text);
      peers += set.peers.size;
      entries += added;
    }
    return closed;
  };

  return {
    ledger,
    /** A subject's direction and whose rules it shall obey; undefined: it is no subject any more. */
    want: (subject: SubjectName, set: RuleSet | undefined): void => {
      const key = `${subject.identity}/${subject.variant} ${subject.direction}`;
      const former = wants.get(key)?.set;
      if (set === undefined) wants.delete(key);
      else {
        wants.set(key, { subject, set });
        wantedSets.set(set, (wantedSets.get(set) ?? 0) + 1);
      }
      if (former !== undefined) {
        const left = wantedSets.get(former)! - 1;
        if (left === 0) wantedSets.delete(former);
        else wantedSets.set(former, left);
      }
      if (set === undefined) show(key, subject, undefined);
    },
    /** Peers of rule sets that changed, each with what was said before: only where the set is in the maps. */
    changePeers: (set: RuleSet, former: ReadonlyMap<string, PeerEntry | undefined>): void => {
      const known = placed.get(set);
      if (known === undefined) return;
      for (const [key, before] of former) {
        const now = set.peers.get(key);
        if (now !== undefined) store.peers.put(known.revision, key, peerEntry(known, now));
        else if (before !== undefined) store.peers.remove(known.revision, key);
      }
      for (const before of former.values()) {
        if (before === undefined || set.hasContent(before.row) || !known.rows.delete(before.row)) continue;
        removeContent(before.row);
      }
    },
    /** @param changed keys `identity/variant direction` whose want changed; all are looked at where room is short */
    settleRoom: (changed: Iterable<string>): void => {
      const closed = withoutRoom();
      const keys = closed.size > 0 || full.length > 0 ? [...wants.keys()] : changed;
      for (const key of keys) {
        const want = wants.get(key);
        if (want !== undefined) show(key, want.subject, closed.has(want.set) ? fullSets[want.subject.direction] : want.set);
      }
      full = closed.size === 0 ? [] : [...wants].sort(([a], [b]) => compareCodeUnits(a, b))
        .flatMap(([, { subject, set }]) => (closed.has(set) ? [{ ...subject, peers: set.peers.size, entries: closed.get(set)!, capacity }] : []));
    },
    full: (): readonly FullSubject[] => full,
  };
};
