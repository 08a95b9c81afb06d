import { text, wholeNumber, type Fields } from '@seine/role';

import { DEFAULT_BLOCK_LENGTH, DEFAULT_POD_CIDR } from './core/index.ts';

export const IPAM_FIELDS = {
  podCidr: { env: 'SEINE_POD_CIDR', description: 'Range of all pod addresses.', default: DEFAULT_POD_CIDR, parse: text },
  blockLength: { env: 'SEINE_BLOCK_LENGTH', description: "Prefix length of a node's block.", unit: 'bits', default: String(DEFAULT_BLOCK_LENGTH), parse: wholeNumber({ min: 1, max: 128 }) },
} as const satisfies Fields;
