import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

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

  const range = fc.tuple(fc.nat(65535), fc.nat(65535)).map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));

  test('any range is covered once, in order, by aligned prefixes of which no two could be one', () => {
    fc.assert(fc.property(range, ({ from, to }) => {
      const prefixes = portPrefixes(from, to);
      let next = from;
      for (const { port, length } of prefixes) {
        const covered = prefixRange({ port, length });
        expect([covered.from, port % (1 << (16 - length))]).toEqual([next, 0]);
        next = covered.to + 1;
      }
      expect(next).toBe(to + 1);
      prefixes.slice(1).forEach((prefix, index) => {
        const before = prefixes[index]!;
        expect(before.length === prefix.length && before.port % (1 << (17 - before.length)) === 0).toBe(false);
      });
    }));
  });

  test('prefixes of any two ranges are nested or disjoint', () => {
    fc.assert(fc.property(range, range, (one, other) => {
      for (const a of portPrefixes(one.from, one.to).map(prefixRange)) {
        for (const b of portPrefixes(other.from, other.to).map(prefixRange)) {
          expect(a.to < b.from || b.to < a.from || (a.from <= b.from && b.to <= a.to) || (b.from <= a.from && a.to <= b.to)).toBe(true);
        }
      }
    }));
  });
});
