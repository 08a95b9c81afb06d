/** Services and EndpointSlices → what Seine uses of them, or every reason why they cannot be served. Pure. */
import type { EndpointSliceData, ServiceData } from '@seine/events';
import { familyOf, formatPrefix, parsePrefix, type IpFamily } from '@seine/model';
import {
  isDnsLabel, isDnsSubdomain, isLabelValue, isObject, isPortName, LINES_ANNOTATION, listAt, member, objectAt, onlyMembers, readLabels, SOURCE_ANNOTATION, type Faults, type KubeObject, type PlainObject,
} from '@seine/objects';

import { addressAt, endpointAddressAt, metadataOf, oneOf, onePerFamily, portAt, protocolAt, text } from './fields.ts';

/**
 * Addresses of ipMode Proxy are the balancer's own: packets come to nodes with another destination. One that cannot be served (a balancer on
 * somebody's desk says 127.0.0.1) is refused beside the rest by who compiles: whoever wrote it, the Service is not to blame.
 */
const loadBalancerAddresses = (found: Faults, object: KubeObject): readonly string[] => {
  const status = objectAt(found, 'status.loadBalancer', member(objectAt(found, 'status', member(object.raw, 'status')), 'loadBalancer'));
  return (listAt(found, 'status.loadBalancer.ingress', member(status, 'ingress')) ?? []).flatMap((item, index) => {
    const place = `status.loadBalancer.ingress[${index}]`;
    const entry = objectAt(found, place, item);
    const ip = member(entry, 'ip') ?? undefined;
    return ip === undefined || ip === '' || member(entry, 'ipMode') === 'Proxy' ? [] : addressAt(found, `${place}.ip`, ip) ?? [];
  });
};

const OWN_PREFIX = 'seine.network/';
const BALANCING_ANNOTATION = `${OWN_PREFIX}load-balancing`;
const OWN_ANNOTATIONS = [BALANCING_ANNOTATION, SOURCE_ANNOTATION, LINES_ANNOTATION] as const;
/** What Cilium's users write for it. */
const BY_REQUEST_ANNOTATION = 'service.cilium.io/lb-l7';
const FORWARDING_ANNOTATION = 'service.cilium.io/forwarding-mode';
/** What Cilium's users write to let in fewer than Seine would: passed over, more would come in than they think. */
const NARROWING_ANNOTATIONS = [
  ['service.cilium.io/type', 'none: a Service is served at each of its addresses'],
  ['service.cilium.io/node', 'none: a Service is served on every node'],
  ['service.cilium.io/node-selector', 'none: a Service is served on every node'],
] as const;
const RANGES_POLICY_ANNOTATION = 'service.cilium.io/src-ranges-policy';
const AFFINITY_DEFAULT_S = 10_800;
const AFFINITY_MAX_S = 86_400;

const affinityOf = (found: Faults, spec: PlainObject): { readonly affinityS?: number } => {
  if (oneOf(found, 'spec.sessionAffinity', member(spec, 'sessionAffinity'), ['None', 'ClientIP']) === 'None') return {};
  const clientIp = objectAt(found, 'spec.sessionAffinityConfig.clientIP', member(objectAt(found, 'spec.sessionAffinityConfig', member(spec, 'sessionAffinityConfig')), 'clientIP'));
  const seconds = member(clientIp, 'timeoutSeconds') ?? AFFINITY_DEFAULT_S;
  if (typeof seconds === 'number' && Number.isInteger(seconds) && seconds >= 1 && seconds <= AFFINITY_MAX_S) return { affinityS: seconds };
  found.refuse('spec.sessionAffinityConfig.clientIP.timeoutSeconds', seconds, `a number of seconds from 1 to ${AFFINITY_MAX_S}`);
  return {};
};

const sourceRangesOf = (found: Faults, spec: PlainObject, type: string): { readonly sourceRanges?: readonly string[] } => {
  const ranges = listAt(found, 'spec.loadBalancerSourceRanges', member(spec, 'loadBalancerSourceRanges')) ?? [];
  if (ranges.length > 0 && type !== 'LoadBalancer') found.refuse('spec.loadBalancerSourceRanges', ranges, `none: spec.type is ${type}, and only a load balancer's addresses have source ranges`);
  const read = ranges.flatMap((value, index) => {
    const prefix = typeof value === 'string' ? parsePrefix(value.trim()) : undefined;
    if (prefix === undefined) { found.refuse(`spec.loadBalancerSourceRanges[${index}]`, value, 'a CIDR such as 10.0.0.0/8'); return []; }
    return [formatPrefix(prefix)];
  });
  return ranges.length === 0 ? {} : { sourceRanges: [...new Set(read)].sort() };
};

