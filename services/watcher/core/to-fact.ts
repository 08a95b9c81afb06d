/** An object → the fact that it is, or every reason why it cannot be one. Pure. */
import {
  EVENT_BYTES_MAX, eventSizeBytes, type CidrGroupData, type EndpointSliceData, type FactEvent, type NamespaceData, type NodeData, type ObjectRef, type PodData, type PolicyObjectData, type PolicyObjectKind, type Refusal, type ServiceData,
} from '@seine/events';
import { familyOf, formatAddress, formatPrefix, parseAddress, parsePrefix, prefixContains, type IpFamily } from '@seine/model';
import {
  faults, isDnsLabel, isDnsSubdomain, isObject, isPortName, listAt, member, objectAt, objectKey, parsePolicyObject, readLabels, UNSUPPORTED_KINDS, workloadOf,
  type Faults, type KubeObject, type PlainObject,
} from '@seine/objects';

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;
type Protocol = (typeof PROTOCOLS)[number];

const text = (found: Faults, field: string, value: unknown): string | undefined => {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  found.refuse(field, value, 'text');
  return undefined;
};

const protocolAt = (found: Faults, field: string, value: unknown): Protocol => {
  const protocol = PROTOCOLS.find((known) => known === (value ?? 'TCP'));
  if (protocol === undefined) found.refuse(field, value, `one of ${PROTOCOLS.join(', ')}`);
  return protocol ?? 'TCP';
};

const portAt = (found: Faults, field: string, value: unknown): number => {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535) return value;
  found.refuse(field, value, 'a number from 1 to 65535');
  return 1;
};

/** @returns the one spelling that everything inside has: RFC 5952's */
const addressAt = (found: Faults, field: string, value: unknown): string | undefined => {
  const bytes = typeof value === 'string' ? parseAddress(value) : undefined;
  if (bytes === undefined) { found.refuse(field, value, 'an IP address'); return undefined; }
  const address = formatAddress(bytes);
  if (familyOf(address) === familyOf(value as string)) return address; // text, as it was parsed
  found.refuse(field, value, `an IPv4 address in its own form: ${address}`);
  return undefined;
};

/** At most one for each family, as an API server has it. */
const onePerFamily = (found: Faults, field: (index: number) => string, addresses: readonly string[]): readonly string[] => {
  addresses.forEach((address, index) => {
    if (addresses.findIndex((other) => familyOf(other) === familyOf(address)) !== index) found.refuse(field(index), address, `no second IPv${familyOf(address)} address`);
  });
  return addresses;
};

/** Addresses that mean this machine, this link, a group or nobody: an endpoint there would let one tenant reach into another's node. */
const SPECIAL = ['0.0.0.0/32', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '::/128', '::1/128', 'fe80::/10', 'ff00::/8'].map((text) => parsePrefix(text)!); // constants

const endpointAddressAt = (found: Faults, field: string, value: unknown): string | undefined => {
  const address = addressAt(found, field, value);
  if (address === undefined || !SPECIAL.some((prefix) => prefixContains(prefix, parseAddress(address)!))) return address;
  found.refuse(field, value, 'an address of one other machine: not unspecified, loopback, link-local or multicast');
  return undefined;
};

const metadataOf = (object: KubeObject): PlainObject => { const value = member(object.raw, 'metadata'); return isObject(value) ? value : {}; };

/** Who changed what is wanted of the object last: entries that only report its status do not count. */
const changedByOf = (object: KubeObject): Pick<PodData, 'changedBy'> => {
  const given = member(metadataOf(object), 'managedFields');
  const entries = (Array.isArray(given) ? given as readonly unknown[] : []).flatMap((entry) => { // Array.isArray says any[]
    const [manager, operation, time] = isObject(entry) && member(entry, 'subresource') === undefined ? [member(entry, 'manager'), member(entry, 'operation'), member(entry, 'time')] : [];
    return typeof manager === 'string' && typeof operation === 'string' && typeof time === 'string' ? [{ manager, operation, time }] : [];
  });
  const last = entries.reduce<(typeof entries)[number] | undefined>((latest, entry) => (latest === undefined || entry.time >= latest.time ? entry : latest), undefined);
  return last === undefined ? {} : { changedBy: last };
};

