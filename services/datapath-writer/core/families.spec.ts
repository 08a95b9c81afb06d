import { describe, expect, test } from '@jest/globals';

import { packBackends, type SeineEvent } from '@seine/events';

import { WORLD } from '../fixture/world.ts';
import { canonicalEntries } from './canonical.ts';
import { podMac } from './address.rows.ts';
import { foldNode, replayNode } from './replay.ts';
import { nodeRoutes } from './routes.ts';
import { rowsByMap } from './order.ts';

const time = '2026-03-01T12:00:00.000Z';
const event = <E extends SeineEvent>(type: E['type'], key: string, data: E['data']): SeineEvent => ({ type, key, time, data }) as SeineEvent; // type and data are of one event

/** What makes the fixture's cluster one of both families: n2 has an address of IPv6, its pod and the Service of pod db too. */
const SIX: readonly SeineEvent[] = [
  event('node.observed.v1', 'n2', { uid: 'n2', labels: {}, addresses: ['192.168.50.2', 'fd00:50::2'] }),
  event('podcidr.assigned.v1', 'n2', { node: 'n2', cidrs: ['10.244.2.0/24', 'fd00:10:244:2::/64'] }),
  event('address.bound.v1', 'fd00:10:244:2::2', { identity: 302, node: 'n2', pod: 'shop/far', uid: 'uid-far' }),
  event('service.compiled.v1', 'shop/db', {
    frontends: [{ id: 1, address: '10.96.0.10', port: 80, protocol: 'TCP', portName: 'http' }, { id: 2, address: 'fd00:10:96::10', port: 80, protocol: 'TCP', portName: 'http' }], refusals: [],
  }),
  event('backends.compiled.v2', 'shop/db-6', packBackends({
    service: 'shop/db', backends: [{ id: 3, address: 'fd00:10:244:2::2', port: 8302, protocol: 'TCP', portName: 'http', state: 'active', node: 'n2', pod: 'shop/far' }],
  })),
];
const allows = (peer: object): SeineEvent => event('policy.compiled.v1', 'CiliumNetworkPolicy/shop/out', {
  object: { kind: 'CiliumNetworkPolicy', namespace: 'shop', name: 'out' }, uid: 'out', tier: 'normal', priority: 0, audit: false, isolates: { ingress: false, egress: true },
  subject: { type: 'pods', namespace: 'shop', pods: [] }, rules: [{ direction: 'egress', section: 'egress', index: 0, action: 'allow', ports: 'any', peers: [peer] }],
} as never); // a compiled policy with the peer of the row

const rowsOf = (...more: readonly SeineEvent[]): readonly string[] => {
  const { rows, tables } = replayNode('n1', foldNode([...WORLD, ...more].map((each, index) => ({ seq: index + 1, events: [each] }))), 1);
  return canonicalEntries(rowsByMap(rows.rows), { tables, interfaceName: () => 'sn' }).map(({ map, key, value }) => `${map.replace(/^sn_|_\d\d$/g, '')} ${key} → ${value}`);
};
const some = (rows: readonly string[], pattern: RegExp): readonly string[] => rows.filter((row) => pattern.test(row));

