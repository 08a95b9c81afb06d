import { describe, expect, test } from '@jest/globals';

import { WORLD } from '../fixture/world.ts';
import { emptyTables, endpointsOfLog, foldNode, nodeRows, rawEntries, rowsByMap } from './index.ts';

const state = foldNode(WORLD.map((event, index) => ({ seq: index + 1, events: [event] })));
const { rows } = nodeRows('n1', state, endpointsOfLog('n1', state, () => 77), emptyTables());
const raw = rawEntries(rowsByMap(rows));

describe('a raw dump', () => {
  test('has one entry for each row', () => { expect(raw).toHaveLength(rows.length); });

  test("shows this node's own numbers, echoes included", () => {
    const subject = raw.find(({ map }) => map === 'sn_subject_01')!;
    expect(`${subject.key} ${subject.value}`).toMatch(/direction=\d+.*revision=\d+.*echo=\d+/);
    expect(raw.find(({ map }) => map === 'sn_endpoint_01')!.value).toContain('ifindex=77');
  });

  test('is in the order of its text', () => {
    const lines = raw.map(({ map, key }) => `${map} ${key}`);
    expect(lines).toEqual([...lines].sort());
  });
});
