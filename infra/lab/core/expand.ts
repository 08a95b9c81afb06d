/**
 * The lab plays the parts of a cluster that Seine is not: controllers, scheduler, service addresses, EndpointSlices. Manifests in, the
 * objects that an API server would hold out. Pure and deterministic: the same manifests give the same cluster.
 */
import { POLICY_OBJECT_KINDS } from '@seine/events';
import { digest, selects, type Labels, type Requirement } from '@seine/model';
import { isObject, member, WORKLOAD_KINDS, FACT_KINDS, UNSUPPORTED_KINDS, type KubeObject, type PlainObject } from '@seine/objects';

export interface LabNode { readonly name: string; readonly address: string }

export interface Expanded {
  readonly objects: readonly KubeObject[];
  /** Kinds that say nothing about the network here, and how many there were. */
  readonly ignored: Readonly<Record<string, number>>;
}

const ENFORCED_KINDS: ReadonlySet<string> = new Set(['CiliumCIDRGroup', ...POLICY_OBJECT_KINDS]);
const SERVICE_RANGE = '10.96';
const SUFFIX_LENGTH = 5;
const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

const at = (object: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>((value, name) => (isObject(value) ? member(value, name) : undefined), object);
const plainAt = (object: unknown, ...path: readonly string[]): PlainObject => { const value = at(object, ...path); return isObject(value) ? value : {}; };
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value as readonly unknown[] : []); // Array.isArray says any[]
const textLabels = (value: PlainObject): Labels => Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));

const suffix = (text: string): string => {
  let number = Number.parseInt(digest(text).slice(0, 11), 16);
  let out = '';
  for (let index = 0; index < SUFFIX_LENGTH; index += 1) { out += SUFFIX_LETTERS[number % SUFFIX_LETTERS.length]!; number = Math.floor(number / SUFFIX_LETTERS.length); }
  return out;
};

const objectOf = (kind: string, apiVersion: string, namespace: string, name: string, raw: PlainObject, from?: KubeObject): KubeObject => ({
  apiVersion, kind, namespace, name, uid: `${kind}/${namespace}/${name}`,
  raw: { apiVersion, kind, ...raw, metadata: { ...plainAt(raw, 'metadata'), name, ...(namespace === '' ? {} : { namespace }) } },
  ...(from?.place === undefined ? {} : { place: from.place }), ...(from?.lines === undefined ? {} : { lines: from.lines }),
});

const replicasOf = (workload: KubeObject): number => {
  const wanted = at(workload.raw, 'spec', workload.kind === 'Job' ? 'parallelism' : 'replicas');
  return typeof wanted === 'number' && Number.isInteger(wanted) && wanted >= 0 && wanted <= 1000 ? wanted : 1;
};

/** One pod of a workload; kubectl shows such names. */
const podOf = (workload: KubeObject, name: string, nodeName: string | undefined): KubeObject => {
  const template = workload.kind === 'CronJob' ? plainAt(workload.raw, 'spec', 'jobTemplate', 'spec', 'template') : plainAt(workload.raw, 'spec', 'template');
  return objectOf('Pod', 'v1', workload.namespace, name, {
    metadata: { labels: at(template, 'metadata', 'labels') ?? {}, ownerReferences: [{ kind: workload.kind, name: workload.name, controller: true }] },
    spec: { ...plainAt(template, 'spec'), ...(nodeName === undefined ? {} : { nodeName }) },
  }, workload);
};

const podsOf = (workload: KubeObject, nodes: readonly KubeObject[]): readonly KubeObject[] => {
  const { kind, namespace, name } = workload;
  switch (kind) {
    case 'DaemonSet': return nodes.map((node) => podOf(workload, `${name}-${suffix(`${namespace}/${name}/${node.name}`)}`, node.name));
    case 'StatefulSet': return Array.from({ length: replicasOf(workload) }, (_, index) => podOf(workload, `${name}-${index}`, undefined));
    case 'CronJob': return [];
    default: return Array.from({ length: replicasOf(workload) }, (_, index) => podOf(workload, `${name}-${suffix(`${namespace}/${name}`)}-${suffix(`${namespace}/${name}/${index}`)}`, undefined));
  }
};

