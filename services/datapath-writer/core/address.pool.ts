/** Addresses of the node's own blocks. Pure. */
import { formatAddress, parsePrefix, type Prefix } from '@seine/model';

const LAST_BYTE = 15;

/** The address at an offset inside a prefix (up to 2^32 of them). */
const addressAt = ({ address }: Prefix, offset: number): Uint8Array => {
  const out = Uint8Array.from(address);
  let rest = offset;
  for (let byte = LAST_BYTE; byte > LAST_BYTE - 5 && rest > 0; byte -= 1) {
    const sum = out[byte]! + (rest & 0xff);
    out[byte] = sum & 0xff;
    rest = Math.floor(rest / 256) + (sum >> 8);
  }
  return out;
};

/**
 * The next free address after `last`, going round once: what was just freed is given again as late as possible.
 * Network, broadcast and the first address (people expect a gateway there) are never given. undefined when the blocks are full.
 */
export const nextAddress = (blocks: readonly string[], used: ReadonlySet<string>, last: string | undefined): string | undefined => {
  const all = blocks.flatMap((block) => {
    const prefix = parsePrefix(block);
    if (prefix === undefined) return [];
    const size = 2 ** (128 - prefix.length);
    return [{ prefix, first: 2, end: size - 1 }];
  });
  let passed = last === undefined;
  for (let round = 0; round < 2; round += 1) {
    for (const { prefix, first, end } of all) {
      for (let offset = first; offset < end; offset += 1) {
        const address = formatAddress(addressAt(prefix, offset));
        if (passed && !used.has(address)) return address;
        if (address === last) passed = true;
      }
    }
    passed = true;
  }
  return undefined;
};
