import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { decideAll, type SeineEvent } from '@seine/events';

import { serviceDecider } from './service.decider.ts';

const time = '1970-01-01T00:00:00.000Z';
const service = (name: string, { address = '10.96.0.1', type = 'ClusterIP', externalIPs = [] as readonly string[], protocol = 'TCP' as 'TCP' | 'SCTP', targetPort = 8080 } = {}): SeineEvent =>
  ({ type: 'service.observed.v1', key: `shop/${name}`, time, data: { uid: name, type, clusterIPs: [address], ...(externalIPs.length === 0 ? {} : { externalIPs: [...externalIPs] }), selector: {}, ports: [{ name: '', port: 80, protocol, targetPort }] } });
const vanished = (name: string): SeineEvent => ({ type: 'service.vanished.v1', key: `shop/${name}`, time, data: { uid: name } });
const slice = (name: string, of: string, ...addresses: readonly string[]): SeineEvent => ({
  type: 'endpointslice.observed.v1', key: `shop/${name}`, time,
  data: { uid: name, service: of, addressType: 'IPv4', endpoints: [{ addresses: [...addresses], ready: true, serving: true, terminating: false }], ports: [{ name: '', port: 8080, protocol: 'TCP' }] },
});
const sliceGone = (name: string): SeineEvent => ({ type: 'endpointslice.vanished.v1', key: `shop/${name}`, time, data: { uid: name } });
const decide = (...given: readonly SeineEvent[]): readonly SeineEvent[] => decideAll(serviceDecider, serviceDecider.initialState(), given);
const backends = (...given: readonly SeineEvent[]): readonly string[] => decide(...given).map(({ type, key, data }) => `${type} ${key}${'backends' in data ? ` [${data.backends.map(({ id }) => id).join()}]` : ''}`);
const said = (...given: readonly SeineEvent[]): readonly string[] => decide(...given).map((event) =>
  `${event.type} ${event.key}${event.type === 'service.compiled.v1' ? ` [${event.data.frontends.map(({ id }) => id).join()}] ${event.data.refusals.map(({ field }) => field).join()}` : ''}`);

describe('frontends', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'the first frontend is 1', given: [service('a')], then: ['service.compiled.v1 shop/a [1] '] },
    { name: 'the same again decides nothing', given: [service('a'), service('a')], then: ['service.compiled.v1 shop/a [1] '] },
    { name: 'the first Service holds an address and a port', given: [service('a'), service('b')], then: ['service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [] spec.ports[0]'] },
    { name: 'what a Service asks for beyond its ClusterIP is refused beside it', given: [service('a', { type: 'NodePort', externalIPs: ['192.0.2.1', '192.0.2.2'] })], then: ['service.compiled.v1 shop/a [1] spec.type,spec.externalIPs[0],spec.externalIPs[1]'] },
    { name: 'SCTP is translated by address only', given: [service('a', { protocol: 'SCTP' })], then: ['service.compiled.v1 shop/a [] spec.ports[0].targetPort'] },
    { name: 'a Service that goes is removed', given: [service('a'), vanished('a')], then: ['service.compiled.v1 shop/a [1] ', 'service.removed.v1 shop/a'] },
    { name: 'who waited for a frontend has it when its Service goes, the first of them alone', given: [service('a'), service('b'), service('c'), vanished('a')], then: [
      'service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [] spec.ports[0]', 'service.compiled.v1 shop/c [] spec.ports[0]',
      'service.removed.v1 shop/a', 'service.compiled.v1 shop/b [2] ', 'service.compiled.v1 shop/c [] spec.ports[0]',
    ] },
    { name: 'who waited for a frontend has it when its Service moves', given: [service('a'), service('b'), service('a', { address: '10.96.0.2' })], then: [
      'service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [] spec.ports[0]', 'service.compiled.v1 shop/a [2] ', 'service.compiled.v1 shop/b [3] ',
    ] },
    { name: 'who waited for a frontend has it when its Service may no longer hold it', given: [service('a', { protocol: 'SCTP', targetPort: 80 }), service('b', { protocol: 'SCTP', targetPort: 80 }), service('a', { protocol: 'SCTP', targetPort: 81 })], then: [
      'service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [] spec.ports[0]', 'service.compiled.v1 shop/a [] spec.ports[0].targetPort', 'service.compiled.v1 shop/b [2] ',
    ] },
  ])('$name', ({ given, then }) => { expect(said(...given)).toEqual(then); });

  test('never belong to two Services and no id to two frontends, whatever comes; a batch decides what one by one decides', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const input = fc.oneof(fc.tuple(name, fc.constantFrom('10.96.0.1', '10.96.0.2')).map(([key, address]) => service(key, { address })), name.map(vanished));
    fc.assert(fc.property(fc.array(input, { maxLength: 30 }), (inputs) => {
      const draft = serviceDecider.initialState();
      expect(inputs.flatMap((each) => decideAll(serviceDecider, draft, [each]))).toEqual(decide(...inputs));
      const held = [...draft.compiledServices.values()].flatMap(({ frontends }) => frontends);
      expect(new Set(held.map(({ id }) => id)).size).toBe(held.length);
      expect(new Set(held.map(({ address }) => address)).size).toBe(held.length);
      const wanted = new Set([...draft.services.values()].flatMap(({ clusterIPs }) => clusterIPs));
      expect(new Set(held.map(({ address }) => address))).toEqual(wanted);
    }));
  });
});

describe('backends', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'keep their id while they move between slices', given: [slice('x', 'a', '10.244.1.2'), slice('y', 'a', '10.244.1.2'), sliceGone('x'), slice('y', 'a', '10.244.1.2', '10.244.1.3')], then: [
      'backends.compiled.v1 shop/x [1]', 'backends.compiled.v1 shop/y [1]', 'backends.removed.v1 shop/x', 'backends.compiled.v1 shop/y [1,2]',
    ] },
    { name: 'are given another id when they come back', given: [slice('x', 'a', '10.244.1.2'), sliceGone('x'), slice('x', 'a', '10.244.1.2')], then: ['backends.compiled.v1 shop/x [1]', 'backends.removed.v1 shop/x', 'backends.compiled.v1 shop/x [2]'] },
    { name: 'are listed once', given: [slice('x', 'a', '10.244.1.2', '10.244.1.2')], then: ['backends.compiled.v1 shop/x [1]'] },
    { name: 'belong to a Service', given: [slice('x', '', '10.244.1.2'), slice('y', 'a', '10.244.1.2'), slice('y', '', '10.244.1.2')], then: ['backends.compiled.v1 shop/y [1]', 'backends.removed.v1 shop/y'] },
    { name: 'of another Service have other ids', given: [slice('x', 'a', '10.244.1.2'), slice('x', 'b', '10.244.1.2'), slice('y', 'a', '10.244.1.2')], then: ['backends.compiled.v1 shop/x [1]', 'backends.compiled.v1 shop/x [2]', 'backends.compiled.v1 shop/y [3]'] },
  ])('$name', ({ given, then }) => { expect(backends(...given)).toEqual(then); });
});