const namespaceData = (found: Faults, object: KubeObject): NamespaceData => {
  if (!isDnsLabel(object.name)) found.refuse('metadata.name', object.name, 'a DNS label: at most 63 of [a-z0-9-]');
  const labels = readLabels(found, 'metadata.labels', member(metadataOf(object), 'labels'));
  return { uid: object.uid, labels: { ...labels, 'kubernetes.io/metadata.name': object.name }, ...auditOf(found, object) };
};

const nodeData = (found: Faults, object: KubeObject): NodeData => {
  if (!isDnsSubdomain(object.name)) found.refuse('metadata.name', object.name, 'a DNS subdomain');
  const status = objectAt(found, 'status', member(object.raw, 'status'));
  const addresses = (listAt(found, 'status.addresses', member(status, 'addresses')) ?? []).flatMap((item, index) => {
    const entry = objectAt(found, `status.addresses[${index}]`, item);
    return member(entry, 'type') === 'InternalIP' ? addressAt(found, `status.addresses[${index}].address`, member(entry, 'address')) ?? [] : [];
  });
  return { uid: object.uid, labels: readLabels(found, 'metadata.labels', member(metadataOf(object), 'labels')), addresses };
};

const cidrGroupData = (found: Faults, object: KubeObject): CidrGroupData => {
  if (!isDnsSubdomain(object.name)) found.refuse('metadata.name', object.name, 'a DNS subdomain');
  const cidrs = (listAt(found, 'spec.externalCIDRs', member(objectAt(found, 'spec', member(object.raw, 'spec')), 'externalCIDRs')) ?? []).flatMap((value, index) => {
    const prefix = typeof value === 'string' ? parsePrefix(value.includes('/') ? value : `${value}/${value.includes(':') ? 128 : 32}`) : undefined;
    if (prefix === undefined) { found.refuse(`spec.externalCIDRs[${index}]`, value, 'a CIDR such as 10.0.0.0/8, or an address'); return []; }
    return [formatPrefix(prefix)];
  });
  return { uid: object.uid, labels: readLabels(found, 'metadata.labels', member(metadataOf(object), 'labels')), cidrs };
};

const PHASES: Readonly<Record<string, PodData['phase']>> = { Pending: 'pending', Running: 'running', Unknown: 'running', Succeeded: 'finished', Failed: 'finished' };

const containerPorts = (found: Faults, containers: readonly unknown[] | undefined): PodData['ports'] =>
  (containers ?? []).flatMap((container, at) => {
    const field = `spec.containers[${at}]`;
    return (listAt(found, `${field}.ports`, member(objectAt(found, field, container), 'ports')) ?? []).map((item, index) => {
      const place = `${field}.ports[${index}]`;
      const port = objectAt(found, place, item);
      const name = text(found, `${place}.name`, member(port, 'name'));
      if (name !== undefined && !isPortName(name)) found.refuse(`${place}.name`, name, 'a port name: at most 15 of [a-z0-9-], with a letter');
      return {
        ...(name === undefined ? {} : { name }), port: portAt(found, `${place}.containerPort`, member(port, 'containerPort')), protocol: protocolAt(found, `${place}.protocol`, member(port, 'protocol')),
      };
    });
  });

