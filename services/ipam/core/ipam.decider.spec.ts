import { describe, expect, test } from '@jest/globals';

import { decideAll, type SeineEvent } from '@seine/events';

import { ipamDecider } from './ipam.decider.ts';
import { parsePools } from './pool.ts';

const time = '1970-01-01T00:00:00.000Z';
const joins = (name: string): SeineEvent => ({ type: 'node.observed.v1', key: name, time, data: { uid: name, labels: {}, addresses: [] } });
const leaves = (name: string): SeineEvent => ({ type: 'node.vanished.v1', key: name, time, data: { uid: name } });
const attachedTo = (node: string): SeineEvent => ({ type: 'endpoint.observed.v1', key: 'shop/a', time, data: { uid: 'a', node, addresses: ['10.244.1.2'], endpointId: 1, hostInterface: 'sn1', containerId: 'a' } });
const detachedFrom = (node: string): SeineEvent => ({ type: 'endpoint.vanished.v1', key: 'shop/a', time, data: { uid: 'a', node } });

const said = (...given: readonly SeineEvent[]): readonly string[] => {
  const decider = ipamDecider(parsePools('10.244.0.0/22'));
  return decideAll(decider, decider.initialState(), given).map(({ type, key, data }) => `${type} ${key}${'cidrs' in data ? ` ${data.cidrs.join()}` : ''}`);
};