const nodeObject = ({ name, address }: LabNode): KubeObject => objectOf('Node', 'v1', '', name, {
  metadata: { labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'beta.kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' } },
  status: { addresses: [{ type: 'InternalIP', address }, { type: 'Hostname', address: name }] },
});

const isHostNetwork = (pod: KubeObject): boolean => at(pod.raw, 'spec', 'hostNetwork') === true;
export const nodeOf = (pod: KubeObject): string | undefined => { const name = at(pod.raw, 'spec', 'nodeName'); return typeof name === 'string' && name !== '' ? name : undefined; };
const isFinished = (pod: KubeObject): boolean => ['Succeeded', 'Failed'].includes(String(at(pod.raw, 'status', 'phase')));
/** A pod that has finished keeps an address in its status that may be another's by now. */
export const podAddress = (pod: KubeObject): string | undefined => {
  if (isFinished(pod)) return undefined;
  const ip = at(pod.raw, 'status', 'podIP') ?? at(listOf(at(pod.raw, 'status', 'podIPs'))[0], 'ip');
  return typeof ip === 'string' && ip !== '' ? ip : undefined;
};
/** The address by which other nodes reach a node. */
export const nodeAddress = (node: KubeObject): string | undefined => {
  const address = at(listOf(at(node.raw, 'status', 'addresses')).find((item) => at(item, 'type') === 'InternalIP'), 'address');
  return typeof address === 'string' ? address : undefined;
};

/** nodeName, then nodeSelector, then whoever has fewest pods; a pod that fits nowhere stays pending. */
const schedule = (pods: readonly KubeObject[], nodes: readonly KubeObject[]): readonly KubeObject[] => {
  const load = new Map(nodes.map((node) => [node.name, 0]));
  const count = (name: string): void => { load.set(name, (load.get(name) ?? 0) + 1); };
  for (const pod of pods) { const fixed = nodeOf(pod); if (fixed !== undefined) count(fixed); }
  return pods.map((pod) => {
    if (nodeOf(pod) !== undefined) return pod;
    const wanted: readonly Requirement[] = Object.entries(textLabels(plainAt(pod.raw, 'spec', 'nodeSelector'))).map(([key, value]) => ({ key, operator: 'In', values: [value] }));
    const fit = nodes.filter((node) => selects([...wanted], textLabels(plainAt(node.raw, 'metadata', 'labels'))));
    const best = fit.reduce<KubeObject | undefined>((least, node) => (least === undefined || load.get(node.name)! < load.get(least.name)! ? node : least), undefined);
    if (best === undefined) return pod;
    count(best.name);
    return { ...pod, raw: { ...pod.raw, spec: { ...plainAt(pod.raw, 'spec'), nodeName: best.name } } };
  });
};

/** What an API server takes for "choose one": absent, null, empty. */
const isUnset = (value: unknown): boolean => value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);

const withServiceAddresses = (services: readonly KubeObject[]): readonly KubeObject[] => {
  const taken = new Set(services.flatMap((service) => [at(service.raw, 'spec', 'clusterIP'), ...listOf(at(service.raw, 'spec', 'clusterIPs'))]));
  return services.map((service) => {
    const spec = plainAt(service.raw, 'spec');
    if (!isUnset(member(spec, 'clusterIP')) || !isUnset(member(spec, 'clusterIPs')) || member(spec, 'type') === 'ExternalName') return service;
    let number = Number.parseInt(digest(`${service.namespace}/${service.name}`).slice(-4), 16) % 65_000;
    const address = (): string => `${SERVICE_RANGE}.${(number >> 8) & 0xff}.${(number & 0xff) || 1}`;
    while (taken.has(address())) number = (number + 1) % 65_000;
    taken.add(address());
    return { ...service, raw: { ...service.raw, spec: { ...spec, clusterIP: address() } } };
  });
};

