/** An object → the fact that it is, or every reason why it cannot be one. Pure. */
import {
  EVENT_BYTES_MAX, eventSizeBytes, type CidrGroupData, type FactEvent, type NamespaceData, type NodeData, type ObjectRef, type PodData, type PolicyObjectData, type PolicyObjectKind, type Refusal,
} from '@seine/events';
import { formatPrefix, parsePrefix } from '@seine/model';
import {
  faults, isDnsLabel, isDnsSubdomain, isIpMasqAgent, isObject, isPortName, listAt, member, objectAt, objectKey, parsePolicyObject, readIpMasqAgent, readLabels, UNSUPPORTED_KINDS, workloadOf,
  type Faults, type KubeObject, type PlainObject,
} from '@seine/objects';

import { addressAt, metadataOf, onePerFamily, portAt, protocolAt, text } from './fields.ts';
import { endpointSliceData, serviceData } from './service-data.ts';

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

const AUTOSCALER_TAINT = 'ToBeDeletedByClusterAutoscaler';

/** As kube-proxy tells balancers: a node that is being deleted, or that the autoscaler is about to take away. */
const leavingOf = (found: Faults, object: KubeObject): Pick<NodeData, 'leaving'> => {
  if (typeof member(metadataOf(object), 'deletionTimestamp') === 'string') return { leaving: 'deletionTimestamp' };
  const taints = listAt(found, 'spec.taints', member(objectAt(found, 'spec', member(object.raw, 'spec')), 'taints')) ?? [];
  return taints.some((taint, index) => member(objectAt(found, `spec.taints[${index}]`, taint), 'key') === AUTOSCALER_TAINT) ? { leaving: AUTOSCALER_TAINT } : {};
};

const nodeData = (found: Faults, object: KubeObject): NodeData => {
  if (!isDnsSubdomain(object.name)) found.refuse('metadata.name', object.name, 'a DNS subdomain');
  const status = objectAt(found, 'status', member(object.raw, 'status'));
  const addresses = (listAt(found, 'status.addresses', member(status, 'addresses')) ?? []).flatMap((item, index) => {
    const entry = objectAt(found, `status.addresses[${index}]`, item);
    return member(entry, 'type') === 'InternalIP' ? addressAt(found, `status.addresses[${index}].address`, member(entry, 'address')) ?? [] : [];
  });
  return { uid: object.uid, labels: readLabels(found, 'metadata.labels', member(metadataOf(object), 'labels')), addresses, ...leavingOf(found, object) };
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

/** What a container wants at its node's addresses; a pod on its node's own network is there anyway. */
const hostPortAt = (found: Faults, field: string, port: PlainObject, hostNetwork: boolean): Pick<PodData['ports'][number], 'hostPort' | 'hostIP'> => {
  const wanted = member(port, 'hostPort') ?? 0;
  if (wanted === 0 || hostNetwork) return {};
  const given = member(port, 'hostIP') ?? '';
  const hostIP = given === '' ? undefined : addressAt(found, `${field}.hostIP`, given);
  return { hostPort: portAt(found, `${field}.hostPort`, wanted), ...(hostIP === undefined ? {} : { hostIP }) };
};

const containerPorts = (found: Faults, spec: PlainObject, hostNetwork: boolean): PodData['ports'] => {
  const ports = (list: 'containers' | 'initContainers', wanted: (container: PlainObject) => boolean): PodData['ports'] => (listAt(found, `spec.${list}`, member(spec, list)) ?? []).flatMap((item, at) => {
    const field = `spec.${list}[${at}]`;
    const container = objectAt(found, field, item);
    if (!wanted(container)) return [];
    return (listAt(found, `${field}.ports`, member(container, 'ports')) ?? []).map((each, index) => {
      const place = `${field}.ports[${index}]`;
      const port = objectAt(found, place, each);
      const name = text(found, `${place}.name`, member(port, 'name'));
      if (name !== undefined && !isPortName(name)) found.refuse(`${place}.name`, name, 'a port name: at most 15 of [a-z0-9-], with a letter');
      return {
        ...(name === undefined ? {} : { name }), port: portAt(found, `${place}.containerPort`, member(port, 'containerPort')), protocol: protocolAt(found, `${place}.protocol`, member(port, 'protocol')),
        ...hostPortAt(found, place, port, hostNetwork),
      };
    });
  });
  /* Of init containers those that run on beside the others. */
  return [...ports('containers', () => true), ...ports('initContainers', (container) => member(container, 'restartPolicy') === 'Always')];
};

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
  const hostNetwork = member(spec, 'hostNetwork') === true;
  return {
    uid: object.uid,
    ...(nodeName === undefined || nodeName === '' ? {} : { nodeName }),
    labels: readLabels(found, 'metadata.labels', member(metadataOf(object), 'labels')),
    serviceAccount: text(found, 'spec.serviceAccountName', member(spec, 'serviceAccountName')) ?? 'default',
    hostNetwork,
    addresses: onePerFamily(found, (index) => `status.podIPs[${index}].ip`, addresses), phase: phase ?? 'running',
    ports: containerPorts(found, spec, hostNetwork),
    ...(workload === undefined ? {} : { workload }), ...changedByOf(object),
  };
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

const refusedForLabels = (given: PodData['labels']): Refusal | undefined => {
  const labels = sizeOf(given) + NAMESPACE_LABEL_BYTES * Object.keys(given).length;
  return labels > LARGEST_LABELS_BYTES ? tooLarge(labels, LARGEST_LABELS_BYTES) : undefined;
};

/** What others make of a fact must fit into an event as well. */
const refusedForSize = (fact: FactEvent): Refusal | undefined => {
  const bytes = eventSizeBytes(fact);
  if (bytes > LARGEST_BYTES) return tooLarge(bytes);
  switch (fact.type) {
    case 'pod.observed.v1': {
      const hostPorts = 2 * fact.data.ports.filter(({ hostPort }) => hostPort !== undefined).length * (PLACE_BYTES + REFUSAL_BYTES);
      if (hostPorts > LARGEST_BYTES) return tooLarge(hostPorts);
      return refusedForLabels(fact.data.labels);
    }
    case 'namespace.observed.v1': return refusedForLabels(fact.data.labels);
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
    case 'ConfigMap': return isIpMasqAgent(object) ? done(() => ({ type: 'ipmasqagent.observed.v1', key, time, ...trace, data: readIpMasqAgent(found, object) })) : undefined;
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
