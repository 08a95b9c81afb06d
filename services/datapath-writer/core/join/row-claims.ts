/**
 * Packed rows by who says them, for very many who hardly ever speak of one key: only where two do is it kept who they are. Who speaks again replaces
 * all it said; of several the last in code unit order is heard, so nothing depends on who came first. Pure.
 */
import type { PackedMapName, PackedRow, PackedRows } from './packed-rows.ts';

/** What a source says: map, key, map, key, … */
type Said = readonly string[];

export const createRowClaims = (maps: Readonly<Record<PackedMapName, PackedRows>>) => {
  const saidBy = new Map<string, Said>();
  /** `map key` → source → value, of keys of which several speak */
  const contested = new Map<string, Map<string, string>>();
  const idOf = (map: string, key: string): string => `${map} ${key}`;

  const keysOf = (said: Said): ReadonlyMap<string, ReadonlySet<string>> => {
    const keys = new Map<string, Set<string>>();
    for (let at = 0; at < said.length; at += 2) {
      const [map, key] = [said[at]!, said[at + 1]!]; // they come in pairs
      const known = keys.get(map);
      if (known === undefined) keys.set(map, new Set([key]));
      else known.add(key);
    }
    return keys;
  };
  /** Looks at all that was said: two seldom speak of one key. */
  const holderOf = (map: PackedMapName, key: string, other: string): string | undefined => {
    for (const [source, said] of saidBy) {
      if (source === other) continue;
      for (let at = 0; at < said.length; at += 2) if (said[at] === map && said[at + 1] === key) return source;
    }
    return undefined;
  };
  const putHeard = (map: PackedMapName, key: string, by: ReadonlyMap<string, string>): void => {
    let last: string | undefined;
    for (const source of by.keys()) if (last === undefined || source > last) last = source;
    maps[map].put(key, by.get(last!)!); // never empty
  };

  return {
    say: (source: string, rows: readonly PackedRow[]): void => {
      const former = saidBy.get(source);
      const formerKeys = former === undefined ? undefined : keysOf(former);
      const said: string[] = [];
      for (const { map, key, value } of rows) {
        said.push(map, key);
        const held = maps[map].put(key, value);
        if (held !== undefined && formerKeys?.get(map)?.has(key) !== true && !contested.has(idOf(map, key))) {
          const holder = holderOf(map, key, source);
          if (holder !== undefined) contested.set(idOf(map, key), new Map([[holder, held]]));
        }
        const by = contested.size === 0 ? undefined : contested.get(idOf(map, key));
        if (by === undefined) continue;
        by.set(source, value);
        putHeard(map, key, by);
      }
      if (former !== undefined) {
        const now = keysOf(said);
        for (let at = 0; at < former.length; at += 2) {
          const [map, key] = [former[at] as PackedMapName, former[at + 1]!]; // as it was written above
          if (now.get(map)?.has(key) === true) continue;
          const by = contested.get(idOf(map, key));
          if (by === undefined) { maps[map].remove(key); continue; }
          by.delete(source);
          putHeard(map, key, by);
          if (by.size === 1) contested.delete(idOf(map, key));
        }
      }
      if (said.length === 0) saidBy.delete(source);
      else saidBy.set(source, said.slice()); // a list that has grown has room for more
    },
  };
};