const podData = (found: Faults, object: KubeObject): PodData => {
  if (!isDnsSubdomain(object.name)) found.refuse('metadata.name', object.name, 'a DNS subdomain');
  const spec = objectAt(found, 'spec', member(object.raw, 'spec'));
  const status = objectAt(found, 'status', member(object.raw, 'status'));
  const nodeName = text(found, 'spec.nodeName', member(spec, 'nodeName'));
  if (nodeName !== undefined && nodeName !== '' && !isDnsSubdomain(nodeName)) found.refuse('spec.nodeName', nodeName, 'a DNS subdomain');
  const ips = listAt(found, 'status.podIPs', member(status, 'podIPs'));
  const listed = ips === undefined ? [] : ips.map((item, index) => member(objectAt(found, `status.podIPs[${index}]`, item), 'ip'));
  const single = member(status, 'podIP') ?? undefined;
  const addresses = (listed.length > 0 ? listed.map((ip, index) => [`status.podIPs[${index}].ip`, ip] as const) : single === undefined || single === '' ? [] : [['status.podIP', single] as const])
    .flatMap(([field, ip]) => addressAt(found, field, ip) ?? []);
  const phaseText = member(status, 'phase') ?? 'Running';
  const phase = typeof phaseText === 'string' && Object.hasOwn(PHASES, phaseText) ? PHASES[phaseText] : undefined;
  if (phase === undefined) found.refuse('status.phase', phaseText, `one of ${Object.keys(PHASES).join(', ')}`);
  listAt(found, 'metadata.ownerReferences', member(metadataOf(object), 'ownerReferences'));
  const workload = workloadOf(metadataOf(object));
  return {
    uid: object.uid,
    ...(nodeName === undefined || nodeName === '' ? {} : { nodeName }),
    labels: readLabels(found, 'metadata.labels', member(metadataOf(object), 'labels')),
    serviceAccount: text(found, 'spec.serviceAccountName', member(spec, 'serviceAccountName')) ?? 'default',
    hostNetwork: member(spec, 'hostNetwork') === true,
    addresses: onePerFamily(found, (index) => `status.podIPs[${index}].ip`, addresses), phase: phase ?? 'running',
    ports: containerPorts(found, listAt(found, 'spec.containers', member(spec, 'containers'))),
    ...(workload === undefined ? {} : { workload }), ...changedByOf(object),
  };
};

/** Addresses of ipMode Proxy are the balancer's own: packets come to nodes with another destination. */
const loadBalancerAddresses = (found: Faults, object: KubeObject): readonly string[] => {
  const status = objectAt(found, 'status.loadBalancer', member(objectAt(found, 'status', member(object.raw, 'status')), 'loadBalancer'));
  return (listAt(found, 'status.loadBalancer.ingress', member(status, 'ingress')) ?? []).flatMap((item, index) => {
    const place = `status.loadBalancer.ingress[${index}]`;
    const entry = objectAt(found, place, item);
    const ip = member(entry, 'ip') ?? undefined;
    return ip === undefined || ip === '' || member(entry, 'ipMode') === 'Proxy' ? [] : endpointAddressAt(found, `${place}.ip`, ip) ?? [];
  });
};

/** What Cilium's users write for it. */
const BY_REQUEST_ANNOTATION = 'service.cilium.io/lb-l7';
const BALANCING_ANNOTATION = 'seine.network/load-balancing';
const AFFINITY_DEFAULT_S = 10_800;
const AFFINITY_MAX_S = 86_400;

const oneOf = <const T extends string>(found: Faults, field: string, value: unknown, known: readonly T[]): T => {
  const match = known.find((each) => each === (value ?? known[0]));
  if (match === undefined) found.refuse(field, value, `one of ${known.join(', ')}`);
  return match ?? known[0]!; // never empty
};

const affinityOf = (found: Faults, spec: PlainObject): { readonly affinityS?: number } => {
  if (oneOf(found, 'spec.sessionAffinity', member(spec, 'sessionAffinity'), ['None', 'ClientIP']) === 'None') return {};
  const clientIp = objectAt(found, 'spec.sessionAffinityConfig.clientIP', member(objectAt(found, 'spec.sessionAffinityConfig', member(spec, 'sessionAffinityConfig')), 'clientIP'));
  const seconds = member(clientIp, 'timeoutSeconds') ?? AFFINITY_DEFAULT_S;
  if (typeof seconds === 'number' && Number.isInteger(seconds) && seconds >= 1 && seconds <= AFFINITY_MAX_S) return { affinityS: seconds };
  found.refuse('spec.sessionAffinityConfig.clientIP.timeoutSeconds', seconds, `a number of seconds from 1 to ${AFFINITY_MAX_S}`);
  return {};
};

