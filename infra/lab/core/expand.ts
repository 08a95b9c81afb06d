/**
 * The lab plays the parts of a cluster that Seine is not: controllers, scheduler, service addresses, EndpointSlices. Manifests in, the
 * objects that an API server would hold out. Pure and deterministic: the same manifests give the same cluster.
 */
import { POLICY_OBJECT_KINDS } from '@seine/events';
import { digest, familyOf, formatAddress, parseAddress, selects, type IpFamily, type Labels, type Requirement } from '@seine/model';
import { isIpMasqAgent, isObject, member, WORKLOAD_KINDS, FACT_KINDS, UNSUPPORTED_KINDS, type KubeObject, type PlainObject } from '@seine/objects';

/** Its addresses on the wire: one for each family that the cluster has. */
export interface LabNode { readonly name: string; readonly addresses: readonly string[] }

export interface Expanded {
  readonly objects: readonly KubeObject[];
  /** Kinds that say nothing about the network here, and how many there were. */
  readonly ignored: Readonly<Record<string, number>>;
}

const ENFORCED_KINDS: ReadonlySet<string> = new Set(['CiliumCIDRGroup', ...POLICY_OBJECT_KINDS]);
/** Ranges of pods of the lab, and of clusters on paper: n-th blocks of them are the n-th node's. */
export const POD_CIDRS = { 4: '10.244.0.0/16', 6: 'fd00:10:244::/56' } as const satisfies Record<IpFamily, string>;
/** What Service addresses begin with. */
const SERVICE_RANGES = { 4: '10.96', 6: 'fd00:10:96::' } as const satisfies Record<IpFamily, string>;
/** Every Service address that the lab gives out. */
export const SERVICE_CIDRS = { 4: `${SERVICE_RANGES[4]}.0.0/16`, 6: `${SERVICE_RANGES[6]}/112` } as const satisfies Record<IpFamily, string>;
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

