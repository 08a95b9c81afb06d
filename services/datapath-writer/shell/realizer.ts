/** Brings the node's maps to what its state says: only what changed, in order; all of it compared where nobody knows what the maps hold. */
import { FOLDED_MAPS, sameSum, type EntrySum, type FoldedMapName, type MapName } from '@seine/layout';
import type { SeineEvent } from '@seine/events';
import type { LocalEndpoint, MapEntry, MapSums, NodeRoute, Packed, PersistentUnix } from '@seine/node';
import { dropReasonName } from '@seine/model';
import type { Logger } from '@seine/role';

import { changesBetween, createNodeJoin, isPackedMap, nodeRoutes, orderChanges, orderSteps, packedRowsOf, peerEcho, rowsByMap, sumOfRows, type Change, type DesiredRow, type FullService, type FullSubject, type NodeJoin, type NodeState, type Ordered, type Rows, type RowsByKey, type Tables } from '../core/index.ts';
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

  /** Of the join's rows, as long as they stay the same. */
  const sums = new Map<MapName, EntrySum>();
  const sumOf = (map: FoldedMapName, rows: RowsByKey): EntrySum => {
    const known = sums.get(map) ?? sumOfRows(map, rows);
    sums.set(map, known);
    return known;
  };
  /** Maps that hold something else than these rows. */
  const differing = async (rows: Rows): Promise<readonly FoldedMapName[]> => {
    const held = await loader.call<MapSums>('sums');
    return FOLDED_MAPS.filter((map) => !sameSum(held[map]!, sumOf(map, rows.get(map)!))); // every map that is filled has its sum
  };
  /** What the maps hold, asked only where it is not what they should hold. */
  const heldBeside = async (rows: Rows): Promise<Rows> => {
    const held = new Map<MapName, RowsByKey>(rows);
    for (const map of await differing(rows)) held.set(map, await dumpMap(map));
    return held;
  };
  const dumpMap = async (map: FoldedMapName): Promise<RowsByKey> => {
    if (isPackedMap(map)) {
      const { keys, values, count } = await loader.call<Packed>('dumpPacked', { map });
      return packedRowsOf(map, Buffer.from(keys, 'base64'), Buffer.from(values, 'base64'), count);
    }
    const entries = await loader.call<readonly MapEntry[]>('dump', { map });
    return rowsByMap(entries.map(({ key, value }) => ({ map, key, value }) as unknown as DesiredRow)).get(map)!; // decoded by that map's layout
  };

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
    if (join === undefined) {
      join = createNodeJoin(node, state, tables);
      sums.clear();
      known = false;
    }
    try {
      routesDue = join.update(local).routes || routesDue;
      for (const [map, changes] of join.changes()) if (changes.length > 0) sums.delete(map);
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
      return join !== undefined && (await differing(join.rows)).length > 0;
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
        const ordered = known ? orderChanges(desired.changes(), desired.rows, peerEcho) : orderSteps(await heldBeside(desired.rows), desired.rows, peerEcho);
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
      const missing = [...changesBetween(await heldBeside(desired.rows), desired.rows)].map(([map, changes]): readonly [MapName, readonly Change[]] => [map, changes.filter(({ key, former }) =>
        former === undefined && (isOfNewSubject(map) || ((map === 'sn_ipcache_01' || map === 'sn_endpoint_01') && own.has(key))))]);
      await apply(orderChanges(new Map(missing), desired.rows, peerEcho));
    },
  };
};
export type Realizer = ReturnType<typeof createRealizer>;
