import { describe, expect, test } from '@jest/globals';
import { SubjectFlag, Verdict } from '@seine/layout';

import type { SubjectPolicy } from './join.ts';
import { indexRows, lookUp } from './lookup.ts';
import { policyRows, shapeRows } from './policy.rows.ts';
import { plainRow, type RowContent } from './row.ts';
import { emptyTables } from './tables.ts';

/** A row of `count` entries, each row with its own content. */
const rowOfSize = (count: number, rule: string): RowContent => {
  const entries = Array.from({ length: count }, (_, index) => ({ protocol: index === 0 ? 0 : 6, port: index === 0 ? 0 : 1000 + index, length: index === 0 ? 0 : 16, verdict: 'allow' as const, rule: `${rule} ${index}` }));
  return { entries, text: rule };
};
const policy = (identity: number, peers: readonly RowContent[], change: Partial<SubjectPolicy> = {}): SubjectPolicy => ({
  subject: { identity, variant: 0, bindings: new Map(), party: { identity, view: undefined, reserved: [], nodeLabels: undefined, prefix: undefined } }, direction: 'ingress', enforced: true, needsClass: false, needsVariant: false, peerDeny: false, content: `rules of ${identity}`,
  defaultRow: plainRow({ verdict: 'default-deny', rule: undefined }), peers: peers.map((row, index) => ({ identity: 1000 + index, cidrClass: 0, variant: 0, row })), ...change,
});
const count = (made: ReturnType<typeof policyRows>, map: string): number => made.rows.filter((row) => row.map === map).length;
const verdictAt = (made: ReturnType<typeof policyRows>, identity: number, peer: number): number =>
  lookUp(indexRows([...shapeRows(), ...made.rows]), { direction: 'ingress', identity, variant: 0, peer: { identity: peer, variant: 0, cidrClass: 0 }, protocol: 6, port: 80 }).reason;

describe('what fits the maps', () => {
  test('counts the entries of rows, not the peers that share them', () => {
    const made = policyRows([policy(256, [rowOfSize(50, 'a'), rowOfSize(50, 'b')])], emptyTables(), { peers: 100, rows: 60 });
    expect(made.full).toMatchObject([{ peers: 2, entries: 101, capacity: { peers: 100, rows: 60 } }]);
    expect(count(made, 'sn_row_01')).toBeLessThanOrEqual(60);
  });
  test('counts a row that many share once', () => {
    const shared = rowOfSize(50, 'a');
    const made = policyRows([policy(256, [shared, shared, shared]), policy(257, [shared])], emptyTables(), { peers: 100, rows: 60 });
    expect([made.full, count(made, 'sn_row_01'), count(made, 'sn_peer_01')]).toEqual([[], 51, 4]);
  });
  test('closes the subject that does not fit with 155, and no other', () => {
    const made = policyRows([policy(256, [rowOfSize(5, 'a')]), policy(257, [rowOfSize(500, 'b')]), policy(258, [rowOfSize(5, 'c')])], emptyTables(), { peers: 100, rows: 20 });
    expect(made.full.map(({ subject }) => subject.subject.identity)).toEqual([257]);
    expect([256, 257, 258].map((identity) => verdictAt(made, identity, 1000))).toEqual([0, 155, 0]);
  });
  test('closes the subject whose peers are too many', () => {
    const made = policyRows([policy(256, Array.from({ length: 11 }, () => rowOfSize(2, 'a')))], emptyTables(), { peers: 10, rows: 100 });
    expect([count(made, 'sn_peer_01'), verdictAt(made, 256, 1000)]).toEqual([0, 155]);
  });
  test('leaves a subject open that nothing isolates, however full the maps are', () => {
    const open = policy(257, [], { enforced: false, content: 'open', defaultRow: plainRow({ verdict: 'allow', rule: undefined }) });
    const made = policyRows([policy(256, [rowOfSize(5, 'a')]), open], emptyTables(), { peers: 0, rows: 0 });
    expect([verdictAt(made, 256, 1000), verdictAt(made, 257, 1000)]).toEqual([155, 0]);
  });
  test('a policy that fits again says what it said', () => {
    const tables = emptyTables();
    const wanted = [policy(256, [rowOfSize(50, 'a')])];
    const before = policyRows(wanted, tables);
    policyRows(wanted, tables, { peers: 0, rows: 0 });
    expect(policyRows(wanted, tables)).toEqual(before);
  });
});

describe('rows of one policy', () => {
  test('carry its flags, and each peer its own answer', () => {
    const made = policyRows([policy(256, [rowOfSize(1, 'a')], { needsClass: true, peerDeny: true })], emptyTables());
    expect(made.rows.find(({ map }) => map === 'sn_subject_01')?.value).toMatchObject({ flags: SubjectFlag.ENFORCED | SubjectFlag.NEEDS_CLASS | SubjectFlag.PEER_DENY });
    expect([1000, 1001, 0].map((peer) => verdictAt(made, 256, peer))).toEqual([0, 133, 171]);
    expect(made.rows.filter(({ map }) => map === 'sn_row_01').map(({ value }) => ('verdict' in value ? value.verdict : undefined))).toEqual([Verdict.DEFAULT_DENY, Verdict.ALLOW]);
  });
});
