/**
 * Who is behind every address that the cluster knows, and which kinds of peers there are, kept as the node's state changes.
 *
 *   policies ──► what is mentioned ──► classes, variants ──► addresses ──► kinds of peers, local subjects
 *
 * Nothing here depends on the order of events: each step takes the present state of what changed. Pure.
 */
import { familyOf, parseAddress, RESERVED_IDENTITY, type Labels, type ReservedIdentityName } from '@seine/model';
import type { LocalEndpoint } from '@seine/node';

import { endpointRow, ipcacheRow } from '../address.rows.ts';
import { nodeAddress, type NodeState } from '../fold.ts';
import { identityView, type Bindings, type IdentityView, type PeerKind } from '../policy/index.ts';
import { createClaims, says } from './claims.ts';
import type { Dirty } from './dirty.ts';
import type { Holds } from './holds.ts';
import { createKinds, type Kind } from './kinds.ts';
import { mentionsOf } from './mentions.ts';
import { createNodes } from './nodes.ts';
import { createPrefixes, prefixesByText } from './prefixes.ts';
import type { RowStore } from './row-store.ts';
import { createVariants } from './variants.ts';

/** One address: whose it is, as rows say it. */
interface Entry {
  readonly bytes: Uint8Array | undefined;
  readonly node: string;
  readonly pod: string | undefined;
  readonly kind: Kind;
  /** Number of another node, held for its identity. */
  readonly nodeNumber: number | undefined;
  /** Of this node's own pods. */
  readonly endpoint: LocalEndpoint | undefined;
  /** Which subject it is counted for. */
  readonly subject: string | undefined;
}

/** Endpoints of one identity and one variant on this node, or elsewhere while they serve. */
export interface LocalSubject { readonly identity: number; readonly variant: number; readonly bindings: Bindings; readonly view: IdentityView; addresses: number }

export interface PartyChanges {
  /** Kinds that came, went (`uses` 0) or are described anew. */
  readonly kinds: ReadonlySet<Kind>;
  /** Subjects `identity/variant` that came, went or are described anew. */
  readonly subjects: ReadonlySet<string>;
  /** Routes may be others. */
  readonly routes: boolean;
}

/** An address of a pod or a node. */
export interface KnownAddress extends PeerKind {
  readonly address: string;
  readonly node: string;
  readonly pod: string | undefined;
}

const NO_VARIANT = { bindings: new Map<string, readonly number[]>(), variant: 0 } as const;

export const subjectKey = ({ identity, variant }: { readonly identity: number; readonly variant: number }): string => `${identity}/${variant}`;

interface Unmanaged { readonly pod: string; readonly node: string }
interface Known { readonly node: string; readonly pod: string | undefined; readonly identity: number; readonly nodeNumber?: number | undefined; readonly endpoint?: LocalEndpoint; readonly reserved: readonly ReservedIdentityName[]; readonly nodeLabels?: Labels }

/** Addresses counted by subject. */
const createSubjects = () => {
  const subjects = new Map<string, LocalSubject>();
  let touched = new Set<string>();
  return {
    all: subjects as ReadonlyMap<string, LocalSubject>,
    /** @returns the subject's key; undefined: nobody's policy can apply to who has no labels */
    enter: ({ identity, variant, bindings, view }: Kind): string | undefined => {
      if (view === undefined) return undefined;
      const key = subjectKey({ identity, variant });
      const known = subjects.get(key);
      if (known?.view === view && known.bindings === bindings) { known.addresses += 1; return key; }
      subjects.set(key, { identity, variant, bindings, view, addresses: (known?.addresses ?? 0) + 1 });
      touched.add(key);
      return key;
    },
    leave: (key: string): void => {
      const known = subjects.get(key)!; // who entered
      known.addresses -= 1;
      if (known.addresses > 0) return;
      subjects.delete(key);
      touched.add(key);
    },
    takeTouched: (): ReadonlySet<string> => {
      const taken = touched;
      touched = new Set();
      return taken;
    },
  };
};

