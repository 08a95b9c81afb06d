import { expect, test } from '@jest/globals';

import { WORLD } from '../fixture/world.ts';
import { evolveNode, foldNode, nodeRoutes } from './index.ts';

const state = () => foldNode(WORLD.map((event, index) => ({ seq: index + 1, events: [event] })));

test('other nodes are the way to their blocks; the own block is unreachable where no pod is', () => {
  expect(nodeRoutes('n1', state())).toEqual([{ cidr: '10.244.1.0/24', unreachable: true }, { cidr: '10.244.2.0/24', via: '192.168.50.2' }]);
});

test('a pod whose address is outside its node\'s block gets a route of its own', () => {
  const changed = state();
  evolveNode(changed, { type: 'address.bound.v1', key: '172.16.0.9', time: '', data: { identity: 302, node: 'n2', pod: 'shop/far', uid: 'uid-far' } }, 50);
  expect(nodeRoutes('n1', changed)).toContainEqual({ cidr: '172.16.0.9/32', via: '192.168.50.2' });
  expect(nodeRoutes('n2', changed)).not.toContainEqual(expect.objectContaining({ cidr: '172.16.0.9/32' }));
});

test('a node without an address is no way', () => {
  const changed = state();
  evolveNode(changed, { type: 'node.vanished.v1', key: 'n2', time: '', data: { uid: 'n2' } }, 50);
  expect(nodeRoutes('n1', changed)).toEqual([{ cidr: '10.244.1.0/24', unreachable: true }]);
});
