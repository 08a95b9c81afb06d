/**
 * A checksum of a map's entries, in whatever order: what a map holds is compared with what it should hold without showing either. Two sums of 32 bits;
 * against accidents and other people's writes, not against somebody who looks for equal sums: `verify` compares entry by entry. Pure.
 */
export interface EntrySum { readonly count: number; readonly low: number; readonly high: number }

export const NO_ENTRIES: EntrySum = { count: 0, low: 0, high: 0 };

const [LOW, HIGH] = [{ seed: 0x5e1e5e1e, factor: 0x9e3779b1 }, { seed: 0x41c6ce57, factor: 0x85ebca6b }] as const;
const mixed = (hash: number): number => {
  const once = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return once ^ (once >>> 15);
};
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** @param entries one after the other, keys and values a whole number of 32-bit words each */
export const addEntries = (sum: EntrySum, { keys, values, count }: { readonly keys: Uint8Array; readonly values: Uint8Array; readonly count: number }): EntrySum => {
  if (count === 0) return sum;
  const [keyView, valueView, keySize, valueSize] = [viewOf(keys), viewOf(values), keys.byteLength / count, values.byteLength / count];
  let { low, high } = sum;
  for (let entry = 0; entry < count; entry += 1) {
    let [a, b]: [number, number] = [LOW.seed, HIGH.seed];
    const take = (view: DataView, from: number, size: number): void => {
      for (let at = from; at < from + size; at += 4) {
        const word = view.getUint32(at, true);
        a = Math.imul(a ^ word, LOW.factor);
        b = Math.imul(b ^ word, HIGH.factor);
        a ^= a >>> 15;
        b ^= b >>> 13;
      }
    };
    take(keyView, entry * keySize, keySize);
    take(valueView, entry * valueSize, valueSize);
    low = (low + mixed(a)) >>> 0;
    high = (high + mixed(b)) >>> 0;
  }
  return { count: sum.count + count, low, high };
};

export const sameSum = (a: EntrySum, b: EntrySum): boolean => a.count === b.count && a.low === b.low && a.high === b.high;
