import { expect, test } from '@jest/globals';

import { nextAddress } from './index.ts';

test.each([
  { name: 'gives the third address of a fresh block first', blocks: ['10.244.1.0/24'], used: [], last: undefined, want: '10.244.1.2' },
  { name: 'goes on after the last one given', blocks: ['10.244.1.0/24'], used: ['10.244.1.2'], last: '10.244.1.5', want: '10.244.1.6' },
  { name: 'gives what was freed as late as possible', blocks: ['10.244.1.0/29'], used: [], last: '10.244.1.6', want: '10.244.1.2' },
  { name: 'goes round over what is used', blocks: ['10.244.1.0/29'], used: ['10.244.1.2', '10.244.1.3'], last: '10.244.1.6', want: '10.244.1.4' },
  { name: 'never gives the broadcast address', blocks: ['10.244.1.0/30'], used: ['10.244.1.2'], last: undefined, want: undefined },
  { name: 'goes over to the next block', blocks: ['10.244.1.0/30', '10.244.9.0/30'], used: ['10.244.1.2'], last: undefined, want: '10.244.9.2' },
  { name: 'begins at the front when the last one is of no block', blocks: ['10.244.1.0/24'], used: [], last: '172.16.0.1', want: '10.244.1.2' },
  { name: 'carries over bytes', blocks: ['10.244.0.0/16'], used: [], last: '10.244.3.255', want: '10.244.4.0' },
  { name: 'has nothing without a block', blocks: [], used: [], last: undefined, want: undefined },
])('$name', ({ blocks, used, last, want }) => {
  expect(nextAddress(blocks, new Set(used), last)).toBe(want);
});