describe('two families', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'one family has one world, which needs no row', given: [], then: [] },
    { name: 'two families have a world each', given: SIX, then: [
      'ipprefix prefixLength=0 address=:: → identity=10 tunnel=:: variant=0 flags=0', 'ipprefix prefixLength=96 address=0.0.0.0 → identity=9 tunnel=:: variant=0 flags=0',
    ] },
    { name: 'what a policy says of all of a family stands for its world', given: [...SIX, allows({ type: 'cidr', cidr: '0.0.0.0/0', except: [] })], then: [
      'ipprefix prefixLength=0 address=:: → identity=10 tunnel=:: variant=0 flags=0', 'ipprefix prefixLength=96 address=0.0.0.0 → identity=cidr:0.0.0.0/0 tunnel=:: variant=0 flags=0',
    ] },
  ])('$name', ({ given, then }) => { expect(some(rowsOf(...given), /^ipprefix prefixLength=(0|96) /)).toEqual(then); });

  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'world, with one family', given: [allows({ type: 'entity', entity: 'world' })], then: ['2'] },
    { name: 'world-ipv4, where there is no other', given: [allows({ type: 'entity', entity: 'world-ipv4' })], then: ['2'] },
    { name: 'world-ipv6, where there is none', given: [allows({ type: 'entity', entity: 'world-ipv6' })], then: [] },
    { name: 'world, with both', given: [...SIX, allows({ type: 'entity', entity: 'world' })], then: ['10', '9'] },
    { name: 'world-ipv4, with both', given: [...SIX, allows({ type: 'entity', entity: 'world-ipv4' })], then: ['9'] },
    { name: 'world-ipv6, with both', given: [...SIX, allows({ type: 'entity', entity: 'world-ipv6' })], then: ['10'] },
  ])('an entity means the identities of $name', ({ given, then }) => {
    const rows = rowsOf(...given);
    const revision = /→ revision=(\S+ \S+)/.exec(some(rows, /^subject identity=301 variant=\d+ direction=egress /)[0]!)![1];
    const peers = some(rows, new RegExp(`^peer revision=${revision} identity=(2|9|10) `));
    expect(peers.map((row) => / identity=(\d+)/.exec(row)![1])).toEqual(then);
  });

  test('a frontend has the backends of its own family', () => {
    const sets = some(rowsOf(...SIX), /^frontend /).map((row) => /address=(\S+) .* slots=(\S+)/.exec(row)!.slice(1) as [string, string]);
    const drawn = ([address, set]: readonly [string, string]): string => `${address} → ${some(rowsOf(...SIX), /^slot /).filter((row) => row.includes(`slots=${set} `)).map((row) => row.slice(row.lastIndexOf('=') + 1)).join()}`;
    expect(sets.map(drawn)).toEqual(['10.96.0.10 → 1,2', 'fd00:10:96::10 → 3']);
  });

  test('an address is behind its node\'s address of the same family', () => {
    expect(some(rowsOf(...SIX), /^ipcache .* identity=302 /).map((row) => row.replace(/ variant=.*$/, ''))).toEqual([
      'ipcache address=10.244.2.30 → identity=302 tunnel=192.168.50.2', 'ipcache address=fd00:10:244:2::2 → identity=302 tunnel=fd00:50::2',
    ]);
  });

  test('a block is routed by its own family, and not at all to a node that lacks it', () => {
    const state = foldNode([{ seq: 1, events: [...WORLD, ...SIX] }]);
    expect(nodeRoutes('n1', state)).toEqual([{ cidr: '10.244.1.0/24', unreachable: true }, { cidr: '10.244.2.0/24', via: '192.168.50.2' }, { cidr: 'fd00:10:244:2::/64', via: 'fd00:50::2' }]);
    const without = foldNode([{ seq: 1, events: [...WORLD, ...SIX, event('node.observed.v1', 'n2', { uid: 'n2', labels: {}, addresses: ['192.168.50.2'] })] }]);
    expect(nodeRoutes('n1', without).map(({ cidr }) => cidr)).toEqual(['10.244.1.0/24', '10.244.2.0/24']);
  });

  test.each([
    { name: 'an IPv4 address', addresses: ['10.244.1.10', 'fd00::1'], then: '0a:58:0a:f4:01:0a' },
    { name: 'an IPv6 address', addresses: ['fd00::1'], then: expect.stringMatching(/^0a:58(:[0-9a-f]{2}){4}$/) },
  ])('a MAC comes from $name that is the first', ({ addresses, then }) => { expect(podMac(addresses)).toEqual(then); });

  test('a pod without an address has no MAC', () => { expect(() => podMac([])).toThrow('expected the address of a pod'); });
});
