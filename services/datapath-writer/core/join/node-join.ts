/**
 * The rows of a node, kept as its state changes: a batch of events costs what it changes, not what there is.
 *
 *   events ──► dirty keys ──► parties ──► policies ──► rows ──► what changed
 *                         └─► Services, masquerade ──┘
 *
 * From scratch is the same with everything dirty: there is one way to make rows. Owns its rows; asks nobody; pure.
 */
import type { SeineEvent } from '@seine/events';
import type { LocalEndpoint } from '@seine/node';

import type { NodeState } from '../fold.ts';
import type { Changes, Rows } from '../order.ts';
import { shapeRows, type Tables } from '../policy/index.ts';
import { clean, noDirt, soil, soilAll } from './dirty.ts';
import { createHolds } from './holds.ts';
import { createMasquerade } from './masquerade.ts';
import { createParties } from './parties.ts';
import { MAP_CAPACITY, type Capacity, type FullSubject } from './placement.ts';
import { createPolicyJoin } from './policy-join.ts';
import { createRowStore } from './row-store.ts';
import { createServices, SERVICE_CAPACITY, type FullService, type ServiceCapacity } from './services.ts';

export interface NodeJoin {
  /** An event that was folded into the state. */
  readonly note: (event: Pick<SeineEvent, 'type' | 'key'>) => void;
  /** @param local the node's own endpoints as they are now. @throws SEINE_NUMBERS_EXHAUSTED, after which the join is of no more use */
  readonly update: (local: Iterable<LocalEndpoint>) => { readonly routes: boolean };
  /** As of the last update; not to be kept. */
  readonly rows: Rows;
  /** Since the last `settle`. */
  readonly changes: () => Changes;
  /** The kernel holds these rows: numbers that nothing refers to any more are free. */
  readonly settle: () => void;
  readonly full: () => readonly FullSubject[];
  readonly fullServices: () => readonly FullService[];
}

/** @param state folded by the caller, who notes each event; everything in it is dirty at first */
export const createNodeJoin = (self: string, state: Readonly<NodeState>, tables: Tables, capacity: Capacity = MAP_CAPACITY, serviceCapacity: ServiceCapacity = SERVICE_CAPACITY): NodeJoin => {
  const store = createRowStore();
  const holds = createHolds(tables);
  const parties = createParties(self, state, holds, store);
  const services = createServices(self, state, store, serviceCapacity);
  const masquerade = createMasquerade(state, store);
  const policies = createPolicyJoin(state, parties, holds, store, capacity);
  const dirty = noDirt();
  soilAll(dirty, state);
  for (const row of shapeRows()) store.put(row);
  return {
    note: (event) => { soil(dirty, event); },
    update: (local) => {
      const changes = parties.update(dirty, local);
      services.update(dirty);
      masquerade.update(dirty);
      policies.update(dirty, changes);
      clean(dirty);
      return { routes: changes.routes };
    },
    rows: store.rows,
    changes: store.changes,
    settle: () => { store.settle(); holds.settle(); },
    full: policies.full,
    fullServices: services.full,
  };
};
