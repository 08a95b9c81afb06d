import { describe, expect, test } from '@jest/globals';

import { MAPS } from '@seine/layout';

import { encodeEntries, unpack } from './encode.ts';

const rows = [1, 2, 3].map((identity) => ({ key: { revision: 1, identity, classVariant: 0 }, value: { row: 5, echo: 6 } }));
const { keys, values } = encodeEntries('sn_peer_01', rows);
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const packed = { count: 3, keys: base64(keys), values: base64(values) };

describe('rows that come as bytes', () => {
  test('are the bytes that their words would have been', () => {
    const found = unpack('sn_peer_01', packed, true);
    expect([Buffer.from(found.keys), Buffer.from(found.values), found.count]).toEqual([Buffer.from(keys), Buffer.from(values), 3]);
  });
  test.each([
    ['a count that is not theirs', { ...packed, count: 4 }, true], ['a negative count', { count: -1, keys: '', values: '' }, true], ['no count', { ...packed, count: Number.NaN }, true],
    ['keys that are cut short', { ...packed, keys: base64(keys.subarray(1)) }, true], ['values that are cut short', { ...packed, values: base64(values.subarray(MAPS.sn_peer_01.value.size)) }, true],
    ['values where none belong', packed, false],
  ])('are refused for %s', (_, wrong, hasValues) => {
    expect(() => unpack('sn_peer_01', wrong, hasValues)).toThrow(expect.objectContaining({ code: 'SEINE_LAYOUT_RANGE' }));
  });
});
