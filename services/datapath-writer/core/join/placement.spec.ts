import { describe, expect, test } from '@jest/globals';
import { SubjectFlag, Verdict } from '@seine/layout';

import type { DesiredRow } from '../desired.ts';
import { emptyTables, indexRows, lookUp, plainRow, shapeRows, type RowContent } from '../policy/index.ts';
import { createHolds } from './holds.ts';
import { createPlacement, type Capacity } from './placement.ts';
import { createRowStore } from './row-store.ts';
import { openRuleSet, type PeerEntry, type RuleSet } from './rule-set.ts';

/** A row of `count` entries, each row with its own content. */
const rowOfSize = (count: number, rule: string): RowContent => {
  const entries = Array.from({ length: count }, (_, index) => ({ protocol: index === 0 ? 0 : 6, port: index === 0 ? 0 : 1000 + index, length: index === 0 ? 0 : 16, verdict: 'allow' as const, rule: `${rule} ${index}` }));
  return { entries, text: rule };
};
const DENIED = plainRow({ verdict: 'default-deny', rule: undefined });

const entryOf = (index: number, row: RowContent): readonly [string, PeerEntry] => [`${1000 + index} 0`, { identity: 1000 + index, classVariant: 0, row }];

/** Places rule sets; each is the ingress of the identity of that number. */
const place = (capacity: Capacity = { peers: 100, rows: 100 }) => {
  const tables = emptyTables();
  const store = createRowStore();
  const holds = createHolds(tables);
  const placement = createPlacement(holds, store, capacity);
  const setOf = (name: string, rows: readonly RowContent[], change: Partial<RuleSet> = {}): RuleSet => {
    const peers = new Map(rows.map((row, index) => entryOf(index, row)));
    const contents = [...new Set([DENIED, ...rows])];
    for (const content of contents) placement.ledger.came(content);
    return { ...openRuleSet('ingress'), name: `ingress ${name}`, enforced: true, defaultRow: DENIED, peers, contents: () => contents, hasContent: (row) => contents.includes(row), release: () => { for (const content of contents) placement.ledger.went(content); }, ...change };
  };
  const want = (identity: number, set: RuleSet | undefined): void => {
    placement.want({ identity, variant: 0, direction: 'ingress' }, set);
    placement.settleRoom([`${identity}/0 ingress`]);
  };
  const rowsOf = (map: DesiredRow['map']) => [...store.rows.get(map)!.values()];
  const verdictAt = (identity: number, peer: number): number => lookUp(
    indexRows([...shapeRows(), ...(['sn_subject_01', 'sn_peer_01', 'sn_row_01'] as const).flatMap((map) => rowsOf(map).map((entry) => ({ map, ...entry }) as unknown as DesiredRow))]), // rows of that map
    { direction: 'ingress', identity, variant: 0, peer: { identity: peer, variant: 0, cidrClass: 0 }, protocol: 6, port: 80 },
  ).reason;
  return { tables, placement, holds, setOf, want, verdictAt, rowsOf, count: (map: DesiredRow['map']) => rowsOf(map).length };
};

