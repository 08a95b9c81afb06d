/** Nodes, and which of them run an API server: who a node's address is. Pure. */
import { NODE_IDENTITY_BASE, RESERVED_IDENTITY, type Labels, type ReservedIdentityName } from '@seine/model';

import { API_SERVICE } from '../cluster.ts';
import type { NodeState } from '../fold.ts';
import { createClaims } from './claims.ts';
import type { Holds } from './holds.ts';

/** Who is behind a node's address. */
export interface NodeParty {
  readonly node: string;
  readonly identity: number;
  readonly reserved: readonly ReservedIdentityName[];
  readonly nodeLabels: Labels;
  /** Held for the identity; the caller drops it. */
  readonly nodeNumber: number | undefined;
}

/** What one update finds. */
export interface NodeChanges {
  /** Nodes whose addresses are others. */
  readonly moved: ReadonlySet<string>;
  /** Addresses behind which somebody may be described anew. */
  readonly addresses: ReadonlySet<string>;
  readonly apiServers: boolean;
}

const WITHOUT_LABELS: Labels = Object.freeze({});

export const createNodes = (self: string, state: Readonly<NodeState>, holds: Holds) => {
  const claims = createClaims<string>();
  const nodes = new Map<string, { readonly labels: Labels; readonly labelsText: string; readonly addressesText: string }>();
  const apiSlices = new Set<string>();
  let apiServers: ReadonlySet<string> = new Set();
  let byLabel = false;

  /** Where the API server answers: its Service's backends. @returns addresses where it came or went; undefined: nowhere */
  const readApiServers = (slices: ReadonlySet<string>): readonly string[] | undefined => {
    let changed = false;
    for (const slice of slices) {
      const isApi = state.slices.get(slice)?.service === API_SERVICE;
      if (!isApi && !apiSlices.has(slice)) continue;
      changed = true;
      if (isApi) apiSlices.add(slice);
      else apiSlices.delete(slice);
    }
    if (!changed) return undefined;
    const former = apiServers;
    apiServers = new Set([...apiSlices].flatMap((slice) => state.slices.get(slice)!.backends.map(({ address }) => address)));
    return [...former, ...apiServers].filter((address) => former.has(address) !== apiServers.has(address));
  };

  return {
    /** @param byLabelNow do policies tell nodes apart? */
    read: (dirtyNodes: ReadonlySet<string>, dirtySlices: ReadonlySet<string>, byLabelNow: boolean): NodeChanges => {
      const moved = new Set<string>();
      const addresses = new Set<string>();
      const touch = (touched: Iterable<string>): void => { for (const address of touched) addresses.add(address); };
      for (const name of dirtyNodes) {
        const data = state.nodes.get(name);
        const former = nodes.get(name);
        const [addressesText, labelsText] = [data?.addresses.join(' ') ?? '', JSON.stringify(data?.labels)];
        if (former?.addressesText === addressesText && former.labelsText === labelsText) continue;
        if (former?.addressesText !== addressesText) moved.add(name);
        if (data === undefined) nodes.delete(name);
        else nodes.set(name, { labels: data.labels, labelsText, addressesText });
        touch(claims.say(name, new Map((data?.addresses ?? []).map((address) => [address, name]))));
      }
      const apiChanged = readApiServers(dirtySlices);
      for (const address of apiChanged ?? []) for (const node of claims.sourcesOf(address)) touch(claims.keysOf(node));
      if (byLabelNow !== byLabel) {
        byLabel = byLabelNow;
        touch(claims.keys());
      }
      return { moved, addresses, apiServers: apiChanged !== undefined };
    },
    /** Who is at an address of a node; its number, where it has one, is held once more. */
    at: (address: string): NodeParty | undefined => {
      const node = claims.heard(address);
      if (node === undefined) return undefined;
      const hasApiServer = [...claims.keysOf(node)].some((each) => apiServers.has(each));
      const reserved: readonly ReservedIdentityName[] = [node === self ? 'host' : 'remote-node', ...(hasApiServer ? ['kube-apiserver' as const] : [])];
      const { labels } = nodes.get(node)!; // who claims is known
      if (node === self) return { node, identity: RESERVED_IDENTITY.host, reserved, nodeLabels: labels, nodeNumber: undefined };
      if (byLabel) {
        const nodeNumber = holds.hold('nodes', node);
        return { node, identity: NODE_IDENTITY_BASE + nodeNumber, reserved, nodeLabels: labels, nodeNumber };
      }
      return { node, identity: hasApiServer ? RESERVED_IDENTITY['kube-apiserver'] : RESERVED_IDENTITY['remote-node'], reserved, nodeLabels: WITHOUT_LABELS, nodeNumber: undefined };
    },
    apiServers: (): ReadonlySet<string> => apiServers,
    labelsOf: (node: string): Labels | undefined => nodes.get(node)?.labels,
    hasAddress: claims.has,
  };
};
