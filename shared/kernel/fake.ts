/** Maps in memory that behave as the kernel's: a full one answers E2BIG, a trie answers with the longest prefix. */
import { SeineError } from '@seine/model';

import type { MapHandle, MapKernel, MapSpec } from './port.ts';

interface FakeMap { readonly handle: MapHandle; readonly entries: Map<string, Uint8Array> }

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Does the prefix of `outer` (bits, then address) cover `address`? */
const covers = (outer: Buffer, address: Uint8Array): boolean => {
  const bits = outer.readUInt32LE(0);
  for (let bit = 0; bit < bits; bit += 1) {
    const mask = 0x80 >> (bit & 7);
    if ((outer[4 + (bit >> 3)]! & mask) !== (address[4 + (bit >> 3)]! & mask)) return false;
  }
  return true;
};

export const fakeMapKernel = (): MapKernel => {
  const maps = new Map<number, FakeMap>();
  const of = (map: MapHandle): FakeMap => {
    const found = maps.get(map.fd);
    if (found === undefined) throw new SeineError('SEINE_KERNEL_EBADF', `map ${map.name}: EBADF`);
    return found;
  };
  const createMap = ({ name, type, keySize, valueSize, maxEntries }: MapSpec): MapHandle => {
    const fd = maps.size + 1;
    const handle = { fd, id: fd, name, type, keySize, valueSize, maxEntries };
    const entries = new Map<string, Uint8Array>();
    if (type === 'array') {
      for (let index = 0; index < maxEntries; index += 1) entries.set(hex(new Uint8Array(Uint32Array.of(index).buffer)), new Uint8Array(valueSize));
    }
    maps.set(fd, { handle, entries });
    return handle;
  };
  return {
    createMap,
    updateBatch: (map, { keys, values, count }) => {
      const { entries } = of(map);
      for (let index = 0; index < count; index += 1) {
        const key = hex(keys.subarray(index * map.keySize, (index + 1) * map.keySize));
        if (!entries.has(key) && entries.size >= map.maxEntries) {
          throw new SeineError('SEINE_KERNEL_E2BIG', `update ${map.name}, ${map.maxEntries} entries at most: E2BIG`, { map: map.name, done: index });
        }
        entries.set(key, Buffer.from(values.subarray(index * map.valueSize, (index + 1) * map.valueSize)));
      }
    },
    deleteBatch: (map, keys, count) => {
      for (let index = 0; index < count; index += 1) of(map).entries.delete(hex(keys.subarray(index * map.keySize, (index + 1) * map.keySize)));
    },
    lookup: (map, key) => {
      const { entries } = of(map);
      if (map.type !== 'lpm_trie') return entries.get(hex(key));
      let best: { readonly bits: number; readonly value: Uint8Array } | undefined;
      for (const [text, value] of entries) {
        const outer = Buffer.from(text, 'hex');
        const bits = outer.readUInt32LE(0);
        if ((best === undefined || bits > best.bits) && covers(outer, key)) best = { bits, value };
      }
      return best?.value;
    },
    dump: (map) => {
      const { entries } = of(map);
      return { keys: Buffer.from([...entries.keys()].join(''), 'hex'), values: Buffer.concat([...entries.values()]), count: entries.size };
    },
    closeMap: (map) => { maps.delete(map.fd); },
  };
};