const sourceRangesOf = (found: Faults, spec: PlainObject): { readonly sourceRanges?: readonly string[] } => {
  const ranges = listAt(found, 'spec.loadBalancerSourceRanges', member(spec, 'loadBalancerSourceRanges')) ?? [];
  const read = ranges.flatMap((value, index) => {
    const prefix = typeof value === 'string' ? parsePrefix(value.trim()) : undefined;
    if (prefix === undefined) { found.refuse(`spec.loadBalancerSourceRanges[${index}]`, value, 'a CIDR such as 10.0.0.0/8'); return []; }
    return [formatPrefix(prefix)];
  });
  return ranges.length === 0 ? {} : { sourceRanges: [...new Set(read)].sort() };
};

const serviceOptions = (found: Faults, object: KubeObject, spec: PlainObject): Pick<ServiceData, 'externalLocal' | 'internalLocal' | 'healthCheckNodePort' | 'sourceRanges' | 'affinityS' | 'maglev' | 'byRequest'> => {
  const externalLocal = oneOf(found, 'spec.externalTrafficPolicy', member(spec, 'externalTrafficPolicy'), ['Cluster', 'Local']) === 'Local';
  const internalLocal = oneOf(found, 'spec.internalTrafficPolicy', member(spec, 'internalTrafficPolicy'), ['Cluster', 'Local']) === 'Local';
  const healthCheck = member(spec, 'healthCheckNodePort') ?? 0;
  const annotations = objectAt(found, 'metadata.annotations', member(metadataOf(object), 'annotations'));
  const balancing = oneOf(found, `metadata.annotations.${BALANCING_ANNOTATION}`, member(annotations, BALANCING_ANNOTATION), ['random', 'maglev']);
  const byRequest = oneOf(found, `metadata.annotations.${BY_REQUEST_ANNOTATION}`, member(annotations, BY_REQUEST_ANNOTATION), ['disabled', 'enabled']);
  return {
    ...(externalLocal ? { externalLocal } : {}), ...(internalLocal ? { internalLocal } : {}),
    ...(healthCheck === 0 ? {} : { healthCheckNodePort: portAt(found, 'spec.healthCheckNodePort', healthCheck) }),
    ...sourceRangesOf(found, spec), ...affinityOf(found, spec), ...(balancing === 'maglev' ? { maglev: true } : {}),
    ...(byRequest === 'enabled' ? { byRequest: true } : {}),
  };
};

const FAMILY_NAMES = ['IPv4', 'IPv6'] as const;
const FAMILY = { IPv4: 4, IPv6: 6 } as const satisfies Record<(typeof FAMILY_NAMES)[number], IpFamily>;

/** What the object asks for, against what its cluster gave it. */
const checkFamilies = (found: Faults, spec: PlainObject, clusterIPs: readonly string[]): void => {
  (listAt(found, 'spec.ipFamilies', member(spec, 'ipFamilies')) ?? []).forEach((value, index) => {
    const name = oneOf(found, `spec.ipFamilies[${index}]`, value, FAMILY_NAMES);
    const address = clusterIPs[index];
    if (address === undefined) found.refuse(`spec.ipFamilies[${index}]`, value, 'a family that the cluster has addresses of');
    else if (familyOf(address) !== FAMILY[name]) found.refuse(`spec.clusterIPs[${index}]`, address, `an ${name} address, as spec.ipFamilies[${index}] says`);
  });
  const policy = oneOf(found, 'spec.ipFamilyPolicy', member(spec, 'ipFamilyPolicy'), ['SingleStack', 'PreferDualStack', 'RequireDualStack']);
  if (policy === 'RequireDualStack' && clusterIPs.length < 2) found.refuse('spec.ipFamilyPolicy', policy, 'SingleStack or PreferDualStack: the cluster has addresses of one family');
};

