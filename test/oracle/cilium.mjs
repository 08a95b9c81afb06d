/**
 * CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy v2 read literally: what each spec that selects somebody says of one packet.
 *
 * Everybody is a set of labels `source:key=value`. A selector's key without a source means any source.
 */
import { apiServerAddresses, insideCidr, labelsOf, namedPortMeets, namespaceLabels, namespaceOf, ofKind, selectorMeets, selectorMeetsBy, slicesOfService } from './cluster.mjs';

const POD_NAMESPACE = 'io.kubernetes.pod.namespace';
const NAMESPACE_LABELS = 'io.cilium.k8s.namespace.labels.';
const SOURCES = ['k8s', 'any', 'reserved', 'cidr'];

/** @param at the node whose pods or processes ask: its own address is `host`, every other node's `remote-node` */
const labelsOfParty = (objects, party, at) => {
  if (party.pod !== undefined) {
    const namespace = namespaceOf(party.pod);
    return {
      ...Object.fromEntries(Object.entries(labelsOf(party.pod)).map(([key, value]) => [`k8s:${key}`, value])),
      ...Object.fromEntries(Object.entries(namespaceLabels(objects, namespace)).map(([key, value]) => [`k8s:${NAMESPACE_LABELS}${key}`, value])),
      [`k8s:${POD_NAMESPACE}`]: namespace,
      'k8s:io.cilium.k8s.policy.serviceaccount': party.pod.spec.serviceAccountName ?? 'default',
      'k8s:io.cilium.k8s.policy.cluster': 'default',
    };
  }
  const apiServer = apiServerAddresses(objects).includes(party.address) ? { 'reserved:kube-apiserver': '' } : {};
  if (party.nodeObject !== undefined) return { [party.node === at ? 'reserved:host' : 'reserved:remote-node']: '', ...apiServer };
  return { 'reserved:world': '', ...apiServer };
};

const withSource = (key) => (SOURCES.some((source) => key.startsWith(`${source}:`)) ? key : `any:${key}`);
const keysOf = ({ matchLabels, matchExpressions } = {}) => [...Object.keys(matchLabels ?? {}), ...(matchExpressions ?? []).map(({ key }) => key)].map(withSource);

const labelSelectorMeets = (selector, labels) => selectorMeetsBy(selector, (key) => {
  const [source, ...rest] = withSource(key).split(':');
  const name = rest.join(':');
  if (source !== 'any') return labels[`${source}:${name}`];
  return labels[`k8s:${name}`] ?? labels[`reserved:${name}`];
});

/** A selector over peers: in a namespaced policy of its own namespace unless it says another; in a clusterwide one of any namespace. */
const endpointMeets = (policy, selector, labels) => {
  if (!labelSelectorMeets(selector, labels)) return false;
  const keys = keysOf(selector);
  const namespace = labels[`k8s:${POD_NAMESPACE}`];
  if (keys.some((key) => key.startsWith('reserved:'))) return true;
  if (keys.some((key) => key === `k8s:${POD_NAMESPACE}` || key === `any:${POD_NAMESPACE}`)) return true;
  if (policy.kind === 'CiliumClusterwideNetworkPolicy') return namespace !== undefined;
  if (keys.some((key) => key.startsWith(`k8s:${NAMESPACE_LABELS}`) || key.startsWith(`any:${NAMESPACE_LABELS}`))) return true;
  return namespace === namespaceOf(policy);
};

const entityMeets = (entity, party, labels) => {
  switch (entity) {
    case 'all': return true;
    case 'none': return false;
    case 'world': case 'world-ipv4': return labels['reserved:world'] !== undefined;
    case 'world-ipv6': return false;
    /* The API server is of the cluster, wherever it is. */
    case 'cluster': case 'cluster-mesh': return party.pod !== undefined || party.nodeObject !== undefined || labels['reserved:kube-apiserver'] !== undefined;
    default: return labels[`reserved:${entity}`] !== undefined;
  }
};

