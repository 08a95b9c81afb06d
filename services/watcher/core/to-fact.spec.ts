import { describe, expect, test } from '@jest/globals';

import { EVENT_BYTES_MAX, eventSizeBytes } from '@seine/events';
import { toObject, type KubeObject } from '@seine/objects';

import { refusedFact, toFact } from './to-fact.ts';

const TIME = '1970-01-01T00:00:00.000Z';
const made = (raw: Readonly<Record<string, unknown>>): ReturnType<typeof toFact> => toFact(toObject({ apiVersion: 'v1', ...raw }) as KubeObject, TIME); // well formed
const refused = (raw: Readonly<Record<string, unknown>>): readonly string[] => {
  const fact = made(raw);
  return fact !== undefined && 'refusals' in fact ? fact.refusals.map(({ message }) => message) : [];
};

const pod = (spec: unknown, status: unknown = {}): Readonly<Record<string, unknown>> => ({ kind: 'Pod', metadata: { name: 'a', namespace: 'shop' }, spec, status });
const service = (spec: unknown): Readonly<Record<string, unknown>> => ({ kind: 'Service', metadata: { name: 'a', namespace: 'shop' }, spec });
const slice = (address: string, family = 'IPv4'): Readonly<Record<string, unknown>> => ({
  kind: 'EndpointSlice', metadata: { name: 'a', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'a' } }, addressType: family, endpoints: [{ addresses: [address] }], ports: [{ port: 80 }],
});