interface ContainerPort { readonly name: string | undefined; readonly port: number; readonly protocol: string }
export const containerPorts = (pod: KubeObject): readonly ContainerPort[] => listOf(at(pod.raw, 'spec', 'containers')).flatMap((container) => listOf(at(container, 'ports')).flatMap((item) => {
  const port = at(item, 'containerPort');
  const name = at(item, 'name');
  const protocol = at(item, 'protocol');
  return typeof port === 'number' ? [{ name: typeof name === 'string' ? name : undefined, port, protocol: typeof protocol === 'string' ? protocol : 'TCP' }] : [];
}));

/** One slice for each Service with a selector; a named target port is resolved on each pod, so pods that differ get slices of their own. */
export const endpointSlices = (services: readonly KubeObject[], pods: readonly KubeObject[]): readonly KubeObject[] => services.flatMap((service) => {
  const selector = at(service.raw, 'spec', 'selector');
  if (!isObject(selector) || Object.keys(selector).length === 0) return [];
  const wanted: readonly Requirement[] = Object.entries(textLabels(selector)).map(([key, value]) => ({ key, operator: 'In', values: [value] }));
  const backing = pods.filter((pod) => pod.namespace === service.namespace && podAddress(pod) !== undefined && !isFinished(pod) && selects([...wanted], textLabels(plainAt(pod.raw, 'metadata', 'labels'))));
  const byPorts = new Map<string, { readonly ports: readonly PlainObject[]; readonly pods: KubeObject[] }>();
  for (const pod of backing) {
    const ports = listOf(at(service.raw, 'spec', 'ports')).flatMap((item): readonly PlainObject[] => {
      const protocol = at(item, 'protocol') ?? 'TCP';
      const target = at(item, 'targetPort') ?? at(item, 'port');
      const port = typeof target === 'string' ? containerPorts(pod).find((candidate) => candidate.name === target && candidate.protocol === protocol)?.port : target;
      return port === undefined ? [] : [{ name: at(item, 'name') ?? '', port, protocol }];
    });
    const key = JSON.stringify(ports);
    const group = byPorts.get(key) ?? { ports, pods: [] };
    group.pods.push(pod);
    byPorts.set(key, group);
  }
  return [...byPorts.values()].map(({ ports, pods: members }) => objectOf('EndpointSlice', 'discovery.k8s.io/v1', service.namespace, `${service.name}-${suffix(`${service.namespace}/${service.name}/${JSON.stringify(ports)}`)}`, {
    metadata: { labels: { 'kubernetes.io/service-name': service.name } }, addressType: 'IPv4', ports,
    endpoints: members.map((pod) => ({ addresses: [podAddress(pod)], conditions: { ready: true }, targetRef: { kind: 'Pod', name: pod.name }, ...(nodeOf(pod) === undefined ? {} : { nodeName: nodeOf(pod) }) })),
  }));
});

/** The Service that a slice says it belongs to. */
const serviceOf = (slice: KubeObject): string => `${slice.namespace}/${String(at(slice.raw, 'metadata', 'labels', 'kubernetes.io/service-name'))}`;

/** All slices of a cluster whose pods have addresses: the given ones as they are, and the controller's for each Service that was given none. */
export const withEndpointSlices = (objects: readonly KubeObject[]): readonly KubeObject[] => {
  const served = new Set(objects.filter(({ kind }) => kind === 'EndpointSlice').map(serviceOf));
  const unserved = objects.filter(({ kind, namespace, name }) => kind === 'Service' && !served.has(`${namespace}/${name}`));
  return [...objects, ...endpointSlices(unserved, objects.filter(({ kind }) => kind === 'Pod'))];
};