const serviceData = (found: Faults, object: KubeObject): ServiceData => {
  if (!isDnsLabel(object.name)) found.refuse('metadata.name', object.name, 'a DNS label: at most 63 of [a-z0-9-]');
  const spec = objectAt(found, 'spec', member(object.raw, 'spec'));
  const type = text(found, 'spec.type', member(spec, 'type')) ?? 'ClusterIP';
  if (!['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'].includes(type)) found.refuse('spec.type', type, 'one of ClusterIP, NodePort, LoadBalancer, ExternalName');
  const single = member(spec, 'clusterIP') ?? undefined;
  const listed = listAt(found, 'spec.clusterIPs', member(spec, 'clusterIPs')) ?? (single === undefined ? [] : [single]);
  const clusterIPs = onePerFamily(found, (index) => `spec.clusterIPs[${index}]`, listed.filter((ip) => ip !== 'None' && ip !== '').flatMap((ip, index) => endpointAddressAt(found, `spec.clusterIPs[${index}]`, ip) ?? []));
  if (!listed.includes('None') && type !== 'ExternalName') checkFamilies(found, spec, clusterIPs);
  const selector = member(spec, 'selector') ?? undefined;
  const ports = (listAt(found, 'spec.ports', member(spec, 'ports')) ?? []).map((item, index) => {
    const place = `spec.ports[${index}]`;
    const entry = objectAt(found, place, item);
    const port = portAt(found, `${place}.port`, member(entry, 'port'));
    const target = member(entry, 'targetPort') ?? port;
    const nodePort = member(entry, 'nodePort') ?? undefined;
    if (typeof target === 'string' ? !isPortName(target) : !(typeof target === 'number' && Number.isInteger(target) && target >= 1 && target <= 65535)) {
      found.refuse(`${place}.targetPort`, target, 'a number from 1 to 65535 or a port name');
    }
    return {
      name: text(found, `${place}.name`, member(entry, 'name')) ?? '', port, protocol: protocolAt(found, `${place}.protocol`, member(entry, 'protocol')),
      targetPort: typeof target === 'string' || typeof target === 'number' ? target : port,
      ...(nodePort === undefined || nodePort === 0 ? {} : { nodePort: portAt(found, `${place}.nodePort`, nodePort) }),
    };
  });
  const externalIPs = (listAt(found, 'spec.externalIPs', member(spec, 'externalIPs')) ?? []).flatMap((ip, index) => endpointAddressAt(found, `spec.externalIPs[${index}]`, ip) ?? []);
  const loadBalancerIPs = type === 'LoadBalancer' ? loadBalancerAddresses(found, object) : [];
  const seen = new Set<string>();
  ports.forEach((port, index) => {
    if (ports.length > 1 && port.name === '') found.refuse(`spec.ports[${index}].name`, undefined, 'a name: there are several ports');
    if (port.name !== '' && !isDnsLabel(port.name)) found.refuse(`spec.ports[${index}].name`, port.name, 'a DNS label: at most 63 of [a-z0-9-]');
    if (port.name !== '' && ports.findIndex(({ name }) => name === port.name) !== index) found.refuse(`spec.ports[${index}].name`, port.name, 'a name that no other port has');
    const key = `${port.port}/${port.protocol}`;
    if (seen.has(key)) found.refuse(`spec.ports[${index}]`, key, 'a port and protocol that no other entry has');
    seen.add(key);
  });
  return {
    uid: object.uid, type, clusterIPs, ports,
    ...(externalIPs.length === 0 ? {} : { externalIPs }), ...(loadBalancerIPs.length === 0 ? {} : { loadBalancerIPs }), ...serviceOptions(found, object, spec),
    ...(selector === undefined ? {} : { selector: readLabels(found, 'spec.selector', selector) }),
    ...(isObject(member(metadataOf(object), 'labels')) ? { labels: readLabels(found, 'metadata.labels', member(metadataOf(object), 'labels')) } : {}),
    ...(object.place === undefined ? {} : { source: object.place }),
  };
};

const namesAt = (found: Faults, field: string, value: unknown): readonly string[] =>
  (listAt(found, field, value) ?? []).flatMap((item, index) => text(found, `${field}[${index}].name`, member(objectAt(found, `${field}[${index}]`, item), 'name')) ?? []);

