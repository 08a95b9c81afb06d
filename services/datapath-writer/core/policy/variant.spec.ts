import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { bindingsOf, bindingsText, variantNumbers } from './variant.ts';

const MENTIONED = new Set(['6/web', '17/web']);
const text = (...ports: readonly { readonly name?: string; readonly port: number; readonly protocol: number }[]): string => bindingsText(bindingsOf(ports, MENTIONED));

describe('what a pod binds of the names that policies mention', () => {
  test.each([
    { name: 'nothing where its ports have no names', ports: [{ port: 80, protocol: 6 }], want: '' },
    { name: 'nothing where nobody mentions its names', ports: [{ name: 'admin', port: 80, protocol: 6 }], want: '' },
    { name: 'each protocol apart', ports: [{ name: 'web', port: 53, protocol: 17 }, { name: 'web', port: 80, protocol: 6 }], want: '17/web=53;6/web=80;' },
    { name: 'every number of a name that stands twice, in order', ports: [{ name: 'web', port: 8080, protocol: 6 }, { name: 'web', port: 80, protocol: 6 }, { name: 'web', port: 80, protocol: 6 }], want: '6/web=80,8080;' },
  ])('$name', ({ ports, want }) => { expect(text(...ports)).toBe(want); });
});

describe('numbers of variants', () => {
  test('0 means that nothing is bound, and nothing else means 0', () => {
    const numbers = variantNumbers(['', '6/web=80;']);
    expect(numbers.get('')).toBe(0);
    expect(numbers.get('6/web=80;')).toBeGreaterThan(0);
  });
  test('depend on which texts there are, not on their order or on how often they come', () => {
    fc.assert(fc.property(fc.uniqueArray(fc.string(), { maxLength: 40 }), (texts) => {
      expect(new Map(variantNumbers([...texts, ...texts].reverse()))).toEqual(new Map(variantNumbers(texts)));
    }));
  });
  test('are 1..65535 and never shared, however many meet in one', () => {
    const numbers = [...variantNumbers(Array.from({ length: 20_000 }, (_, index) => `6/web=${index};`)).values()];
    expect(new Set(numbers).size).toBe(20_001);
    expect([Math.min(...numbers), Math.max(...numbers) <= 65535]).toEqual([0, true]);
  });
});
