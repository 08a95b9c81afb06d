import { describe, expect, test } from '@jest/globals';

import { unkindly } from '@seine/testkit';

import { aggregateOf, WORLD } from '../fixture/world.ts';
import { emptyNodeState, evolveNode, foldNode, originKey, replayNode } from './index.ts';

const commits = (events: typeof WORLD) => events.map((event, index) => ({ seq: index + 1, events: [event] }));
const entriesOf = (events: typeof WORLD, node = 'n1') => replayNode(node, foldNode(commits(events)), 1).dump.entries;

describe('the fold of a node', () => {
  const written = entriesOf(WORLD);
  test.each(Object.entries(unkindly(WORLD, aggregateOf)))('gives the same rows for facts delivered %s', (_, events) => {
    expect(entriesOf(events)).toEqual(written);
  });

  test('leaves nothing but nodes, their own addresses and shapes when everything is gone', () => {
    const state = foldNode(commits(WORLD));
    const gone = [
      ['endpoint.vanished.v1', 'shop/web', { uid: 'uid-web', node: 'n1' }], ['endpoint.vanished.v1', 'shop/db', { uid: 'uid-db', node: 'n1' }], ['endpoint.vanished.v1', 'shop/far', { uid: 'uid-far', node: 'n2' }],
      ['address.unbound.v1', '10.244.1.10', {}], ['address.unbound.v1', '10.244.1.20', {}], ['address.unbound.v1', '10.244.2.30', {}],
      ['policy.removed.v1', 'NetworkPolicy/shop/db-access', {}], ['policy.removed.v1', 'NetworkPolicy/shop/web-out', {}],
      ['service.removed.v1', 'shop/db', {}], ['backends.removed.v1', 'shop/db-1', {}], ['backends.removed.v1', 'shop/db-2', {}],
      ['podcidr.released.v1', 'n1', { node: 'n1' }], ['podcidr.released.v1', 'n2', { node: 'n2' }],
    ] as const;
    for (const [type, key, data] of gone) evolveNode(state, { type, key, time: '', data } as never, 99);
    const maps = new Set(replayNode('n1', state, 99).dump.entries.map(({ map }) => map));
    expect([...maps]).toEqual(['sn_ipcache_01', 'sn_self_01', 'sn_shape_01']);
    expect(state.origins.has(originKey('endpoint', 'shop/web'))).toBe(false);
  });

  test('gives no subject a policy before every policy kind is compiled', () => {
    const unlisted = WORLD.filter(({ type, key }) => !(type === 'policykind.compiled.v1' && key === 'NetworkPolicy'));
    const entries = entriesOf(unlisted);
    expect(entries.filter(({ map }) => map === 'sn_endpoint_01')).toHaveLength(2);
    expect(entries.filter(({ map }) => map === 'sn_subject_01')).toEqual([]);
  });

  test('gives an endpoint no row before its own uid has an identity', () => {
    const other = WORLD.map((event) => (event.type === 'podidentity.assigned.v1' && event.key === 'shop/web' ? { ...event, data: { uid: 'former', identity: 300 } } : event));
    expect(entriesOf(other).filter(({ map }) => map === 'sn_endpoint_01').map(({ key }) => key)).toEqual(['address=10.244.1.20']);
  });

  test('ignores what is not its business', () => {
    const state = emptyNodeState();
    evolveNode(state, { type: 'namespace.observed.v1', key: 'shop', time: '', data: { uid: 'u', labels: {} } }, 1);
    expect(state.pods.size).toBe(0);
  });
});
