import { describe, expect, test } from '@jest/globals';

import { decodeAll, MAPS } from '@seine/layout';
import type { Step } from '@seine/node';

import { packSteps } from './pack.ts';

const peers = (count: number) => Array.from({ length: count }, (_, index) => ({ key: { revision: 7, identity: 256 + index, classVariant: 0x0001_0000 + index }, value: { row: 0x0100_0001, echo: 0xffff_fff0 + (index % 16) } }));

describe('steps on their way to the loader', () => {
  test('are words where they are small, and stay what they are', () => {
    const steps: readonly Step[] = [{ step: 'upsert', map: 'sn_peer_01', rows: peers(3) }, { step: 'delete', map: 'sn_peer_01', keys: [peers(1)[0]!.key] }, { step: 'bump' }, { step: 'grace' }];
    expect(packSteps(steps)).toEqual(steps);
  });

  test('are bytes where they are large, the same rows', () => {
    const rows = peers(100);
    const [put, taken] = packSteps([{ step: 'upsert', map: 'sn_peer_01', rows }, { step: 'delete', map: 'sn_peer_01', keys: rows.map(({ key }) => key) }]);
    if (put === undefined || taken === undefined || !('packed' in put) || !('packed' in taken)) throw new Error('not packed');
    const keys = decodeAll(MAPS.sn_peer_01.key, Buffer.from(put.packed.keys, 'base64'), put.packed.count);
    const values = decodeAll(MAPS.sn_peer_01.value, Buffer.from(put.packed.values, 'base64'), put.packed.count);
    expect(keys.map((key, index) => ({ key, value: values[index] }))).toEqual(rows);
    expect(decodeAll(MAPS.sn_peer_01.key, Buffer.from(taken.packed.keys, 'base64'), taken.packed.count)).toEqual(rows.map(({ key }) => key));
    expect([put.step, taken.step, taken.packed.values]).toEqual(['upsert', 'delete', '']);
  });

  test('are refused where a value does not fit', () => {
    const rows = [...peers(99), { key: { revision: -1, identity: 1, classVariant: 0 }, value: { row: 1, echo: 0 } }];
    expect(() => packSteps([{ step: 'upsert', map: 'sn_peer_01', rows }])).toThrow(expect.objectContaining({ code: 'SEINE_LAYOUT_RANGE' }));
  });
});
