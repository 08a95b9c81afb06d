import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { formatPrefix, parseAddress, parsePrefix, prefixContains, type Prefix } from '@seine/model';

import { createPrefixTable } from './prefix-table.ts';

const tableOf = (texts: readonly string[]) => {
  const table = createPrefixTable();
  texts.forEach((text, index) => { table.add({ prefix: parsePrefix(text)!, cidrClass: index + 1 }); });
  return table;
};
const TEXTS = ['0.0.0.0/0', '10.0.0.0/8', '10.244.0.0/16', '10.244.1.0/24', '10.244.1.10/31', '10.244.1.10/32', '::/0', 'fd00::/8', 'fd00:10::/32', '::ffff:0:0/90'];
const ADDRESSES = ['10.244.1.10', '10.244.1.11', '10.244.1.12', '10.244.9.1', '10.9.9.9', '203.0.113.7', 'fd00:10::1', 'fd01::1', '2001:db8::1', '::1'];

describe('the longest prefix around an address', () => {
  test.each([
    ['10.244.1.10', '10.244.1.10/32'], ['10.244.1.11', '10.244.1.10/31'], ['10.244.1.12', '10.244.1.0/24'], ['203.0.113.7', '0.0.0.0/0'], ['fd00:10::1', 'fd00:10::/32'], ['2001:db8::1', '::/0'],
  ])('%s is in %s', (address, then) => { expect(formatPrefix(tableOf(TEXTS).around(parseAddress(address)!)!.prefix)).toBe(then); });

  test('is none where there is none', () => { expect(tableOf(['10.0.0.0/8']).around(parseAddress('11.0.0.1')!)).toBeUndefined(); });

  test('is what looking at each prefix finds, whatever came and went, and up to any length', () => {
    fc.assert(fc.property(fc.subarray(TEXTS), fc.subarray(TEXTS), fc.constantFrom(...ADDRESSES), fc.constantFrom(0, 90, 96, 104, 112, 120, 127, 128), (held, gone, text, most) => {
      const table = tableOf(held);
      for (const each of gone) table.remove(parsePrefix(each)!);
      const address = parseAddress(text)!;
      const left: readonly Prefix[] = held.filter((each) => !gone.includes(each)).map((each) => parsePrefix(each)!).filter((prefix) => prefix.length <= most && prefixContains(prefix, address));
      const longest = [...left].sort((a, b) => b.length - a.length)[0];
      expect(table.around(address, most)?.prefix).toEqual(longest);
    }));
  });
});
