/** ClusterNetworkPolicy v1alpha2 read literally: what the policies of one tier decide about one packet. */
import { insideCidr, labelsOf, namedPortMeets, namespaceLabels, namespaceOf, ofKind, selectorMeets } from './cluster.mjs';

const podMeets = (objects, { namespaceSelector, podSelector }, pod) => pod !== undefined &&
  selectorMeets(namespaceSelector, namespaceLabels(objects, namespaceOf(pod))) && selectorMeets(podSelector, labelsOf(pod));

const MEMBERS = { ingress: ['namespaces', 'pods'], egress: ['namespaces', 'pods', 'nodes', 'networks', 'domainNames'] };
const isUnknown = (direction, peer) => !MEMBERS[direction].some((name) => peer[name] !== undefined);

const peerMeets = (objects, peer, other) => {
  if (peer.namespaces !== undefined) return podMeets(objects, { namespaceSelector: peer.namespaces }, other.pod);
  if (peer.pods !== undefined) return podMeets(objects, peer.pods, other.pod);
  if (peer.nodes !== undefined) return other.nodeObject !== undefined && selectorMeets(peer.nodes, labelsOf(other.nodeObject));
  if (peer.networks !== undefined) return peer.networks.some((cidr) => insideCidr(other.address, cidr));
  /* Nobody here learns what domain names stand for. */
  return false;
};

const portMeets = ({ number, range }, port) => (range === undefined ? port === number : range.start <= port && port <= range.end);

const protocolMeets = (item, target, { protocol, port }) => {
  if (item.destinationNamedPort !== undefined) return namedPortMeets(item.destinationNamedPort, target, protocol, port);
  const match = item[protocol.toLowerCase()];
  return match !== undefined && portMeets(match.destinationPort, port);
};

/** The action of a rule for this packet, or undefined where it does not match. A peer of no known kind fails closed. */
const actionOf = (objects, question, rule) => {
  const peers = question.direction === 'ingress' ? rule.from : rule.to;
  if (peers.some((peer) => isUnknown(question.direction, peer))) return rule.action === 'Accept' ? undefined : 'Deny';
  if (!peers.some((peer) => peerMeets(objects, peer, question.other))) return undefined;
  if (rule.protocols !== undefined && !rule.protocols.some((item) => protocolMeets(item, question.target, question))) return undefined;
  return rule.action;
};

/**
 * @returns 'Accept', 'Deny', 'Pass', or undefined where no rule of the tier matches. Lower priority first, then the rules in the order written.
 * 'any of them' where policies of one priority say different things: the text leaves it to the implementation.
 */
export const tierDecision = (objects, question, tier, counts) => {
  const { own, direction } = question;
  if (own.pod === undefined) return undefined;
  const policies = ofKind(objects, 'ClusterNetworkPolicy').filter((policy) => policy.spec.tier === tier && counts(policy) &&
    podMeets(objects, policy.spec.subject.pods ?? { namespaceSelector: policy.spec.subject.namespaces }, own.pod));
  const sayOf = (policy) => (policy.spec[direction] ?? []).map((rule) => actionOf(objects, question, rule)).find((action) => action !== undefined);
  for (const priority of [...new Set(policies.map((policy) => policy.spec.priority))].sort((a, b) => a - b)) {
    const said = new Set(policies.filter((policy) => policy.spec.priority === priority).map(sayOf).filter((action) => action !== undefined));
    if (said.size > 0) return said.size === 1 ? [...said][0] : 'any of them';
  }
  return undefined;
};