const nodeObject = ({ name, addresses }: LabNode): KubeObject => objectOf('Node', 'v1', '', name, {
  metadata: { labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux', 'beta.kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' } },
  status: { addresses: [...addresses.map((address) => ({ type: 'InternalIP', address })), { type: 'Hostname', address: name }] },
});

const isHostNetwork = (pod: KubeObject): boolean => at(pod.raw, 'spec', 'hostNetwork') === true;
export const nodeOf = (pod: KubeObject): string | undefined => { const name = at(pod.raw, 'spec', 'nodeName'); return typeof name === 'string' && name !== '' ? name : undefined; };
const isFinished = (pod: KubeObject): boolean => ['Succeeded', 'Failed'].includes(String(at(pod.raw, 'status', 'phase')));
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const ofFamily = (addresses: readonly string[], family: IpFamily | undefined): string | undefined => addresses.find((address) => family === undefined || familyOf(address) === family);

/** In the object's order. A pod that has finished keeps an address in its status that may be another's by now. */
export const podAddresses = (pod: KubeObject): readonly string[] => {
  if (isFinished(pod)) return [];
  const listed = listOf(at(pod.raw, 'status', 'podIPs')).map((item) => at(item, 'ip')).filter(isText);
  return listed.length > 0 ? listed : [at(pod.raw, 'status', 'podIP')].filter(isText);
};
/** The first, or the first of a family. */
export const podAddress = (pod: KubeObject, family?: IpFamily): string | undefined => ofFamily(podAddresses(pod), family);
export const withPodAddresses = (pod: KubeObject, addresses: readonly string[]): KubeObject => ({
  ...pod, raw: { ...pod.raw, status: { ...plainAt(pod.raw, 'status'), podIP: addresses[0], podIPs: addresses.map((ip) => ({ ip })) } },
});

/** Those by which other nodes reach a node. */
const nodeAddresses = (node: KubeObject): readonly string[] =>
  listOf(at(node.raw, 'status', 'addresses')).filter((item) => at(item, 'type') === 'InternalIP').map((item) => at(item, 'address')).filter(isText);
export const nodeAddress = (node: KubeObject, family?: IpFamily): string | undefined => ofFamily(nodeAddresses(node), family);

/** The families of a cluster are those of its nodes; the first is the one that counts where nobody says. */
export const familiesOf = (objects: readonly KubeObject[]): readonly IpFamily[] => {
  const families = new Set(objects.filter(({ kind }) => kind === 'Node').flatMap(nodeAddresses).filter((address) => parseAddress(address) !== undefined).map(familyOf));
  return families.size === 0 ? [4] : [...families];
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

const FAMILY: ReadonlyMap<unknown, IpFamily> = new Map([['IPv4', 4], ['IPv6', 6]]);

/** The families that a Service asks for, as far as the cluster has them: one unless its policy says more. */
const familiesAsked = (service: KubeObject, families: readonly IpFamily[]): readonly IpFamily[] => {
  const named = listOf(at(service.raw, 'spec', 'ipFamilies')).flatMap((name) => FAMILY.get(name) ?? []);
  const both = ['PreferDualStack', 'RequireDualStack'].includes(String(at(service.raw, 'spec', 'ipFamilyPolicy')));
  const wanted = both ? [...new Set([...named, ...families])] : named.length > 0 ? named : families.slice(0, 1);
  return wanted.filter((family) => families.includes(family));
};

const withServiceAddresses = (services: readonly KubeObject[], families: readonly IpFamily[]): readonly KubeObject[] => {
  const taken = new Set(services.flatMap((service) => [at(service.raw, 'spec', 'clusterIP'), ...listOf(at(service.raw, 'spec', 'clusterIPs'))]));
  return services.map((service) => {
    const spec = plainAt(service.raw, 'spec');
    if (!isUnset(member(spec, 'clusterIP')) || !isUnset(member(spec, 'clusterIPs')) || member(spec, 'type') === 'ExternalName') return service;
    let number = Number.parseInt(digest(`${service.namespace}/${service.name}`).slice(-4), 16) % 65_000;
    const addresses = (): readonly string[] => familiesAsked(service, families).map((family) =>
      (family === 4 ? `${SERVICE_RANGES[4]}.${(number >> 8) & 0xff}.${(number & 0xff) || 1}` : `${SERVICE_RANGES[6]}${(number || 1).toString(16)}`));
    while (addresses().some((address) => taken.has(address))) number = (number + 1) % 65_000;
    for (const address of addresses()) taken.add(address);
    const [first, ...others] = addresses();
    if (first === undefined) return service;
    return { ...service, raw: { ...service.raw, spec: { ...spec, clusterIP: first, ...(others.length === 0 ? {} : { clusterIPs: [first, ...others] }) } } };
  });
};

interface ContainerPort { readonly name: string | undefined; readonly port: number; readonly protocol: string }
export const containerPorts = (pod: KubeObject): readonly ContainerPort[] => listOf(at(pod.raw, 'spec', 'containers')).flatMap((container) => listOf(at(container, 'ports')).flatMap((item) => {
  const port = at(item, 'containerPort');
  const name = at(item, 'name');
  const protocol = at(item, 'protocol');
  return typeof port === 'number' ? [{ name: typeof name === 'string' ? name : undefined, port, protocol: typeof protocol === 'string' ? protocol : 'TCP' }] : [];
}));

/** Those of a Service that are addresses: none of a headless one. */
export const clusterIPs = (service: KubeObject): readonly string[] => {
  const listed = listOf(at(service.raw, 'spec', 'clusterIPs'));
  return (listed.length > 0 ? listed : [at(service.raw, 'spec', 'clusterIP')]).filter((ip): ip is string => typeof ip === 'string' && parseAddress(ip) !== undefined);
};

const textAt = (object: unknown, name: string): string => { const value = at(object, name); return typeof value === 'string' ? value : ''; };
/** The Services of its namespace that a pod's environment names as `service:port`, at the addresses that a name server would give. */
export const servicesAsked = (pod: KubeObject, objects: readonly KubeObject[]): readonly { readonly service: string; readonly address: string; readonly port: number }[] =>
  listOf(at(pod.raw, 'spec', 'containers')).flatMap((container) => listOf(at(container, 'env'))).flatMap((item) => {
    const named = /^([a-z0-9-]+):([0-9]+)$/.exec(textAt(item, 'value'));
    const service = named === null ? undefined : objects.find(({ kind, namespace, name }) => kind === 'Service' && namespace === pod.namespace && name === named[1]);
    const address = service === undefined ? undefined : clusterIPs(service)[0];
    return address === undefined ? [] : [{ service: service!.name, address, port: Number(named![2]) }];
  });

/** Every address that is a Service's alone: not its node ports'. */
export const serviceAddresses = (service: KubeObject): readonly string[] => [
  ...clusterIPs(service), ...listOf(at(service.raw, 'spec', 'externalIPs')), ...listOf(at(service.raw, 'status', 'loadBalancer', 'ingress')).map((item) => at(item, 'ip')),
].flatMap((address) => { const bytes = typeof address === 'string' ? parseAddress(address) : undefined; return bytes === undefined ? [] : [formatAddress(bytes)]; });

/** The families that a Service is served in: those of its ClusterIPs; a headless one is served in those that it asks for. */
const servedFamilies = (service: KubeObject, families: readonly IpFamily[]): readonly IpFamily[] => {
  const addresses = clusterIPs(service);
  return addresses.length === 0 ? familiesAsked(service, families) : [...new Set(addresses.map(familyOf))];
};

/** One slice for each family of each Service with a selector; a named target port is resolved on each pod, so pods that differ get slices of their own. */
export const endpointSlices = (services: readonly KubeObject[], pods: readonly KubeObject[], families: readonly IpFamily[]): readonly KubeObject[] =>
  services.flatMap((service) => servedFamilies(service, families).flatMap((family) => slicesOf(service, pods, family)));

const slicesOf = (service: KubeObject, pods: readonly KubeObject[], family: IpFamily): readonly KubeObject[] => {
  const selector = at(service.raw, 'spec', 'selector');
  if (!isObject(selector) || Object.keys(selector).length === 0) return [];
  const wanted: readonly Requirement[] = Object.entries(textLabels(selector)).map(([key, value]) => ({ key, operator: 'In', values: [value] }));
  const backing = pods.filter((pod) => pod.namespace === service.namespace && podAddress(pod, family) !== undefined && !isFinished(pod) && selects([...wanted], textLabels(plainAt(pod.raw, 'metadata', 'labels'))));
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
  return [...byPorts.values()].map(({ ports, pods: members }) => objectOf('EndpointSlice', 'discovery.k8s.io/v1', service.namespace, `${service.name}-${suffix(`${service.namespace}/${service.name}/${family === 4 ? '' : 'IPv6'}${JSON.stringify(ports)}`)}`, {
    metadata: { labels: { 'kubernetes.io/service-name': service.name } }, addressType: `IPv${family}`, ports,
    endpoints: members.map((pod) => ({ addresses: [podAddress(pod, family)], conditions: { ready: true }, targetRef: { kind: 'Pod', name: pod.name }, ...(nodeOf(pod) === undefined ? {} : { nodeName: nodeOf(pod) }) })),
  }));
};

/** The Service that a slice says it belongs to. */
const serviceOf = (slice: KubeObject): string => `${slice.namespace}/${String(at(slice.raw, 'metadata', 'labels', 'kubernetes.io/service-name'))}`;

/** All slices of a cluster whose pods have addresses: the given ones as they are, and the controller's for each Service that was given none. */
export const withEndpointSlices = (objects: readonly KubeObject[]): readonly KubeObject[] => {
  const served = new Set(objects.filter(({ kind }) => kind === 'EndpointSlice').map(serviceOf));
  const unserved = objects.filter(({ kind, namespace, name }) => kind === 'Service' && !served.has(`${namespace}/${name}`));
  return [...objects, ...endpointSlices(unserved, objects.filter(({ kind }) => kind === 'Pod'), familiesOf(objects))];
};

/** Everything but EndpointSlices, which need the pods' addresses. Manifests' own Nodes win over the lab's. */
export const expand = (given: readonly KubeObject[], labNodes: readonly LabNode[]): Expanded => {
  const ignored: Record<string, number> = {};
  const of = (kind: string): readonly KubeObject[] => given.filter((object) => object.kind === kind);
  for (const object of given) {
    const { kind } = object;
    if (!FACT_KINDS.has(kind) && !WORKLOAD_KINDS.has(kind) && !UNSUPPORTED_KINDS.has(kind) && !isIpMasqAgent(object)) ignored[kind] = (ignored[kind] ?? 0) + 1;
  }
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
  const services = withServiceAddresses(of('Service'), familiesOf(nodes));
  const named = new Set(of('Namespace').map(({ name }) => name));
  /* Whatever is enforced as it stands: policies of every kind, what they refer to, and where pods are not masqueraded. */
  const enforced = given.filter((object) => ENFORCED_KINDS.has(object.kind) || isIpMasqAgent(object));
  const implied = [...new Set([...pods, ...services, ...enforced].map(({ namespace }) => namespace))].filter((name) => name !== '' && !named.has(name)).sort();
  return {
    ignored,
    objects: [
      ...of('Namespace'), ...implied.map((name) => objectOf('Namespace', 'v1', '', name, {})), ...nodes, ...enforced,
      ...given.filter(({ kind }) => UNSUPPORTED_KINDS.has(kind)), ...services, ...pods, ...of('EndpointSlice'),
    ],
  };
};

/** Where a node's pods are on paper: the n-th node has the n-th blocks, as ipam gives them out; a pod has an address of each family. */
export const assignAddresses = (objects: readonly KubeObject[], labNodes: readonly LabNode[]): readonly KubeObject[] => {
  const used = new Set(objects.filter(({ kind }) => kind === 'Pod').flatMap(podAddresses));
  const next = new Map<string, number>();
  const nodes = objects.filter(({ kind }) => kind === 'Node');
  const order = new Map(nodes.map(({ name }, index) => [name, index + 1]));
  const hostAddresses = new Map(labNodes.map(({ name, addresses }) => [name, addresses]));
  const families = familiesOf(nodes);
  return objects.map((object) => {
    const node = nodeOf(object);
    if (object.kind !== 'Pod' || isFinished(object) || node === undefined) return object;
    const has = podAddresses(object);
    const lacking = families.filter((family) => !has.some((address) => familyOf(address) === family));
    if (lacking.length === 0) return object;
    let given = isHostNetwork(object) ? (has.length > 0 ? [] : hostAddresses.get(node)) : undefined;
    while (given === undefined) {
      const offset = next.get(node) ?? 2;
      next.set(node, offset + 1);
      const block = order.get(node) ?? 0;
      const candidates = lacking.map((family) => (family === 4 ? `10.244.${block}.${offset}` : `fd00:10:244:${block.toString(16)}::${offset.toString(16)}`));
      if (!candidates.some((candidate) => used.has(candidate))) given = candidates;
    }
    for (const address of given) used.add(address);
    return given.length === 0 ? object : withPodAddresses(object, [...has, ...given]);
  });
};

/** Of the wire: nodes at 1, 2, …, the external host at 200. */
const wireAddress = (family: IpFamily, host: number): string => (family === 4 ? `192.168.50.${host}` : `fd00:192:168:50::${host}`);
const EXTERNAL_HOST = 200;
export const EXTERNAL_ADDRESSES = { 4: wireAddress(4, EXTERNAL_HOST), 6: wireAddress(6, EXTERNAL_HOST) } as const satisfies Record<IpFamily, string>;
/** What a lab may be, in the words of kind's `ipFamily`. */
export const IP_FAMILIES = { ipv4: [4], ipv6: [6], dual: [4, 6] } as const satisfies Readonly<Record<string, readonly IpFamily[]>>;
export type IpFamilyName = keyof typeof IP_FAMILIES;

/** The lab's nodes n1..nN on their wire. */
export const labNodes = (count: number, families: readonly IpFamily[] = IP_FAMILIES.dual): readonly LabNode[] =>
  Array.from({ length: count }, (_, index) => ({ name: `n${index + 1}`, addresses: families.map((family) => wireAddress(family, index + 1)) }));

export { isHostNetwork, isFinished };
