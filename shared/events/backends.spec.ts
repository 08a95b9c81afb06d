import { expect, test } from '@jest/globals';
import fc from 'fast-check';

import { packBackends, unpackBackends } from './backends.ts';
import type { CompiledBackends } from './service.ts';

const port = fc.record({ portName: fc.constantFrom('', 'http', 'metrics'), port: fc.constantFrom(80, 9090), protocol: fc.constantFrom('TCP' as const, 'UDP' as const) });
const place = fc.record({ node: fc.constantFrom('n1', 'n2'), pod: fc.string(), forZones: fc.array(fc.string()), forNodes: fc.array(fc.string()) }, { requiredKeys: [] });
const endpoint = fc.record({ address: fc.ipV4(), state: fc.constantFrom('active' as const, 'terminating' as const, 'quarantined' as const), place });
const slice = fc.tuple(fc.uniqueArray(port, { minLength: 1, selector: (each) => Object.values(each).join('/') }), fc.uniqueArray(endpoint, { selector: ({ address }) => address })).map(([ports, endpoints]): CompiledBackends => ({
  service: 'shop/a', backends: endpoints.flatMap(({ address, state, place }, row) => ports.map((at, column) => ({ id: 1 + row * ports.length + column, address, ...at, state, ...place }))),
}));

test('backends are one by one again what they were', () => {
  fc.assert(fc.property(slice, (backends) => { expect(unpackBackends(packBackends(backends))).toEqual(backends); }));
});

test('what a former build wrote packs to the same bytes as what this one compiles: a compiler that starts over such a log decides nothing anew', () => {
  fc.assert(fc.property(slice, (backends) => {
    const packed = packBackends(backends);
    expect(JSON.stringify(packBackends(JSON.parse(JSON.stringify(unpackBackends(packed))) as CompiledBackends))).toBe(JSON.stringify(packed));
  }));
});

test('an endpoint that lacks a port of the others is no slice', () => {
  const backend = { protocol: 'TCP', portName: '', state: 'active' } as const;
  expect(() => packBackends({ service: 'shop/a', backends: [{ ...backend, id: 1, address: '10.0.0.1', port: 80 }, { ...backend, id: 2, address: '10.0.0.2', port: 81 }] }))
    .toThrow(expect.objectContaining({ code: 'SEINE_EVENT_MALFORMED' }));
});

test('an id without a port is no backend, nor is a port without an id', () => {
  const ports = [{ name: '', port: 80, protocol: 'TCP' }, { name: 'b', port: 81, protocol: 'TCP' }] as const;
  expect(unpackBackends({ service: 'shop/a', ports, endpoints: [{ address: '10.0.0.1', ids: [1, 2, 3] }, { address: '10.0.0.2', ids: [4] }] }).backends.map(({ id }) => id)).toEqual([1, 2, 4]);
});
