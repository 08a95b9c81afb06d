/** Addresses of the node's own blocks. Pure. */
import { familyOf, formatAddress, parseAddress, parsePrefix, prefixContains, type Prefix } from '@seine/model';

const LAST_BYTE = 15;
/** Of an address inside its block, as numbers reach here: what a block is longer stays unused. */
const OFFSET_BYTES = 5;
const LARGEST_OFFSET = 2 ** (8 * OFFSET_BYTES) - 1;
/** Network (or the routers' anycast address), and the one where people expect a gateway, are never given; nor is the last. */
const FIRST_OFFSET = 2;

const addressAt = ({ address }: Prefix, offset: number): Uint8Array => {
  const out = Uint8Array.from(address);
  let rest = offset;
  for (let byte = LAST_BYTE; byte > LAST_BYTE - OFFSET_BYTES && rest > 0; byte -= 1) {
    const sum = out[byte]! + (rest & 0xff);
    out[byte] = sum & 0xff;
    rest = Math.floor(rest / 256) + (sum >> 8);
  }
  return out;
};

const offsetOf = ({ address }: Prefix, inside: Uint8Array): number =>
  inside.reduce((sum, byte, index) => (index > LAST_BYTE - OFFSET_BYTES ? sum * 256 + byte - address[index]! : 0), 0);

/** Addresses from one offset to another, both included. */
interface Span { readonly block: Prefix; readonly from: number; readonly to: number }

/** Round once, beginning behind `last`. */
const spansAfter = (blocks: readonly Prefix[], last: Uint8Array | undefined): readonly Span[] => {
  const whole = blocks.map((block): Span => ({ block, from: FIRST_OFFSET, to: Math.min(2 ** (128 - block.length) - 2, LARGEST_OFFSET) }));
  const at = last === undefined ? -1 : blocks.findIndex((block) => prefixContains(block, last));
  if (at < 0) return whole;
  const { block, from, to } = whole[at]!;
  const offset = offsetOf(block, last!);
  return [{ block, from: Math.max(offset + 1, from), to }, ...whole.slice(at + 1), ...whole.slice(0, at), { block, from, to: Math.min(offset, to) }];
};

/**
 * The next free address after `last`: what was just freed is given again as late as possible.
 * @param blocks of one family
 * @returns undefined when the blocks are full
 */
export const nextAddress = (blocks: readonly string[], used: ReadonlySet<string>, last: string | undefined): string | undefined => {
  for (const { block, from, to } of spansAfter(blocks.flatMap((text) => parsePrefix(text) ?? []), last === undefined ? undefined : parseAddress(last))) {
    for (let offset = from; offset <= to; offset += 1) {
      const address = formatAddress(addressAt(block, offset));
      if (!used.has(address)) return address;
    }
  }
  return undefined;
};

/**
 * A pod's addresses: one of each family that the node's blocks have, in the blocks' order.
 * @param asked by the caller: they stand for their families
 * @param last the ones given last, of any family
 * @returns undefined in the place of a family whose blocks are full
 */
export const nextAddresses = ({ blocks, used, last, asked }: {
  readonly blocks: readonly string[]; readonly used: ReadonlySet<string>; readonly last: readonly string[]; readonly asked: readonly string[];
}): readonly (string | undefined)[] => [...new Set(blocks.map(familyOf))].map((family) => {
  const of = (texts: readonly string[]): readonly string[] => texts.filter((text) => familyOf(text) === family);
  return of(asked)[0] ?? nextAddress(of(blocks), used, of(last)[0]);
});
