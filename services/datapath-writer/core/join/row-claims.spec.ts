import { expect, test } from '@jest/globals';

import { createPackedRows, PACKED_MAPS, type PackedMapName, type PackedRows } from './packed-rows.ts';
import { createRowClaims } from './row-claims.ts';

const MAP = 'sn_backend_01';
const open = () => {
  const maps = Object.fromEntries(PACKED_MAPS.map((map) => [map, createPackedRows(map)])) as unknown as Readonly<Record<PackedMapName, PackedRows>>; // every map is there
  const { say } = createRowClaims(maps);
  return {
    say: (source: string, ...rows: readonly (readonly [string, string])[]): void => { say(source, rows.map(([key, value]) => ({ map: MAP, key, value }))); },
    held: (key: string): string | undefined => maps[MAP].get(key),
  };
};

test('of two that speak of one key the last in code unit order is heard, whoever came first', () => {
  for (const order of [['a', 'b'], ['b', 'a']]) {
    const claims = open();
    for (const source of order) claims.say(source, ['key', `of ${source}`]);
    expect(claims.held('key')).toBe('of b');
  }
});
test('a source that speaks again replaces all it said', () => {
  const claims = open();
  claims.say('a', ['old', '1'], ['kept', '1']);
  claims.say('a', ['kept', '2'], ['new', '3']);
  expect(['old', 'kept', 'new'].map(claims.held)).toEqual([undefined, '2', '3']);
});
test('who is left is heard again, and nobody is where nobody is left', () => {
  const claims = open();
  claims.say('a', ['key', 'of a']);
  claims.say('b', ['key', 'of b']);
  claims.say('b');
  expect(claims.held('key')).toBe('of a');
  claims.say('a');
  expect(claims.held('key')).toBeUndefined();
});
test('a key that passes from one to the other while both are changed is the new one\'s, in either order', () => {
  const claims = open();
  claims.say('a', ['key', 'of a']);
  claims.say('b', ['key', 'of b']);
  claims.say('a', ['other', 'of a']);
  expect([claims.held('key'), claims.held('other')]).toEqual(['of b', 'of a']);
  claims.say('a', ['key', 'of a again']);
  expect(claims.held('key')).toBe('of b');
});
