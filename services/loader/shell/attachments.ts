/** What should be attached where, what of it is lost, and putting it back: filters, TCX and XDP links, slots, socket programs, rows of uplinks. */
import { mapKernel, queryPrograms, type Link, type Netlink } from '@seine/kernel';
import { NO_INTERFACE, type Attachment } from '@seine/node';

import type { NodeObjects } from './objects.ts';
import { reattachStubs, FILTER_DIRECTIONS, stubsAttached } from './plumb.ts';
import type { Interface, Tcx } from './tcx.ts';
import { setUplinks, uplinkRows } from './uplinks.ts';
import type { Xdp } from './xdp.ts';

export const createAttachments = ({ netlink, objects, uplinks, tcx, xdp }: { readonly netlink: Netlink; readonly objects: NodeObjects; readonly uplinks: readonly string[]; readonly tcx: Tcx; readonly xdp: Xdp }) => {
  const placesOf = (pods: readonly string[]): readonly Pick<Interface, 'name' | 'place'>[] => [...pods.map((name) => ({ name, place: 'pod' as const })), ...uplinks.map((name) => ({ name, place: 'uplink' as const }))];
  const linksByName = (): ReadonlyMap<string, Link> => new Map(netlink.links().map((link) => [link.name, link]));

  return {
    /** @param pods host sides of the pods' wires */
    lost: (pods: readonly string[]): readonly Attachment[] => {
      const links = linksByName();
      const found: Attachment[] = [];
      for (const { name, place } of placesOf(pods)) {
        const index = links.get(name)?.index;
        for (const direction of FILTER_DIRECTIONS) {
          const want = String(objects.stub(place, direction).id);
          const have = index === undefined ? NO_INTERFACE : String(netlink.filterProgram(index, direction) ?? 'nothing');
          if (have !== want) found.push({ hook: `${name} tc ${direction}`, want: `program ${want}`, have });
        }
        if (index !== undefined) found.push(...tcx.lost({ name, index, place }));
      }
      const rows = uplinkRows(objects);
      for (const name of uplinks) {
        const link = links.get(name);
        if (link === undefined) continue;
        if (!rows.includes(link.index)) found.push({ hook: `uplink ${name}`, want: `a row for interface ${link.index}`, have: 'nothing' });
        found.push(...xdp.lost(link));
      }
      for (const { array, slot, name, id } of objects.slots) {
        const value = mapKernel.lookup(objects.map(array), Uint8Array.of(slot, 0, 0, 0));
        const have = value === undefined ? 0 : new DataView(value.buffer, value.byteOffset).getUint32(0, true);
        if (have !== id) found.push({ hook: `slot ${slot} (${name})`, want: `program ${id}`, have: have === 0 ? 'nothing' : `program ${have}` });
      }
      for (const { hook, attachType, id } of objects.socketPrograms) {
        if (queryPrograms(objects.cgroupFd, attachType)?.includes(id) !== true) found.push({ hook: `cgroup ${hook}`, want: `program ${id}`, have: 'nothing' });
      }
      return found;
    },

    /** Filters, slots and rows stand again on return; TCX links wait for RCU and follow. @returns what was put back */
    putBack: (pods: readonly string[]): readonly string[] => {
      const put = [...objects.repair(), ...setUplinks(netlink, objects, uplinks)];
      const links = linksByName();
      for (const { name, place } of placesOf(pods)) {
        const link = links.get(name);
        if (link === undefined) continue;
        const { index } = link;
        if (place === 'pod' && !stubsAttached(netlink, objects, place, index)) {
          reattachStubs(netlink, objects, place, index);
          put.push(`filters of ${name}`);
        }
        put.push(...tcx.repair({ name, index, place }), ...(place === 'uplink' ? xdp.repair(link) : []));
      }
      return put;
    },
  };
};
