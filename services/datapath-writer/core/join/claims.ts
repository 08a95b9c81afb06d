/**
 * What several sources say of the same keys. A source that speaks again replaces all it said before; of several that speak of one key the
 * last in code unit order is heard, so nothing depends on who came first. Pure.
 */
export interface Claims<V> {
  /** @returns every key that the source speaks of now or spoke of before */
  readonly say: (source: string, claims: ReadonlyMap<string, V>) => Iterable<string>;
  readonly heard: (key: string) => V | undefined;
  readonly has: (key: string) => boolean;
  readonly keys: () => Iterable<string>;
  /** Who speaks of a key. */
  readonly sourcesOf: (key: string) => Iterable<string>;
  /** What a source speaks of. */
  readonly keysOf: (source: string) => Iterable<string>;
}

export const createClaims = <V>(): Claims<V> => {
  const bySource = new Map<string, ReadonlyMap<string, V>>();
  const byKey = new Map<string, Map<string, V>>();
  return {
    say: (source, claims) => {
      const former = bySource.get(source) ?? new Map<string, V>();
      for (const key of former.keys()) {
        if (claims.has(key)) continue;
        const said = byKey.get(key)!;
        said.delete(source);
        if (said.size === 0) byKey.delete(key);
      }
      for (const [key, value] of claims) {
        const said = byKey.get(key);
        if (said === undefined) byKey.set(key, new Map([[source, value]]));
        else said.set(source, value);
      }
      if (claims.size === 0) bySource.delete(source);
      else bySource.set(source, claims);
      return former.size === 0 ? claims.keys() : new Set([...former.keys(), ...claims.keys()]);
    },
    heard: (key) => {
      const said = byKey.get(key);
      if (said === undefined) return undefined;
      let last: string | undefined;
      for (const source of said.keys()) if (last === undefined || source > last) last = source;
      return said.get(last!);
    },
    has: (key) => byKey.has(key),
    keys: () => byKey.keys(),
    sourcesOf: (key) => byKey.get(key)?.keys() ?? [],
    keysOf: (source) => bySource.get(source)?.keys() ?? [],
  };
};

/** Words that a source says, without anything about them. */
export const says = (words: Iterable<string>): ReadonlyMap<string, true> => new Map([...words].map((word) => [word, true]));
