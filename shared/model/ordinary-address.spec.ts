import { expect, test } from '@jest/globals';

import { isOrdinaryAddress } from './ordinary-address.ts';

test.each([
  { address: '10.244.1.2', want: true }, { address: 'fd00:244::2', want: true }, { address: '240.0.0.1', want: true }, { address: '0.0.0.1', want: true }, { address: '128.0.0.1', want: true }, { address: 'fec0::1', want: true },
  { address: '0.0.0.0', want: false }, { address: '127.255.255.255', want: false }, { address: '169.254.169.254', want: false }, { address: '224.0.0.1', want: false }, { address: '239.255.255.255', want: false }, { address: '255.255.255.255', want: false },
  { address: '::', want: false }, { address: '::1', want: false }, { address: '::ffff:127.0.0.1', want: false }, { address: 'febf::1', want: false }, { address: 'ff02::1', want: false }, { address: 'example.com', want: false },
])('$address is one other machine\'s: $want', ({ address, want }) => { expect(isOrdinaryAddress(address)).toBe(want); });
