import { expect, test } from '@jest/globals';

import { peerColumns, rangeText } from './index.ts';

test.each([
  [6, 80, 80, '80/TCP'], [17, 1000, 2000, '1000-2000/UDP'], [6, 0, 65535, 'any TCP port'], [1, 8 << 8, (8 << 8) + 255, 'ICMP type 8'], [58, 128 << 8, 128 << 8, 'ICMPV6 128/0'],
  [1, (3 << 8) + 4, (3 << 8) + 4, 'ICMP 3/4'], [58, 0, 65535, 'any ICMPV6'],
])('ports of protocol %i from %i to %i read %4$s', (protocol, from, to, want) => { expect(rangeText(protocol, from, to)).toBe(want); });

test.each([
  { cidr: '::/0', except: ['0.0.0.0/0'], want: '::/0' }, { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'], want: '10.0.0.0/8 except 10.1.0.0/16' },
])('a block reads $want', ({ cidr, except, want }) => { expect(peerColumns({ type: 'cidr', cidr, except })).toEqual([want]); });
