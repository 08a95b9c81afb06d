import { expect, test } from '@jest/globals';

import { FOLDED_MAPS, sameSum } from '@seine/layout';

import { WORLD } from '../fixture/world.ts';
import { createNodeJoin } from './join/node-join.ts';
import { rowsByMap } from './order.ts';
import { emptyTables } from './policy/index.ts';
import { endpointsOfLog, nodeRows } from './node.rows.ts';
import { foldNode } from './replay.ts';
import { sumOfRows } from './sums.ts';

const state = foldNode(WORLD.map((event, index) => ({ seq: index + 1, events: [event] })));
const local = endpointsOfLog('n1', state, () => 7);

test('rows have one checksum, kept as bytes or in words', () => {
  const join = createNodeJoin('n1', state, emptyTables());
  join.update(local);
  const words = rowsByMap(nodeRows('n1', state, local, emptyTables()).rows);
  for (const map of FOLDED_MAPS) expect([map, sameSum(sumOfRows(map, join.rows.get(map)!), sumOfRows(map, words.get(map)!))]).toEqual([map, true]);
});
test('a row that is missing is another checksum', () => {
  const words = rowsByMap(nodeRows('n1', state, local, emptyTables()).rows).get('sn_backend_01')!;
  const [first] = words;
  expect(sameSum(sumOfRows('sn_backend_01', words), sumOfRows('sn_backend_01', new Map([first!])))).toBe(false);
});
