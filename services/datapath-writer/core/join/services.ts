/**
 * Rows of Services and of pods' host ports, each made anew when the Service or one of its slices changes, all when the node moves to another zone or
 * who comes from outside is answered otherwise. What would not fit is
 * counted before anything of it is written: such a Service keeps the rows that it has until there is room. Pure.
 */
import { MAPS } from '@seine/layout';
import { compareCodeUnits } from '@seine/model';

import type { NodeState } from '../fold.ts';
import { hereOf, hostPortRows, selfRows, serviceRows, type ServiceRow } from '../service.rows.ts';
import type { Dirty } from './dirty.ts';
import { packRow, PACKED_MAPS, type PackedMapName, type PackedRow } from './packed-rows.ts';
import { createRowClaims } from './row-claims.ts';
import type { RowStore } from './row-store.ts';

/** Entries that each map of Services holds at most. */
export type ServiceCapacity = Readonly<Record<PackedMapName, number>>;
export const SERVICE_CAPACITY = Object.fromEntries(PACKED_MAPS.map((map) => [map, MAPS[map].maxEntries])) as unknown as ServiceCapacity; // every map is there

/** A Service, or a pod with host ports, that did not fit, and the first map that has no room for it. */
export interface FullService {
  readonly service: string;
  readonly map: PackedMapName;
  /** entries that it needs beside those that are there */
  readonly entries: number;
  /** entries that stand, those that are about to leave too */
  readonly occupied: number;
  readonly capacity: number;
}

/** A pod that speaks of frontends, among Services' names: none of those has a space. */
const POD = 'pod ';
const podOf = (name: string): string | undefined => (name.startsWith(POD) ? name.slice(POD.length) : undefined);

export interface Services {
  readonly update: (dirty: Dirty) => void;
  readonly full: () => readonly FullService[];
}

export const createServices = (self: string, state: Readonly<NodeState>, store: RowStore, capacity: ServiceCapacity = SERVICE_CAPACITY): Services => {
  /** Two Services may speak of one frontend, one backend or one set of slots: one of them is heard. */
  const claims = createRowClaims(store.packed);
  /** In the order of their names. */
  const slicesOf = new Map<string, readonly string[]>();
  const serviceOf = new Map<string, string>();
  /** Slices in which the node itself serves. */
  const ownSlices = new Set<string>();
  /** In the order in which they came: who waits longest is tried first. */
  const full = new Map<string, FullService>();
  let former: ReturnType<typeof hereOf> | undefined;

  /** @returns the Services that a slice belonged to and belongs to */
  const fileSlice = (key: string): readonly string[] => {
    const [former, now] = [serviceOf.get(key), state.slices.get(key)?.service];
    if (former === now) return now === undefined ? [] : [now];
    if (former !== undefined) {
      const left = slicesOf.get(former)!.filter((other) => other !== key);
      if (left.length === 0) slicesOf.delete(former);
      else slicesOf.set(former, left);
    }
    if (now === undefined) serviceOf.delete(key);
    else {
      serviceOf.set(key, now);
      const known = slicesOf.get(now);
      slicesOf.set(now, known === undefined ? [key] : [...known, key].sort(compareCodeUnits));
    }
    return former === undefined ? [now!] : now === undefined ? [former] : [former, now]; // they differ
  };

  const placeSelf = (dirty: Dirty): void => {
    const own = new Set(state.nodes.get(self)?.addresses);
    for (const key of dirty.node.has(self) ? [...ownSlices, ...state.slices.keys()] : dirty.backends) {
      if (state.slices.get(key)?.backends.some(({ address }) => own.has(address)) === true) ownSlices.add(key);
      else ownSlices.delete(key);
    }
    for (const row of selfRows(state, self, ownSlices.size > 0)) store.put(row);
  };

  const withoutRoom = (service: string, rows: readonly PackedRow[]): FullService | undefined => {
    for (const map of PACKED_MAPS) {
      const packed = store.packed[map];
      const occupied = packed.occupied();
      if (occupied + rows.length <= capacity[map]) continue; // as a rule: nobody has to count
      const entries = rows.reduce((sum, row) => sum + (row.map === map && packed.isFresh(row.key) ? 1 : 0), 0);
      if (occupied + entries > capacity[map]) return { service, map, entries, occupied, capacity: capacity[map] };
    }
    return undefined;
  };

  const rowsOf = (name: string, here: ReturnType<typeof hereOf>): readonly ServiceRow[] => {
    const pod = podOf(name);
    if (pod !== undefined) {
      const hostPorts = state.hostPorts.get(pod);
      return hostPorts === undefined ? [] : hostPortRows(hostPorts, pod, here);
    }
    const service = state.services.get(name);
    if (service === undefined) return [];
    return serviceRows(service, (slicesOf.get(name) ?? []).map((key) => state.slices.get(key)!), here);
  };

  return {
    full: () => [...full.values()],
    update: (dirty) => {
      placeSelf(dirty);
      const here = hereOf(state, self);
      const touched = here.zone === former?.zone && here.lbMode === former?.lbMode ? dirty.service : new Set([...dirty.service, ...state.services.keys()]);
      former = here;
      const others = new Set<string>();
      for (const key of dirty.backends) for (const name of fileSlice(key)) if (!touched.has(name)) others.add(name);
      /* Those that wait for room come last: who has become smaller makes it. */
      const waiting = [...full.keys()];
      const place = (name: string): void => {
        const rows = rowsOf(name, here).map(packRow);
        const fault = withoutRoom(name, rows);
        if (fault === undefined) { claims.say(name, rows); full.delete(name); } else full.set(name, fault);
      };
      for (const pod of dirty.hostports) others.add(POD + pod);
      for (const names of [touched, others]) for (const name of names) if (!full.has(name)) place(name);
      for (const name of waiting) place(name);
    },
  };
};