interface Refused { readonly name: string; readonly raw: Readonly<Record<string, unknown>>; readonly then: readonly string[] }
const one = { clusterIP: '10.96.0.1', ports: [{ port: 80 }] } as const;
const annotated = (annotations: unknown): Readonly<Record<string, unknown>> => ({ kind: 'Service', metadata: { name: 'a', namespace: 'shop', annotations }, spec: one });
const SERVICES: readonly Refused[] = [
  { name: 'ports out of range', raw: service({ ...one, type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 70000, ports: [{ port: 0, targetPort: 65536, nodePort: -1 }] }), then: [
    'spec.ports[0].port: 0: expected a number from 1 to 65535', 'spec.ports[0].targetPort: 65536: expected a number from 1 to 65535 or a port name', 'spec.ports[0].nodePort: -1: expected a number from 1 to 65535', 'spec.healthCheckNodePort: 70000: expected a number from 1 to 65535',
  ] },
  { name: 'an address without ports', raw: service({ clusterIP: '10.96.0.1' }), then: ['spec.ports: []: expected at least one port: the Service has an address'] },
  { name: 'one node port twice', raw: service({ ...one, type: 'NodePort', ports: [{ name: 'a', port: 80, nodePort: 30080 }, { name: 'b', port: 81, nodePort: 30080 }] }), then: ['spec.ports[1].nodePort: 30080: expected a node port that no other entry of TCP has'] },
  { name: 'a node port without a type that has any', raw: service({ ...one, ports: [{ port: 80, nodePort: 30080 }] }), then: ['spec.ports[0].nodePort: 30080: expected none: spec.type is ClusterIP'] },
  { name: 'a node port of a Service without an address', raw: service({ clusterIP: 'None', type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] }), then: ['spec.clusterIP: "None": expected an address: spec.type is NodePort'] },
  { name: 'an external address that is its own machine\'s', raw: service({ ...one, externalIPs: ['127.0.0.1', 'example.com'] }), then: [
    'spec.externalIPs[0]: "127.0.0.1": expected an address of one other machine: not unspecified, loopback, link-local, multicast or broadcast', 'spec.externalIPs[1]: "example.com": expected an IP address',
  ] },
  { name: 'source ranges that are none', raw: service({ ...one, type: 'LoadBalancer', loadBalancerSourceRanges: ['10.0.0.0/33', 'everyone', 5] }), then: [
    'spec.loadBalancerSourceRanges[0]: "10.0.0.0/33": expected a CIDR such as 10.0.0.0/8', 'spec.loadBalancerSourceRanges[1]: "everyone": expected a CIDR such as 10.0.0.0/8', 'spec.loadBalancerSourceRanges[2]: 5: expected a CIDR such as 10.0.0.0/8',
  ] },
  { name: 'source ranges that would be passed over', raw: service({ ...one, type: 'NodePort', loadBalancerSourceRanges: ['10.0.0.0/8'] }), then: ['spec.loadBalancerSourceRanges: ["10.0.0.0/8"]: expected none: spec.type is NodePort, and only a load balancer\'s addresses have source ranges'] },
  { name: 'an affinity of no time', raw: service({ ...one, sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } } }), then: ['spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0: expected a number of seconds from 1 to 86400'] },
  { name: 'an affinity of more than a day', raw: service({ ...one, sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86_401 } } }), then: ['spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401: expected a number of seconds from 1 to 86400'] },
  { name: 'an affinity that is none', raw: service({ ...one, sessionAffinity: 'Cookie' }), then: ['spec.sessionAffinity: "Cookie": expected one of None, ClientIP'] },
  { name: 'a health check that nobody asks', raw: service({ ...one, type: 'LoadBalancer', healthCheckNodePort: 31000 }), then: ['spec.healthCheckNodePort: 31000: expected none: it is for spec.type LoadBalancer with spec.externalTrafficPolicy Local'] },
  { name: 'a way of balancing that is none', raw: annotated({ 'seine.network/load-balancing': 'roundrobin' }), then: ['metadata.annotations.seine.network/load-balancing: "roundrobin": expected one of random, maglev'] },
  { name: 'an annotation of Seine\'s that is spelled wrong', raw: annotated({ 'seine.network/load-balacing': 'maglev', 'example.org/load-balacing': 'theirs' }), then: ['metadata.annotations.seine.network/load-balacing: "maglev": expected no such field; did you mean seine.network/load-balancing?'] },
  { name: 'annotations that would let in fewer', raw: annotated({ 'service.cilium.io/type': 'LoadBalancer', 'service.cilium.io/node': 'edge', 'service.cilium.io/src-ranges-policy': 'deny' }), then: [
    'metadata.annotations.service.cilium.io/type: "LoadBalancer": expected none: a Service is served at each of its addresses', 'metadata.annotations.service.cilium.io/node: "edge": expected none: a Service is served on every node',
    'metadata.annotations.service.cilium.io/src-ranges-policy: "deny": expected one of allow',
  ] },
  { name: 'a way back that is none', raw: annotated({ 'service.cilium.io/forwarding-mode': 'hybrid' }), then: ['metadata.annotations.service.cilium.io/forwarding-mode: "hybrid": expected one of snat, dsr'] },
  { name: 'annotations that are none', raw: annotated('maglev'), then: ['metadata.annotations: "maglev": expected an object'] },
];
const sliceOf = (endpoint: object, ports: readonly object[] = [{ port: 80 }]): Readonly<Record<string, unknown>> => ({ ...slice('10.244.1.2'), endpoints: [{ addresses: ['10.244.1.2'], ...endpoint }], ports });
const SLICES: readonly Refused[] = [
  { name: 'an endpoint without an address', raw: sliceOf({ addresses: [] }), then: ['endpoints[0].addresses: []: expected at least one address'] },
  { name: 'a slice\'s port out of range', raw: sliceOf({}, [{ port: 65536 }]), then: ['ports[0].port: 65536: expected a number from 1 to 65535'] },
  { name: 'two ports of a slice without names', raw: sliceOf({}, [{ port: 80 }, { port: 81 }]), then: ['ports[1].name: "": expected a name that no other port has'] },
  { name: 'an endpoint that is ready in words', raw: sliceOf({ conditions: { ready: 'false', terminating: 1 } }), then: ['endpoints[0].conditions.ready: "false": expected true or false', 'endpoints[0].conditions.terminating: 1: expected true or false'] },
  { name: 'an endpoint on a node that cannot be', raw: sliceOf({ nodeName: 'n 1' }), then: ['endpoints[0].nodeName: "n 1": expected a DNS subdomain'] },
  { name: 'hints for nobody', raw: sliceOf({ hints: { forZones: [{}, { name: '' }, { name: 'a' }, { name: 'a' }], forNodes: [{ name: 'N1' }] } }), then: [
    'endpoints[0].hints.forZones[0].name: nothing: expected the name of a zone, as nodes are labelled with it', 'endpoints[0].hints.forZones[1].name: "": expected the name of a zone, as nodes are labelled with it',
    'endpoints[0].hints.forZones[3].name: "a": expected a name that no other hint of this endpoint has', 'endpoints[0].hints.forNodes[0].name: "N1": expected the name of a node: a DNS subdomain',
  ] },
];

