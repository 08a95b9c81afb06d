/** Rows of Services, each made anew when the Service or one of its slices changes, all when the node moves to another zone. Pure. */
import type { FoldedMapName } from '@seine/layout';
import { compareCodeUnits } from '@seine/model';

import type { DesiredRow } from '../desired.ts';
import type { NodeState } from '../fold.ts';
import { entryOf, keyText } from '../order.ts';
import { hereOf, selfRows, serviceRows } from '../service.rows.ts';
import { createClaims } from './claims.ts';
import type { Dirty } from './dirty.ts';
import type { RowStore } from './row-store.ts';

export const createServices = (self: string, state: Readonly<NodeState>, store: RowStore) => {
  /** Two Services may speak of one frontend, one backend or one set of slots: one of them is heard. */
  const claims = createClaims<DesiredRow>();
  const slicesOf = new Map<string, Set<string>>();
  const serviceOf = new Map<string, string>();
  /** Slices in which the node itself serves. */
  const ownSlices = new Set<string>();
  let zone: string | undefined;

  /** @returns the Services that a slice belonged to and belongs to */
  const fileSlice = (key: string): readonly string[] => {
    const [former, now] = [serviceOf.get(key), state.slices.get(key)?.service];
    if (former !== undefined && former !== now) {
      slicesOf.get(former)!.delete(key);
      if (slicesOf.get(former)!.size === 0) slicesOf.delete(former);
    }
    if (now === undefined) serviceOf.delete(key);
    else {
      serviceOf.set(key, now);
      slicesOf.set(now, (slicesOf.get(now) ?? new Set()).add(key));
    }
    return [former, now].filter((name) => name !== undefined);
  };

  const placeSelf = (dirty: Dirty): void => {
    const own = new Set(state.nodes.get(self)?.addresses);
    for (const key of dirty.node.has(self) ? [...ownSlices, ...state.slices.keys()] : dirty.backends) {
      if (state.slices.get(key)?.backends.some(({ address }) => own.has(address)) === true) ownSlices.add(key);
      else ownSlices.delete(key);
    }
    for (const row of selfRows(state, self, ownSlices.size > 0)) store.put(row);
  };

  return {
    update: (dirty: Dirty): void => {
      placeSelf(dirty);
      const here = hereOf(state, self);
      const touched = new Set(here.zone === zone ? dirty.service : [...dirty.service, ...state.services.keys()]);
      zone = here.zone;
      for (const key of dirty.backends) for (const name of fileSlice(key)) touched.add(name);
      for (const name of touched) {
        const service = state.services.get(name);
        const slices = [...slicesOf.get(name) ?? []].sort(compareCodeUnits).map((key) => state.slices.get(key)!);
        const rows = service === undefined ? [] : serviceRows(service, slices, here);
        for (const key of claims.say(name, new Map(rows.map((row) => [`${row.map} ${keyText(entryOf(row).key)}`, row])))) {
          const row = claims.heard(key);
          const space = key.indexOf(' ');
          if (row === undefined) store.remove(key.slice(0, space) as FoldedMapName, key.slice(space + 1)); // as written above
          else store.put(row);
        }
      }
    },
  };
};
