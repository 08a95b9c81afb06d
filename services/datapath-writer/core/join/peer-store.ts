/** Peers by revision. A new revision is a block of its own, and a block that goes is forgotten at once: neither costs anything for each peer. Pure. */
import type { MapEntry } from '@seine/node';

import { valueText, type Change, type RowsByKey } from '../order.ts';

/** Peers of one revision by `identity classVariant`. */
export type PeerBlock = Map<string, MapEntry>;

export interface PeerStore {
  /** By `revision identity classVariant`. */
  readonly rows: RowsByKey;
  readonly putBlock: (revision: number, block: PeerBlock) => void;
  readonly removeBlock: (revision: number) => void;
  readonly put: (revision: number, key: string, entry: MapEntry) => void;
  readonly remove: (revision: number, key: string) => void;
  readonly changes: () => readonly Change[];
  readonly settle: () => void;
}

/** A revision as the maps have it: its block then, and what single keys of it held before they changed. */
interface Former { readonly block: PeerBlock | undefined; readonly keys: Map<string, MapEntry | undefined> }

export const createPeerStore = (): PeerStore => {
  const blocks = new Map<number, PeerBlock>();
  const formers = new Map<number, Former>();
  const formerOf = (revision: number): Former => {
    const known = formers.get(revision) ?? { block: blocks.get(revision), keys: new Map<string, MapEntry | undefined>() };
    formers.set(revision, known);
    return known;
  };
  /** Only of the block that the maps have: another is told whole. */
  const note = (revision: number, block: PeerBlock, key: string): void => {
    const former = formerOf(revision);
    if (former.block === block && !former.keys.has(key)) former.keys.set(key, block.get(key));
  };
  const changesOf = function* changesOf(revision: number, { block, keys }: Former): Generator<Change> {
    const now = blocks.get(revision);
    const change = (key: string, former: MapEntry | undefined, entry: MapEntry | undefined): readonly Change[] =>
      (former === entry || (former !== undefined && entry !== undefined && valueText(former.value) === valueText(entry.value)) ? [] : [{ key: `${revision} ${key}`, former, now: entry }]);
    if (now === block) {
      for (const [key, former] of keys) yield* change(key, former, now?.get(key));
      return;
    }
    const was = block === undefined ? new Map<string, MapEntry>() : keys.size === 0 ? block : restored(block, keys);
    if (was.size === 0) {
      for (const [key, entry] of now ?? []) yield { key: `${revision} ${key}`, former: undefined, now: entry };
      return;
    }
    for (const [key, former] of was) yield* change(key, former, now?.get(key));
    for (const [key, entry] of now ?? []) if (!was.has(key)) yield { key: `${revision} ${key}`, former: undefined, now: entry };
  };
  const restored = (block: PeerBlock, keys: ReadonlyMap<string, MapEntry | undefined>): PeerBlock => {
    const was = new Map(block);
    for (const [key, former] of keys) {
      if (former === undefined) was.delete(key);
      else was.set(key, former);
    }
    return was;
  };
  const find = (key: string): MapEntry | undefined => {
    const space = key.indexOf(' ');
    return blocks.get(Number(key.slice(0, space)))?.get(key.slice(space + 1));
  };
  const entries = function* entries(): Generator<readonly [string, MapEntry]> {
    for (const [revision, block] of blocks) for (const [key, entry] of block) yield [`${revision} ${key}`, entry];
  };
  return {
    rows: {
      get size() { let sum = 0; for (const block of blocks.values()) sum += block.size; return sum; },
      get: find,
      has: (key) => find(key) !== undefined,
      values: function* values() { for (const block of blocks.values()) yield* block.values(); },
      [Symbol.iterator]: entries,
    },
    putBlock: (revision, block) => { formerOf(revision); blocks.set(revision, block); },
    removeBlock: (revision) => { formerOf(revision); blocks.delete(revision); },
    put: (revision, key, entry) => {
      const block = blocks.get(revision)!;
      note(revision, block, key);
      block.set(key, entry);
    },
    remove: (revision, key) => {
      const block = blocks.get(revision)!;
      note(revision, block, key);
      block.delete(key);
    },
    changes: () => {
      const found: Change[] = [];
      for (const [revision, former] of formers) for (const change of changesOf(revision, former)) found.push(change);
      return found;
    },
    settle: () => { formers.clear(); },
  };
};
