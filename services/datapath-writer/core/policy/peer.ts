/** Who stands on the other side, and which rules mean them. Pure. */
import type { CidrPeer, EntityPeer, LabelsPeer, Peer, PodsPeer, PolicySubject } from '@seine/events';
import { NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX, parseLabel, parsePrefix, prefixCovers, RESERVED_IDENTITY, selects, selectsBy, type Labels, type LabelSet, type Prefix, type ReservedIdentityName } from '@seine/model';

/** What selectors see of a pod's identity. */
export interface IdentityView {
  readonly namespace: string;
  readonly namespaceLabels: Labels;
  readonly podLabels: Labels;
  /** Every label of source `k8s`, by its whole key. */
  readonly labels: Labels;
}

/** From a security label set; undefined for sets that are no pod's. */
export const identityView = (set: LabelSet): IdentityView | undefined => {
  const [podLabels, namespaceLabels, labels] = [0, 1, 2].map(() => Object.create(null) as Record<string, string>) as [Record<string, string>, Record<string, string>, Record<string, string>]; // three of three
  let namespace: string | undefined;
  for (const label of set) {
    const { source, key, value } = parseLabel(label);
    if (source !== 'k8s') continue;
    labels[key] = value;
    if (key === NAMESPACE_LABEL) namespace = value;
    else if (key.startsWith(NAMESPACE_LABELS_PREFIX)) namespaceLabels[key.slice(NAMESPACE_LABELS_PREFIX.length)] = value;
    else podLabels[key] = value;
  }
  return namespace === undefined ? undefined : { namespace, namespaceLabels, podLabels, labels };
};

/** One kind of peer or subject: who it is, and the longest mentioned prefix around its address. */
export interface Party {
  readonly identity: number;
  /** Of pods only. */
  readonly view: IdentityView | undefined;
  /** `host`, `remote-node`, `kube-apiserver`, `world`, …: several where a node runs an API server; the world has its family beside it. None for pods. */
  readonly reserved: readonly ReservedIdentityName[];
  /** Of nodes only. */
  readonly nodeLabels: Labels | undefined;
  /** The longest prefix that any policy mentions and that contains the address; excepts are mentioned too, so it is wholly in or out of each. */
  readonly prefix: Prefix | undefined;
}

type Matcher = (party: Party) => boolean;

const podsMatcher = (peer: PodsPeer): Matcher => ({ view }) => view !== undefined &&
  (peer.namespace === undefined || peer.namespace === view.namespace) &&
  (peer.namespaces === undefined || selects(peer.namespaces, view.namespaceLabels)) &&
  selects(peer.pods, view.podLabels);

/** `k8s:app` → how to read it from a party; undefined: there is no such label. */
const labelReader = (key: string): ((party: Party) => string | undefined) => {
  const colon = key.indexOf(':');
  const [source, name] = [key.slice(0, colon), key.slice(colon + 1)];
  const plain = ({ view }: Party): string | undefined => (view !== undefined && Object.hasOwn(view.labels, name) ? view.labels[name] : undefined);
  const isReserved = ({ reserved }: Party): string | undefined => ((reserved as readonly string[]).includes(name) ? '' : undefined);
  switch (source) {
    case 'k8s': return plain;
    case 'reserved': return isReserved;
    case 'any': return (party) => plain(party) ?? isReserved(party);
    case 'cidr': {
      const outer = parsePrefix(name);
      return ({ reserved, prefix }) => (reserved.includes('world') && outer !== undefined && prefix !== undefined && prefixCovers(outer, prefix) ? '' : undefined);
    }
    default: return () => undefined;
  }
};

const labelsMatcher = (peer: LabelsPeer): Matcher => {
  const readers = new Map(peer.labels.map(({ key }) => [key, labelReader(key)]));
  return (party) => selectsBy(peer.labels, (key) => readers.get(key)!(party));
};

const cidrMatcher = (peer: CidrPeer): Matcher => {
  const outer = parsePrefix(peer.cidr);
  const holes = peer.except.flatMap((text) => parsePrefix(text) ?? []);
  const [notPods, notNodes] = [peer.not?.includes('pods') === true, peer.not?.includes('nodes') === true];
  return ({ prefix, view, reserved, nodeLabels }) => prefix !== undefined && outer !== undefined && prefixCovers(outer, prefix) &&
    !(notPods && (view !== undefined || reserved.includes('unmanaged'))) && !(notNodes && nodeLabels !== undefined) && !holes.some((hole) => prefixCovers(hole, prefix));
};

const entityMatcher = ({ entity }: EntityPeer): Matcher => {
  switch (entity) {
    case 'all': return () => true;
    case 'none': return () => false;
    /* Cilium counts the API server in, wherever it is. */
    case 'cluster': case 'cluster-mesh': return ({ identity, reserved }) => identity !== RESERVED_IDENTITY.unknown && (!reserved.includes('world') || reserved.includes('kube-apiserver'));
    default: return ({ reserved }) => reserved.includes(entity);
  }
};

const matcherOf = (peer: Peer): Matcher => {
  switch (peer.type) {
    case 'pods': return podsMatcher(peer);
    case 'labels': return labelsMatcher(peer);
    case 'cidr': return cidrMatcher(peer);
    case 'entity': return entityMatcher(peer);
    case 'nodes': return ({ nodeLabels }) => nodeLabels !== undefined && selects(peer.labels, nodeLabels);
    case 'name': return () => false;
    case 'group': {
      const members = peer.members.map(matcherOf);
      return (party) => members.some((matches) => matches(party));
    }
  }
};

const matchers = new WeakMap<Peer, Matcher>();

/** A peer is read once: a rule is asked about thousands of parties. */
export const peerMatches = (peer: Peer, party: Party): boolean => {
  const known = matchers.get(peer) ?? matcherOf(peer);
  matchers.set(peer, known);
  return known(party);
};

/** Does the policy apply to this endpoint, or to this node itself? */
export const subjectMatches = (subject: PolicySubject, party: Party): boolean =>
  (subject.type === 'nodes' ? party.reserved.includes('host') : party.view !== undefined || party.reserved.includes('init')) && peerMatches(subject, party);
