/** Room for Services: counted before anything is written. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { packBackends, type CompiledBackends, type CompiledService, type SeineEvent } from '@seine/events';

import { emptyNodeState, evolveNode } from '../fold.ts';
import { orderChanges } from '../order.ts';
import { emptyTables } from '../policy/index.ts';
import { createNodeJoin } from './node-join.ts';
import { MAP_CAPACITY } from './placement.ts';
import { peerEcho } from './peer-echo.ts';
import { SERVICE_CAPACITY, type ServiceCapacity } from './services.ts';

const event = (type: string, key: string, data: unknown): SeineEvent => ({ type, key, time: '', data }) as SeineEvent; // type and data are of one event
const frontendOf = (name: string): CompiledService['frontends'][number] => ({ id: 1 + name.charCodeAt(0), address: `10.96.0.${name.charCodeAt(0)}`, port: 80, protocol: 'TCP', portName: '' });
const service = (name: string, over: Partial<CompiledService> = {}): SeineEvent => event('service.compiled.v1', `shop/${name}`, { frontends: [frontendOf(name)], refusals: [], ...over });
const gone = (name: string): SeineEvent => event('service.removed.v1', `shop/${name}`, {});
type Backend = CompiledBackends['backends'][number];
const sliceOf = (name: string, backends: readonly Pick<Backend, 'id' | 'state'>[]): SeineEvent => event('backends.compiled.v2', `shop/${name}-x`, packBackends({
  service: `shop/${name}`, backends: backends.map(({ id, state }) => ({ id, address: `10.244.1.${id}`, port: 80, protocol: 'TCP', portName: '', state })),
}));
const slice = (name: string, ...ids: readonly number[]): SeineEvent => sliceOf(name, ids.map((id) => ({ id, state: 'active' })));

/** A mind, and maps that its steps are made in: none of them may hold more than it can, at any time. */
const open = (capacity: Partial<ServiceCapacity>) => {
  const room = { ...SERVICE_CAPACITY, ...capacity };
  const state = emptyNodeState();
  const join = createNodeJoin('n1', state, emptyTables(), MAP_CAPACITY, room);
  const kernel = new Map<string, Set<string>>();
  const held = (map: string): Set<string> => { const keys = kernel.get(map) ?? new Set<string>(); kernel.set(map, keys); return keys; };
  let most = true;
  /** @returns what was done, in order: `upsert sn_slot_02 2`, `grace`, … */
  const pass = (...events: readonly SeineEvent[]): readonly string[] => {
    for (const each of events) { evolveNode(state, each, 1); join.note(each); }
    join.update([]);
    const done: string[] = [];
    for (const step of orderChanges(join.changes(), join.rows, peerEcho).steps) {
      done.push(step.step === 'upsert' ? `upsert ${step.map} ${step.rows.length}` : step.step === 'delete' ? `delete ${step.map} ${step.keys.length}` : step.step);
      if (step.step === 'upsert') for (const { key } of step.rows) held(step.map).add(JSON.stringify(key));
      if (step.step === 'delete') for (const key of step.keys) held(step.map).delete(JSON.stringify(key));
      for (const [map, keys] of kernel) most &&= keys.size <= (room[map as keyof ServiceCapacity] ?? Infinity);
    }
    join.settle();
    return done;
  };
  return {
    pass,
    full: () => join.fullServices(),
    /** address of a frontend → backends */
    served: () => [...join.rows.get('sn_frontend_02')!.values()].map(({ key, value }) => `${key['address']} → ${value['count']}`),
    neverTooMuch: () => most,
    sizes: () => [...kernel].filter(([map]) => Object.hasOwn(SERVICE_CAPACITY, map)).map(([map, keys]) => [map, keys.size, join.rows.get(map as keyof ServiceCapacity)!.size] as const),
  };
};

test('a backend is drained, then taken out; what pointed to it is gone a grace period after nobody is sent there, and itself a grace period after it is taken out', () => {
  const node = open({});
  node.pass(service('a'), sliceOf('a', [{ id: 1, state: 'active' }, { id: 2, state: 'active' }]));
  expect(node.pass(sliceOf('a', [{ id: 1, state: 'terminating' }, { id: 2, state: 'active' }]))).toEqual(['upsert sn_slot_02 1', 'upsert sn_frontend_02 1', 'grace', 'delete sn_slot_02 2']);
  expect(node.pass(slice('a', 2))).toEqual(['grace', 'delete sn_backend_01 1']);
});

describe('a Service that does not fit', () => {
  test('is not there at all, and is named with what it needs', () => {
    const node = open({ sn_backend_01: 3 });
    node.pass(service('a'), slice('a', 1, 2), service('b'), slice('b', 3, 4));
    expect(node.served()).toEqual(['10.96.0.97 → 2']);
    expect(node.full()).toEqual([{ service: 'shop/b', map: 'sn_backend_01', entries: 2, occupied: 2, capacity: 3 }]);
  });
  test('keeps the rows that it has when it grows', () => {
    const node = open({ sn_slot_02: 4 });
    node.pass(service('a'), slice('a', 1, 2));
    node.pass(slice('a', 1, 2, 3));
    expect(node.served()).toEqual(['10.96.0.97 → 2']);
    expect(node.full()).toMatchObject([{ service: 'shop/a', map: 'sn_slot_02', entries: 3, occupied: 2 }]);
  });
  test('is told by its Maglev table', () => {
    const node = open({ sn_slot_02: 8000 });
    node.pass(service('a', { maglev: true }), slice('a', 1), service('b', { maglev: true }), slice('b', 2));
    expect(node.full()).toEqual([{ service: 'shop/b', map: 'sn_slot_02', entries: 4093, occupied: 4093, capacity: 8000 }]);
  });
  test('has its rows once another has left, and what left has gone', () => {
    const node = open({ sn_backend_01: 2 });
    node.pass(service('a'), slice('a', 1, 2), service('b'), slice('b', 3));
    node.pass(gone('a'), slice('a'));
    expect(node.full().map(({ service: name }) => name)).toEqual(['shop/b']); // what leaves stands until the end of the pass
    node.pass();
    expect([node.full(), node.served()]).toEqual([[], ['10.96.0.98 → 1']]);
  });
  test('is forgotten when it goes', () => {
    const node = open({ sn_frontend_02: 1 });
    node.pass(service('a'), service('b'));
    node.pass(gone('b'));
    expect([node.full(), node.served()]).toEqual([[], ['10.96.0.97 → 0']]);
  });
});

test('whatever comes, no map is ever asked to hold more than it can, and it holds what the mind says', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const input = fc.oneof(
    fc.tuple(name, fc.boolean()).map(([key, affinity]) => service(key, affinity ? { affinityS: 60 } : {})), name.map(gone),
    fc.tuple(name, fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 5 })).map(([key, ids]) => slice(key, ...ids.map((id) => (key.charCodeAt(0) - 97) * 10 + id))),
  );
  fc.assert(fc.property(fc.array(fc.array(input, { maxLength: 4 }), { maxLength: 20 }), (passes) => {
    const node = open({ sn_backend_01: 8, sn_slot_02: 10, sn_frontend_02: 3 });
    for (const events of passes) node.pass(...events);
    expect(node.neverTooMuch()).toBe(true);
    for (const [map, kernel, mind] of node.sizes()) expect([map, kernel]).toEqual([map, mind]);
  }));
});
