/** What should be attached where, what of it is lost, and putting it back: filters, TCX links, slots, socket programs, rows of uplinks. */
import { mapKernel, queryPrograms, type Netlink } from '@seine/kernel';
import { NO_INTERFACE, type Attachment } from '@seine/node';

import type { NodeObjects } from './objects.ts';
import { reattachStubs, FILTER_DIRECTIONS, stubsAttached } from './plumb.ts';
import type { Interface, Tcx } from './tcx.ts';
import { setUplinks, uplinkRows } from './uplinks.ts';

export const createAttachments = ({ netlink, objects, uplinks, tcx }: { readonly netlink: Netlink; readonly objects: NodeObjects; readonly uplinks: readonly string[]; readonly tcx: Tcx }) => {
  const placesOf = (pods: readonly string[]): readonly Pick<Interface, 'name' | 'place'>[] => [...pods.map((name) => ({ name, place: 'pod' as const })), ...uplinks.map((name) => ({ name, place: 'uplink' as const }))];
  const indexes = (): ReadonlyMap<string, number> => new Map(netlink.links().map((link) => [link.name, link.index]));

  return {
    /** @param pods host sides of the pods' wires */
    lost: (pods: readonly string[]): readonly Attachment[] => {
      const links = indexes();
      const found: Attachment[] = [];
      for (const { name, place } of placesOf(pods)) {
        const index = links.get(name);
        for (const direction of FILTER_DIRECTIONS) {
          const want = String(objects.stub(place, direction).id);
          const have = index === undefined ? NO_INTERFACE : String(netlink.filterProgram(index, direction) ?? 'nothing');
          if (have !== want) found.push({ hook: `${name} tc ${direction}`, want: `program ${want}`, have });
        }
        if (index !== undefined) found.push(...tcx.lost({ name, index, place }));
      }
      const rows = uplinkRows(objects);
      for (const name of uplinks) {
        const index = links.get(name);
        if (index !== undefined && !rows.includes(index)) found.push({ hook: `uplink ${name}`, want: `a row for interface ${index}`, have: 'nothing' });
      }
      for (const { slot, name, id } of objects.slots) {
        const value = mapKernel.lookup(objects.map('sn_progs_03'), Uint8Array.of(slot, 0, 0, 0));
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
      const links = indexes();
      for (const { name, place } of placesOf(pods)) {
        const index = links.get(name);
        if (index === undefined) continue;
        if (place === 'pod' && !stubsAttached(netlink, objects, place, index)) {
          reattachStubs(netlink, objects, place, index);
          put.push(`filters of ${name}`);
        }
        put.push(...tcx.repair({ name, index, place }));
      }
      return put;
    },
  };
};
