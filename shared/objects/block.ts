/** Blocks of addresses as policies write them. IPv4 addresses are mapped into IPv6 here; to the people who write blocks they are another family. Pure. */
import { parsePrefix, prefixCovers, type Prefix } from '@seine/model';

const ALL_V4 = '0.0.0.0/0';
const ALL_V4_PREFIX = parsePrefix(ALL_V4)!; // a constant

const isBlockOfV4 = (prefix: Prefix): boolean => prefixCovers(ALL_V4_PREFIX, prefix);

/** Is a hole within its block? Of another family it is not. */
export const isWithin = (hole: Prefix, block: Prefix): boolean => prefixCovers(block, hole) && isBlockOfV4(hole) === isBlockOfV4(block);

/** What a block leaves out beside its own holes: one of IPv6 means no IPv4, ::/0 must not admit what 0.0.0.0/0 would. */
export const mappedHoles = (block: Prefix): readonly string[] => (block.length < ALL_V4_PREFIX.length && prefixCovers(block, ALL_V4_PREFIX) ? [ALL_V4] : []);