describe('an object that is no fact says why', () => {
  test.each<{ name: string; raw: Readonly<Record<string, unknown>>; then: readonly string[] }>([
    { name: 'every fault at once', raw: pod({ nodeName: '../n1', containers: [{ ports: [{ containerPort: 0, protocol: 'tcp' }] }] }, { podIP: '10.244.1.300' }), then: [
      'spec.nodeName: "../n1": expected a DNS subdomain', 'status.podIP: "10.244.1.300": expected an IP address',
      'spec.containers[0].ports[0].containerPort: 0: expected a number from 1 to 65535', 'spec.containers[0].ports[0].protocol: "tcp": expected one of TCP, UDP, SCTP',
    ] },
    { name: 'an IPv4 address that is written as one of IPv6', raw: pod({}, { podIP: '::ffff:10.244.1.2' }), then: ['status.podIP: "::ffff:10.244.1.2": expected an IPv4 address in its own form: 10.244.1.2'] },
    { name: 'an address with a zone', raw: pod({}, { podIP: 'fe80::1%eth0' }), then: ['status.podIP: "fe80::1%eth0": expected an IP address'] },
    { name: 'a pod with two addresses of one family', raw: pod({}, { podIPs: [{ ip: 'fd00::1' }, { ip: '10.244.1.2' }, { ip: 'fd00::2' }] }), then: ['status.podIPs[2].ip: "fd00::2": expected no second IPv6 address'] },
    { name: 'a host port out of range, at no address', raw: pod({ containers: [{ ports: [{ containerPort: 80, hostPort: 65536, hostIP: 'n1' }] }] }), then: [
      'spec.containers[0].ports[0].hostIP: "n1": expected an IP address', 'spec.containers[0].ports[0].hostPort: 65536: expected a number from 1 to 65535',
    ] },
    { name: 'two ClusterIPs of one family', raw: service({ clusterIPs: ['10.96.0.1', '10.96.0.2'], ports: [{ port: 80 }] }), then: ['spec.clusterIPs[1]: "10.96.0.2": expected no second IPv4 address'] },
    { name: 'a ClusterIP of another family than it asks for', raw: service({ clusterIPs: ['10.96.0.1'], ipFamilies: ['IPv6'], ports: [{ port: 80 }] }), then: ['spec.clusterIPs[0]: "10.96.0.1": expected an IPv6 address, as spec.ipFamilies[0] says'] },
    { name: 'a family that the cluster lacks', raw: service({ clusterIPs: ['10.96.0.1'], ipFamilies: ['IPv4', 'IPv6'], ports: [{ port: 80 }] }), then: ['spec.ipFamilies[1]: "IPv6": expected a family that the cluster has addresses of'] },
    { name: 'both families where the cluster has one', raw: service({ clusterIPs: ['10.96.0.1'], ipFamilyPolicy: 'RequireDualStack', ports: [{ port: 80 }] }), then: ['spec.ipFamilyPolicy: "RequireDualStack": expected SingleStack or PreferDualStack: the cluster has addresses of one family'] },
    { name: 'a family that is none', raw: service({ clusterIP: '10.96.0.1', ipFamilies: ['IPv5'], ports: [{ port: 80 }] }), then: ['spec.ipFamilies[0]: "IPv5": expected one of IPv4, IPv6'] },
    { name: 'several ports without names', raw: service({ clusterIP: '10.96.0.1', ports: [{ port: 80 }, { name: 'b', port: 81 }] }), then: ['spec.ports[0].name: nothing: expected a name: there are several ports'] },
    { name: 'two ports of one name', raw: service({ ports: [{ name: 'b', port: 80 }, { name: 'b', port: 81 }] }), then: ['spec.ports[1].name: "b": expected a name that no other port has'] },
    { name: 'one port twice', raw: service({ ports: [{ name: 'a', port: 80 }, { name: 'b', port: 80 }] }), then: ['spec.ports[1]: "80/TCP": expected a port and protocol that no other entry has'] },
    { name: 'a ClusterIP that is none', raw: service({ clusterIP: '10.96.0', ports: [{ port: 80 }] }), then: ['spec.clusterIPs[0]: "10.96.0": expected an IP address'] },
    { name: 'a slice of IPv6 with an address of IPv4', raw: slice('10.244.1.2', 'IPv6'), then: ['endpoints[0].addresses[0]: "10.244.1.2": expected an IPv6 address, as addressType says'] },
    { name: 'a slice of IPv4 with an address of IPv6', raw: slice('fd00::2'), then: ['endpoints[0].addresses[0]: "fd00::2": expected an IPv4 address, as addressType says'] },
    { name: 'a slice of names', raw: slice('example.com', 'FQDN'), then: ['addressType: "FQDN": expected IPv4 or IPv6: FQDN is not supported', 'endpoints[0].addresses[0]: "example.com": expected an IP address'] },
    ...['0.0.0.0', '127.0.0.1', '169.254.169.254', '224.0.0.1', '255.255.255.255', '::', '::1', 'fe80::1', 'ff02::1'].map((address) => ({
      name: `an endpoint at ${address}`, raw: slice(address, address.includes(':') ? 'IPv6' : 'IPv4'), then: [`endpoints[0].addresses[0]: "${address}": expected an address of one other machine: not unspecified, loopback, link-local, multicast or broadcast`],
    })),
    ...SERVICES,
    ...SLICES,
    { name: 'a policy without a spec', raw: { apiVersion: 'cilium.io/v2', kind: 'CiliumNetworkPolicy', metadata: { name: 'a' } }, then: [
      'spec: nothing: expected a spec, or at least one item of specs',
    ] },
  ])('$name', ({ raw, then }) => { expect(refused(raw)).toEqual(then); });
});

