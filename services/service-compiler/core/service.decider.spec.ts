import { describe, expect, test } from '@jest/globals';

import { decideAll, type SeineEvent } from '@seine/events';

import { serviceDecider } from './service.decider.ts';

const time = '1970-01-01T00:00:00.000Z';
const service = (name: string, { address = '10.96.0.1', type = 'ClusterIP' as const, protocol = 'TCP' as 'TCP' | 'SCTP', targetPort = 8080 } = {}): SeineEvent =>
  ({ type: 'service.observed.v1', key: `shop/${name}`, time, data: { uid: name, type, clusterIPs: [address], selector: {}, ports: [{ name: '', port: 80, protocol, targetPort }] } });
const said = (...given: readonly SeineEvent[]): readonly string[] => decideAll(serviceDecider, serviceDecider.initialState(), given).map((event) =>
  `${event.type} ${event.key}${event.type === 'service.compiled.v1' ? ` [${event.data.frontends.map(({ id }) => id).join()}] ${event.data.refusals.map(({ field }) => field).join()}` : ''}`);

describe('frontends', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'the first frontend is 1', given: [service('a')], then: ['service.compiled.v1 shop/a [1] '] },
    { name: 'the same again decides nothing', given: [service('a'), service('a')], then: ['service.compiled.v1 shop/a [1] '] },
    { name: 'the first Service holds an address and a port', given: [service('a'), service('b')], then: ['service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [] spec.ports[0]'] },
    { name: 'SCTP is translated by address only', given: [service('a', { protocol: 'SCTP' })], then: ['service.compiled.v1 shop/a [] spec.ports[0].targetPort'] },
    { name: 'a Service that goes is removed', given: [service('a'), { type: 'service.vanished.v1', key: 'shop/a', time, data: { uid: 'a' } }], then: ['service.compiled.v1 shop/a [1] ', 'service.removed.v1 shop/a'] },
  ])('$name', ({ given, then }) => { expect(said(...given)).toEqual(then); });
});
