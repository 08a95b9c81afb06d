/** The node's state → every row that its maps should hold. Pure: the same state gives the same rows, here and in a replay. */
import { FOLDED_MAPS } from '@seine/layout';
import { compareCodeUnits, type Prefix } from '@seine/model';
import type { LocalEndpoint } from '@seine/node';

import type { DesiredRow } from './desired.ts';
import type { NodeState } from './fold.ts';
import { createHolds } from './join/holds.ts';
import { clean, noDirt, soilAll } from './join/dirty.ts';
import { createNodeJoin } from './join/node-join.ts';
import { createParties, type KnownAddress } from './join/parties.ts';
import type { FullSubject } from './join/placement.ts';
import { createRowStore } from './join/row-store.ts';
import type { PeerKind, Tables } from './policy/index.ts';

export interface NodeRows {
  readonly rows: readonly DesiredRow[];
  /** Subjects whose policy did not fit. */
  readonly full: readonly FullSubject[];
}

/** @param local the node's own endpoints: its table while it runs, the log's endpoint facts in a replay */
export const nodeRows = (self: string, state: Readonly<NodeState>, local: readonly LocalEndpoint[], tables: Tables): NodeRows => {
  const join = createNodeJoin(self, state, tables);
  join.update(local);
  return { full: join.full(), rows: FOLDED_MAPS.flatMap((map) => [...join.rows.get(map)!.values()].map(({ key, value }) => ({ map, key, value }) as unknown as DesiredRow)) }; // rows of this map, as they were put
};

export interface PartiesOf {
  /** In the order of their texts. */
  readonly addresses: readonly KnownAddress[];
  /** Every prefix that some policy mentions, with its class number. */
  readonly prefixes: readonly { readonly prefix: Prefix; readonly cidrClass: number }[];
  /** Everybody who can be on the other side, once each; who is not here meets rules of any peer only. */
  readonly kinds: readonly PeerKind[];
}

/** Who is behind every address that a node knows, from the log and from its own table. */
export const partiesOf = (state: Readonly<NodeState>, self: string, own: readonly LocalEndpoint[], tables: Tables): PartiesOf => {
  const parties = createParties(self, state, createHolds(tables), createRowStore());
  const dirty = noDirt();
  soilAll(dirty, state);
  parties.update(dirty, own);
  clean(dirty);
  return { addresses: [...parties.addresses()].sort((a, b) => compareCodeUnits(a.address, b.address)), prefixes: [...parties.prefixes()], kinds: [...parties.kinds()] };
};

/** The log's own view of a node's endpoints: what a replay stands on. Interface indexes are the kernel's, so names stand in for them. */
export const endpointsOfLog = (self: string, state: Readonly<NodeState>, indexOf: (hostInterface: string) => number): readonly LocalEndpoint[] =>
  [...state.endpoints].filter(([, { node }]) => node === self).sort(([a], [b]) => compareCodeUnits(a, b)).map(([pod, data]) => ({
    pod, uid: data.uid, containerId: data.containerId, netns: '', podInterface: 'eth0', hostInterface: data.hostInterface, ifindex: indexOf(data.hostInterface),
    endpointId: data.endpointId, addresses: data.addresses,
  }));