describe('what does not fit into an event', () => {
  const many = <T>(count: number, of: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => of(index));
  test.each<{ name: string; raw: Readonly<Record<string, unknown>> }>([
    { name: 'a policy of very many blocks', raw: { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'a' }, spec: { podSelector: {}, egress: [{ to: many(3000, (index) => ({ ipBlock: { cidr: `10.${index >> 8}.${index & 255}.0/24` } })) }] } } },
    { name: 'a slice of very many endpoints', raw: { ...slice('10.244.1.2'), endpoints: many(250, (index) => ({ addresses: [`10.244.1.${index + 1}`] })), ports: [{ name: 'a', port: 80 }, { name: 'b', port: 81 }] } },
    { name: 'a pod of very many labels', raw: { kind: 'Pod', metadata: { name: 'a', labels: Object.fromEntries(many(600, (index) => [`label-${index}`, 'x'])) } } },
    { name: 'a Service of very many ports', raw: service({ clusterIP: '10.96.0.1', ports: many(200, (index) => ({ name: `p${index}`, port: index + 1 })) }) },
  ])('$name is refused', ({ raw }) => { expect(refused(raw)).toEqual([expect.stringMatching(/^SEINE_FACT_TOO_LARGE: \d+ bytes: expected at most \d+/)]); });

  test('a hundred endpoints of three ports fit', () => {
    expect(made({ ...slice('10.244.1.2'), ports: many(3, (index) => ({ name: `p${index}`, port: index + 1 })), endpoints: many(100, (index) => ({ addresses: [`10.244.1.${index + 1}`], nodeName: 'n1', targetRef: { name: `web-5d8f6c-${index}` } })) })).toHaveProperty('fact');
  });

  test('very many reasons are told in part, and their number', () => {
    const reasons = many(3000, (index) => ({ field: `spec.ports[${index}]`, value: '0', expected: 'a port', message: `spec.ports[${index}]: 0: expected a port` }));
    const fact = refusedFact({ kind: 'Service', namespace: 'shop', name: 'a' }, reasons, undefined, TIME);
    expect(eventSizeBytes(fact)).toBeLessThan(EVENT_BYTES_MAX);
    expect(fact.data.refusals.at(-1)?.message).toBe(`and ${3000 - fact.data.refusals.length + 1} more`);
  });
});

