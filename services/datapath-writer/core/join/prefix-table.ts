/** Longest match among the prefixes that policies mention. Pure. */
import { isV4, prefixContains, type Prefix } from '@seine/model';

/** A mentioned prefix and its class number. */
export interface MentionedPrefix { readonly prefix: Prefix; readonly cidrClass: number }

export interface PrefixTable {
  readonly add: (mentioned: MentionedPrefix) => void;
  readonly remove: (prefix: Prefix) => void;
  /** The longest prefix around a 16-byte address, of those with at most `most` bits. */
  readonly around: (address: Uint8Array, most?: number) => MentionedPrefix | undefined;
}

const V4_BITS = 96;

/** The last 32 bits, network order, as a number. */
const lowWord = (address: Uint8Array): number => ((address[12]! << 24) | (address[13]! << 16) | (address[14]! << 8) | address[15]!) >>> 0;
const mask = (word: number, length: number): number => (length === 0 ? 0 : (word & (0xffffffff << (32 - length))) >>> 0);

/** Prefixes within IPv4 by length and number: one look-up a length. The others, few, one after the other, longest first. */
export const createPrefixTable = (): PrefixTable => {
  const v4 = new Map<number, Map<number, MentionedPrefix>>();
  let v4Lengths: readonly number[] = [];
  let others: readonly MentionedPrefix[] = [];
  const isWithinV4 = ({ address, length }: Prefix): boolean => length >= V4_BITS && isV4(address);
  const sortLengths = (): void => { v4Lengths = [...v4.keys()].sort((a, b) => b - a); };
  const isSame = (a: Prefix, b: Prefix): boolean => a.length === b.length && prefixContains(a, b.address);
  return {
    add: (mentioned) => {
      const { prefix } = mentioned;
      if (!isWithinV4(prefix)) {
        others = [...others, mentioned].sort((a, b) => b.prefix.length - a.prefix.length);
        return;
      }
      const length = prefix.length - V4_BITS;
      const ofLength = v4.get(length);
      if (ofLength === undefined) { v4.set(length, new Map([[lowWord(prefix.address), mentioned]])); sortLengths(); } else ofLength.set(lowWord(prefix.address), mentioned);
    },
    remove: (prefix) => {
      if (!isWithinV4(prefix)) { others = others.filter((other) => !isSame(other.prefix, prefix)); return; }
      const length = prefix.length - V4_BITS;
      v4.get(length)?.delete(lowWord(prefix.address));
      if (v4.get(length)?.size === 0) { v4.delete(length); sortLengths(); }
    },
    around: (address, most = 128) => {
      if (v4Lengths.length > 0 && isV4(address)) {
        const word = lowWord(address);
        for (const length of v4Lengths) {
          if (length + V4_BITS > most) continue;
          const found = v4.get(length)!.get(mask(word, length));
          if (found !== undefined) return found;
        }
      }
      return others.find(({ prefix }) => prefix.length <= most && prefixContains(prefix, address));
    },
  };
};