describe('what fits the maps', () => {
  test('counts the entries of rows, not the peers that share them', () => {
    const { setOf, want, placement, count } = place({ peers: 100, rows: 60 });
    want(256, setOf('a', [rowOfSize(50, 'a'), rowOfSize(50, 'b')]));
    expect(placement.full()).toMatchObject([{ identity: 256, peers: 2, entries: 101, capacity: { peers: 100, rows: 60 } }]);
    expect(count('sn_row_01')).toBeLessThanOrEqual(60);
  });
  test('counts a row that many share once', () => {
    const { setOf, want, placement, count } = place({ peers: 100, rows: 60 });
    const shared = rowOfSize(50, 'a');
    want(256, setOf('a', [shared, shared, shared]));
    want(257, setOf('b', [shared]));
    expect([placement.full(), count('sn_row_01'), count('sn_peer_01')]).toEqual([[], 51, 4]);
  });
  test('counts the peers of a rule set once, however many subjects have it', () => {
    const { setOf, want, placement, count } = place({ peers: 3, rows: 60 });
    const set = setOf('a', [rowOfSize(1, 'a'), rowOfSize(1, 'b'), rowOfSize(1, 'c')]);
    for (const identity of [256, 257, 258]) want(identity, set);
    expect([placement.full(), count('sn_peer_01'), new Set([256, 257, 258].map((identity) => JSON.stringify([identity, placement.full()]))).size]).toEqual([[], 3, 3]);
  });
  test('closes the subject that does not fit with 155, and no other', () => {
    const { setOf, want, placement, verdictAt } = place({ peers: 100, rows: 20 });
    want(256, setOf('a', [rowOfSize(5, 'a')]));
    want(257, setOf('b', [rowOfSize(500, 'b')]));
    want(258, setOf('c', [rowOfSize(5, 'c')]));
    expect(placement.full().map(({ identity }) => identity)).toEqual([257]);
    expect([256, 257, 258].map((identity) => verdictAt(identity, 1000))).toEqual([0, 155, 0]);
  });
  test('does not depend on who came first', () => {
    const { setOf, want, placement } = place({ peers: 100, rows: 20 });
    want(257, setOf('b', [rowOfSize(10, 'b')]));
    want(256, setOf('a', [rowOfSize(10, 'a')]));
    expect(placement.full().map(({ identity }) => identity)).toEqual([257]);
  });
  test('closes the subject whose peers are too many', () => {
    const { setOf, want, verdictAt, count } = place({ peers: 10, rows: 100 });
    want(256, setOf('a', Array.from({ length: 11 }, () => rowOfSize(2, 'a'))));
    expect([count('sn_peer_01'), verdictAt(256, 1000)]).toEqual([0, 155]);
  });
  test('leaves a subject open that nothing isolates, however full the maps are', () => {
    const { setOf, want, verdictAt } = place({ peers: 0, rows: 0 });
    want(256, setOf('a', [rowOfSize(5, 'a')]));
    want(257, openRuleSet('ingress'));
    expect([verdictAt(256, 1000), verdictAt(257, 1000)]).toEqual([155, 0]);
  });
  test('opens a subject again when another makes room', () => {
    const { setOf, want, placement, verdictAt } = place({ peers: 100, rows: 20 });
    const large = setOf('a', [rowOfSize(15, 'a')]);
    want(256, large);
    want(257, setOf('b', [rowOfSize(10, 'b')]));
    expect(verdictAt(257, 1000)).toBe(155);
    want(256, undefined);
    large.release();
    placement.settleRoom([]);
    expect([placement.full(), verdictAt(257, 1000)]).toEqual([[], 0]);
  });
});

describe('rows of rule sets', () => {
  test('carry their flags, and each peer its own answer', () => {
    const { setOf, want, verdictAt, rowsOf } = place();
    want(256, setOf('a', [rowOfSize(1, 'a')], { needsClass: true, peerDeny: true }));
    expect(rowsOf('sn_subject_01')[0]?.value).toMatchObject({ flags: SubjectFlag.ENFORCED | SubjectFlag.NEEDS_CLASS | SubjectFlag.PEER_DENY });
    expect([1000, 1001, 0].map((peer) => verdictAt(256, peer))).toEqual([0, 133, 171]);
    expect(rowsOf('sn_row_01').map(({ value }) => value['verdict'])).toEqual([Verdict.DEFAULT_DENY, Verdict.ALLOW]);
  });
  test('go with their last user, and their numbers when the kernel has let go of them', () => {
    const { setOf, want, count, holds, tables } = place();
    const set = setOf('a', [rowOfSize(3, 'a')]);
    want(256, set);
    want(257, set);
    want(256, undefined);
    expect(count('sn_peer_01')).toBe(1);
    want(257, undefined);
    expect([count('sn_peer_01'), count('sn_row_01'), count('sn_subject_01')]).toEqual([0, 0, 0]);
    expect(tables.row.textOf.size).toBe(2);
    holds.settle();
    expect([tables.row.textOf.size, tables.rule.textOf.size, tables.revision.textOf.size]).toEqual([0, 0, 0]);
  });
});
