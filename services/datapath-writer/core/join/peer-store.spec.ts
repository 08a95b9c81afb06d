import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import type { MapEntry } from '@seine/node';

import { createPeerStore, type PeerBlock } from './peer-store.ts';

const entry = (revision: number, identity: number, row: number): MapEntry => ({ key: { revision, identity, classVariant: 0 }, value: { row, echo: 0 } });
const blockOf = (revision: number, rows: Readonly<Record<string, number>>): PeerBlock => new Map(Object.entries(rows).map(([identity, row]) => [`${identity} 0`, entry(revision, Number(identity), row)]));

type Act = { readonly type: 'block' | 'no block' | 'settle' | 'peer' | 'no peer'; readonly revision: number; readonly identity: number; readonly row: number; readonly rows: Readonly<Record<string, number>> };
const act: fc.Arbitrary<Act> = fc.record({
  type: fc.constantFrom('block', 'no block', 'settle', 'peer', 'peer', 'no peer'), revision: fc.integer({ min: 1, max: 3 }), identity: fc.integer({ min: 1, max: 4 }), row: fc.integer({ min: 1, max: 2 }),
  rows: fc.dictionary(fc.constantFrom('1', '2', '3', '4'), fc.integer({ min: 1, max: 2 })),
});

describe('peers by revision', () => {
  test('tell exactly what differs from what the maps have, whatever comes and goes', () => {
    fc.assert(fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const store = createPeerStore();
      const kernel = new Map<string, MapEntry>();
      const held = new Set<number>();
      for (const { type, revision, identity, row, rows } of acts) {
        if (type === 'block') { store.putBlock(revision, blockOf(revision, rows)); held.add(revision); }
        if (type === 'no block') { store.removeBlock(revision); held.delete(revision); }
        if (type === 'peer' && held.has(revision)) store.put(revision, `${identity} 0`, entry(revision, identity, row));
        if (type === 'no peer' && held.has(revision)) store.remove(revision, `${identity} 0`);
        if (type !== 'settle') continue;
        for (const { key, former, now } of store.changes()) {
          expect(kernel.get(key)).toEqual(former);
          expect(now?.value).not.toEqual(former?.value);
          if (now === undefined) kernel.delete(key);
          else kernel.set(key, now);
        }
        store.settle();
        expect(new Map(store.rows)).toEqual(kernel);
        expect([store.rows.size, [...store.rows.values()].length, [...kernel.keys()].every((key) => store.rows.get(key) === kernel.get(key) || store.rows.has(key))]).toEqual([kernel.size, kernel.size, true]);
      }
    }), { numRuns: 500 });
  });
});
