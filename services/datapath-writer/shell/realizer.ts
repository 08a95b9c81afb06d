/** Brings the node's maps to what its state says: only what changed, in order; all of it compared where nobody knows what the maps hold. */
import { FOLDED_MAPS, type MapName } from '@seine/layout';
import type { SeineEvent } from '@seine/events';
import type { LocalEndpoint, MapEntry, NodeRoute, PersistentUnix } from '@seine/node';
import { dropReasonName } from '@seine/model';
import type { Logger } from '@seine/role';

import { changesBetween, createNodeJoin, nodeRoutes, orderChanges, orderSteps, peerEcho, rowsByMap, type Change, type DesiredRow, type FullService, type FullSubject, type NodeJoin, type NodeState, type Ordered, type Rows, type Tables } from '../core/index.ts';
import type { Store } from './store.ts';

export interface RealizerPorts {
  readonly node: string;
  readonly loader: PersistentUnix;
  readonly store: Store;
  readonly log: Logger;
}

/** @param state folded by the caller, who notes each event that it folds */
export const createRealizer = ({ node, loader, store, log }: RealizerPorts, state: Readonly<NodeState>, tables: Tables) => {
  let join: NodeJoin | undefined;
  /** The maps hold what the join had when it was last settled. */
  let known = false;
  let routesDue = true;
  let fullText = '';

  const dumpKernel = async (): Promise<Rows> => {
    const all: DesiredRow[] = [];
    for (const map of FOLDED_MAPS) {
      for (const { key, value } of await loader.call<readonly MapEntry[]>('dump', { map })) all.push({ map, key, value } as unknown as DesiredRow); // decoded by that map's layout
    }
    return rowsByMap(all);
  };

  /** Said when it begins and when it changes. */
  const tellFull = (full: readonly FullSubject[], services: readonly FullService[]): void => {
    const text = JSON.stringify([full, services]);
    if (text === fullText) return;
    fullText = text;
    for (const { service, ...counts } of services) log.error('a Service does not fit: it keeps the rows that it had', { code: 'SEINE_MAP_FULL', service, ...counts, services: state.services.size });
    for (const { identity, direction, peers, entries, capacity } of full) {
      log.error('a policy does not fit: its subject is closed', { identity, direction, peers, entries, capacity, policies: state.policies.size });
    }
  };

  const desire = (local: Iterable<LocalEndpoint>): NodeJoin => {
    if (join === undefined) { join = createNodeJoin(node, state, tables); known = false; }
    try {
      routesDue = join.update(local).routes || routesDue;
    } catch (error) {
      join = undefined; // half way is nowhere: made from scratch the next time
      throw error;
    }
    return join;
  };

  const applyRoutes = async (): Promise<void> => {
    if (!routesDue) return;
    const routes: readonly NodeRoute[] = nodeRoutes(node, state);
    routesDue = false;
    try {
      const { failed } = await loader.call<{ readonly failed: readonly string[] }>('routes', { routes });
      for (const reason of failed) log.warn('a node is not reachable, no tunnel', { reason, code: 160, name: dropReasonName(160) });
    } catch (error) {
      routesDue = true;
      throw error;
    }
  };

  /** What a pod of this node needs beside its address, and what nobody else's flows can meet. */
  const isOfNewSubject = (map: MapName): boolean => map === 'sn_shape_01' || map === 'sn_row_01' || map === 'sn_peer_01' || map === 'sn_subject_01';

  return {
    dumpKernel,
    note: (event: SeineEvent): void => { join?.note(event); },
    /** What the maps should hold as of the last pass; undefined before the first. */
    rows: (): Rows | undefined => join?.rows,
    /** Do the maps hold anything else than they should? */
    differs: async (): Promise<boolean> => {
      const kernel = await dumpKernel();
      return join !== undefined && [...changesBetween(kernel, join.rows).values()].some((changes) => changes.length > 0);
    },
    /** Somebody else wrote the maps: the next pass asks what they hold. */
    doubt: (): void => { known = false; },
    /** One pass. @param apply hands steps to the loader, where there is something to tell */
    bringAbout: async (local: Iterable<LocalEndpoint>, apply: (ordered: Ordered) => Promise<void>): Promise<void> => {
      /* What left may have made room for a Service that waits: again, as long as one of them is placed. */
      for (let waited = Infinity; ;) {
        const desired = desire(local);
        const waiting = desired.fullServices();
        tellFull(desired.full(), waiting);
        store.writeTables(tables);
        const ordered = known ? orderChanges(desired.changes(), desired.rows, peerEcho) : orderSteps(await dumpKernel(), desired.rows, peerEcho);
        known = false;
        await apply(ordered);
        known = true;
        desired.settle();
        if (waiting.length === 0 || waiting.length >= waited) break;
        waited = waiting.length;
      }
      await applyRoutes();
    },
    /**
     * While the state may be older than what the maps hold: only adds, and only what this node's own pods need. Nothing that stands is changed
     * or taken away, no number is freed; the next whole pass asks what the maps hold.
     */
    addMissing: async (local: readonly LocalEndpoint[], apply: (ordered: Ordered) => Promise<void>): Promise<void> => {
      const desired = desire(local);
      store.writeTables(tables);
      known = false;
      const own = new Set(local.flatMap(({ addresses }) => addresses));
      const missing = [...changesBetween(await dumpKernel(), desired.rows)].map(([map, changes]): readonly [MapName, readonly Change[]] => [map, changes.filter(({ key, former }) =>
        former === undefined && (isOfNewSubject(map) || ((map === 'sn_ipcache_01' || map === 'sn_endpoint_01') && own.has(key))))]);
      await apply(orderChanges(new Map(missing), desired.rows, peerEcho));
    },
  };
};
export type Realizer = ReturnType<typeof createRealizer>;
