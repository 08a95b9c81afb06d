import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { decideAll, type SeineEvent } from '@seine/events';
import { CLUSTER_IDENTITY_MAX, CLUSTER_IDENTITY_MIN, labelSetKey } from '@seine/model';

import { identityDecider } from './identity.decider.ts';
import { podLabelSet } from './label-filter.ts';

const at = (hours: number): string => new Date(hours * 3_600_000).toISOString();
const namespace: SeineEvent = { type: 'namespace.observed.v1', key: 'shop', time: at(0), data: { uid: 'ns', labels: {} } };
const node: SeineEvent = { type: 'node.observed.v1', key: 'n1', time: at(0), data: { uid: 'n1', labels: {}, addresses: ['192.168.50.1'] } };
const pod = (name: string, app: string): SeineEvent => ({
  type: 'pod.observed.v1', key: `shop/${name}`, time: at(0),
  data: { uid: name, nodeName: 'n1', labels: { app }, serviceAccount: 'default', hostNetwork: false, addresses: [], phase: 'running', ports: [] },
});
const gone = (name: string, hours = 0): SeineEvent => ({ type: 'pod.vanished.v1', key: `shop/${name}`, time: at(hours), data: { uid: name } });
const finished = (name: string): SeineEvent => { const event = pod(name, 'web'); return { ...event, data: { ...event.data, phase: 'finished' } } as SeineEvent; }; // another phase of the same pod
const attached = (name: string, address: string): SeineEvent => ({ type: 'endpoint.observed.v1', key: `shop/${name}`, time: at(0), data: { uid: name, node: 'n1', addresses: [address], endpointId: 1, hostInterface: `sn${name}`, containerId: name } });
const position = (on: string, hours: number, complete: number): SeineEvent => ({ type: 'nodeposition.observed.v1', key: on, time: at(hours), data: { complete, bootId: 'b' } });
const second: SeineEvent = { type: 'node.observed.v1', key: 'n2', time: at(0), data: { uid: 'n2', labels: {}, addresses: ['192.168.50.2'] } };
const decided = (...inputs: readonly SeineEvent[]) => decideAll(identityDecider, identityDecider.initialState(), [namespace, node, ...inputs]);
const said = (events: readonly SeineEvent[]): readonly string[] => events.map(({ type, key, data }) => `${type.split('.').slice(0, 2).join('.')} ${key}${'identity' in data ? ` ${String(data.identity)}` : ''}`);