describe('an object that is a fact', () => {
  test('carries what a Service asks for, headless and external addresses too', () => {
    expect(made(service({ clusterIP: 'None', externalIPs: ['192.0.2.1'], ports: [{ port: 80, targetPort: 'http' }] }))).toMatchObject({
      fact: { type: 'service.observed.v1', key: 'shop/a', data: { clusterIPs: [], externalIPs: ['192.0.2.1'], ports: [{ name: '', port: 80, protocol: 'TCP', targetPort: 'http' }] } },
    });
  });
  test('wants its requests balanced only where it says so', () => {
    const asks = (annotations: unknown): unknown => made({ ...service({ clusterIP: '10.96.0.1', ports: [{ port: 80 }] }), metadata: { name: 'a', namespace: 'shop', annotations } });
    expect(asks({ 'service.cilium.io/lb-l7': 'enabled' })).toMatchObject({ fact: { data: { byRequest: true } } });
    for (const annotations of [undefined, {}, { 'service.cilium.io/lb-l7': 'disabled' }]) expect(asks(annotations)).not.toHaveProperty('fact.data.byRequest');
  });
  test('has addresses of both families, in one spelling', () => {
    expect(made(pod({}, { podIP: '10.244.1.2', podIPs: [{ ip: '10.244.1.2' }, { ip: 'FD00:0:0::000a' }] }))).toMatchObject({ fact: { data: { addresses: ['10.244.1.2', 'fd00::a'] } } });
    expect(made(service({ clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00:96::1'], ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack', ports: [{ port: 80 }] }))).toMatchObject({ fact: { data: { clusterIPs: ['10.96.0.1', 'fd00:96::1'] } } });
    expect(made(slice('fd00::2', 'IPv6'))).toMatchObject({ fact: { data: { addressType: 'IPv6', endpoints: [{ addresses: ['fd00::2'] }] } } });
  });
  test.each([
    { name: 'that stays says nothing', metadata: {}, taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }], want: undefined },
    { name: 'that the autoscaler takes away', metadata: {}, taints: [{ key: 'a' }, { key: 'ToBeDeletedByClusterAutoscaler', value: '1', effect: 'NoSchedule' }], want: 'ToBeDeletedByClusterAutoscaler' },
    { name: 'that is being deleted', metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' }, taints: undefined, want: 'deletionTimestamp' },
  ])('of a node $name', ({ metadata, taints, want }) => {
    const fact = made({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', ...metadata }, spec: { taints } });
    expect(fact !== undefined && 'fact' in fact ? (fact.fact.data as { readonly leaving?: string }).leaving : 'refused').toBe(want); // a Node's fact
  });
  test('is unscheduled without a node, and finished when it has succeeded', () => {
    expect(made(pod({ nodeName: '' }, { phase: 'Succeeded' }))).toMatchObject({ fact: { data: { phase: 'finished', serviceAccount: 'default', addresses: [] } } });
    expect(made(pod({}))).not.toHaveProperty('fact.data.nodeName');
  });
  test.each([
    { name: 'who changed it last', managedFields: [{ manager: 'kubectl-create', operation: 'Update', time: '2026-01-01T00:00:00Z' }, { manager: 'helm', operation: 'Apply', time: '2026-03-01T00:00:00Z', fieldsV1: { 'f:metadata': {} } }], want: { manager: 'helm', operation: 'Apply', time: '2026-03-01T00:00:00Z' } },
    { name: 'nobody who only reports its status', managedFields: [{ manager: 'helm', operation: 'Apply', time: '2026-01-01T00:00:00Z' }, { manager: 'kubelet', operation: 'Update', time: '2026-09-01T00:00:00Z', subresource: 'status' }], want: { manager: 'helm', operation: 'Apply', time: '2026-01-01T00:00:00Z' } },
    { name: 'nobody, where managedFields say nothing', managedFields: [null, { manager: 5 }, 'x'], want: undefined },
  ])('names $name', ({ managedFields, want }) => {
    const metadata = { name: 'a', namespace: 'shop', managedFields };
    const policy = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec: { podSelector: {} } };
    for (const raw of [{ ...pod({}), metadata }, policy]) {
      const fact = made(raw);
      expect(fact !== undefined && 'fact' in fact ? (fact.fact.data as { readonly changedBy?: unknown }).changedBy : 'refused').toEqual(want); // pods and policies have it
    }
  });
  test('is of the Deployment behind its ReplicaSet', () => {
    const metadata = { name: 'a', namespace: 'shop', labels: { 'pod-template-hash': '5d8f' }, ownerReferences: [{ kind: 'ReplicaSet', name: 'carts-5d8f', controller: true }] };
    expect(made({ ...pod({}), metadata })).toMatchObject({ fact: { data: { workload: { kind: 'Deployment', name: 'carts' } } } });
  });
  test('is none for kinds that say nothing about the network', () => { expect(made({ kind: 'ConfigMap', metadata: { name: 'a' } })).toBeUndefined(); });
});
