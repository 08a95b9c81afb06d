import { describe, expect, test } from '@jest/globals';

import { packBackends, type CompiledBackends, type SeineEvent } from '@seine/events';

import { foldNode } from './replay.ts';
import { healthChecks } from './health.ts';

const event = (type: string, key: string, data: unknown): SeineEvent => ({ type, key, time: '', data }) as SeineEvent; // type and data are of one event
const service = (name: string, over: object = {}): SeineEvent => event('service.compiled.v1', `shop/${name}`, {
  frontends: [{ id: 1, address: '10.96.0.1', port: 80, protocol: 'TCP', portName: '' }, { id: 2, address: '0.0.0.0', port: 30080, protocol: 'TCP', portName: '', kind: 'nodePort' }],
  refusals: [], externalLocal: true, healthCheckNodePort: 31000, ...over,
});
const backends = (name: string, ...states: readonly (readonly [string, CompiledBackends['backends'][number]['state']])[]): SeineEvent => event('backends.compiled.v2', `shop/${name}-x`, packBackends({
  service: `shop/${name}`, backends: states.map(([node, state], index) => ({ id: index + 1, address: `10.244.1.${index + 1}`, port: 80, protocol: 'TCP', portName: '', state, node })),
}));
const told = (...events: readonly SeineEvent[]): readonly unknown[] => [...healthChecks(foldNode(events.map((each, index) => ({ seq: index + 1, events: [each] }))), 'n1')];

describe('a health-check node port', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly unknown[] }>([
    { name: 'tells how many of the node\'s own backends are active', given: [service('a'), backends('a', ['n1', 'active'], ['n1', 'active'], ['n2', 'active'])], then: [[31000, { namespace: 'shop', name: 'a', localEndpoints: 2 }]] },
    { name: 'tells none where all are elsewhere', given: [service('a'), backends('a', ['n2', 'active'])], then: [[31000, { namespace: 'shop', name: 'a', localEndpoints: 0 }]] },
    { name: 'tells none where the node\'s own only end, though they still serve', given: [service('a'), backends('a', ['n1', 'terminating'])], then: [[31000, { namespace: 'shop', name: 'a', localEndpoints: 0 }]] },
    { name: 'is not there for a Service that any node serves', given: [service('a', { externalLocal: undefined }), backends('a', ['n1', 'active'])], then: [] },
    { name: 'of two Services is the first one\'s', given: [service('b'), service('a')], then: [[31000, { namespace: 'shop', name: 'a', localEndpoints: 0 }]] },
  ])('$name', ({ given, then }) => { expect(told(...given)).toEqual(then); });
});
