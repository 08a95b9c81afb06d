/**
 * Who has an address: nodes, pods, Services (their ClusterIPs). What it is for: a Service that names somebody else's address as its own
 * would get that one's traffic (the class of CVE-2020-8554), so it does not. Pure.
 */
import type { SeineEvent } from '@seine/events';

export interface Holders {
  /** address → holders, as people know them: `node n1`, `pod shop/web`, `Service shop/db` */
  readonly byAddress: Map<string, Set<string>>;
  readonly addressesOf: Map<string, readonly string[]>;
}

export const emptyHolders = (): Holders => ({ byAddress: new Map(), addressesOf: new Map() });

const hold = (draft: Holders, holder: string, addresses: readonly string[]): readonly string[] => {
  const former = draft.addressesOf.get(holder) ?? [];
  const changed = [...former.filter((address) => !addresses.includes(address)), ...addresses.filter((address) => !former.includes(address))];
  if (changed.length === 0) return changed;
  for (const address of former) {
    const holders = draft.byAddress.get(address);
    holders?.delete(holder);
    if (holders?.size === 0) draft.byAddress.delete(address);
  }
  for (const address of addresses) {
    const holders = draft.byAddress.get(address);
    if (holders === undefined) draft.byAddress.set(address, new Set([holder]));
    else holders.add(holder);
  }
  if (addresses.length === 0) draft.addressesOf.delete(holder);
  else draft.addressesOf.set(holder, addresses);
  return changed;
};

/** Applies one fact to the owned draft. @returns addresses whose holders changed */
export const holdersAfter = (draft: Holders, event: SeineEvent): readonly string[] => {
  switch (event.type) {
    case 'node.observed.v1': return hold(draft, `node ${event.key}`, event.data.addresses);
    case 'node.vanished.v1': return hold(draft, `node ${event.key}`, []);
    /* A host-network pod has its node's addresses; a pod is told of by the API and by its node. */
    case 'pod.observed.v1': return hold(draft, `pod ${event.key}`, event.data.hostNetwork || event.data.phase === 'finished' ? [] : event.data.addresses);
    case 'pod.vanished.v1': return hold(draft, `pod ${event.key}`, []);
    case 'endpoint.observed.v1': return hold(draft, `endpoint ${event.key}`, event.data.addresses);
    case 'endpoint.vanished.v1': return hold(draft, `endpoint ${event.key}`, []);
    case 'service.observed.v1': return hold(draft, `Service ${event.key}`, event.data.type === 'ExternalName' ? [] : event.data.clusterIPs);
    case 'service.vanished.v1': return hold(draft, `Service ${event.key}`, []);
    default: return [];
  }
};

/** @returns somebody else who has the address; undefined: nobody. Two Services may share a ClusterIP as long as their ports differ. */
export const holderOf = (holders: Readonly<Holders>, address: string, service: string, kind: string | undefined): string | undefined => {
  for (const holder of holders.byAddress.get(address) ?? []) {
    if (holder.startsWith('Service ') && (kind === undefined || holder === `Service ${service}`)) continue;
    return holder;
  }
  return undefined;
};
