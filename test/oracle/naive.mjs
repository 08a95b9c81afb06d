/**
 * A second opinion: NetworkPolicy v1 read literally, one question at a time, over raw Kubernetes objects. It imports nothing, shares no
 * code or idea with the compiler, and knows no rows, identities or classes. Slow on purpose.
 */

const EXTERNAL = '192.168.50.200';

const ofKind = (objects, kind) => objects.filter((object) => object.kind === kind);
const namespaceOf = (object) => object.metadata.namespace ?? 'default';
const numberOf = (address) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

export const insideCidr = (address, cidr) => {
  const [base, length] = cidr.split('/');
  if (base.includes(':')) return false;
  const size = 2 ** (32 - Number(length));
  return Math.floor(numberOf(address) / size) === Math.floor(numberOf(base) / size);
};

const meets = ({ key, operator, values = [] }, labels) => {
  const has = Object.hasOwn(labels, key);
  if (operator === 'In') return has && values.includes(labels[key]);
  if (operator === 'NotIn') return !has || !values.includes(labels[key]);
  if (operator === 'Exists') return has;
  if (operator === 'DoesNotExist') return !has;
  throw new Error(`no such operator: ${operator}`);
};

/** An empty selector selects everything. */
export const selectorMeets = (selector, labels) => {
  const { matchLabels, matchExpressions } = selector ?? {};
  for (const [key, value] of Object.entries(matchLabels ?? {})) if (!Object.hasOwn(labels, key) || labels[key] !== value) return false;
  for (const expression of matchExpressions ?? []) if (!meets(expression, labels)) return false;
  return true;
};

const namespaceLabels = (objects, name) => {
  const own = ofKind(objects, 'Namespace').find((object) => object.metadata.name === name);
  return { ...own?.metadata.labels, 'kubernetes.io/metadata.name': name };
};

const addressOfNode = (node) => node.status.addresses.find(({ type }) => type === 'InternalIP').address;

const atAddress = (objects, address) => {
  const pod = ofKind(objects, 'Pod').find((candidate) => candidate.status.podIP === address && candidate.spec.hostNetwork !== true);
  if (pod !== undefined) return { address, pod, node: pod.spec.nodeName };
  const node = ofKind(objects, 'Node').find((candidate) => addressOfNode(candidate) === address);
  return { address, node: node?.metadata.name };
};

/** Everybody who may be behind a name: a Service has as many answers as backends. */
export const partiesNamed = (objects, name, port, protocol) => {
  if (name === 'external') return [{ ...atAddress(objects, EXTERNAL), port }];
  if (/^[0-9.]+$/.test(name)) return [{ ...atAddress(objects, name), port }];
  if (name.startsWith('node:')) return [{ ...atAddress(objects, addressOfNode(ofKind(objects, 'Node').find((node) => node.metadata.name === name.slice(5)))), port }];
  const [namespace, short] = name.replace('svc:', '').split('/');
  if (!name.startsWith('svc:')) {
    const pod = ofKind(objects, 'Pod').find((candidate) => namespaceOf(candidate) === namespace && candidate.metadata.name === short);
    return [{ ...atAddress(objects, pod.status.podIP), port }];
  }
  const service = ofKind(objects, 'Service').find((candidate) => namespaceOf(candidate) === namespace && candidate.metadata.name === short);
  const front = service.spec.ports.find((candidate) => candidate.port === port && (candidate.protocol ?? 'TCP') === protocol);
  if (front === undefined) return [];
  return ofKind(objects, 'EndpointSlice').filter((slice) => namespaceOf(slice) === namespace && slice.metadata.labels['kubernetes.io/service-name'] === short)
    .flatMap((slice) => slice.ports.filter((candidate) => (candidate.name ?? '') === (front.name ?? '') && candidate.protocol === protocol)
      .flatMap((behind) => slice.endpoints.flatMap(({ addresses }) => addresses.map((address) => ({ ...atAddress(objects, address), port: behind.port })))));
};

const peerMeets = (objects, policy, peer, other) => {
  if (peer.ipBlock !== undefined) {
    return insideCidr(other.address, peer.ipBlock.cidr) && !(peer.ipBlock.except ?? []).some((hole) => insideCidr(other.address, hole));
  }
  if (other.pod === undefined) return false;
  const namespace = namespaceOf(other.pod);
  const there = peer.namespaceSelector === undefined ? namespace === namespaceOf(policy) : selectorMeets(peer.namespaceSelector, namespaceLabels(objects, namespace));
  return there && selectorMeets(peer.podSelector, other.pod.metadata.labels ?? {});
};

const portMeets = (item, target, protocol, port) => {
  if ((item.protocol ?? 'TCP') !== protocol) return false;
  if (item.port === undefined) return true;
  if (typeof item.port === 'number') return item.port <= port && port <= (item.endPort ?? item.port);
  return (target.pod?.spec.containers ?? []).some(({ ports = [] }) =>
    ports.some((candidate) => candidate.name === item.port && (candidate.protocol ?? 'TCP') === protocol && candidate.containerPort === port));
};

const typesOf = ({ policyTypes, egress }) => {
  if (policyTypes !== undefined && policyTypes.length > 0) return policyTypes;
  return (egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
};

/** @param defect turns one sentence of the text round, to see that somebody notices */
const sideAllows = (objects, direction, own, other, target, protocol, port, defect) => {
  if (own.pod === undefined) return true;
  const policies = ofKind(objects, 'NetworkPolicy').filter((policy) => namespaceOf(policy) === namespaceOf(own.pod) &&
    typesOf(policy.spec).includes(direction === 'ingress' ? 'Ingress' : 'Egress') && selectorMeets(policy.spec.podSelector, own.pod.metadata.labels ?? {}));
  if (policies.length === 0) return true;
  return policies.some((policy) => (policy.spec[direction] ?? []).some((rule) => {
    const peers = (direction === 'ingress' ? rule.from : rule.to) ?? [];
    const ports = rule.ports ?? [];
    const anybody = defect === 'an empty list of peers is nobody' ? false : peers.length === 0;
    const anyPort = defect === 'an empty list of ports is no port' ? false : ports.length === 0;
    return (anybody || peers.some((peer) => (defect === 'the holes of an ipBlock are inside' && peer.ipBlock !== undefined ?
      insideCidr(other.address, peer.ipBlock.cidr) : peerMeets(objects, policy, peer, other)))) &&
      (anyPort || ports.some((item) => portMeets(defect === 'endPort is forgotten' ? { ...item, endPort: undefined } : item, target, protocol, port)));
  }));
};

const between = (objects, from, to, protocol, port, defect) => {
  if (from.address === to.address) return true;
  if (!sideAllows(objects, 'egress', from, to, to, protocol, port, defect)) return false;
  /* The node's own processes reach its pods. */
  if (from.pod === undefined && from.node !== undefined && from.node === to.node) return true;
  return sideAllows(objects, 'ingress', to, from, to, protocol, port, defect);
};

/** 'allow' | 'deny', or undefined where it depends on which backend a Service chooses. */
export const naive = (objects, { from, to, protocol, port }, defect) => {
  const [source] = partiesNamed(objects, from, port, protocol);
  const answers = new Set(partiesNamed(objects, to, port, protocol).map((target) => (between(objects, source, target, protocol, target.port, defect) ? 'allow' : 'deny')));
  return answers.size === 1 ? [...answers][0] : undefined;
};
