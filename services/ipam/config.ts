import { text, wholeNumber, type Fields } from '@seine/role';

import { DEFAULT_BLOCK_LENGTHS, DEFAULT_POD_CIDR } from './core/index.ts';

export const IPAM_FIELDS = {
  podCidr: { env: 'SEINE_POD_CIDR', description: 'Ranges of all pod addresses: one, or one of each family separated by a comma; the first is of pods\' first address.', default: DEFAULT_POD_CIDR, parse: text },
  blockLength: { env: 'SEINE_BLOCK_LENGTH', description: "Prefix length of a node's IPv4 block.", unit: 'bits', default: String(DEFAULT_BLOCK_LENGTHS[4]), parse: wholeNumber({ min: 1, max: 32 }) },
  blockLength6: { env: 'SEINE_BLOCK_LENGTH_IPV6', description: "Prefix length of a node's IPv6 block.", unit: 'bits', default: String(DEFAULT_BLOCK_LENGTHS[6]), parse: wholeNumber({ min: 1, max: 128 }) },
} as const satisfies Fields;