/** CIDR rules mean addresses outside the cluster: no pod's, no node's, unless the setting `policy-cidr-match-mode` names their kind. */
const cidrMeets = (cidr, except, party, also = []) => (party.pod === undefined || also.includes('pods')) && (party.nodeObject === undefined || also.includes('nodes')) &&
  insideCidr(party.address, cidr) && !(except ?? []).some((hole) => insideCidr(party.address, hole));

const cidrSetMeets = (objects, { cidr, cidrGroupRef, cidrGroupSelector, except }, party, also) => {
  if (cidr !== undefined) return cidrMeets(cidr, except, party, also);
  return ofKind(objects, 'CiliumCIDRGroup')
    .filter((group) => (cidrGroupRef !== undefined ? group.metadata.name === cidrGroupRef : selectorMeets(cidrGroupSelector, labelsOf(group))))
    .some((group) => group.spec.externalCIDRs.some((each) => cidrMeets(each, except, party, also)));
};

/** A Service with a selector means the pods that it selects; one without, the addresses of its slices as CIDRs. */
const serviceMeets = (objects, { k8sService, k8sServiceSelector }, party, also) => ofKind(objects, 'Service').filter((service) => {
  const { namespace } = k8sService ?? k8sServiceSelector;
  if (namespace !== undefined && namespace !== namespaceOf(service)) return false;
  return k8sService !== undefined ? service.metadata.name === k8sService.serviceName : selectorMeets(k8sServiceSelector.selector, labelsOf(service));
}).some((service) => {
  const { selector } = service.spec;
  if (selector !== undefined) return party.pod !== undefined && namespaceOf(party.pod) === namespaceOf(service) && selectorMeets({ matchLabels: selector }, labelsOf(party.pod));
  return slicesOfService(objects, namespaceOf(service), service.metadata.name).some(({ endpoints }) => endpoints.some(({ addresses }) => addresses.some((address) => cidrMeets(`${address}/32`, [], party, also))));
});

/** Peers of a rule: absent means anybody where the rule says ports, and nobody where it says nothing at all. */
const peersMeet = (objects, policy, question, rule, settings) => {
  const also = (settings['policy-cidr-match-mode'] ?? '').split(',');
  const { direction, other } = question;
  const of = (name) => rule[`${direction === 'ingress' ? 'from' : 'to'}${name}`];
  const labels = labelsOfParty(objects, other, question.own.node);
  const lists = [
    [of('Endpoints'), (selector) => endpointMeets(policy, selector, labels)],
    [of('Entities'), (entity) => entityMeets(entity, other, labels)],
    [of('CIDR'), (cidr) => cidrMeets(cidr, [], other, also)],
    [of('CIDRSet'), (item) => cidrSetMeets(objects, item, other, also)],
    [of('Nodes'), (selector) => other.nodeObject !== undefined && labelSelectorMeets(selector, Object.fromEntries(Object.entries(labelsOf(other.nodeObject)).map(([key, value]) => [`k8s:${key}`, value])))],
    [of('Services'), (item) => serviceMeets(objects, item, other, also)],
    [of('FQDNs'), () => false],
  ].filter(([list]) => list !== undefined);
  if (lists.length === 0) return rule.toPorts !== undefined || rule.icmps !== undefined;
  return lists.some(([list, meets]) => list.some(meets));
};

const PORTED = ['TCP', 'UDP', 'SCTP'];

const portMeets = ({ port: written, endPort, protocol = 'ANY' }, target, asked) => {
  const text = written.toLowerCase();
  if (!(protocol === asked.protocol || (protocol === 'ANY' && PORTED.includes(asked.protocol)))) return false;
  if (!/^[0-9]+$/.test(text)) return namedPortMeets(text, target, asked.protocol, asked.port);
  const first = Number(text);
  if (first === 0) return true;
  return first <= asked.port && asked.port <= Math.max(first, endPort ?? 0);
};

