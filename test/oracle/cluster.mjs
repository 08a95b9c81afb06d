/** What a cluster is, read from raw Kubernetes objects with no other idea than the API's own words: who has an address, which selectors meet. */

const EXTERNAL = '192.168.50.200';

export const ofKind = (objects, kind) => objects.filter((object) => object.kind === kind);
export const namespaceOf = (object) => object.metadata.namespace ?? 'default';
export const labelsOf = (object) => object.metadata.labels ?? {};
const numberOf = (address) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);

export const insideCidr = (address, cidr) => {
  const [base, length = '32'] = cidr.split('/');
  if (base.includes(':')) return false;
  const size = 2 ** (32 - Number(length));
  return Math.floor(numberOf(address) / size) === Math.floor(numberOf(base) / size);
};

/** @param valueOf a key's value, or undefined where there is no such label */
const meets = ({ key, operator, values = [] }, valueOf) => {
  const value = valueOf(key);
  if (operator === 'In') return value !== undefined && values.includes(value);
  if (operator === 'NotIn') return value === undefined || !values.includes(value);
  if (operator === 'Exists') return value !== undefined;
  if (operator === 'DoesNotExist') return value === undefined;
  throw new Error(`no such operator: ${operator}`);
};

/** An empty selector selects everything. */
export const selectorMeetsBy = (selector, valueOf) => {
  const { matchLabels, matchExpressions } = selector ?? {};
  for (const [key, value] of Object.entries(matchLabels ?? {})) if (valueOf(key) !== value) return false;
  for (const expression of matchExpressions ?? []) if (!meets(expression, valueOf)) return false;
  return true;
};

export const selectorMeets = (selector, labels) => selectorMeetsBy(selector, (key) => (Object.hasOwn(labels, key) ? labels[key] : undefined));

export const namespaceLabels = (objects, name) => {
  const own = ofKind(objects, 'Namespace').find((object) => object.metadata.name === name);
  return { ...own?.metadata.labels, 'kubernetes.io/metadata.name': name };
};

const addressOfNode = (node) => node.status.addresses.find(({ type }) => type === 'InternalIP').address;

/** `pod` where a pod has the address, `nodeObject` where a node has it, neither where nobody of the cluster does. `node` is where it is. */
const atAddress = (objects, address) => {
  const pod = ofKind(objects, 'Pod').find((candidate) => candidate.status.podIP === address && candidate.spec.hostNetwork !== true && !['Succeeded', 'Failed'].includes(candidate.status.phase));
  if (pod !== undefined) return { address, pod, node: pod.spec.nodeName };
  const nodeObject = ofKind(objects, 'Node').find((candidate) => addressOfNode(candidate) === address);
  return { address, nodeObject, node: nodeObject?.metadata.name };
};

export const slicesOfService = (objects, namespace, name) =>
  ofKind(objects, 'EndpointSlice').filter((slice) => namespaceOf(slice) === namespace && slice.metadata.labels['kubernetes.io/service-name'] === name);

/** Where the API server answers: the backends of the Service default/kubernetes. */
export const apiServerAddresses = (objects) => slicesOfService(objects, 'default', 'kubernetes').flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses));

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
  return slicesOfService(objects, namespace, short)
    .flatMap((slice) => slice.ports.filter((candidate) => (candidate.name ?? '') === (front.name ?? '') && candidate.protocol === protocol)
      .flatMap((behind) => slice.endpoints.flatMap(({ addresses }) => addresses.map((address) => ({ ...atAddress(objects, address), port: behind.port })))));
};

/** Does a container port of this name, protocol and number stand on the destination? */
export const namedPortMeets = (name, target, protocol, port) => (target.pod?.spec.containers ?? []).some(({ ports = [] }) =>
  ports.some((candidate) => candidate.name === name && (candidate.protocol ?? 'TCP') === protocol && candidate.containerPort === port));