const healthCheckOf = (found: Faults, spec: PlainObject, asked: boolean): { readonly healthCheckNodePort?: number } => {
  const port = member(spec, 'healthCheckNodePort') ?? 0;
  if (port === 0) return {};
  if (!asked) found.refuse('spec.healthCheckNodePort', port, 'none: it is for spec.type LoadBalancer with spec.externalTrafficPolicy Local');
  return { healthCheckNodePort: portAt(found, 'spec.healthCheckNodePort', port) };
};

const annotationsOf = (found: Faults, object: KubeObject): Pick<ServiceData, 'maglev' | 'byRequest' | 'forwarding'> => {
  const annotations = objectAt(found, 'metadata.annotations', member(metadataOf(object), 'annotations'));
  onlyMembers(found, 'metadata.annotations', Object.fromEntries(Object.entries(annotations).filter(([name]) => name.startsWith(OWN_PREFIX))), OWN_ANNOTATIONS);
  for (const [name, expected] of NARROWING_ANNOTATIONS) {
    const value = member(annotations, name);
    if (value !== undefined && value !== null) found.refuse(`metadata.annotations.${name}`, value, expected);
  }
  oneOf(found, `metadata.annotations.${RANGES_POLICY_ANNOTATION}`, member(annotations, RANGES_POLICY_ANNOTATION), ['allow']);
  const balancing = oneOf(found, `metadata.annotations.${BALANCING_ANNOTATION}`, member(annotations, BALANCING_ANNOTATION), ['random', 'maglev']);
  const byRequest = oneOf(found, `metadata.annotations.${BY_REQUEST_ANNOTATION}`, member(annotations, BY_REQUEST_ANNOTATION), ['disabled', 'enabled']);
  const forwarding = member(annotations, FORWARDING_ANNOTATION) ?? undefined;
  const mode = oneOf(found, `metadata.annotations.${FORWARDING_ANNOTATION}`, forwarding, ['snat', 'dsr']);
  return { ...(balancing === 'maglev' ? { maglev: true } : {}), ...(byRequest === 'enabled' ? { byRequest: true } : {}), ...(forwarding === undefined ? {} : { forwarding: mode }) };
};