/** Numbers of the names that ICMP types have. */
const ICMP_TYPES = { EchoReply: 0, DestinationUnreachable: 3, Redirect: 5, Echo: 8, EchoRequest: 8, RouterAdvertisement: 9, RouterSelection: 10, TimeExceeded: 11, ParameterProblem: 12, Timestamp: 13, TimestampReply: 14, Photuris: 40, ExtendedEchoRequest: 42, ExtendedEchoReply: 43 };

const icmpMeets = ({ family = 'IPv4', type }, asked) => asked.protocol === 'ICMP' && family === 'IPv4' && (typeof type === 'number' ? type : /^[0-9]+$/.test(type) ? Number(type) : ICMP_TYPES[type]) === (asked.icmp?.type ?? 8);

const hasL7 = ({ rules, serverNames, terminatingTLS, originatingTLS, listener }) => [rules, serverNames, terminatingTLS, originatingTLS, listener].some((part) => part !== undefined && Object.keys(part).length > 0);

/** What a rule of the allow lists says of the ports: 'allow', 'withheld' (on a condition that only a proxy can see), or nothing. */
const portsSay = (rule, target, asked) => {
  if (rule.icmps !== undefined) return rule.icmps.some(({ fields }) => fields.some((field) => icmpMeets(field, asked))) ? ['allow'] : [];
  if (rule.toPorts === undefined) return ['allow'];
  return rule.toPorts.filter(({ ports }) => ports.some((item) => portMeets(item, target, asked))).map((item) => (hasL7(item) ? 'withheld' : 'allow'));
};

const ruleSays = (objects, policy, question, rule, settings) => {
  if (!peersMeet(objects, policy, question, rule, settings)) return [];
  const said = portsSay(rule, question.target, question);
  const mode = rule.authentication?.mode ?? 'disabled';
  return mode === 'disabled' ? said : said.map(() => 'withheld');
};

/** A namespaced policy is for its own namespace: another one among its labels is overwritten. */
const ownSelector = (policy, selector) => {
  if (policy.kind !== 'CiliumNetworkPolicy') return selector;
  const { [`k8s:${POD_NAMESPACE}`]: _another, ...matchLabels } = selector.matchLabels ?? {};
  return { ...selector, matchLabels };
};

const selectsOwn = (objects, policy, spec, own) => {
  if (spec.nodeSelector !== undefined) return own.nodeObject !== undefined && labelSelectorMeets(spec.nodeSelector, Object.fromEntries(Object.entries(labelsOf(own.nodeObject)).map(([key, value]) => [`k8s:${key}`, value])));
  if (own.pod === undefined) return false;
  const labels = labelsOfParty(objects, own, own.node);
  return (policy.kind === 'CiliumClusterwideNetworkPolicy' || namespaceOf(policy) === namespaceOf(own.pod)) && labelSelectorMeets(ownSelector(policy, spec.endpointSelector), labels);
};

/** @returns of each spec that selects `own`: does it isolate in this direction, and what its rules say */
export const ciliumPolicies = (objects, question, settings) => [...ofKind(objects, 'CiliumNetworkPolicy'), ...ofKind(objects, 'CiliumClusterwideNetworkPolicy')].flatMap((policy) =>
  [...(policy.spec === undefined ? [] : [policy.spec]), ...(policy.specs ?? [])].filter((spec) => selectsOwn(objects, policy, spec, question.own)).map((spec) => {
    const { direction } = question;
    const rules = spec[direction] ?? [];
    const denies = spec[`${direction}Deny`] ?? [];
    return {
      policy, isolates: spec.enableDefaultDeny?.[direction] ?? rules.length + denies.length > 0,
      says: [...rules.flatMap((rule) => ruleSays(objects, policy, question, rule, settings)), ...denies.flatMap((rule) => ruleSays(objects, policy, question, rule, settings).map(() => 'deny'))],
    };
  }));
