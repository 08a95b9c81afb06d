/** Who is behind every address that the cluster knows, as rows need it. Pure. */
import type { CompiledPolicy, Peer } from '@seine/events';
import {
  CIDR_IDENTITY_BASE, compareCodeUnits, familyOf, formatPrefix, NODE_IDENTITY_BASE, parseAddress, parsePrefix, prefixContains, prefixCovers, prefixFamily, PROTOCOL, RESERVED_IDENTITY,
  type IpFamily, type Prefix, type ReservedIdentityName,
} from '@seine/model';

import type { NodeState } from './fold.ts';
import { bindingsOf, bindingsText, identityView, mentionedNames, numberFor, variantNumbers, type Bindings, type Party, type PeerKind, type Tables } from './policy/index.ts';

/** An address of a pod or a node. */
export interface KnownAddress extends PeerKind {
  readonly address: string;
  readonly node: string;
  readonly pod: string | undefined;
}

export interface Parties {
  readonly addresses: readonly KnownAddress[];
  /** Every prefix that some policy mentions, with its class number, in text order. */
  readonly prefixes: readonly { readonly prefix: Prefix; readonly cidrClass: number }[];
  /** Everybody who can be on the other side, once each; who is not here meets rules of any peer only. */
  readonly kinds: readonly PeerKind[];
}

const NO_BINDINGS: Bindings = new Map();

const peersOf = (policy: CompiledPolicy): readonly Peer[] => [policy.subject, ...policy.rules.flatMap(({ peers }) => (peers === 'any' ? [] : peers))];

const prefixTexts = (peer: Peer): readonly string[] => {
  switch (peer.type) {
    case 'cidr': return [peer.cidr, ...peer.except];
    case 'labels': return peer.labels.flatMap(({ key }) => (key.startsWith('cidr:') ? [key.slice('cidr:'.length)] : []));
    case 'group': return peer.members.flatMap(prefixTexts);
    default: return [];
  }
};

const speaksOf = (peer: Peer, label: ReservedIdentityName): boolean =>
  (peer.type === 'entity' && peer.entity === label) || (peer.type === 'labels' && peer.labels.some(({ key }) => key === `reserved:${label}` || key === `any:${label}`));

const API_SERVICE = 'default/kubernetes';

/** Where the API server answers: its Service's backends. */
export const apiServerAddresses = (state: Readonly<NodeState>): ReadonlySet<string> =>
  new Set([...state.slices.values()].filter(({ service }) => service === API_SERVICE).flatMap(({ backends }) => backends.map(({ address }) => address)));

/** What policies distinguish, and so rows must. */
export interface Mentions {
  readonly prefixes: readonly Prefix[];
  readonly names: ReadonlySet<string>;
  readonly nodesByLabel: boolean;
}

export const mentionsOf = (state: Readonly<NodeState>): Mentions => {
  const texts = new Set<string>();
  let nodesByLabel = false;
  let apiServer = false;
  for (const policy of state.policies.values()) {
    for (const peer of peersOf(policy)) {
      for (const text of prefixTexts(peer)) texts.add(text);
      nodesByLabel ||= peer.type === 'nodes' && peer !== policy.subject;
      apiServer ||= speaksOf(peer, 'kube-apiserver');
    }
  }
  const inCluster = new Set([...state.nodes.values()].flatMap(({ addresses }) => addresses));
  if (apiServer) for (const address of apiServerAddresses(state)) if (!inCluster.has(address)) texts.add(formatPrefix(parsePrefix(address)!));
  return { prefixes: [...texts].sort(compareCodeUnits).flatMap((text) => parsePrefix(text) ?? []), names: mentionedNames(state.policies.values()), nodesByLabel };
};

/** Bound addresses of the log, and those of the node's own table that the log does not have yet. */
export interface OwnAddress { readonly address: string; readonly pod: string; readonly uid: string }

const OUTSIDE = { variant: 0, bindings: NO_BINDINGS, cidrClass: 0, prefix: undefined, view: undefined, nodeLabels: undefined } as const;
const WORLD_LABEL = { 4: 'world-ipv4', 6: 'world-ipv6' } as const satisfies Record<IpFamily, ReservedIdentityName>;

/** The families that the cluster uses: those of its pod ranges and of its nodes. */
export const clusterFamilies = (state: Readonly<NodeState>): readonly IpFamily[] => {
  const families = new Set<IpFamily>();
  for (const cidrs of state.podCidrs.values()) for (const cidr of cidrs) families.add(familyOf(cidr));
  for (const { addresses } of state.nodes.values()) for (const address of addresses) families.add(familyOf(address));
  return ([4, 6] as const).filter((family) => families.has(family));
};

/** What is nobody's and in no prefix: one identity for each family where both are in use, else one for all (contracts.md 2.2). */
export const worldIdentity = (families: readonly IpFamily[], family: IpFamily): number => (families.length > 1 ? RESERVED_IDENTITY[WORLD_LABEL[family]] : RESERVED_IDENTITY.world);

const worldKinds = (families: readonly IpFamily[]): readonly PeerKind[] =>
  (families.length > 1 ? families : [families[0] ?? 4]).map((family) => ({ ...OUTSIDE, identity: worldIdentity(families, family), reserved: ['world', WORLD_LABEL[family]] }));

