/** What both the real kernel and the fake must do with maps. */
import { describe, expect, test } from '@jest/globals';

import type { MapKernel, MapSpec } from './port.ts';

const word = (...values: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const hash: MapSpec = { name: 'sn_test_01', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 128 };
const trie: MapSpec = { name: 'sn_trie_01', type: 'lpm_trie', keySize: 8, valueSize: 4, maxEntries: 128 };

const entriesOf = (dump: { readonly keys: Uint8Array; readonly values: Uint8Array; readonly count: number }, keySize: number) =>
  Array.from({ length: dump.count }, (_, index) => Buffer.from(dump.keys.subarray(index * keySize, (index + 1) * keySize)).toString('hex')).sort();

export const mapConformance = (name: string, open: () => MapKernel): void => {
  describe(`maps of ${name}`, () => {
    test('hold what was written, and the last write of a key', () => {
      const kernel = open();
      const map = kernel.createMap(hash);
      kernel.updateBatch(map, { keys: word(1, 2, 1), values: word(10, 0, 20, 0, 11, 0), count: 3 });
      expect(kernel.lookup(map, word(1))).toEqual(Buffer.from(word(11, 0)));
      expect(kernel.dump(map).count).toBe(2);
      kernel.closeMap(map);
    });

    test('forget what was deleted, and do not mind what was not there', () => {
      const kernel = open();
      const map = kernel.createMap(hash);
      kernel.updateBatch(map, { keys: word(1, 2), values: word(1, 1, 2, 2), count: 2 });
      kernel.deleteBatch(map, word(2, 3), 2);
      expect(kernel.lookup(map, word(2))).toBeUndefined();
      expect(entriesOf(kernel.dump(map), 4)).toEqual(['01000000']);
      kernel.closeMap(map);
    });

    test('dump every entry of a full map', () => {
      const kernel = open();
      const map = kernel.createMap({ ...hash, maxEntries: 20_000 });
      const keys = Uint32Array.from({ length: 20_000 }, (_, index) => index);
      kernel.updateBatch(map, { keys: new Uint8Array(keys.buffer), values: new Uint8Array(20_000 * 8), count: 20_000 });
      expect(new Set(entriesOf(kernel.dump(map), 4)).size).toBe(20_000);
      kernel.closeMap(map);
    });

    test('refuse what does not fit with E2BIG and say how much was written', () => {
      const kernel = open();
      const map = kernel.createMap({ ...hash, maxEntries: 2 });
      expect(() => { kernel.updateBatch(map, { keys: word(1, 2, 3), values: new Uint8Array(24), count: 3 }); }).toThrow(expect.objectContaining({ code: 'SEINE_KERNEL_E2BIG' }));
      kernel.closeMap(map);
    });

    test('answer a prefix trie with the longest prefix', () => {
      const kernel = open();
      const map = kernel.createMap(trie);
      const prefix = (length: number, ...address: readonly number[]) => Uint8Array.from([length, 0, 0, 0, ...address]);
      kernel.updateBatch(map, { keys: Buffer.concat([prefix(8, 10, 0, 0, 0), prefix(16, 10, 1, 0, 0)]), values: word(8, 16), count: 2 });
      expect(kernel.lookup(map, prefix(32, 10, 1, 2, 3))).toEqual(Buffer.from(word(16)));
      expect(kernel.lookup(map, prefix(32, 10, 2, 2, 3))).toEqual(Buffer.from(word(8)));
      expect(kernel.lookup(map, prefix(32, 11, 0, 0, 1))).toBeUndefined();
      expect(kernel.dump(map).count).toBe(2);
      kernel.deleteBatch(map, prefix(16, 10, 1, 0, 0), 1);
      expect(kernel.lookup(map, prefix(32, 10, 1, 2, 3))).toEqual(Buffer.from(word(8)));
      kernel.closeMap(map);
    });

    test('dump an array whole, untouched entries as zeros', () => {
      const kernel = open();
      const map = kernel.createMap({ ...hash, name: 'sn_array_01', type: 'array', valueSize: 4, maxEntries: 4 });
      kernel.updateBatch(map, { keys: word(2), values: word(9), count: 1 });
      expect([...new Uint32Array(Uint8Array.from(kernel.dump(map).values).buffer)]).toEqual([0, 0, 9, 0]);
      kernel.closeMap(map);
    });
  });
};
