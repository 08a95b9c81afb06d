/**
 * Who is behind every address that the cluster knows, and which kinds of peers there are, kept as the node's state changes.
 *
 *   policies ──► what is mentioned ──► classes, variants ──► addresses ──► kinds of peers, local subjects
 *
 * Nothing here depends on the order of events: each step takes the present state of what changed. Pure.
 */
import type { NodeData } from '@seine/events';
import {
  CIDR_IDENTITY_BASE, familyOf, formatPrefix, NODE_IDENTITY_BASE, parseAddress, parsePrefix, prefixContains, prefixCovers, prefixFamily, RESERVED_IDENTITY,
  type IpFamily, type Labels, type Prefix, type ReservedIdentityName,
} from '@seine/model';
import type { LocalEndpoint } from '@seine/node';

import { classRow, endpointRow, ipcacheRow, prefixRow } from '../address.rows.ts';
import { ALL_OF, API_SERVICE, FAMILIES, WORLD_LABEL, worldIdentity } from '../cluster.ts';
import { nodeAddress, type NodeState } from '../fold.ts';
import { keyText } from '../order.ts';
import { identityView, type Bindings, type IdentityView, type PeerKind } from '../policy/index.ts';
import { createClaims } from './claims.ts';
import type { Dirty } from './dirty.ts';
import type { Holds } from './holds.ts';
import { mentionsOf } from './mentions.ts';
import { createPrefixTable, type MentionedPrefix } from './prefix-table.ts';
import type { RowStore } from './row-store.ts';
import type { Selection } from './selections.ts';
import { createVariants } from './variants.ts';

/** A kind of peer, kept for as long as some address or prefix has it. */
export interface Kind extends PeerKind {
  readonly key: string;
  bindings: Bindings;
  view: IdentityView | undefined;
  reserved: readonly ReservedIdentityName[];
  nodeLabels: Labels | undefined;
  /** How many addresses and prefixes have it. */
  uses: number;
  /** Those in use that mean it. */
  readonly selections: Set<Selection>;
}

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

const NO_BINDINGS: Bindings = new Map();
const NODE_WITHOUT_LABELS: Labels = Object.freeze({});
const NOBODY: ReadonlySet<string> = new Set();
const says = (words: Iterable<string>): ReadonlyMap<string, true> => new Map([...words].map((word) => [word, true]));

export const subjectKey = ({ identity, variant }: { readonly identity: number; readonly variant: number }): string => `${identity}/${variant}`;

interface Mentioned extends MentionedPrefix { readonly kind: Kind }
interface Unmanaged { readonly pod: string; readonly node: string }
interface Known { readonly node: string; readonly pod: string | undefined; readonly identity: number; readonly nodeNumber?: number; readonly endpoint?: LocalEndpoint; readonly reserved: readonly ReservedIdentityName[]; readonly nodeLabels?: Labels }

