import { describe, expect, test } from '@jest/globals';

import { WORLD } from '../fixture/world.ts';
import { foldNode } from './replay.ts';
import { restoreFold, storeFold } from './stored-fold.ts';

const state = foldNode(WORLD.map((event, index) => ({ seq: index + 1, events: [event] })));
const position = { log: 'log', seq: WORLD.length, lanes: { fact: { seq: WORLD.length, laneSeq: 3, hash: 'ab' } } };
const stored = [...storeFold('n1', state, position)].map((line) => JSON.parse(line) as unknown);

describe('a fold on disk', () => {
  test('is the same fold when it is read', () => { expect(restoreFold('n1', stored)).toEqual({ state, position }); });
  test.each([
    ['of another node', { node: 'n2' }], ['of a build that folds otherwise', { format: 'other' }],
  ])('%s is none', (_, change) => { expect(restoreFold('n1', [{ ...stored[0] as object, ...change }, ...stored.slice(1)])).toBeUndefined(); });
});
