import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import type { Peer } from '@seine/events';
import { NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX, parsePrefix, type Requirement } from '@seine/model';

import { identityView, peerMatches, type Party } from '../policy/index.ts';
import { createPartyFile, createSelectorFile, filingOf, reachOf } from './label-index.ts';

const podParty = (namespace: string, labels: readonly string[], team: string | undefined): Party => ({
  identity: 300, reserved: [], nodeLabels: undefined, prefix: undefined,
  view: identityView([...labels.map((label) => `k8s:${label}`), `k8s:${NAMESPACE_LABEL}=${namespace}`, ...(team === undefined ? [] : [`k8s:${NAMESPACE_LABELS_PREFIX}team=${team}`])]),
});
const reserved = (name: 'host' | 'world', prefix?: string): Party => ({ identity: 1, view: undefined, reserved: [name], nodeLabels: undefined, prefix: prefix === undefined ? undefined : parsePrefix(prefix) });
const PARTIES: readonly Party[] = [
  ...['shop', 'p', 'n'].flatMap((namespace) => [[], ['app=web'], ['app='], ['app=web', 'tier=front'], ['host=']].flatMap((labels) => [undefined, 'a'].map((team) => podParty(namespace, labels, team)))),
  reserved('host'), reserved('world'), reserved('world', '10.0.0.0/8'),
];

const requirement = (keys: readonly string[]): fc.Arbitrary<Requirement> => fc.oneof(
  fc.record({ key: fc.constantFrom(...keys), operator: fc.constantFrom('In' as const, 'NotIn' as const), values: fc.subarray(['web', '', 'front', 'a', 'shop', 'p'], { minLength: 1 }) }),
  fc.record({ key: fc.constantFrom(...keys), operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const) }),
);
const selector = (keys: readonly string[]) => fc.array(requirement(keys), { maxLength: 3 });
const podKeys = ['app', 'tier', 'host'];
const peer: fc.Arbitrary<Peer> = fc.oneof(
  fc.record({ type: fc.constant('pods' as const), namespace: fc.constantFrom('shop', 'p', 'n'), pods: selector(podKeys) }),
  fc.record({ type: fc.constant('pods' as const), namespaces: selector(['team']), pods: selector(podKeys) }),
  fc.record({ type: fc.constant('labels' as const), labels: selector([...podKeys, NAMESPACE_LABEL, `${NAMESPACE_LABELS_PREFIX}team`].flatMap((key) => [`k8s:${key}`, `any:${key}`]).concat('reserved:host', 'cidr:10.0.0.0/8')) }),
  fc.constant<Peer>({ type: 'cidr', cidr: '10.0.0.0/8', except: [] }), fc.constant<Peer>({ type: 'entity', entity: 'world' }),
);
const peers = fc.oneof(peer, fc.array(peer.filter(({ type }) => type === 'pods' || type === 'labels' || type === 'cidr'), { maxLength: 2 }).map((members) => ({ type: 'group', ref: { kind: 'Service' }, members }) as Peer)); // members of those three kinds

describe('the label index', () => {
  test('misses nobody whom a selector means, asked from either side', () => {
    const parties = createPartyFile<Party>();
    for (const party of PARTIES) parties.file(party);
    fc.assert(fc.property(peers, (asked) => {
      const filing = filingOf(reachOf(asked), parties.crowd);
      const selectors = createSelectorFile<Peer>();
      selectors.add(asked, filing);
      const found = new Set(parties.candidates(filing));
      for (const party of PARTIES) {
        if (!peerMatches(asked, party)) continue;
        expect([found.has(party), selectors.candidates(party).has(asked)]).toEqual([true, true]);
      }
    }), { numRuns: 2000 });
  });

  test.each<{ name: string; peer: Peer; then: readonly string[] | 'anybody' | 'prefix' }>([
    { name: 'a label in a namespace', peer: { type: 'pods', namespace: 'shop', pods: [{ key: 'tier', operator: 'In', values: ['front'] }] }, then: ['shop tier=front'] },
    { name: 'the label that fewest have', peer: { type: 'pods', namespaces: [], pods: [{ key: 'app', operator: 'In', values: ['web'] }, { key: 'tier', operator: 'In', values: ['front'] }] }, then: ['p tier=front'] },
    { name: 'a namespace', peer: { type: 'pods', namespace: 'shop', pods: [] }, then: ['N shop'] },
    { name: 'nothing for what names no label', peer: { type: 'pods', namespaces: [], pods: [{ key: 'app', operator: 'NotIn', values: ['web'] }] }, then: 'anybody' },
    { name: 'nothing for a label that a reserved identity may have', peer: { type: 'labels', labels: [{ key: 'any:host', operator: 'In', values: [''] }] }, then: 'anybody' },
    { name: 'having a prefix', peer: { type: 'cidr', cidr: '10.0.0.0/8', except: [] }, then: 'prefix' },
  ])('files a selector under $name', ({ peer: asked, then }) => {
    const parties = createPartyFile<Party>();
    for (const party of PARTIES) parties.file(party);
    expect(filingOf(reachOf(asked), parties.crowd)).toEqual(then);
  });
});
