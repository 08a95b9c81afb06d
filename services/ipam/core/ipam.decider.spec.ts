import { describe, expect, test } from '@jest/globals';

import { decideAll, type SeineEvent } from '@seine/events';

import { ipamDecider } from './ipam.decider.ts';

const time = '1970-01-01T00:00:00.000Z';
const joins = (name: string): SeineEvent => ({ type: 'node.observed.v1', key: name, time, data: { uid: name, labels: {}, addresses: [] } });
const leaves = (name: string): SeineEvent => ({ type: 'node.vanished.v1', key: name, time, data: { uid: name } });
const attachedTo = (node: string): SeineEvent => ({ type: 'endpoint.observed.v1', key: 'shop/a', time, data: { uid: 'a', node, addresses: ['10.244.1.2'], endpointId: 1, hostInterface: 'sn1', containerId: 'a' } });
const detachedFrom = (node: string): SeineEvent => ({ type: 'endpoint.vanished.v1', key: 'shop/a', time, data: { uid: 'a', node } });

const said = (...given: readonly SeineEvent[]): readonly string[] => {
  const decider = ipamDecider('10.244.0.0/22', 24);
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

  test('refuses blocks larger than the range', () => { expect(() => ipamDecider('10.244.0.0/24', 16)).toThrow('expected a CIDR and a block length inside it'); });
});