export const createParties = (self: string, state: Readonly<NodeState>, holds: Holds, store: RowStore) => {
  /* What policies mention. */
  const prefixClaims = createClaims<Prefix>();
  const nameClaims = createClaims<true>();
  const traits = createClaims<true>();
  const mentionedNames = new Set<string>();
  const mentioned = new Map<string, Mentioned>();
  const classes = createPrefixTable();
  const variants = createVariants();
  /* Who speaks of an address. */
  const nodeClaims = createClaims<string>();
  const unmanagedClaims = createClaims<Unmanaged>();
  const ownClaims = createClaims<LocalEndpoint>();
  const ranges = createClaims<Prefix>();
  const rangeTable = createPrefixTable();
  const rangesHeld = new Set<string>();
  const blocks = new Map<string, readonly Prefix[]>();
  const strays = new Set<string>();
  const local = new Map<string, LocalEndpoint>();
  const nodes = new Map<string, { readonly labels: Labels; readonly labelsText: string; readonly addressesText: string }>();
  const apiSlices = new Set<string>();
  let apiServers: ReadonlySet<string> = NOBODY;
  let apiPrefixes: ReadonlySet<string> = NOBODY;
  let nodesByLabel = false;
  /** The families that the cluster uses: those of its pod ranges and of its nodes. */
  const families = createClaims<true>();
  /** By the text of the prefix that has its row, '' where it needs none. */
  let worlds: ReadonlyMap<string, Kind> = new Map();
  let worldsText = '';
  /** Addresses that serve, by the slices that say so: who comes to one from outside by this node is judged here. */
  const servedClaims = createClaims<true>();
  const served = new Set<string>();
  /* What follows. */
  const entries = new Map<string, Entry>();
  const addressesOfPod = new Map<string, Set<string>>();
  const kinds = new Map<string, Kind>();
  const kindsOfIdentity = new Map<number, Set<Kind>>();
  const subjects = new Map<string, LocalSubject>();
  const views = new Map<number, IdentityView | undefined>();
  /* Of one update. */
  let touchedKinds = new Set<Kind>();
  let touchedSubjects = new Set<string>();
  let touchedAddresses = new Set<string>();
  let routes = false;

  const touch = (addresses: Iterable<string>): void => { for (const address of addresses) touchedAddresses.add(address); };

  const viewOf = (identity: number): IdentityView | undefined => {
    if (views.has(identity)) return views.get(identity);
    const labels = state.identities.get(identity);
    const view = labels === undefined ? undefined : identityView(labels);
    views.set(identity, view);
    return view;
  };

  const useKind = (wanted: Omit<Kind, 'key' | 'uses' | 'selections'>): Kind => {
    const key = `${wanted.identity}/${wanted.variant}/${wanted.cidrClass}`;
    const known = kinds.get(key);
    if (known === undefined) {
      const kind: Kind = { key, uses: 1, selections: new Set(), ...wanted };
      kinds.set(key, kind);
      const ofIdentity = kindsOfIdentity.get(kind.identity);
      if (ofIdentity === undefined) kindsOfIdentity.set(kind.identity, new Set([kind]));
      else ofIdentity.add(kind);
      touchedKinds.add(kind);
      return kind;
    }
    known.uses += 1;
    if (known.bindings !== wanted.bindings || known.view !== wanted.view || known.nodeLabels !== wanted.nodeLabels || known.reserved.join() !== wanted.reserved.join()) {
      known.bindings = wanted.bindings;
      known.view = wanted.view;
      known.nodeLabels = wanted.nodeLabels;
      known.reserved = wanted.reserved;
      touchedKinds.add(known);
    }
    return known;
  };
  const leaveKind = (kind: Kind): void => {
    kind.uses -= 1;
    if (kind.uses > 0) return;
    kinds.delete(kind.key);
    const ofIdentity = kindsOfIdentity.get(kind.identity)!;
    ofIdentity.delete(kind);
    if (ofIdentity.size === 0) kindsOfIdentity.delete(kind.identity);
    touchedKinds.add(kind);
  };

  const outside = { variant: 0, bindings: NO_BINDINGS, cidrClass: 0, prefix: undefined, view: undefined, nodeLabels: undefined } as const;
  const cidrReserved = (text: string, prefix: Prefix): readonly ReservedIdentityName[] => [...(apiPrefixes.has(text) ? ['kube-apiserver' as const] : []), 'world', WORLD_LABEL[prefixFamily(prefix)]];

  /** Which row a prefix has: a range of pod addresses hides what is inside it, there its addresses are pods or nobody; what policies mention stands for its world. */
  const placePrefix = (text: string, prefix: Prefix): void => {
    const known = mentioned.get(text);
    if (rangesHeld.has(text)) store.put(prefixRow(prefix, RESERVED_IDENTITY.unknown));
    else if (known !== undefined && rangeTable.around(prefix.address, prefix.length) === undefined) store.put(prefixRow(prefix, CIDR_IDENTITY_BASE + known.cidrClass));
    else if (known === undefined && worlds.has(text)) store.put(prefixRow(prefix, worlds.get(text)!.identity));
    else store.remove('sn_ipprefix_01', keyText(prefixRow(prefix, 0).key));
  };

  /** What is nobody's and in no prefix: one identity for each family where both are in use, which the longest prefix tells apart, else one for all (contracts.md 2.2). */
  const readFamilies = (): void => {
    const used = FAMILIES.filter((family) => families.has(String(family)));
    const wanted = new Map<string, IpFamily>(used.length > 1 ? used.map((family) => [ALL_OF[family], family]) : [['', used[0] ?? 4]]);
    const wantedText = [...wanted.values()].join();
    if (wantedText === worldsText) return;
    worldsText = wantedText;
    const former = worlds;
    worlds = new Map([...wanted].map(([text, family]) => [text, useKind({ ...outside, identity: worldIdentity(used, family), reserved: ['world', WORLD_LABEL[family]] })]));
    for (const kind of former.values()) leaveKind(kind);
    for (const family of FAMILIES) placePrefix(ALL_OF[family], parsePrefix(ALL_OF[family])!); // a constant
  };

  const mentionPrefixes = (texts: ReadonlySet<string>): boolean => {
    let changed = false;
    for (const text of texts) {
      const prefix = prefixClaims.heard(text);
      const known = mentioned.get(text);
      if ((prefix === undefined) === (known === undefined)) continue;
      changed = true;
      if (prefix !== undefined) {
        const cidrClass = holds.hold('cidrClass', text);
        const kind = useKind({ ...outside, identity: CIDR_IDENTITY_BASE + cidrClass, prefix, reserved: cidrReserved(text, prefix) });
        mentioned.set(text, { prefix, cidrClass, kind });
        classes.add({ prefix, cidrClass });
        store.put(classRow(prefix, cidrClass));
        placePrefix(text, prefix);
      } else if (known !== undefined) {
        mentioned.delete(text);
        classes.remove(known.prefix);
        store.remove('sn_class_01', keyText(classRow(known.prefix, 0).key));
        placePrefix(text, known.prefix);
        leaveKind(known.kind);
        holds.drop('cidrClass', known.cidrClass);
      }
    }
    return changed;
  };

  /** Of several that speak of an address: this node's own pod, a bound pod, a pod beside Seine, a node. */
  const knownAt = (address: string): Known | undefined => {
    const endpoint = ownClaims.heard(address);
    if (endpoint !== undefined) return { node: self, pod: endpoint.pod, identity: state.podIdentities.get(endpoint.pod)!.identity, endpoint, reserved: [] };
    const bound = state.addresses.get(address);
    if (bound !== undefined) return { node: bound.node, pod: bound.pod, identity: bound.identity, reserved: [] };
    const unmanaged = unmanagedClaims.heard(address);
    if (unmanaged !== undefined) return { ...unmanaged, identity: RESERVED_IDENTITY.unmanaged, reserved: ['unmanaged'] };
    const node = nodeClaims.heard(address);
    if (node === undefined) return undefined;
    const hasApiServer = [...nodeClaims.keysOf(node)].some((each) => apiServers.has(each));
    const reserved: readonly ReservedIdentityName[] = [node === self ? 'host' : 'remote-node', ...(hasApiServer ? ['kube-apiserver' as const] : [])];
    const { labels } = nodes.get(node)!;
    if (node === self) return { node, pod: undefined, identity: RESERVED_IDENTITY.host, reserved, nodeLabels: labels };
    if (nodesByLabel) {
      const nodeNumber = holds.hold('nodes', node);
      return { node, pod: undefined, identity: NODE_IDENTITY_BASE + nodeNumber, nodeNumber, reserved, nodeLabels: labels };
    }
    return { node, pod: undefined, identity: hasApiServer ? RESERVED_IDENTITY['kube-apiserver'] : RESERVED_IDENTITY['remote-node'], reserved, nodeLabels: NODE_WITHOUT_LABELS };
  };

  /** Counts an address for its subject: a pod's of this node, or one elsewhere that serves. */
  const enterSubject = (kind: Kind, judged: boolean): string | undefined => {
    if (!judged || kind.view === undefined) return undefined;
    const key = subjectKey(kind);
    const known = subjects.get(key);
    if (known !== undefined && known.view === kind.view && known.bindings === kind.bindings) {
      known.addresses += 1;
    } else {
      subjects.set(key, { identity: kind.identity, variant: kind.variant, bindings: kind.bindings, view: kind.view, addresses: (known?.addresses ?? 0) + 1 });
      touchedSubjects.add(key);
    }
    return key;
  };
  const leaveSubject = (key: string): void => {
    const known = subjects.get(key)!;
    known.addresses -= 1;
    if (known.addresses > 0) return;
    subjects.delete(key);
    touchedSubjects.add(key);
  };

  const tunnelTo = (address: string, { node, pod }: Entry): string => (pod === undefined || node === self ? '::' : nodeAddress(state, node, familyOf(address)) ?? '::');
  const placeAddress = (address: string, entry: Entry): void => {
    store.put(ipcacheRow(address, entry.kind, entry.pod !== undefined, tunnelTo(address, entry)));
    if (entry.endpoint === undefined) store.remove('sn_endpoint_01', address);
    else store.put(endpointRow(address, entry.kind, entry.endpoint));
  };

  const refresh = (address: string): void => {
    const former = entries.get(address);
    const known = knownAt(address);
    if (known !== undefined) {
      const bytes = former?.bytes ?? parseAddress(address);
      const found = bytes === undefined ? undefined : classes.around(bytes);
      const { bindings, variant } = known.pod === undefined || known.reserved.length > 0 ? { bindings: NO_BINDINGS, variant: 0 } : variants.of(known.pod);
      const kind = useKind({
        identity: known.identity, variant, bindings, cidrClass: found?.cidrClass ?? 0, prefix: found?.prefix, reserved: known.reserved, nodeLabels: known.nodeLabels,
        view: known.reserved.length > 0 ? undefined : viewOf(known.identity),
      });
      const entry: Entry = { bytes, node: known.node, pod: known.pod, kind, nodeNumber: known.nodeNumber, endpoint: known.endpoint, subject: enterSubject(kind, known.endpoint !== undefined || (known.node !== self && served.has(address))) };
      entries.set(address, entry);
      if (entry.pod !== undefined) {
        const addresses = addressesOfPod.get(entry.pod);
        if (addresses === undefined) addressesOfPod.set(entry.pod, new Set([address]));
        else addresses.add(address);
      }
      placeAddress(address, entry);
    } else if (former !== undefined) {
      entries.delete(address);
      store.remove('sn_ipcache_01', address);
      store.remove('sn_endpoint_01', address);
    }
    if (former === undefined) return;
    if (former.subject !== undefined) leaveSubject(former.subject);
    if (former.pod !== undefined && former.pod !== known?.pod) {
      const addresses = addressesOfPod.get(former.pod)!;
      addresses.delete(address);
      if (addresses.size === 0) addressesOfPod.delete(former.pod);
    }
    leaveKind(former.kind);
    if (former.nodeNumber !== undefined) holds.drop('nodes', former.nodeNumber);
  };

  /* The steps of an update, each after what it depends on. */

  const readNodes = (dirty: ReadonlySet<string>): ReadonlySet<string> => {
    const moved = new Set<string>();
    for (const name of dirty) {
      const data: NodeData | undefined = state.nodes.get(name);
      const former = nodes.get(name);
      const addressesText = data?.addresses.join(' ') ?? '';
      const labelsText = JSON.stringify(data?.labels);
      if (former?.addressesText === addressesText && former.labelsText === labelsText) continue;
      if (former?.addressesText !== addressesText) { moved.add(name); routes = true; }
      families.say(`node ${name}`, says((data?.addresses ?? []).map((address) => String(familyOf(address)))));
      if (data === undefined) nodes.delete(name);
      else nodes.set(name, { labels: data.labels, labelsText, addressesText });
      touch(nodeClaims.say(name, new Map((data?.addresses ?? []).map((address) => [address, name]))));
    }
    return moved;
  };

  const touchNodesAt = (addresses: Iterable<string>): void => {
    for (const address of addresses) for (const node of nodeClaims.sourcesOf(address)) touch(nodeClaims.keysOf(node));
  };

  /** Where the API server answers: its Service's backends. */
  const readApiServers = (dirty: ReadonlySet<string>): void => {
    let changed = false;
    for (const slice of dirty) {
      const isApi = state.slices.get(slice)?.service === API_SERVICE;
      if (!isApi && !apiSlices.has(slice)) continue;
      changed = true;
      if (isApi) apiSlices.add(slice);
      else apiSlices.delete(slice);
    }
    if (!changed) return;
    const former = apiServers;
    apiServers = new Set([...apiSlices].flatMap((slice) => state.slices.get(slice)!.backends.map(({ address }) => address)));
    apiPrefixes = new Set([...apiServers].flatMap((address) => { const prefix = parsePrefix(address); return prefix === undefined ? [] : [formatPrefix(prefix)]; }));
    touchNodesAt([...former, ...apiServers].filter((address) => former.has(address) !== apiServers.has(address)));
    for (const [text, { kind, prefix }] of mentioned) {
      const reserved = cidrReserved(text, prefix);
      if (reserved.join() === kind.reserved.join()) continue;
      kind.reserved = reserved;
      touchedKinds.add(kind);
    }
  };

  const readServed = (dirty: ReadonlySet<string>): void => {
    for (const slice of dirty) {
      for (const address of servedClaims.say(slice, says((state.slices.get(slice)?.backends ?? []).map((backend) => backend.address)))) {
        if (servedClaims.has(address) === served.has(address)) continue;
        if (servedClaims.has(address)) served.add(address);
        else served.delete(address);
        touch([address]);
      }
    }
  };

  /** @returns prefixes of which another policy speaks, or none any more */
  const readPolicies = (dirty: ReadonlySet<string>): Set<string> => {
    const prefixes = new Set<string>();
    const names = new Set<string>();
    for (const key of dirty) {
      const policy = state.policies.get(key);
      const mentions = policy === undefined ? undefined : mentionsOf(policy);
      for (const text of prefixClaims.say(key, mentions?.prefixes ?? new Map())) prefixes.add(text);
      for (const name of nameClaims.say(key, says(mentions?.names ?? []))) names.add(name);
      traits.say(key, says([...(mentions?.nodesByLabel === true ? ['nodes'] : []), ...(mentions?.apiServer === true ? ['API server'] : [])]));
    }
    for (const name of names) {
      if (nameClaims.has(name) === mentionedNames.has(name)) continue;
      if (nameClaims.has(name)) mentionedNames.add(name);
      else mentionedNames.delete(name);
      variants.nameChanged(name);
    }
    if (traits.has('nodes') !== nodesByLabel) {
      nodesByLabel = !nodesByLabel;
      touch(nodeClaims.keys());
    }
    return prefixes;
  };

  /** An API server outside the cluster is a prefix of its own while a policy speaks of it. */
  const mentionApiServers = (prefixes: Set<string>): void => {
    const outside = traits.has('API server') ? [...apiServers].filter((address) => !nodeClaims.has(address)) : [];
    for (const text of prefixClaims.say('API server', new Map(outside.flatMap((address) => { const prefix = parsePrefix(address); return prefix === undefined ? [] : [[formatPrefix(prefix), prefix] as const]; })))) prefixes.add(text);
  };

  const readPods = (pods: ReadonlySet<string>, endpoints: ReadonlySet<string>): void => {
    for (const pod of pods) variants.podChanged(pod);
    for (const pod of variants.update(state.pods, (name) => mentionedNames.has(name))) touch(addressesOfPod.get(pod) ?? []);
    /* A pod that no node has reported runs beside Seine: it has an address, and nobody judges for it. */
    for (const pod of new Set([...pods, ...endpoints])) {
      const data = state.pods.get(pod);
      const beside = data !== undefined && !data.hostNetwork && data.phase === 'running' && data.nodeName !== undefined && !state.endpoints.has(pod);
      touch(unmanagedClaims.say(pod, new Map((beside ? data.addresses : []).map((address) => [address, { pod, node: data!.nodeName! }]))));
    }
  };

  const readRanges = (dirty: ReadonlySet<string>): void => {
    const touched = new Set<string>();
    for (const node of dirty) {
      routes = true;
      const cidrs = (state.podCidrs.get(node) ?? []).flatMap((cidr) => { const prefix = parsePrefix(cidr); return prefix === undefined ? [] : [[formatPrefix(prefix), prefix] as const]; });
      if (cidrs.length === 0) blocks.delete(node);
      else blocks.set(node, cidrs.map(([, prefix]) => prefix));
      families.say(`range ${node}`, says(cidrs.map(([text]) => String(familyOf(text)))));
      for (const text of ranges.say(node, new Map(cidrs))) touched.add(text);
    }
    const changed = new Map<string, Prefix>();
    for (const text of touched) {
      if (ranges.has(text) === rangesHeld.has(text)) continue;
      const prefix = parsePrefix(text)!; // as formatted
      changed.set(text, prefix);
      if (ranges.has(text)) { rangesHeld.add(text); rangeTable.add({ prefix, cidrClass: 0 }); } else { rangesHeld.delete(text); rangeTable.remove(prefix); }
    }
    for (const [text, prefix] of changed) placePrefix(text, prefix);
    if (changed.size === 0) return;
    for (const [text, { prefix }] of mentioned) if (!changed.has(text) && [...changed.values()].some((range) => prefixCovers(range, prefix))) placePrefix(text, prefix);
  };

  const readIdentities = (dirty: ReadonlySet<string>): void => {
    if (dirty.size === 0) return;
    const changed = new Set<number>();
    for (const key of dirty) {
      const identity = Number(key);
      if (!views.has(identity)) continue;
      views.delete(identity);
      changed.add(identity);
      for (const kind of kindsOfIdentity.get(identity) ?? []) {
        kind.view = viewOf(identity);
        touchedKinds.add(kind);
      }
    }
    if (changed.size > 0) for (const address of [...ownClaims.keys(), ...served]) if (changed.has(entries.get(address)?.kind.identity ?? 0)) touchedAddresses.add(address);
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

  /** A pod of another node whose address is not of that node's block has a route of its own. */
  const readRoutes = (addresses: ReadonlySet<string>, resized: ReadonlySet<string>): void => {
    const look = (address: string): void => {
      const bound = state.addresses.get(address);
      const bytes = bound === undefined || bound.node === self ? undefined : parseAddress(address);
      const isStray = bytes !== undefined && blocks.get(bound!.node)?.some((block) => prefixContains(block, bytes)) !== true;
      routes ||= isStray || strays.has(address);
      if (isStray) strays.add(address);
      else strays.delete(address);
    };
    for (const address of addresses) look(address);
    if (resized.size > 0) for (const [address, { node }] of state.addresses) if (resized.has(node)) look(address);
  };

  const update = (dirty: Dirty, endpoints: Iterable<LocalEndpoint>): PartyChanges => {
    [touchedKinds, touchedSubjects, touchedAddresses, routes] = [new Set(), new Set(), new Set(), false];
    const moved = readNodes(dirty.node);
    readApiServers(dirty.backends);
    readServed(dirty.backends);
    const prefixes = readPolicies(dirty.policy);
    mentionApiServers(prefixes);
    readPods(dirty.pod, dirty.endpoint);
    readRanges(dirty.podcidr);
    readFamilies();
    readIdentities(dirty.identity);
    readLocal(endpoints, dirty.podidentity);
    readRoutes(dirty.address, dirty.podcidr);
    touch(dirty.address);
    if (mentionPrefixes(prefixes)) {
      for (const [address, { bytes, kind }] of entries) if ((bytes === undefined ? 0 : classes.around(bytes)?.cidrClass ?? 0) !== kind.cidrClass) touchedAddresses.add(address);
    }
    for (const address of touchedAddresses) refresh(address);
    if (moved.size > 0) for (const [address, entry] of entries) if (entry.pod !== undefined && moved.has(entry.node)) placeAddress(address, entry);
    return { kinds: touchedKinds, subjects: touchedSubjects, routes };
  };

  /** As people ask for it; `nodeLabels` of a node are its own. */
  const addresses = (): readonly KnownAddress[] => [...entries].map(([address, { node, pod, kind }]) => ({
    ...kind, address, node, pod, nodeLabels: pod === undefined ? nodes.get(node)?.labels : undefined,
  }));

  return {
    update, addresses,
    kinds: (): Iterable<Kind> => kinds.values(),
    kindsOf: (identity: number): Iterable<Kind> => kindsOfIdentity.get(identity) ?? [],
    prefixes: (): Iterable<MentionedPrefix> => mentioned.values(),
    subjects: subjects as ReadonlyMap<string, LocalSubject>,
  };
};
export type Parties = ReturnType<typeof createParties>;