const endpointSliceData = (found: Faults, object: KubeObject): EndpointSliceData => {
  const addressType = FAMILY_NAMES.find((name) => name === member(object.raw, 'addressType'));
  if (addressType === undefined) found.refuse('addressType', member(object.raw, 'addressType'), 'IPv4 or IPv6: FQDN is not supported');
  const ofType = (field: string, value: unknown): readonly string[] => {
    const address = endpointAddressAt(found, field, value);
    if (address === undefined || addressType === undefined || familyOf(address) === FAMILY[addressType]) return address === undefined ? [] : [address];
    found.refuse(field, value, `an ${addressType} address, as addressType says`);
    return [];
  };
  const service = readLabels(found, 'metadata.labels', member(metadataOf(object), 'labels'))['kubernetes.io/service-name'];
  const endpoints = (listAt(found, 'endpoints', member(object.raw, 'endpoints')) ?? []).map((item, index) => {
    const place = `endpoints[${index}]`;
    const endpoint = objectAt(found, place, item);
    const conditions = objectAt(found, `${place}.conditions`, member(endpoint, 'conditions'));
    const ready = member(conditions, 'ready') !== false;
    const target = objectAt(found, `${place}.targetRef`, member(endpoint, 'targetRef'));
    const nodeName = text(found, `${place}.nodeName`, member(endpoint, 'nodeName'));
    const pod = text(found, `${place}.targetRef.name`, member(target, 'name'));
    const hints = objectAt(found, `${place}.hints`, member(endpoint, 'hints'));
    const [forZones, forNodes] = [namesAt(found, `${place}.hints.forZones`, member(hints, 'forZones')), namesAt(found, `${place}.hints.forNodes`, member(hints, 'forNodes'))];
    return {
      addresses: (listAt(found, `${place}.addresses`, member(endpoint, 'addresses')) ?? []).flatMap((ip, at) => ofType(`${place}.addresses[${at}]`, ip)),
      ready, serving: (member(conditions, 'serving') ?? ready) !== false, terminating: member(conditions, 'terminating') === true,
      ...(nodeName === undefined ? {} : { nodeName }), ...(pod === undefined ? {} : { pod: `${object.namespace}/${pod}` }),
      ...(forZones.length === 0 ? {} : { forZones }), ...(forNodes.length === 0 ? {} : { forNodes }),
    };
  });
  const ports = (listAt(found, 'ports', member(object.raw, 'ports')) ?? []).flatMap((item, index) => {
    const port = objectAt(found, `ports[${index}]`, item);
    if ((member(port, 'port') ?? undefined) === undefined) return [];
    return [{ name: text(found, `ports[${index}].name`, member(port, 'name')) ?? '', port: portAt(found, `ports[${index}].port`, member(port, 'port')), protocol: protocolAt(found, `ports[${index}].protocol`, member(port, 'protocol')) }];
  });
  return { uid: object.uid, service: service ?? '', addressType: addressType ?? 'IPv4', endpoints, ports };
};

/** Room for what an event carries besides its data: envelope, trace, places. */
const LARGEST_BYTES = EVENT_BYTES_MAX - 8 * 1024;
/** A label set holds the labels of a pod and of its namespace: each may fill less than half of an event. */
const LARGEST_LABELS_BYTES = LARGEST_BYTES / 2;
const NAMESPACE_LABEL_BYTES = 64;
/** Of one frontend or backend, without its names. */
const PLACE_BYTES = 136;
const REFUSAL_BYTES = 400;

const sizeOf = (data: unknown): number => new TextEncoder().encode(JSON.stringify(data)).length;

const tooLarge = (bytes: number, most = LARGEST_BYTES): Refusal => ({
  field: '', value: `${bytes} bytes`, expected: `at most ${most} bytes`, message: `SEINE_FACT_TOO_LARGE: ${bytes} bytes: expected at most ${most}, as one event holds it whole: split or shorten the object`,
});

