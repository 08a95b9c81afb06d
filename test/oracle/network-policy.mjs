/** NetworkPolicy v1 read literally: what one policy says of one packet. */
import { insideCidr, namedPortMeets, namespaceLabels, namespaceOf, labelsOf, ofKind, selectorMeets } from './cluster.mjs';

const peerMeets = (objects, policy, peer, other) => {
  if (peer.ipBlock !== undefined) {
    return insideCidr(other.address, peer.ipBlock.cidr) && !(peer.ipBlock.except ?? []).some((hole) => insideCidr(other.address, hole));
  }
  if (other.pod === undefined) return false;
  const namespace = namespaceOf(other.pod);
  const there = peer.namespaceSelector === undefined ? namespace === namespaceOf(policy) : selectorMeets(peer.namespaceSelector, namespaceLabels(objects, namespace));
  return there && selectorMeets(peer.podSelector, labelsOf(other.pod));
};

const portMeets = (item, target, { protocol, port }) => {
  if ((item.protocol ?? 'TCP') !== protocol) return false;
  if (item.port === undefined) return true;
  if (typeof item.port === 'number') return item.port <= port && port <= (item.endPort ?? item.port);
  return namedPortMeets(item.port, target, protocol, port);
};

const typesOf = ({ policyTypes, egress }) => {
  if (policyTypes !== undefined && policyTypes.length > 0) return policyTypes;
  return (egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
};

/**
 * @param question direction, own (whose policies), other, target (the packet's destination), protocol, port
 * @param defect turns one sentence of the text round, to see that somebody notices
 * @returns of each policy that selects `own` in this direction: it isolates, and whether it allows
 */
export const networkPolicies = (objects, question, defect) => {
  const { direction, own, other, target } = question;
  if (own.pod === undefined) return [];
  /* A spec that is absent is an empty one. */
  return ofKind(objects, 'NetworkPolicy').map((policy) => ({ spec: {}, ...policy })).filter((policy) => namespaceOf(policy) === namespaceOf(own.pod) &&
    typesOf(policy.spec).includes(direction === 'ingress' ? 'Ingress' : 'Egress') && selectorMeets(policy.spec.podSelector, labelsOf(own.pod)))
    .map((policy) => ({
      policy, isolates: true,
      says: (policy.spec[direction] ?? []).some((rule) => {
        const peers = (direction === 'ingress' ? rule.from : rule.to) ?? [];
        const ports = rule.ports ?? [];
        const anybody = defect === 'an empty list of peers is nobody' ? false : peers.length === 0;
        const anyPort = defect === 'an empty list of ports is no port' ? false : ports.length === 0;
        return (anybody || peers.some((peer) => (defect === 'the holes of an ipBlock are inside' && peer.ipBlock !== undefined ?
          insideCidr(other.address, peer.ipBlock.cidr) : peerMeets(objects, policy, peer, other)))) &&
          (anyPort || ports.some((item) => portMeets(defect === 'endPort is forgotten' ? { ...item, endPort: undefined } : item, target, question)));
      }) ? ['allow'] : [],
    }));
};
