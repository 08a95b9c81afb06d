import { describe, expect, test } from '@jest/globals';

import { createClaims } from './claims.ts';

const of = (...entries: readonly (readonly [string, number])[]): ReadonlyMap<string, number> => new Map(entries);

describe('claims', () => {
  test('of two that speak of one key the last in code unit order is heard, whoever came first', () => {
    const [one, other] = [createClaims<number>(), createClaims<number>()];
    one.say('a', of(['key', 1]));
    one.say('b', of(['key', 2]));
    other.say('b', of(['key', 2]));
    other.say('a', of(['key', 1]));
    expect([one.heard('key'), other.heard('key')]).toEqual([2, 2]);
  });
  test('a source that speaks again replaces all it said, and tells which keys that touches', () => {
    const claims = createClaims<number>();
    claims.say('a', of(['old', 1], ['kept', 1]));
    expect([...claims.say('a', of(['kept', 2], ['new', 3]))].sort()).toEqual(['kept', 'new', 'old']);
    expect([claims.heard('old'), claims.heard('kept'), claims.heard('new'), claims.has('old'), [...claims.keys()].sort()]).toEqual([undefined, 2, 3, false, ['kept', 'new']]);
  });
  test('nobody is left of a source that has nothing more to say', () => {
    const claims = createClaims<number>();
    claims.say('a', of(['key', 1]));
    claims.say('b', of(['key', 2]));
    expect([...claims.sourcesOf('key')].sort()).toEqual(['a', 'b']);
    claims.say('b', of());
    expect([claims.heard('key'), [...claims.sourcesOf('key')], [...claims.keysOf('b')]]).toEqual([1, ['a'], []]);
    claims.say('a', of());
    expect([...claims.keys()]).toEqual([]);
  });
});
