import { describe, expect, test } from '@jest/globals';

import { selects, type Selector } from './selector.ts';

const labels = { app: 'web', tier: 'front' };

describe('a selector', () => {
  test.each<{ readonly name: string; readonly selector: Selector; readonly want: boolean }>([
    { name: 'that is empty selects everything', selector: [], want: true },
    { name: 'selects by value', selector: [{ key: 'app', operator: 'In', values: ['web'] }], want: true },
    { name: 'does not select another value', selector: [{ key: 'app', operator: 'In', values: ['db'] }], want: false },
    { name: 'selects one of several values', selector: [{ key: 'app', operator: 'In', values: ['db', 'web'] }], want: true },
    { name: 'with NotIn selects where the key is absent', selector: [{ key: 'zone', operator: 'NotIn', values: ['a'] }], want: true },
    { name: 'with NotIn selects another value', selector: [{ key: 'app', operator: 'NotIn', values: ['db'] }], want: true },
    { name: 'with NotIn does not select that value', selector: [{ key: 'app', operator: 'NotIn', values: ['web'] }], want: false },
    { name: 'with Exists wants the key', selector: [{ key: 'zone', operator: 'Exists' }], want: false },
    { name: 'with DoesNotExist wants it absent', selector: [{ key: 'app', operator: 'DoesNotExist' }], want: false },
    { name: 'wants every requirement', selector: [{ key: 'app', operator: 'In', values: ['web'] }, { key: 'tier', operator: 'In', values: ['back'] }], want: false },
    { name: 'does not take a name of the prototype for a label', selector: [{ key: 'constructor', operator: 'Exists' }], want: false },
  ])('$name', ({ selector, want }) => {
    expect(selects(selector, labels)).toBe(want);
  });
});