describe('label sets and their numbers', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'the first label set is 256', given: [pod('a', 'web')], then: ['identity.allocated 256 256', 'podidentity.assigned shop/a 256'] },
    { name: 'pods with the same labels share a number', given: [pod('a', 'web'), pod('b', 'web')], then: ['identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'podidentity.assigned shop/b 256'] },
    { name: 'other labels are another number', given: [pod('a', 'web'), pod('b', 'db')], then: ['identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'identity.allocated 257 257', 'podidentity.assigned shop/b 257'] },
    { name: 'the same pod again decides nothing', given: [pod('a', 'web'), pod('a', 'web')], then: ['identity.allocated 256 256', 'podidentity.assigned shop/a 256'] },
    { name: 'a pod with new labels moves, and the former number retires', given: [pod('a', 'web'), pod('a', 'db')], then: ['identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'identity.allocated 257 257', 'podidentity.assigned shop/a 257', 'identity.retired 256 256'] },
    { name: 'the last pod retires its number', given: [pod('a', 'web'), gone('a')], then: ['identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'podidentity.removed shop/a', 'identity.retired 256 256'] },
    { name: 'a retired number comes back with its labels', given: [pod('a', 'web'), gone('a'), pod('b', 'web')], then: ['identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'podidentity.removed shop/a', 'identity.retired 256 256', 'identity.allocated 256 256', 'podidentity.assigned shop/b 256'] },
    { name: 'a pod that has finished leaves its number', given: [pod('a', 'web'), finished('a')], then: ['identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'podidentity.removed shop/a', 'identity.retired 256 256'] },
    { name: 'an address is bound with its attachment, and moves with the labels', given: [pod('a', 'web'), attached('a', '10.244.1.2'), pod('a', 'db'), gone('a')], then: [
      'identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'address.bound 10.244.1.2 256', 'identity.allocated 257 257', 'podidentity.assigned shop/a 257', 'address.bound 10.244.1.2 257', 'identity.retired 256 256',
      'podidentity.removed shop/a', 'address.unbound 10.244.1.2', 'identity.retired 257 257',
    ] },
    { name: 'an address falls back to the pod that still has it, when who took it is gone', given: [pod('a', 'web'), pod('b', 'web'), attached('a', '10.244.1.2'), attached('b', '10.244.1.2'), gone('b')], then: [
      'identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'podidentity.assigned shop/b 256', 'address.bound 10.244.1.2 256', 'address.bound 10.244.1.2 256', 'podidentity.removed shop/b', 'address.bound 10.244.1.2 256',
    ] },
    { name: 'an address does not fall back to a pod that has finished', given: [pod('a', 'web'), pod('b', 'web'), attached('a', '10.244.1.2'), finished('a'), attached('b', '10.244.1.2'), gone('b')], then: [
      'identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'podidentity.assigned shop/b 256', 'address.bound 10.244.1.2 256', 'podidentity.removed shop/a', 'address.unbound 10.244.1.2', 'address.bound 10.244.1.2 256',
      'podidentity.removed shop/b', 'address.unbound 10.244.1.2', 'identity.retired 256 256',
    ] },
    { name: 'an address that another pod has taken stays with it', given: [pod('a', 'web'), pod('b', 'web'), attached('a', '10.244.1.2'), attached('b', '10.244.1.2'), gone('a')], then: [
      'identity.allocated 256 256', 'podidentity.assigned shop/a 256', 'podidentity.assigned shop/b 256', 'address.bound 10.244.1.2 256', 'address.bound 10.244.1.2 256', 'podidentity.removed shop/a',
    ] },
  ])('$name', ({ given, then }) => { expect(said(decided(...given))).toEqual(then); });

  test.each<{ name: string; given: readonly SeineEvent[]; freed: boolean }>([
    { name: 'an hour and every node past it free a number', given: [position('n1', 2, 100), position('n2', 2, 100)], freed: true },
    { name: 'less than an hour frees nothing', given: [position('n1', 0.9, 100), position('n2', 0.9, 100)], freed: false },
    { name: 'a node that says nothing holds the number back', given: [position('n1', 2, 100)], freed: false },
    { name: 'a node that comes back and is behind holds the number back', given: [position('n1', 2, 100), position('n2', 2, 50), position('n2', 3, 99)], freed: false },
    { name: 'a node that has caught up lets it go', given: [position('n1', 2, 100), position('n2', 2, 50), position('n2', 3, 101)], freed: true },
  ])('$name', ({ given, freed }) => {
    expect(decided(second, pod('a', 'web'), gone('a'), ...given).some(({ type }) => type === 'identity.freed.v1')).toBe(freed);
  });

  test('a number that was revived is not freed', () => {
    expect(said(decided(pod('a', 'web'), gone('a'), pod('b', 'web'), position('n1', 2, 100)))).not.toContain('identity.freed 256 256');
  });

  test('two label sets never share a number, and who has none waits until one is freed', () => {
    const draft = identityDecider.initialState();
    const all = CLUSTER_IDENTITY_MAX - CLUSTER_IDENTITY_MIN + 1;
    const events = decideAll(identityDecider, draft, [namespace, node, ...Array.from({ length: all }, (_, index) => pod(`p${index}`, `a${index}`))]);
    const numbers = events.flatMap((event) => (event.type === 'identity.allocated.v1' ? event.data.identity : []));
    expect([new Set(numbers).size, Math.min(...numbers), Math.max(...numbers)]).toEqual([all, CLUSTER_IDENTITY_MIN, CLUSTER_IDENTITY_MAX]);
    expect(decideAll(identityDecider, draft, [pod('late', 'new'), pod('later', 'new')])).toEqual([]);
    expect([...draft.waiting]).toEqual(['shop/late', 'shop/later']);
    expect(said(decideAll(identityDecider, draft, [gone('p7'), position('n1', 2, 100)]))).toEqual([
      'podidentity.removed shop/p7', 'identity.retired 263 263', 'identity.freed 263 263', 'identity.allocated 263 263', 'podidentity.assigned shop/late 263', 'podidentity.assigned shop/later 263',
    ]);
    expect([...draft.waiting]).toEqual([]);
  });

  test('whatever comes, a number in use has one label set, and each pod has the number of its labels', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const input = fc.oneof(
      fc.tuple(name, fc.constantFrom('web', 'db', 'cache')).map(([key, app]) => pod(key, app)), name.map(finished), name.map((key) => gone(key)),
      fc.tuple(name, fc.constantFrom('10.244.1.2', '10.244.1.3')).map(([key, address]) => attached(key, address)), fc.nat(9).map((hours) => position('n1', hours, hours)),
    );
    fc.assert(fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
      const draft = identityDecider.initialState();
      const facts = [namespace, node, ...inputs];
      expect(facts.flatMap((each) => decideAll(identityDecider, draft, [each]))).toEqual(decideAll(identityDecider, identityDecider.initialState(), facts));
      const labels = [...draft.identities.values()].map((allocated) => labelSetKey(allocated.labels));
      expect(new Set(labels).size).toBe(labels.length);
      for (const [key, data] of draft.pods) {
        const { identity } = draft.assigned.get(key) ?? {};
        expect(identity === undefined ? undefined : draft.identities.get(identity)?.labels).toEqual(data.phase === 'finished' ? undefined : podLabelSet('shop', data, {}));
      }
      for (const { pod: key, identity } of draft.bound.values()) expect(draft.assigned.get(key)?.identity).toBe(identity);
    }));
  });

  test('a batch decides what one by one decides', () => {
    const inputs = [namespace, node, pod('a', 'web'), pod('b', 'db'), pod('a', 'db'), gone('b'), pod('c', 'web')];
    const draft = identityDecider.initialState();
    expect(inputs.flatMap((input) => decideAll(identityDecider, draft, [input]))).toEqual(decideAll(identityDecider, identityDecider.initialState(), inputs));
  });
});
