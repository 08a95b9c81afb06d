import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { familyOf, formatAddress, formatEnd, parseAddress } from './address.ts';
import { formatPrefix, parsePrefix, prefixContains, prefixCovers, prefixFamily } from './prefix.ts';

describe('an address', () => {
  test('of either family survives the way to bytes and back', () => {
    fc.assert(fc.property(fc.ipV4(), (text) => { expect(formatAddress(parseAddress(text)!)).toBe(text); }));
    fc.assert(fc.property(fc.ipV6(), (text) => { const bytes = parseAddress(text)!; expect(parseAddress(formatAddress(bytes))).toEqual(bytes); }));
  });
  test.each(['', '1.2.3', '1.2.3.256', '01.2.3.4', '1.2.3.4.5', 'fe80::1%eth0', ':::', '1::2::3', '12345::', 'a.b.c.d'])('is not %p', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
  test.each([['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], ['::', '::'], ['::ffff:1.2.3.4', '1.2.3.4'], ['fe80:0:0:0:0:0:0:1', 'fe80::1']])('%s reads %s', (text, want) => {
    expect(formatAddress(parseAddress(text)!)).toBe(want);
  });
});

test.each([['10.1.2.3', 4, '10.1.2.3:80'], ['fd00::1', 6, '[fd00::1]:80']] as const)('%s is of family %i, and with a port %s', (address, family, end) => {
  expect([familyOf(address), formatEnd(address, 80)]).toEqual([family, end]);
});

describe('a prefix', () => {
  test.each([['10.0.0.0/8', 4], ['0.0.0.0/0', 4], ['fd00::/8', 6], ['::/0', 6], ['::/96', 6]] as const)('%s is of family %i', (text, family) => { expect(prefixFamily(parsePrefix(text)!)).toBe(family); });
  test.each([
    { name: 'clears host bits', text: '10.1.2.3/8', want: '10.0.0.0/8' }, { name: 'may be a bare address', text: '10.1.2.3', want: '10.1.2.3/32' },
    { name: 'may be everything', text: '0.0.0.0/0', want: '0.0.0.0/0' }, { name: 'may be of the other family', text: 'fd00:1::/32', want: 'fd00:1::/32' },
  ])('$name', ({ text, want }) => { expect(formatPrefix(parsePrefix(text)!)).toBe(want); });
  test.each(['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', 'fd00::/129', '/8', '10.0.0.0/08'])('is not %p', (text) => { expect(parsePrefix(text)).toBeUndefined(); });
  test('contains what its bits say', () => {
    const prefix = parsePrefix('10.1.128.0/17')!;
    expect([prefixContains(prefix, parseAddress('10.1.128.1')!), prefixContains(prefix, parseAddress('10.1.127.255')!)]).toEqual([true, false]);
    expect([prefixCovers(prefix, parsePrefix('10.1.192.0/18')!), prefixCovers(prefix, parsePrefix('10.1.0.0/16')!)]).toEqual([true, false]);
  });
});