/** Everything but EndpointSlices, which need the pods' addresses. Manifests' own Nodes win over the lab's. */
export const expand = (given: readonly KubeObject[], labNodes: readonly LabNode[]): Expanded => {
  const ignored: Record<string, number> = {};
  const of = (kind: string): readonly KubeObject[] => given.filter((object) => object.kind === kind);
  for (const { kind } of given) if (!FACT_KINDS.has(kind) && !WORKLOAD_KINDS.has(kind) && !UNSUPPORTED_KINDS.has(kind)) ignored[kind] = (ignored[kind] ?? 0) + 1;
  const labNames = new Set(labNodes.map(({ name }) => name));
  const nodes = [...labNodes.map((node) => {
    const own = of('Node').find(({ name }) => name === node.name);
    const base = nodeObject(node);
    return own === undefined ? base : { ...base, raw: { ...base.raw, metadata: { ...plainAt(base.raw, 'metadata'), labels: { ...plainAt(base.raw, 'metadata', 'labels'), ...plainAt(own.raw, 'metadata', 'labels') } } } };
  }), ...of('Node').filter(({ name }) => !labNames.has(name))];
  /* A lab can run pods on its own nodes only; on paper every node runs some. */
  const runners = labNodes.length === 0 ? nodes : nodes.filter(({ name }) => labNames.has(name));
  const workloads = given.filter(({ kind }) => WORKLOAD_KINDS.has(kind));
  const pods = schedule([...of('Pod'), ...workloads.flatMap((workload) => podsOf(workload, runners))], runners);
  const services = withServiceAddresses(of('Service'));
  const named = new Set(of('Namespace').map(({ name }) => name));
  /* Whatever is enforced as it stands: policies of every kind, and what they refer to. */
  const enforced = given.filter(({ kind }) => ENFORCED_KINDS.has(kind));
  const implied = [...new Set([...pods, ...services, ...enforced].map(({ namespace }) => namespace))].filter((name) => name !== '' && !named.has(name)).sort();
  return {
    ignored,
    objects: [
      ...of('Namespace'), ...implied.map((name) => objectOf('Namespace', 'v1', '', name, {})), ...nodes, ...enforced,
      ...given.filter(({ kind }) => UNSUPPORTED_KINDS.has(kind)), ...services, ...pods, ...of('EndpointSlice'),
    ],
  };
};

/** Where a node's pods are on paper: the n-th node has the n-th block, as ipam gives them out. */
export const assignAddresses = (objects: readonly KubeObject[], labNodes: readonly LabNode[]): readonly KubeObject[] => {
  const used = new Set(objects.filter(({ kind }) => kind === 'Pod').flatMap((pod) => podAddress(pod) ?? []));
  const next = new Map<string, number>();
  const order = new Map(objects.filter(({ kind }) => kind === 'Node').map(({ name }, index) => [name, index + 1]));
  const hostAddress = new Map(labNodes.map(({ name, address }) => [name, address]));
  return objects.map((object) => {
    if (object.kind !== 'Pod' || podAddress(object) !== undefined || isFinished(object)) return object;
    const node = nodeOf(object);
    if (node === undefined) return object;
    let address = isHostNetwork(object) ? hostAddress.get(node) : undefined;
    while (address === undefined) {
      const offset = next.get(node) ?? 2;
      next.set(node, offset + 1);
      const candidate = `10.244.${order.get(node) ?? 0}.${offset}`;
      if (!used.has(candidate)) address = candidate;
    }
    used.add(address);
    return { ...object, raw: { ...object.raw, status: { ...plainAt(object.raw, 'status'), podIP: address } } };
  });
};

/** The lab's nodes n1..nN on their wire. */
export const labNodes = (count: number): readonly LabNode[] => Array.from({ length: count }, (_, index) => ({ name: `n${index + 1}`, address: `192.168.50.${index + 1}` }));

export { isHostNetwork, isFinished };
