/** The cluster's ranges of pod addresses, one for each family. Pure. */
import { familyOf, formatPrefix, parseAddress, parsePrefix, prefixCovers, prefixFamily, SeineError, type IpFamily, type Prefix } from '@seine/model';

export interface Pool {
  readonly family: IpFamily;
  readonly range: Prefix;
  /** Of a node's block, over mapped addresses. */
  readonly blockLength: number;
}

/** Of a node's block, in its family's own bits. */
export type BlockLengths = Readonly<Record<IpFamily, number>>;

/** One address family unless configured. */
export const DEFAULT_POD_CIDR = '10.244.0.0/16';
export const DEFAULT_BLOCK_LENGTHS: BlockLengths = { 4: 24, 6: 64 };

/** Where no pod can be: this machine, its link, groups, IPv4 written as IPv6. */
const NO_PODS = ['127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '::1/128', 'fe80::/10', 'ff00::/8'].map((text) => parsePrefix(text)!); // constants
const V4_OFFSET = 96;

const poolOf = (text: string, blockLengths: BlockLengths): Pool => {
  const refuse = (expected: string): never => { throw new SeineError('SEINE_POOL_INVALID', `pod range ${text}: expected ${expected}`); };
  const range = text.includes('/') ? parsePrefix(text) : undefined;
  if (range === undefined) return refuse('a CIDR such as 10.244.0.0/16 or fd00:10:244::/56');
  const family = prefixFamily(range);
  const address = text.slice(0, text.indexOf('/'));
  if (family !== familyOf(address)) return refuse(`an IPv4 range in its own form: ${formatPrefix(range)}`);
  if (parseAddress(address)!.some((byte, index) => byte !== range.address[index])) return refuse(`no bits beyond its length: ${formatPrefix(range)}`);
  const special = NO_PODS.find((prefix) => prefixFamily(prefix) === family && (prefixCovers(prefix, range) || prefixCovers(range, prefix)));
  if (special !== undefined) return refuse(`a range apart from ${formatPrefix(special)}: no pod can be there`);
  const blockLength = blockLengths[family] + (family === 4 ? V4_OFFSET : 0);
  if (blockLength < range.length || blockLength > 128) return refuse(`a range of a node's block at least, which is a /${blockLengths[family]}`);
  return { family, range, blockLength };
};

/**
 * @param text the ranges, separated by commas: the first is of pods' first address
 * @throws SEINE_POOL_INVALID naming the range and what was expected
 */
export const parsePools = (text: string, blockLengths: BlockLengths = DEFAULT_BLOCK_LENGTHS): readonly Pool[] => {
  const pools = text.split(',').map((part) => poolOf(part.trim(), blockLengths));
  pools.forEach(({ family, range }, index) => {
    if (pools.findIndex((other) => other.family === family) !== index) throw new SeineError('SEINE_POOL_INVALID', `pod range ${formatPrefix(range)}: expected no second range of IPv${family}`);
  });
  return pools;
};