export const createParties = (self: string, state: Readonly<NodeState>, holds: Holds, store: RowStore) => {
  const kinds = createKinds();
  const subjects = createSubjects();
  const prefixes = createPrefixes(holds, store, kinds);
  const nodes = createNodes(self, state, holds);
  const variants = createVariants();
  /* What policies mention beside prefixes. */
  const nameClaims = createClaims<true>();
  const traits = createClaims<true>();
  const mentionedNames = new Set<string>();
  /* Who speaks of an address beside nodes. */
  const unmanagedClaims = createClaims<Unmanaged>();
  const ownClaims = createClaims<LocalEndpoint>();
  const local = new Map<string, LocalEndpoint>();
  /** Addresses that serve, by how many slices name them, and what each slice names: who comes to one from outside by this node is judged here. */
  const served = new Map<string, number>();
  const servedOfSlice = new Map<string, readonly string[]>();
  /* What follows. */
  const entries = new Map<string, Entry>();
  const addressesOfPod = new Map<string, Set<string>>();
  const views = new Map<number, IdentityView | undefined>();
  const strays = new Set<string>();
  /** Addresses that one update looks at. */
  let touched = new Set<string>();
  const touch = (addresses: Iterable<string>): void => { for (const address of addresses) touched.add(address); };

  const viewOf = (identity: number): IdentityView | undefined => {
    if (views.has(identity)) return views.get(identity);
    const labels = state.identities.get(identity);
    const view = labels === undefined ? undefined : identityView(labels);
    views.set(identity, view);
    return view;
  };

  /** Of several that speak of an address: this node's own pod, a bound pod, a pod beside Seine, a node. */
  const knownAt = (address: string): Known | undefined => {
    const endpoint = ownClaims.heard(address);
    if (endpoint !== undefined) return { node: self, pod: endpoint.pod, identity: state.podIdentities.get(endpoint.pod)!.identity, endpoint, reserved: [] }; // it claims only while identified
    const bound = state.addresses.get(address);
    if (bound !== undefined) return { node: bound.node, pod: bound.pod, identity: bound.identity, reserved: [] };
    const unmanaged = unmanagedClaims.heard(address);
    if (unmanaged !== undefined) return { ...unmanaged, identity: RESERVED_IDENTITY.unmanaged, reserved: ['unmanaged'] };
    const node = nodes.at(address);
    return node === undefined ? undefined : { ...node, pod: undefined };
  };

  const tunnelTo = (address: string, { node, pod }: Entry): string => (pod === undefined || node === self ? '::' : nodeAddress(state, node, familyOf(address)) ?? '::');
  const place = (address: string, entry: Entry): void => {
    store.put(ipcacheRow(address, entry.kind, entry.pod !== undefined, tunnelTo(address, entry)));
    if (entry.endpoint === undefined) store.remove('sn_endpoint_01', address);
    else store.put(endpointRow(address, entry.kind, entry.endpoint));
  };

  const entryOf = (address: string, { node, pod, identity, reserved, nodeLabels, nodeNumber, endpoint }: Known, bytes: Uint8Array | undefined): Entry => {
    const found = bytes === undefined ? undefined : prefixes.around(bytes);
    const isPod = pod !== undefined && reserved.length === 0;
    const isJudged = endpoint !== undefined || (node !== self && served.has(address));
    const { bindings, variant } = isPod ? variants.of(pod) : NO_VARIANT;
    const kind = kinds.use({ identity, variant, bindings, cidrClass: found?.cidrClass ?? 0, prefix: found?.prefix, reserved, nodeLabels, view: isPod ? viewOf(identity) : undefined });
    return { bytes, node, pod, kind, nodeNumber, endpoint, subject: isJudged ? subjects.enter(kind) : undefined };
  };
  const leave = (address: string, former: Entry, podNow: string | undefined): void => {
    if (former.subject !== undefined) subjects.leave(former.subject);
    if (former.pod !== undefined && former.pod !== podNow) {
      const addresses = addressesOfPod.get(former.pod)!;
      addresses.delete(address);
      if (addresses.size === 0) addressesOfPod.delete(former.pod);
    }
    kinds.leave(former.kind);
    if (former.nodeNumber !== undefined) holds.drop('nodes', former.nodeNumber);
  };
  /** The new entry comes before the former goes: what both have stays. */
  const refresh = (address: string): void => {
    const former = entries.get(address);
    const known = knownAt(address);
    if (known !== undefined) {
      const entry = entryOf(address, known, former?.bytes ?? parseAddress(address));
      entries.set(address, entry);
      if (entry.pod !== undefined) {
        const addresses = addressesOfPod.get(entry.pod);
        if (addresses === undefined) addressesOfPod.set(entry.pod, new Set([address]));
        else addresses.add(address);
      }
      place(address, entry);
    } else if (former !== undefined) {
      entries.delete(address);
      store.remove('sn_ipcache_01', address);
      store.remove('sn_endpoint_01', address);
    }
    if (former !== undefined) leave(address, former, known?.pod);
  };

  /* The steps of an update, each after what it depends on. */

  const readPolicies = (dirty: ReadonlySet<string>): void => {
    const names = new Set<string>();
    for (const key of dirty) {
      const policy = state.policies.get(key);
      const mentions = policy === undefined ? undefined : mentionsOf(policy);
      prefixes.mention(key, mentions?.prefixes ?? new Map());
      for (const name of nameClaims.say(key, says(mentions?.names ?? []))) names.add(name);
      traits.say(key, says([...(mentions?.nodesByLabel === true ? ['nodes'] : []), ...(mentions?.apiServer === true ? ['API server'] : [])]));
    }
    for (const name of names) {
      if (nameClaims.has(name) === mentionedNames.has(name)) continue;
      if (nameClaims.has(name)) mentionedNames.add(name);
      else mentionedNames.delete(name);
      variants.nameChanged(name);
    }
  };

  /** @returns nodes whose addresses are others */
  const readNodes = ({ node, backends }: Dirty): ReadonlySet<string> => {
    const changes = nodes.read(node, backends, traits.has('nodes'));
    touch(changes.addresses);
    for (const name of changes.moved) prefixes.sayFamilies(name, state.nodes.get(name)?.addresses ?? []);
    if (changes.apiServers) prefixes.setApiServers(nodes.apiServers());
    /* An API server outside the cluster is a prefix of its own while a policy speaks of it. */
    const outside = traits.has('API server') ? [...nodes.apiServers()].filter((address) => !nodes.hasAddress(address)) : [];
    prefixes.mention('API server', prefixesByText(outside));
    return changes.moved;
  };

  const countServing = (address: string, by: 1 | -1): void => {
    const before = served.get(address) ?? 0;
    if (before + by === 0) served.delete(address);
    else served.set(address, before + by);
    if (before === 0 || before + by === 0) touched.add(address);
  };
  const readServed = (slices: ReadonlySet<string>): void => {
    for (const slice of slices) {
      const backends = state.slices.get(slice)?.backends ?? [];
      const former = servedOfSlice.get(slice) ?? [];
      const now = backends.length === 1 ? [backends[0]!.address] : [...new Set(backends.map(({ address }) => address))];
      const kept = new Set(former);
      for (const address of now) if (!kept.delete(address)) countServing(address, 1);
      for (const address of kept) countServing(address, -1);
      if (now.length === 0) servedOfSlice.delete(slice);
      else servedOfSlice.set(slice, now);
    }
  };

  const readPods = ({ pod: pods, endpoint: endpoints }: Dirty): void => {
    for (const pod of pods) variants.podChanged(pod);
    for (const pod of variants.update(state.pods, (name) => mentionedNames.has(name))) touch(addressesOfPod.get(pod) ?? []);
    /* A pod that no node has reported runs beside Seine: it has an address, and nobody judges for it. */
    for (const pod of new Set([...pods, ...endpoints])) {
      const data = state.pods.get(pod);
      const beside = data !== undefined && !data.hostNetwork && data.phase === 'running' && data.nodeName !== undefined && !state.endpoints.has(pod);
      touch(unmanagedClaims.say(pod, new Map((beside ? data.addresses : []).map((address) => [address, { pod, node: data!.nodeName! }]))));
    }
  };

  const readIdentities = (dirty: ReadonlySet<string>): void => {
    const changed = new Set<number>();
    for (const key of dirty) {
      const identity = Number(key);
      if (!views.delete(identity)) continue;
      changed.add(identity);
      for (const kind of kinds.of(identity)) kinds.describe(kind, { view: viewOf(identity) });
    }
    if (changed.size > 0) for (const address of [...ownClaims.keys(), ...served.keys()]) if (changed.has(entries.get(address)?.kind.identity ?? 0)) touched.add(address);
  };

  /** This node's own pods: an address counts once the log gave an identity to this very uid. */
  const readLocal = (now: Iterable<LocalEndpoint>, identified: ReadonlySet<string>): void => {
    const gone = new Set(local.keys());
    const say = (id: string, endpoint: LocalEndpoint | undefined): void => {
      const counts = endpoint !== undefined && state.podIdentities.get(endpoint.pod)?.uid === endpoint.uid;
      touch(ownClaims.say(id, new Map((counts ? endpoint.addresses : []).map((address) => [address, endpoint!]))));
    };
    for (const endpoint of now) {
      const id = endpoint.containerId;
      gone.delete(id);
      if (local.get(id) === endpoint && !identified.has(endpoint.pod)) continue;
      local.set(id, endpoint);
      say(id, endpoint);
    }
    for (const id of gone) { local.delete(id); say(id, undefined); }
  };

  /** A pod of another node whose address is not of that node's block has a route of its own. @returns whether there is such a pod, or was */
  const readStrays = ({ address: addresses, podcidr: resized }: Dirty): boolean => {
    let changed = false;
    const look = (address: string): void => {
      const bound = state.addresses.get(address);
      const bytes = bound === undefined || bound.node === self ? undefined : parseAddress(address);
      const isStray = bytes !== undefined && !prefixes.isInBlock(bound!.node, bytes);
      changed ||= isStray || strays.has(address);
      if (isStray) strays.add(address);
      else strays.delete(address);
    };
    for (const address of addresses) look(address);
    if (resized.size > 0) for (const [address, { node }] of state.addresses) if (resized.has(node)) look(address);
    return changed;
  };

  const update = (dirty: Dirty, endpoints: Iterable<LocalEndpoint>): PartyChanges => {
    touched = new Set(dirty.address);
    readPolicies(dirty.policy);
    const moved = readNodes(dirty);
    readServed(dirty.backends);
    readPods(dirty);
    prefixes.readRanges(dirty.podcidr, (node) => state.podCidrs.get(node) ?? []);
    prefixes.readFamilies();
    readIdentities(dirty.identity);
    readLocal(endpoints, dirty.podidentity);
    const strayed = readStrays(dirty);
    if (prefixes.settle()) {
      for (const [address, { bytes, kind }] of entries) if ((bytes === undefined ? 0 : prefixes.around(bytes)?.cidrClass ?? 0) !== kind.cidrClass) touched.add(address);
    }
    for (const address of touched) refresh(address);
    if (moved.size > 0) for (const [address, entry] of entries) if (entry.pod !== undefined && moved.has(entry.node)) place(address, entry);
    return { kinds: kinds.takeTouched(), subjects: subjects.takeTouched(), routes: strayed || moved.size > 0 || dirty.podcidr.size > 0 };
  };

  return {
    update,
    /** As people ask for it: `nodeLabels` of a node are its own. */
    addresses: (): readonly KnownAddress[] => [...entries].map(([address, { node, pod, kind }]) => ({ ...kind, address, node, pod, nodeLabels: pod === undefined ? nodes.labelsOf(node) : undefined })),
    kinds: kinds.all,
    kindsOf: kinds.of,
    prefixes: prefixes.mentioned,
    subjects: subjects.all,
  };
};
export type Parties = ReturnType<typeof createParties>;
