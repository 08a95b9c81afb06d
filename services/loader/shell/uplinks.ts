/** The node's uplinks: programs on them, and the rows by which pods' programs know that they may send straight out of them. */
import { filterDelete, mapKernel, updateOne, type Netlink } from '@seine/kernel';
import { decodeAll, encode, MAPS } from '@seine/layout';

import type { NodeObjects } from './objects.ts';
import { reattachStubs, stubsAttached } from './plumb.ts';

const ATTACHED = 1;

/** Interface indexes that the programs send out of. */
export const uplinkRows = (objects: NodeObjects): readonly number[] => {
  const { keys, count } = mapKernel.dump(objects.map('sn_uplink_01'));
  return decodeAll(MAPS.sn_uplink_01.key, keys, count).map(({ value }) => value);
};

/**
 * Programs before the row: a packet goes out past the stack only where its answer is met. What is no uplink any more loses its row first.
 * @returns what was put back or taken off
 */
export const setUplinks = (netlink: Netlink, objects: NodeObjects, names: readonly string[]): readonly string[] => {
  const { key, value } = MAPS.sn_uplink_01;
  const map = objects.map('sn_uplink_01');
  const links = netlink.links();
  const uplinks = links.filter(({ name }) => names.includes(name));
  const had = uplinkRows(objects);
  const changed: string[] = [];
  for (const index of had.filter((row) => !uplinks.some((link) => link.index === row))) {
    mapKernel.deleteBatch(map, encode(key, { value: index }), 1);
    const link = links.find((each) => each.index === index);
    if (link !== undefined) netlink.transact([filterDelete(index, 'ingress'), filterDelete(index, 'egress')]);
    changed.push(`uplink ${link?.name ?? index}, no more`);
  }
  for (const { index, name } of uplinks) {
    if (!stubsAttached(netlink, objects, 'uplink', index)) {
      reattachStubs(netlink, objects, 'uplink', index);
      changed.push(`filters of ${name}`);
    }
    if (had.includes(index)) continue;
    updateOne(map, encode(key, { value: index }), encode(value, { value: ATTACHED }));
    changed.push(`uplink ${name}`);
  }
  return changed;
};