/** What others make of a fact must fit into an event as well. */
const refusedForSize = (fact: FactEvent): Refusal | undefined => {
  const bytes = eventSizeBytes(fact);
  if (bytes > LARGEST_BYTES) return tooLarge(bytes);
  switch (fact.type) {
    case 'pod.observed.v1':
    case 'namespace.observed.v1': {
      const labels = sizeOf(fact.data.labels) + NAMESPACE_LABEL_BYTES * Object.keys(fact.data.labels).length;
      return labels > LARGEST_LABELS_BYTES ? tooLarge(labels, LARGEST_LABELS_BYTES) : undefined;
    }
    case 'service.observed.v1': {
      const { clusterIPs, externalIPs = [], loadBalancerIPs = [], ports } = fact.data;
      const frontends = (2 * clusterIPs.length + externalIPs.length + loadBalancerIPs.length) * ports.length * (PLACE_BYTES + REFUSAL_BYTES);
      return frontends > LARGEST_BYTES ? tooLarge(frontends) : undefined;
    }
    case 'endpointslice.observed.v1': {
      const { endpoints, ports } = fact.data;
      const backends = endpoints.reduce((sum, { addresses, nodeName = '', pod = '' }) => sum + addresses.length * ports.reduce((each, { name }) => each + PLACE_BYTES + name.length + nodeName.length + pod.length, 0), 0);
      return backends > LARGEST_BYTES ? tooLarge(backends) : undefined;
    }
    default: return undefined;
  }
};

const AUDIT_ANNOTATION = 'seine.network/audit';

/** `seine.network/audit: "true"` on a policy or a namespace; anything but true and false is a mistake that must not be guessed. */
const auditOf = (found: Faults, object: KubeObject): { readonly audit?: true } => {
  const annotations = objectAt(found, 'metadata.annotations', member(metadataOf(object), 'annotations'));
  const value = member(annotations, AUDIT_ANNOTATION) ?? 'false';
  if (value !== 'true' && value !== 'false') found.refuse(`metadata.annotations.${AUDIT_ANNOTATION}`, value, '"true" or "false"');
  return value === 'true' ? { audit: true } : {};
};

const NOUN_OF_POLICY = {
  NetworkPolicy: 'networkpolicy', CiliumNetworkPolicy: 'ciliumnetworkpolicy', CiliumClusterwideNetworkPolicy: 'ciliumclusterwidenetworkpolicy', ClusterNetworkPolicy: 'clusternetworkpolicy',
} as const satisfies Record<PolicyObjectKind, string>;
const GROUP_OF_POLICY: Readonly<Record<PolicyObjectKind, string>> = {
  NetworkPolicy: 'networking.k8s.io', CiliumNetworkPolicy: 'cilium.io', CiliumClusterwideNetworkPolicy: 'cilium.io', ClusterNetworkPolicy: 'policy.networking.k8s.io',
};
const isPolicyKind = (kind: string): kind is PolicyObjectKind => Object.hasOwn(NOUN_OF_POLICY, kind);

const policyFact = (kind: PolicyObjectKind, object: KubeObject, key: string, time: string, trace: { readonly traceparent?: string }): Fact => {
  const found = faults();
  const [spec, specs] = [member(object.raw, 'spec'), member(object.raw, 'specs') ?? undefined];
  const { namespace, name, uid } = object;
  const audit = auditOf(found, object);
  const parsed = parsePolicyObject({ kind, namespace, name, uid, spec, specs, ...audit });
  if (!parsed.ok || found.refusals.length > 0) return { refusals: [...found.refusals, ...(parsed.ok ? [] : parsed.refusals)] };
  const compiledBytes = parsed.policies.reduce((sum, policy) => sum + sizeOf(policy), 0);
  if (compiledBytes > LARGEST_BYTES) return { refusals: [tooLarge(compiledBytes)] };
  const data: PolicyObjectData = {
    uid, spec, ...(specs === undefined ? {} : { specs }), ...audit, ...changedByOf(object),
    ...(object.place === undefined ? {} : { source: object.place }), ...(object.lines === undefined ? {} : { lines: object.lines }),
  };
  return { fact: { type: `${NOUN_OF_POLICY[kind]}.observed.v1`, key, time, ...trace, data } };
};

