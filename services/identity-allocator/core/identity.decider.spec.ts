import { describe, expect, test } from '@jest/globals';

import { decideAll, type SeineEvent } from '@seine/events';

import { identityDecider } from './identity.decider.ts';

const at = (hours: number): string => new Date(hours * 3_600_000).toISOString();
const namespace: SeineEvent = { type: 'namespace.observed.v1', key: 'shop', time: at(0), data: { uid: 'ns', labels: {} } };
const node: SeineEvent = { type: 'node.observed.v1', key: 'n1', time: at(0), data: { uid: 'n1', labels: {}, addresses: ['192.168.50.1'] } };
const pod = (name: string, app: string): SeineEvent => ({
  type: 'pod.observed.v1', key: `shop/${name}`, time: at(0),
  data: { uid: name, nodeName: 'n1', labels: { app }, serviceAccount: 'default', hostNetwork: false, addresses: [], phase: 'running', ports: [] },
});
const gone = (name: string, hours = 0): SeineEvent => ({ type: 'pod.vanished.v1', key: `shop/${name}`, time: at(hours), data: { uid: name } });
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
  ])('$name', ({ given, then }) => { expect(said(decided(...given))).toEqual(then); });

  test('a batch decides what one by one decides', () => {
    const inputs = [namespace, node, pod('a', 'web'), pod('b', 'db'), pod('a', 'db'), gone('b'), pod('c', 'web')];
    const draft = identityDecider.initialState();
    expect(inputs.flatMap((input) => decideAll(identityDecider, draft, [input]))).toEqual(decideAll(identityDecider, identityDecider.initialState(), inputs));
  });
});
