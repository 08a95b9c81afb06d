import { expect, test } from '@jest/globals';

import { nextAddress, nextAddresses } from './index.ts';

test.each([
  { name: 'gives the third address of a fresh block first', blocks: ['10.244.1.0/24'], used: [], last: undefined, want: '10.244.1.2' },
  { name: 'goes on after the last one given', blocks: ['10.244.1.0/24'], used: ['10.244.1.2'], last: '10.244.1.5', want: '10.244.1.6' },
  { name: 'gives what was freed as late as possible', blocks: ['10.244.1.0/29'], used: [], last: '10.244.1.6', want: '10.244.1.2' },
  { name: 'goes round over what is used', blocks: ['10.244.1.0/29'], used: ['10.244.1.2', '10.244.1.3'], last: '10.244.1.6', want: '10.244.1.4' },
  { name: 'never gives the broadcast address', blocks: ['10.244.1.0/30'], used: ['10.244.1.2'], last: undefined, want: undefined },
  { name: 'goes over to the next block', blocks: ['10.244.1.0/30', '10.244.9.0/30'], used: ['10.244.1.2'], last: undefined, want: '10.244.9.2' },
  { name: 'begins at the front when the last one is of no block', blocks: ['10.244.1.0/24'], used: [], last: '172.16.0.1', want: '10.244.1.2' },
  { name: 'carries over bytes', blocks: ['10.244.0.0/16'], used: [], last: '10.244.3.255', want: '10.244.4.0' },
  { name: 'goes round over several blocks, back into the first', blocks: ['10.244.1.0/29', '10.244.9.0/30'], used: ['10.244.9.2'], last: '10.244.1.6', want: '10.244.1.2' },
  { name: 'gives the third address of a block of IPv6', blocks: ['fd00:10:244:1::/64'], used: [], last: undefined, want: 'fd00:10:244:1::2' },
  { name: 'goes on far inside a block of IPv6', blocks: ['fd00:10:244:1::/64'], used: ['fd00:10:244:1::1:0'], last: 'fd00:10:244:1::ffff', want: 'fd00:10:244:1::1:1' },
  { name: 'has nothing without a block', blocks: [], used: [], last: undefined, want: undefined },
])('$name', ({ blocks, used, last, want }) => {
  expect(nextAddress(blocks, new Set(used), last)).toBe(want);
});

test.each([
  { name: 'one of each family, in the order of the blocks', blocks: ['fd00:1::/64', '10.244.1.0/24'], last: ['10.244.1.9'], asked: [], want: ['fd00:1::2', '10.244.1.10'] },
  { name: 'the asked one in the place of its family', blocks: ['10.244.1.0/24', 'fd00:1::/64'], last: [], asked: ['fd00:1::77'], want: ['10.244.1.2', 'fd00:1::77'] },
  { name: 'nothing in the place of a full family', blocks: ['10.244.1.0/31', 'fd00:1::/64'], last: [], asked: [], want: [undefined, 'fd00:1::2'] },
])('a pod has $name', ({ blocks, last, asked, want }) => {
  expect(nextAddresses({ blocks, used: new Set(), last, asked })).toEqual(want);
});
