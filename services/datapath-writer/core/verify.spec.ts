import { describe, expect, test } from '@jest/globals';

import type { CanonicalEntry } from '@seine/node';

import { WORLD } from '../fixture/world.ts';
import { canonicalEntries, differences, emptyTables, endpointsOfLog, foldNode, nodeRows, numberFor, replayNode, rowsByMap } from './index.ts';

const state = foldNode(WORLD.map((event, index) => ({ seq: index + 1, events: [event] })));
const want = replayNode('n1', state, WORLD.length).dump.entries;
const seqOf = (type: string, key: string): number => WORLD.findIndex((event) => event.type === type && event.key === key) + 1;
const without = (taken: CanonicalEntry): readonly CanonicalEntry[] => want.filter((entry) => entry !== taken);
const entry = (map: string, part: string): CanonicalEntry => want.find((candidate) => candidate.map === map && `${candidate.key} ${candidate.value}`.includes(part))!;

describe('the canonical form', () => {
  test('does not depend on the numbers that this node happened to give', () => {
    const tables = emptyTables();
    for (const space of Object.values(tables)) for (const text of ['other', 'than', 'before']) numberFor(space, text);
    const rows = rowsByMap(nodeRows('n1', state, endpointsOfLog('n1', state, () => 77), tables).rows);
    const other = canonicalEntries(rows, { tables, interfaceName: () => undefined });
    const ofInterface = (text: string): string => text.replace(/ifindex=\S+( \S+)?(?= endpointId)/, 'ifindex=?');
    expect(other.map(({ map, key, value }) => `${map} ${key} ${ofInterface(value)}`)).toEqual(want.map(({ map, key, value }) => `${map} ${key} ${ofInterface(value)}`));
  });

  test('has one entry for each row', () => {
    const tables = emptyTables();
    const { rows } = nodeRows('n1', state, endpointsOfLog('n1', state, () => 1), tables);
    expect(want).toHaveLength(rows.length);
    expect(new Set(want.map(({ map, key }) => `${map} ${key}`)).size).toBe(want.length);
  });

  test('shows a wrong echo', () => {
    const tables = emptyTables();
    const rows = rowsByMap(nodeRows('n1', state, [], tables).rows.map((row) => (row.map === 'sn_ipcache_01' && row.key.address === '10.244.1.10' ? { ...row, value: { ...row.value, echo: 1 } } : row)));
    const shown = canonicalEntries(rows, { tables, interfaceName: () => undefined }).filter(({ value }) => value.endsWith('echo=wrong'));
    expect(shown.map(({ key }) => key)).toEqual(['address=10.244.1.10']);
  });
});

describe('the difference', () => {
  test('is none where there is none', () => { expect(differences(want, want, state)).toEqual([]); });

  test.each([
    ['sn_ipcache_01', '10.244.2.30', 'address.bound.v1', '10.244.2.30', 'address/10.244.2.30'],
    ['sn_ipcache_01', 'address=192.168.50.2', 'node.observed.v1', 'n2', 'node/n2'],
    ['sn_endpoint_01', '10.244.1.20', 'endpoint.observed.v1', 'shop/db', 'endpoint/shop/db'],
    ['sn_ipprefix_01', '10.244.2.0', 'podcidr.assigned.v1', 'n2', 'podcidr/n2'],
    ['sn_row_01', 'rule=NetworkPolicy/shop/db-access', 'policy.compiled.v1', 'NetworkPolicy/shop/db-access', 'policy/NetworkPolicy/shop/db-access'],
    ['sn_subject_01', 'identity=301', 'identity.allocated.v1', '301', 'identity/301'],
    ['sn_peer_01', 'identity=300', 'identity.allocated.v1', '300', 'identity/300'],
    ['sn_frontend_02', '10.96.0.10', 'service.compiled.v1', 'shop/db', 'service/shop/db'],
    ['sn_slot_02', 'value=2', 'backends.compiled.v2', 'shop/db-2', 'backends/shop/db-2'],
    ['sn_backend_01', 'value=1', 'backends.compiled.v2', 'shop/db-1', 'backends/shop/db-1'],
  ])('names map, key and the event behind a missing row of %s (%s)', (map, part, type, key, subject) => {
    const taken = entry(map, part);
    expect(differences(want, without(taken), state)).toEqual([{ map, key: taken.key, kind: 'missing', want: taken.value, have: null, event: { seq: seqOf(type, key), type, subject } }]);
  });

  test('tells changed and extra entries', () => {
    const changed = entry('sn_ipcache_01', '10.244.1.10');
    const extra = { map: 'sn_ipcache_01', key: 'address=10.9.9.9', value: 'identity=300' };
    expect(differences(want, [...without(changed), { ...changed, value: 'identity=999' }, extra], state).map(({ kind, have, event }) => ({ kind, have, event: event?.subject ?? null }))).toEqual([
      { kind: 'changed', have: 'identity=999', event: 'address/10.244.1.10' }, { kind: 'extra', have: 'identity=300', event: null },
    ]);
  });
});