export const partiesOf = (state: Readonly<NodeState>, self: string, own: readonly OwnAddress[], tables: Tables): Parties => {
  const { names: mentioned, prefixes: mentionedPrefixes, nodesByLabel } = mentionsOf(state);
  const bindingsByPod = new Map<string, Bindings>();
  if (mentioned.size > 0) {
    for (const [pod, { ports }] of state.pods) {
      bindingsByPod.set(pod, bindingsOf(ports.map(({ name, port, protocol }) => ({ name, port, protocol: PROTOCOL[protocol] })), mentioned));
    }
  }
  const numbers = variantNumbers([...bindingsByPod.values()].map(bindingsText));
  const variantOfPod = (pod: string) => {
    const bindings = bindingsByPod.get(pod) ?? NO_BINDINGS;
    return { bindings, variant: numbers.get(bindingsText(bindings)) ?? 0 };
  };

  const prefixes = mentionedPrefixes.map((prefix) => ({ prefix, cidrClass: numberFor(tables.cidrClass, formatPrefix(prefix)) }));
  const longestFirst = [...prefixes].sort((a, b) => b.prefix.length - a.prefix.length);
  const around = (address: string) => {
    const bytes = parseAddress(address);
    const found = bytes === undefined ? undefined : longestFirst.find(({ prefix }) => prefixContains(prefix, bytes));
    return { cidrClass: found?.cidrClass ?? 0, prefix: found?.prefix };
  };

  const apiServers = apiServerAddresses(state);
  const views = new Map<number, Party['view']>();
  const podParty = (identity: number) => {
    const labels = state.identities.get(identity);
    if (!views.has(identity)) views.set(identity, labels === undefined ? undefined : identityView(labels));
    return { identity, view: views.get(identity), reserved: [], nodeLabels: undefined } as const;
  };
  const byAddress = new Map<string, KnownAddress>();
  for (const [name, { addresses, labels }] of state.nodes) {
    const hasApiServer = addresses.some((address) => apiServers.has(address));
    const reserved: readonly ReservedIdentityName[] = [name === self ? 'host' : 'remote-node', ...(hasApiServer ? ['kube-apiserver' as const] : [])];
    const identity = name === self ? RESERVED_IDENTITY.host : nodesByLabel ? NODE_IDENTITY_BASE + numberFor(tables.nodes, name) : hasApiServer ? RESERVED_IDENTITY['kube-apiserver'] : RESERVED_IDENTITY['remote-node'];
    for (const address of addresses) byAddress.set(address, { address, identity, node: name, pod: undefined, variant: 0, bindings: NO_BINDINGS, view: undefined, reserved, nodeLabels: labels, ...around(address) });
  }
  /* A pod that no node has reported runs beside Seine: it has an address, and nobody judges for it. */
  for (const [pod, { addresses, hostNetwork, phase, nodeName }] of state.pods) {
    if (hostNetwork || phase !== 'running' || nodeName === undefined || state.endpoints.has(pod)) continue;
    for (const address of addresses) {
      byAddress.set(address, { address, identity: RESERVED_IDENTITY.unmanaged, node: nodeName, pod, variant: 0, bindings: NO_BINDINGS, view: undefined, reserved: ['unmanaged'], nodeLabels: undefined, ...around(address) });
    }
  }
  for (const [address, { identity, node, pod }] of state.addresses) byAddress.set(address, { address, node, pod, ...podParty(identity), ...variantOfPod(pod), ...around(address) });
  for (const { address, pod, uid } of own) {
    const assigned = state.podIdentities.get(pod);
    if (assigned?.uid === uid) byAddress.set(address, { address, node: self, pod, ...podParty(assigned.identity), ...variantOfPod(pod), ...around(address) });
  }
  const addresses = [...byAddress.values()].sort((a, b) => compareCodeUnits(a.address, b.address));

  const kinds = new Map<string, PeerKind>(worldKinds(clusterFamilies(state)).map((kind) => [`${kind.identity}/0/0`, kind]));
  for (const known of addresses) kinds.set(`${known.identity}/${known.variant}/${known.cidrClass}`, known);
  for (const { prefix, cidrClass } of prefixes) {
    const identity = CIDR_IDENTITY_BASE + cidrClass;
    const isApiServer = apiServers.size > 0 && [...apiServers].some((address) => { const whole = parsePrefix(address); return whole !== undefined && prefixCovers(prefix, whole) && prefix.length === whole.length; });
    kinds.set(`${identity}/0/0`, { ...OUTSIDE, identity, prefix, reserved: [...(isApiServer ? ['kube-apiserver' as const] : []), 'world', WORLD_LABEL[prefixFamily(prefix)]] });
  }
  return { addresses, prefixes, kinds: [...kinds.values()] };
};

/** Is this prefix wholly inside a range of pod addresses? There its addresses are pods or nobody, never the world. */
export const insidePodRange = (state: Readonly<NodeState>, prefix: Prefix): boolean =>
  [...state.podCidrs.values()].flat().some((cidr) => { const range = parsePrefix(cidr); return range !== undefined && prefixCovers(range, prefix); });