export type Fact = { readonly refusals: readonly Refusal[] } | { readonly fact: FactEvent };

/** What follows while a kind is not enforced, and what to write instead. */
const UNSUPPORTED: Readonly<Record<string, readonly [string, string]>> = {
  CiliumEgressGatewayPolicy: ['traffic leaves by the node of its pod, not by a gateway', 'no such object'],
  CiliumLocalRedirectPolicy: ['traffic goes where it was sent, not to a pod of the same node', 'no such object'],
  CiliumBGPPeeringPolicy: ['routes are announced to nobody', 'no such object'],
  AdminNetworkPolicy: ['what it would deny is not enforced', 'ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2'],
  BaselineAdminNetworkPolicy: ['what it would deny is not enforced', 'ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2'],
};

const unsupported = ({ kind, apiVersion }: KubeObject): readonly Refusal[] => {
  const [consequence, expected] = (Object.hasOwn(UNSUPPORTED, kind) ? UNSUPPORTED[kind] : undefined) ?? ['what it would isolate or deny is not enforced', 'NetworkPolicy'];
  return [{ field: 'kind', value: kind, expected, message: `kind: ${kind} of ${apiVersion} is not supported: ${consequence}; expected ${expected}` }];
};

const admit = (object: KubeObject, time: string, traceparent?: string): Fact | undefined => {
  const found = faults();
  const trace = traceparent === undefined ? {} : { traceparent };
  const key = object.namespace === '' ? object.name : `${object.namespace}/${object.name}`;
  const done = (fact: () => FactEvent): Fact => {
    const made = fact();
    return found.refusals.length > 0 ? { refusals: found.refusals } : { fact: made };
  };
  if (UNSUPPORTED_KINDS.has(object.kind)) return { refusals: unsupported(object) };
  if (isPolicyKind(object.kind)) {
    return object.apiVersion.startsWith(`${GROUP_OF_POLICY[object.kind]}/`) ? policyFact(object.kind, object, key, time, trace) : { refusals: unsupported(object) };
  }
  switch (object.kind) {
    case 'Namespace': return done(() => ({ type: 'namespace.observed.v1', key, time, ...trace, data: namespaceData(found, object) }));
    case 'Node': return done(() => ({ type: 'node.observed.v1', key, time, ...trace, data: nodeData(found, object) }));
    case 'Pod': return done(() => ({ type: 'pod.observed.v1', key, time, ...trace, data: podData(found, object) }));
    case 'Service': return done(() => ({ type: 'service.observed.v1', key, time, ...trace, data: serviceData(found, object) }));
    case 'EndpointSlice': return done(() => ({ type: 'endpointslice.observed.v1', key, time, ...trace, data: endpointSliceData(found, object) }));
    case 'CiliumCIDRGroup': return done(() => ({ type: 'ciliumcidrgroup.observed.v1', key, time, ...trace, data: cidrGroupData(found, object) }));
    default: return undefined;
  }
};

/** @returns undefined for kinds that say nothing about the network */
export const toFact = (object: KubeObject, time: string, traceparent?: string): Fact | undefined => {
  const made = admit(object, time, traceparent);
  const large = made === undefined || 'refusals' in made ? undefined : refusedForSize(made.fact);
  return large === undefined ? made : { refusals: [large] };
};

/** A refusal is an event too: of very many reasons it tells the first, and how many there are. */
export const refusedFact = (object: ObjectRef, refusals: readonly Refusal[], source: KubeObject['place'], time: string): Extract<FactEvent, { readonly type: 'object.refused.v1' }> => {
  const tell = (told: readonly Refusal[]): ReturnType<typeof refusedFact> => ({
    type: 'object.refused.v1', key: objectKey(object), time, data: { object, refusals: told, ...(source === undefined ? {} : { source }) },
  });
  let fact = tell(refusals);
  for (let count = refusals.length >> 1; count > 0 && eventSizeBytes(fact) > LARGEST_BYTES; count >>= 1) {
    fact = tell([...refusals.slice(0, count), { field: '', value: '', expected: '', message: `and ${refusals.length - count} more` }]);
  }
  return fact;
};
