import { describe, expect, test } from '@jest/globals';

import { portPrefixes, prefixRange } from './port-prefix.ts';

describe('ranges of ports as prefixes', () => {
  test.each([
    { name: 'one port is one prefix', from: 80, to: 80, want: ['80/16'] },
    { name: 'every port is the root', from: 0, to: 65535, want: ['0/0'] },
    { name: 'an aligned range is one prefix', from: 8080, to: 8087, want: ['8080/13'] },
    { name: 'an odd start costs one more', from: 8079, to: 8087, want: ['8079/16', '8080/13'] },
    { name: 'an odd end costs one more', from: 8080, to: 8088, want: ['8080/13', '8088/16'] },
    { name: 'the last port', from: 65535, to: 65535, want: ['65535/16'] },
  ])('$name', ({ from, to, want }) => { expect(portPrefixes(from, to).map(({ port, length }) => `${port}/${length}`)).toEqual(want); });

  test('the worst range covers itself exactly, in 30 prefixes', () => {
    const prefixes = portPrefixes(1, 65534);
    expect(prefixes).toHaveLength(30);
    let next = 1;
    for (const { from, to } of prefixes.map(prefixRange)) { expect(from).toBe(next); next = to + 1; }
    expect(next).toBe(65535);
  });
});