describe('blocks of addresses', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'the first node has the block after the first', given: [joins('n1')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24'] },
    { name: 'a node that is seen again keeps its block', given: [joins('n1'), joins('n1')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24'] },
    { name: 'a full range gives nothing', given: [joins('n1'), joins('n2'), joins('n3'), joins('n4')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24', 'podcidr.assigned.v1 n2 10.244.2.0/24', 'podcidr.assigned.v1 n3 10.244.3.0/24'] },
    { name: 'a block comes back when its node is gone', given: [joins('n1'), leaves('n1'), joins('n2')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24', 'podcidr.released.v1 n1', 'podcidr.assigned.v1 n2 10.244.1.0/24'] },
    { name: 'a block stays while a pod is attached', given: [joins('n1'), attachedTo('n1'), leaves('n1')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24'] },
    { name: 'a block comes back with the last pod', given: [joins('n1'), attachedTo('n1'), leaves('n1'), detachedFrom('n1')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24', 'podcidr.released.v1 n1'] },
    { name: 'a block comes back when its last pod is seen elsewhere', given: [joins('n1'), joins('n2'), attachedTo('n1'), leaves('n1'), attachedTo('n2')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24', 'podcidr.assigned.v1 n2 10.244.2.0/24', 'podcidr.released.v1 n1'] },
    { name: 'a node that comes back keeps its block', given: [joins('n1'), attachedTo('n1'), leaves('n1'), joins('n1'), detachedFrom('n1')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24'] },
    { name: 'a node that waits has the first block that comes back', given: [joins('n1'), joins('n2'), joins('n3'), joins('n4'), joins('n5'), leaves('n2')], then: [
      'podcidr.assigned.v1 n1 10.244.1.0/24', 'podcidr.assigned.v1 n2 10.244.2.0/24', 'podcidr.assigned.v1 n3 10.244.3.0/24', 'podcidr.released.v1 n2', 'podcidr.assigned.v1 n4 10.244.2.0/24',
    ] },
  ])('$name', ({ given, then }) => { expect(said(...given)).toEqual(then); });
});

describe('blocks of two families', () => {
  const both = (text: string, given: readonly SeineEvent[]): readonly string[] => {
    const decider = ipamDecider(parsePools(text));
    return decideAll(decider, decider.initialState(), given).map(({ type, key, data }) => `${type} ${key}${'cidrs' in data ? ` ${data.cidrs.join()}` : ''}`);
  };
  const had = (...cidrs: readonly string[]): SeineEvent => ({ type: 'podcidr.assigned.v1', key: 'n1', time, data: { node: 'n1', cidrs: [...cidrs] } });
  test.each<{ name: string; pools: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'a node has one of each, in the order of the ranges', pools: '10.244.0.0/22,fd00:10:244::/56', given: [joins('n1'), joins('n2')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24,fd00:10:244:1::/64', 'podcidr.assigned.v1 n2 10.244.2.0/24,fd00:10:244:2::/64'] },
    { name: 'IPv6 alone', pools: 'fd00:10:244::/56', given: [joins('n1')], then: ['podcidr.assigned.v1 n1 fd00:10:244:1::/64'] },
    { name: 'the shorter range decides how many nodes there are', pools: 'fd00:10:244::/62,10.244.0.0/23', given: [joins('n1'), joins('n2')], then: ['podcidr.assigned.v1 n1 fd00:10:244:1::/64,10.244.1.0/24'] },
    { name: 'who waited has both blocks that come back', pools: '10.244.0.0/23,fd00::/63', given: [joins('n1'), joins('n2'), leaves('n1')], then: ['podcidr.assigned.v1 n1 10.244.1.0/24,fd00:0:0:1::/64', 'podcidr.released.v1 n1', 'podcidr.assigned.v1 n2 10.244.1.0/24,fd00:0:0:1::/64'] },
  ])('$name', ({ pools, given, then }) => { expect(both(pools, given)).toEqual(then); });
  test.each<{ name: string; pools: string; blocks: readonly string[]; then: readonly string[] }>([
    { name: 'a node of a family alone gets the other when it is seen again', pools: '10.244.0.0/16,fd00:10:244::/56', blocks: ['10.244.7.0/24'], then: ['podcidr.assigned.v1 n1 10.244.7.0/24,fd00:10:244:1::/64'] },
    { name: 'a node keeps a block of a range that is none any more', pools: '10.244.0.0/16', blocks: ['10.244.7.0/24', 'fd00:10:244:1::/64'], then: [] },
  ])('$name', ({ pools, blocks, then }) => {
    const decider = ipamDecider(parsePools(pools));
    const draft = decider.initialState();
    decider.evolve(draft, had(...blocks));
    decider.evolve(draft, joins('n1'));
    expect(decider.decide(joins('n1'), draft).map(({ type, key, data }) => `${type} ${key} ${'cidrs' in data ? data.cidrs.join() : ''}`)).toEqual(then);
  });
});

describe('ranges', () => {
  test.each([
    { name: 'one that is no CIDR', text: '10.244.0.0', then: 'pod range 10.244.0.0: expected a CIDR such as 10.244.0.0/16 or fd00:10:244::/56' },
    { name: 'nonsense of IPv6', text: '10.244.0.0/16,fd00:10:244:::/56', then: 'pod range fd00:10:244:::/56: expected a CIDR' },
    { name: 'a length that is none', text: 'fd00::/129', then: 'pod range fd00::/129: expected a CIDR' },
    { name: 'two of one family', text: 'fd00:1::/56,fd00:2::/56', then: 'pod range fd00:2::/56: expected no second range of IPv6' },
    { name: 'IPv4 written as IPv6', text: '::ffff:10.244.0.0/112', then: 'expected an IPv4 range in its own form: 10.244.0.0/16' },
    { name: 'bits beyond the length', text: 'fd00:10:244::1/56', then: 'expected no bits beyond its length: fd00:10:244::/56' },
    { name: 'addresses of a link', text: 'fe80::/56', then: 'expected a range apart from fe80::/10: no pod can be there' },
    { name: 'all of a family', text: '::/0', then: 'expected a range apart from ::1/128: no pod can be there' },
    { name: 'groups', text: '224.0.0.0/8', then: 'expected a range apart from 224.0.0.0/4: no pod can be there' },
    { name: 'less than a block', text: '10.244.0.0/25', then: 'expected a range of a node\'s block at least, which is a /24' },
    { name: 'less than a block of IPv6', text: 'fd00::/65', then: 'expected a range of a node\'s block at least, which is a /64' },
  ])('refuses $name', ({ text, then }) => { expect(() => parsePools(text)).toThrow(then); });
});
