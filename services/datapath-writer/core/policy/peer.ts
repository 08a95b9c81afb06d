/** Who stands on the other side, and which rules mean them. Pure. */
import type { CidrPeer, Peer, PodsPeer } from '@seine/events';
import { NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX, parseLabel, parsePrefix, prefixCovers, selects, type Labels, type LabelSet, type Prefix } from '@seine/model';

/** What selectors see of an identity. */
export interface IdentityView {
  readonly namespace: string;
  readonly namespaceLabels: Labels;
  readonly podLabels: Labels;
}

/** From a security label set; undefined for sets that are no pod's. */
export const identityView = (labels: LabelSet): IdentityView | undefined => {
  const podLabels: Record<string, string> = Object.create(null) as Record<string, string>;
  const namespaceLabels: Record<string, string> = Object.create(null) as Record<string, string>;
  let namespace: string | undefined;
  for (const label of labels) {
    const { source, key, value } = parseLabel(label);
    if (source !== 'k8s') continue;
    if (key === NAMESPACE_LABEL) namespace = value;
    else if (key.startsWith(NAMESPACE_LABELS_PREFIX)) namespaceLabels[key.slice(NAMESPACE_LABELS_PREFIX.length)] = value;
    else podLabels[key] = value;
  }
  return namespace === undefined ? undefined : { namespace, namespaceLabels, podLabels };
};

/** Does this pods peer (or policy subject) mean the identity? */
export const podsPeerSelects = (peer: PodsPeer, view: IdentityView): boolean =>
  (peer.namespace === undefined || peer.namespace === view.namespace) &&
  (peer.namespaces === undefined || selects(peer.namespaces, view.namespaceLabels)) &&
  selects(peer.pods, view.podLabels);

/** `inside` is the longest prefix that any policy mentions and that contains the address; excepts are mentioned too, so it is wholly in or out. */
export const cidrPeerContains = (peer: CidrPeer, inside: Prefix): boolean => {
  const outer = parsePrefix(peer.cidr);
  return outer !== undefined && prefixCovers(outer, inside) && !peer.except.some((except) => {
    const hole = parsePrefix(except);
    return hole !== undefined && prefixCovers(hole, inside);
  });
};

/** One kind of peer: an identity, the ports that its pods' names bind, and the longest mentioned prefix around its address. */
export interface Party {
  readonly identity: number;
  readonly view: IdentityView | undefined;
  readonly prefix: Prefix | undefined;
}

export const peerMatches = (peer: Peer, party: Party): boolean => {
  switch (peer.type) {
    case 'pods': return party.view !== undefined && podsPeerSelects(peer, party.view);
    case 'cidr': return party.prefix !== undefined && cidrPeerContains(peer, party.prefix);
  }
};