const serviceOptions = (found: Faults, object: KubeObject, spec: PlainObject, type: string): Pick<ServiceData, 'externalLocal' | 'internalLocal' | 'healthCheckNodePort' | 'sourceRanges' | 'affinityS' | 'maglev' | 'byRequest' | 'forwarding'> => {
  const externalLocal = oneOf(found, 'spec.externalTrafficPolicy', member(spec, 'externalTrafficPolicy'), ['Cluster', 'Local']) === 'Local';
  const internalLocal = oneOf(found, 'spec.internalTrafficPolicy', member(spec, 'internalTrafficPolicy'), ['Cluster', 'Local']) === 'Local';
  return {
    ...(externalLocal ? { externalLocal } : {}), ...(internalLocal ? { internalLocal } : {}), ...healthCheckOf(found, spec, type === 'LoadBalancer' && externalLocal),
    ...sourceRangesOf(found, spec, type), ...affinityOf(found, spec), ...annotationsOf(found, object),
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

/** Places whose value stood before. */
const repeats = (values: readonly unknown[]): ReadonlySet<number> => {
  const seen = new Set<unknown>();
  return new Set(values.flatMap((value, index) => {
    if (value !== undefined && seen.has(value)) return [index];
    seen.add(value);
    return [];
  }));
};

const servicePorts = (found: Faults, spec: PlainObject, type: string): ServiceData['ports'] => {
  const ports = (listAt(found, 'spec.ports', member(spec, 'ports')) ?? []).map((item, index) => {
    const place = `spec.ports[${index}]`;
    const entry = objectAt(found, place, item);
    const port = portAt(found, `${place}.port`, member(entry, 'port'));
    const target = member(entry, 'targetPort') ?? port;
    const nodePort = member(entry, 'nodePort') ?? undefined;
    if (typeof target === 'string' ? !isPortName(target) : !(typeof target === 'number' && Number.isInteger(target) && target >= 1 && target <= 65535)) {
      found.refuse(`${place}.targetPort`, target, 'a number from 1 to 65535 or a port name');
    }
    if (nodePort !== undefined && nodePort !== 0 && type === 'ClusterIP') found.refuse(`${place}.nodePort`, nodePort, 'none: spec.type is ClusterIP');
    return {
      name: text(found, `${place}.name`, member(entry, 'name')) ?? '', port, protocol: protocolAt(found, `${place}.protocol`, member(entry, 'protocol')),
      targetPort: typeof target === 'string' || typeof target === 'number' ? target : port,
      ...(nodePort === undefined || nodePort === 0 ? {} : { nodePort: portAt(found, `${place}.nodePort`, nodePort) }),
    };
  });
  const refuseRepeats = (valueOf: (port: (typeof ports)[number]) => string | number | undefined, refuse: (port: (typeof ports)[number], index: number) => void): void => {
    const repeated = repeats(ports.map(valueOf));
    ports.forEach((port, index) => { if (repeated.has(index)) refuse(port, index); });
  };
  ports.forEach(({ name }, index) => {
    if (ports.length > 1 && name === '') found.refuse(`spec.ports[${index}].name`, undefined, 'a name: there are several ports');
    if (name !== '' && !isDnsLabel(name)) found.refuse(`spec.ports[${index}].name`, name, 'a DNS label: at most 63 of [a-z0-9-]');
  });
  refuseRepeats(({ name }) => (name === '' ? undefined : name), ({ name }, index) => { found.refuse(`spec.ports[${index}].name`, name, 'a name that no other port has'); });
  refuseRepeats(({ port, protocol }) => `${port}/${protocol}`, ({ port, protocol }, index) => { found.refuse(`spec.ports[${index}]`, `${port}/${protocol}`, 'a port and protocol that no other entry has'); });
  refuseRepeats(({ nodePort, protocol }) => (nodePort === undefined ? undefined : `${nodePort}/${protocol}`), ({ nodePort, protocol }, index) => { found.refuse(`spec.ports[${index}].nodePort`, nodePort, `a node port that no other entry of ${protocol} has`); });
  return ports;
};

export const serviceData = (found: Faults, object: KubeObject): ServiceData => {
  if (!isDnsLabel(object.name)) found.refuse('metadata.name', object.name, 'a DNS label: at most 63 of [a-z0-9-]');
  const spec = objectAt(found, 'spec', member(object.raw, 'spec'));
  const type = text(found, 'spec.type', member(spec, 'type')) ?? 'ClusterIP';
  if (!['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'].includes(type)) found.refuse('spec.type', type, 'one of ClusterIP, NodePort, LoadBalancer, ExternalName');
  const single = member(spec, 'clusterIP') ?? undefined;
  const listed = listAt(found, 'spec.clusterIPs', member(spec, 'clusterIPs')) ?? (single === undefined ? [] : [single]);
  const clusterIPs = onePerFamily(found, (index) => `spec.clusterIPs[${index}]`, listed.filter((ip) => ip !== 'None' && ip !== '').flatMap((ip, index) => endpointAddressAt(found, `spec.clusterIPs[${index}]`, ip) ?? []));
  const headless = listed.includes('None');
  if (headless && (type === 'NodePort' || type === 'LoadBalancer')) found.refuse('spec.clusterIP', 'None', `an address: spec.type is ${type}`);
  if (!headless && type !== 'ExternalName') checkFamilies(found, spec, clusterIPs);
  const selector = member(spec, 'selector') ?? undefined;
  const ports = servicePorts(found, spec, type);
  if (ports.length === 0 && clusterIPs.length > 0) found.refuse('spec.ports', [], 'at least one port: the Service has an address');
  const externalIPs = (listAt(found, 'spec.externalIPs', member(spec, 'externalIPs')) ?? []).flatMap((ip, index) => endpointAddressAt(found, `spec.externalIPs[${index}]`, ip) ?? []);
  const loadBalancerIPs = type === 'LoadBalancer' ? loadBalancerAddresses(found, object) : [];
  return {
    uid: object.uid, type, clusterIPs, ports,
    ...(externalIPs.length === 0 ? {} : { externalIPs }), ...(loadBalancerIPs.length === 0 ? {} : { loadBalancerIPs }), ...serviceOptions(found, object, spec, type),
    ...(selector === undefined ? {} : { selector: readLabels(found, 'spec.selector', selector) }),
    ...(isObject(member(metadataOf(object), 'labels')) ? { labels: readLabels(found, 'metadata.labels', member(metadataOf(object), 'labels')) } : {}),
    ...(object.place === undefined ? {} : { source: object.place }),
  };
};

/** For whom an endpoint is meant: names of zones, or of nodes. */
const hintsAt = (found: Faults, field: string, value: unknown, [isName, expected]: readonly [(text: string) => boolean, string]): readonly string[] => {
  const names = (listAt(found, field, value) ?? []).map((item, index) => member(objectAt(found, `${field}[${index}]`, item), 'name'));
  const repeated = repeats(names);
  return names.filter((name, index): name is string => {
    if (typeof name !== 'string' || name === '' || !isName(name)) { found.refuse(`${field}[${index}].name`, name, expected); return false; }
    if (repeated.has(index)) found.refuse(`${field}[${index}].name`, name, 'a name that no other hint of this endpoint has');
    return true;
  });
};
const ZONE_NAME = [isLabelValue, 'the name of a zone, as nodes are labelled with it'] as const;
const NODE_NAME = [isDnsSubdomain, 'the name of a node: a DNS subdomain'] as const;

const conditionAt = (found: Faults, field: string, value: unknown, fallback: boolean): boolean => {
  if (value === undefined || value === null) return fallback;
  if (typeof value === 'boolean') return value;
  found.refuse(field, value, 'true or false');
  return false;
};

const slicePorts = (found: Faults, object: KubeObject): EndpointSliceData['ports'] => {
  const names = new Set<string>();
  return (listAt(found, 'ports', member(object.raw, 'ports')) ?? []).flatMap((item, index) => {
    const place = `ports[${index}]`;
    const port = objectAt(found, place, item);
    const name = text(found, `${place}.name`, member(port, 'name')) ?? '';
    if (name !== '' && !isDnsLabel(name)) found.refuse(`${place}.name`, name, 'a DNS label: at most 63 of [a-z0-9-]');
    if (names.has(name)) found.refuse(`${place}.name`, name, 'a name that no other port has');
    names.add(name);
    if ((member(port, 'port') ?? undefined) === undefined) return [];
    return [{ name, port: portAt(found, `${place}.port`, member(port, 'port')), protocol: protocolAt(found, `${place}.protocol`, member(port, 'protocol')) }];
  });
};

export const endpointSliceData = (found: Faults, object: KubeObject): EndpointSliceData => {
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
    const condition = (name: string, fallback: boolean): boolean => conditionAt(found, `${place}.conditions.${name}`, member(conditions, name), fallback);
    const ready = condition('ready', true);
    const target = objectAt(found, `${place}.targetRef`, member(endpoint, 'targetRef'));
    const nodeName = text(found, `${place}.nodeName`, member(endpoint, 'nodeName'));
    if (nodeName !== undefined && !isDnsSubdomain(nodeName)) found.refuse(`${place}.nodeName`, nodeName, 'a DNS subdomain');
    const pod = text(found, `${place}.targetRef.name`, member(target, 'name'));
    const hints = objectAt(found, `${place}.hints`, member(endpoint, 'hints'));
    const [forZones, forNodes] = [hintsAt(found, `${place}.hints.forZones`, member(hints, 'forZones'), ZONE_NAME), hintsAt(found, `${place}.hints.forNodes`, member(hints, 'forNodes'), NODE_NAME)];
    const addresses = listAt(found, `${place}.addresses`, member(endpoint, 'addresses')) ?? [];
    if (addresses.length === 0) found.refuse(`${place}.addresses`, addresses, 'at least one address');
    return {
      addresses: addresses.flatMap((ip, at) => ofType(`${place}.addresses[${at}]`, ip)),
      ready, serving: condition('serving', ready), terminating: condition('terminating', false),
      ...(nodeName === undefined ? {} : { nodeName }), ...(pod === undefined ? {} : { pod: `${object.namespace}/${pod}` }),
      ...(forZones.length === 0 ? {} : { forZones }), ...(forNodes.length === 0 ? {} : { forNodes }),
    };
  });
  return { uid: object.uid, service: service ?? '', addressType: addressType ?? 'IPv4', endpoints, ports: slicePorts(found, object) };
};
