/**
 * What the APIs say, sentence by sentence: the cases of Kubernetes' own suites for NetworkPolicy, the semantics of Cilium's policies that catch
 * implementers, the tiers of ClusterNetworkPolicy. Each is judged by `check` and by the literal reading of the texts; both must say what stands here.
 */
import { describe, expect, test } from '@jest/globals';

import { foldNode } from '@seine/datapath-writer';
import { isRefused, toObject, type KubeObject, type Settings } from '@seine/objects';

import { verdictOf } from '../../services/cli/verdict.ts';
import { openCluster } from '../golden/engine.ts';
import { naive, type Asked } from '../oracle/naive.mjs';
import type { RawObject } from './generate.ts';
import { clusterOf } from './judge.ts';

/* Three namespaces of three pods, as in the suites; two nodes with pods, a third with an API server, another API server outside. */
const pod = (namespace: string, name: string, index: number): RawObject => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, labels: { pod: name } },
  spec: {
    nodeName: `n${(index % 2) + 1}`, serviceAccountName: name === 'b' ? 'robot' : 'default',
    containers: [{ name: 'main', image: 'main', ports: ['TCP', 'UDP', 'SCTP'].flatMap((protocol) => [80, 81].map((port) => ({ name: `serve-${port}-${protocol.toLowerCase()}`, containerPort: port, protocol }))) }],
  },
  status: { podIP: `10.244.${(index % 2) + 1}.${10 + index}` },
});
const NAMESPACES = ['x', 'y', 'z'] as const;
const CLUSTER: readonly RawObject[] = [
  ...NAMESPACES.map((name): RawObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: { ns: name, ...(name === 'x' ? {} : { team: 'far' }) } } })),
  ...['n1', 'n2', 'n3'].map((name, index): RawObject => ({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/hostname': name, pool: index === 0 ? 'plain' : 'gpu' } }, status: { addresses: [{ type: 'InternalIP', address: `192.168.50.${index + 1}` }] } })),
  ...NAMESPACES.flatMap((namespace, at) => ['a', 'b', 'c'].map((name, index) => pod(namespace, name, at * 3 + index))),
  { apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'default', name: 'kubernetes' }, spec: { clusterIP: '10.96.0.1', ports: [{ port: 443, targetPort: 6443, protocol: 'TCP' }] } },
  { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4', metadata: { namespace: 'default', name: 'kubernetes', labels: { 'kubernetes.io/service-name': 'kubernetes' } }, ports: [{ name: '', port: 6443, protocol: 'TCP' }], endpoints: [{ addresses: ['192.168.50.3'] }, { addresses: ['192.168.50.100'] }] },
  { apiVersion: 'cilium.io/v2', kind: 'CiliumCIDRGroup', metadata: { name: 'partners', labels: { trust: 'low' } }, spec: { externalCIDRs: ['203.0.113.0/24'] } },
];

let serial = 0;
const named = (kind: string, apiVersion: string, namespace: string | undefined, spec: unknown, audit = false): RawObject => {
  serial += 1;
  return { apiVersion, kind, metadata: { name: `p${serial}`, ...(namespace === undefined ? {} : { namespace }), ...(audit ? { annotations: { 'seine.network/audit': 'true' } } : {}) }, ...(spec === undefined ? {} : { spec }) };
};
const np = (namespace: string, spec: unknown, audit = false): RawObject => named('NetworkPolicy', 'networking.k8s.io/v1', namespace, spec, audit);
const cnp = (namespace: string, spec: unknown, audit = false): RawObject => named('CiliumNetworkPolicy', 'cilium.io/v2', namespace, spec, audit);
const ccnp = (spec: unknown): RawObject => named('CiliumClusterwideNetworkPolicy', 'cilium.io/v2', undefined, spec);
const tier = (spec: object): RawObject => named('ClusterNetworkPolicy', 'policy.networking.k8s.io/v1alpha2', undefined, { tier: 'Admin', priority: 1, subject: { namespaces: {} }, ...spec });
const NODE_1 = { nodeSelector: { matchLabels: { 'kubernetes.io/hostname': 'n1' } } };

/** `x/a > y/b 80`, `x/a > y/b 80/UDP`, `x/a > y/b icmp` (an echo request), `x/a > y/b icmp/3` */
const asked = (text: string): Asked => {
  const [from, , to, what] = text.split(' ') as [string, string, string, string]; // four words
  const [port, protocol = 'TCP'] = what.split('/') as [string, string | undefined];
  return port === 'icmp' ? { from, to, protocol: 'ICMP', icmp: { type: Number(what.split('/')[1] ?? 8), code: 0 } } : { from, to, protocol, port: Number(port) };
};

interface Sentence { readonly name: string; readonly policies: readonly RawObject[]; readonly allow: readonly string[]; readonly deny: readonly string[]; readonly settings?: Settings }

const holds = ({ policies, allow, deny, settings = {} }: Sentence): void => {
  const given = { objects: [...CLUSTER, ...policies], settings };
  const cluster = clusterOf(given);
  expect(cluster.refused).toEqual([]);
  const said = (by: (probe: Asked) => string | undefined) => Object.fromEntries([...allow, ...deny].map((text) => [text, by(asked(text))]));
  const want = { ...Object.fromEntries(allow.map((text) => [text, 'allow'])), ...Object.fromEntries(deny.map((text) => [text, 'deny'])) };
  expect(said((probe) => cluster.verdict(probe).got)).toEqual(want);
  expect(said((probe) => naive(given.objects, probe, given))).toEqual(want);
};

const A = { matchLabels: { pod: 'a' } };
const B = { matchLabels: { pod: 'b' } };
const tcp = (port: string, more: object = {}): object => ({ toPorts: [{ ports: [{ port, protocol: 'TCP', ...more }] }] });

describe('NetworkPolicy', () => {
  test.each<Sentence>([
    { name: 'default deny ingress of a namespace', policies: [np('x', { podSelector: {}, policyTypes: ['Ingress'] })], allow: ['x/a > y/b 80', 'y/a > y/b 80'], deny: ['y/a > x/a 80', 'x/b > x/a 80', 'external > x/a 80', 'node:n2 > x/a 80'] },
    { name: 'whoever is isolated reaches itself, and its node reaches it', policies: [np('x', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })], allow: ['x/a > x/a 80', 'node:n1 > x/a 80'], deny: ['node:n2 > x/a 80', 'node:n3 > x/a 80', 'x/a > node:n1 80'] },
    { name: 'default deny both ways', policies: [np('x', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })], allow: ['y/a > z/a 80'], deny: ['x/a > y/a 80', 'y/a > x/a 80', 'x/a > external 53/UDP'] },
    { name: 'traffic from pods of the server\'s namespace by podSelector', policies: [np('x', { podSelector: A, ingress: [{ from: [{ podSelector: B }] }] })], allow: ['x/b > x/a 80', 'x/c > x/b 80'], deny: ['x/c > x/a 80', 'y/b > x/a 80'] },
    { name: 'traffic from a namespace by namespaceSelector', policies: [np('x', { podSelector: A, ingress: [{ from: [{ namespaceSelector: { matchLabels: { ns: 'y' } } }] }] })], allow: ['y/a > x/a 80', 'y/c > x/a 81'], deny: ['x/b > x/a 80', 'z/a > x/a 80'] },
    { name: 'podSelector with matchExpressions', policies: [np('x', { podSelector: A, ingress: [{ from: [{ podSelector: { matchExpressions: [{ key: 'pod', operator: 'In', values: ['b'] }] } }] }] })], allow: ['x/b > x/a 80'], deny: ['x/c > x/a 80', 'y/b > x/a 80'] },
    { name: 'namespaceSelector with matchExpressions', policies: [np('x', { podSelector: A, ingress: [{ from: [{ namespaceSelector: { matchExpressions: [{ key: 'ns', operator: 'NotIn', values: ['x', 'z'] }] } }] }] })], allow: ['y/b > x/a 80'], deny: ['x/b > x/a 80', 'z/b > x/a 80'] },
    { name: 'podSelector OR namespaceSelector as two peers', policies: [np('x', { podSelector: A, ingress: [{ from: [{ podSelector: B }, { namespaceSelector: { matchLabels: { ns: 'y' } } }] }] })], allow: ['x/b > x/a 80', 'y/c > x/a 80'], deny: ['x/c > x/a 80', 'z/b > x/a 80'] },
    { name: 'podSelector AND namespaceSelector as one peer', policies: [np('x', { podSelector: A, ingress: [{ from: [{ podSelector: B, namespaceSelector: { matchLabels: { ns: 'y' } } }] }] })], allow: ['y/b > x/a 80'], deny: ['x/b > x/a 80', 'y/c > x/a 80'] },
    { name: 'several selectors in one expression', policies: [np('x', { podSelector: A, ingress: [{ from: [{ namespaceSelector: { matchExpressions: [{ key: 'ns', operator: 'NotIn', values: ['x'] }] }, podSelector: { matchExpressions: [{ key: 'pod', operator: 'In', values: ['b', 'c'] }] } }] }] })], allow: ['y/b > x/a 80', 'z/c > x/a 80'], deny: ['y/a > x/a 80', 'x/b > x/a 80'] },
    { name: 'the label that every namespace has', policies: [np('x', { podSelector: {}, ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'z' } } }] }] })], allow: ['z/a > x/a 80'], deny: ['y/a > x/a 80'] },
    { name: 'one port by number', policies: [np('x', { podSelector: A, ingress: [{ ports: [{ port: 81 }] }] })], allow: ['y/b > x/a 81'], deny: ['y/b > x/a 80', 'y/b > x/a 81/UDP', 'y/b > x/a icmp'] },
    { name: 'one port by name', policies: [np('x', { podSelector: A, ingress: [{ ports: [{ port: 'serve-81-tcp' }] }] })], allow: ['y/b > x/a 81'], deny: ['y/b > x/a 80'] },
    { name: 'a name of another protocol is none', policies: [np('x', { podSelector: A, ingress: [{ ports: [{ port: 'serve-80-udp' }] }] })], allow: [], deny: ['y/b > x/a 80', 'y/b > x/a 80/UDP'] },
    { name: 'a name at egress is the destination\'s', policies: [np('x', { podSelector: A, policyTypes: ['Egress'], egress: [{ ports: [{ port: 'serve-80-udp', protocol: 'UDP' }] }] })], allow: ['x/a > y/b 80/UDP'], deny: ['x/a > y/b 81/UDP', 'x/a > external 80/UDP', 'x/a > y/b 80'] },
    { name: 'UDP only', policies: [np('x', { podSelector: A, ingress: [{ ports: [{ port: 80, protocol: 'UDP' }] }] })], allow: ['y/b > x/a 80/UDP'], deny: ['y/b > x/a 80', 'y/b > x/a 80/SCTP'] },
    { name: 'SCTP only', policies: [np('x', { podSelector: A, ingress: [{ ports: [{ port: 80, protocol: 'SCTP' }] }] })], allow: ['y/b > x/a 80/SCTP'], deny: ['y/b > x/a 80', 'y/b > x/a 80/UDP'] },
    { name: 'a protocol without a port is all its ports', policies: [np('x', { podSelector: A, ingress: [{ ports: [{ protocol: 'UDP' }] }] })], allow: ['y/b > x/a 1/UDP', 'y/b > x/a 65535/UDP'], deny: ['y/b > x/a 80'] },
    { name: 'a range of ports, to its last', policies: [np('x', { podSelector: A, ingress: [{ ports: [{ port: 80, endPort: 90 }] }] })], allow: ['y/b > x/a 80', 'y/b > x/a 90'], deny: ['y/b > x/a 79', 'y/b > x/a 91'] },
    { name: 'rules without peers and ports let every protocol in', policies: [np('x', { podSelector: A, ingress: [{}] })], allow: ['y/b > x/a 80', 'y/b > x/a icmp', 'external > x/a 80/UDP'], deny: [] },
    { name: 'peers and ports of one rule are both needed, rules are alternatives', policies: [np('x', { podSelector: A, ingress: [{ from: [{ podSelector: B }], ports: [{ port: 80 }] }, { from: [{ namespaceSelector: { matchLabels: { ns: 'y' } } }], ports: [{ port: 81 }] }] })], allow: ['x/b > x/a 80', 'y/a > x/a 81'], deny: ['x/b > x/a 81', 'y/a > x/a 80'] },
    { name: 'policies add to each other', policies: [np('x', { podSelector: A, ingress: [{ ports: [{ port: 80 }] }] }), np('x', { podSelector: A, ingress: [{ from: [{ podSelector: B }] }] })], allow: ['y/b > x/a 80', 'x/b > x/a 81'], deny: ['y/b > x/a 81'] },
    { name: 'a policy that allows all overrides one that denies all', policies: [np('x', { podSelector: {}, policyTypes: ['Ingress'] }), np('x', { podSelector: {}, ingress: [{}] })], allow: ['y/b > x/a 80', 'external > x/b 81'], deny: [] },
    { name: 'egress to pods by label', policies: [np('x', { podSelector: A, policyTypes: ['Egress'], egress: [{ to: [{ namespaceSelector: { matchLabels: { ns: 'y' } }, podSelector: A }] }] })], allow: ['x/a > y/a 80', 'x/b > y/b 80'], deny: ['x/a > y/b 80', 'x/a > x/b 80', 'x/a > external 80'] },
    { name: 'egress of the client and ingress of the server must both allow', policies: [np('x', { podSelector: A, policyTypes: ['Egress'], egress: [{ to: [{ namespaceSelector: {} }] }] }), np('y', { podSelector: A, ingress: [{ from: [{ podSelector: B }] }] })], allow: ['x/a > y/b 80', 'y/b > y/a 80'], deny: ['x/a > y/a 80'] },
    { name: 'rules of a direction that is not among policyTypes mean nothing', policies: [np('x', { podSelector: A, policyTypes: ['Egress'], ingress: [] })], allow: ['y/b > x/a 80'], deny: ['x/a > y/b 80'] },
    { name: 'egress rules alone isolate both ways', policies: [np('x', { podSelector: A, egress: [{}] })], allow: ['x/a > y/b 80'], deny: ['y/b > x/a 80'] },
    { name: 'egress to a block of addresses, pods among them', policies: [np('x', { podSelector: A, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: '10.244.1.10/31' } }] }] })], allow: ['x/a > x/a 80'], deny: ['x/a > y/b 80', 'x/a > x/c 80'] },
    { name: 'a block without a part, and one that holds the part again', policies: [
      np('x', { podSelector: A, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.2.0/24'] } }] }] }), np('x', { podSelector: A, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: '10.244.2.13/32' } }] }] }),
    ], allow: ['x/a > x/c 80', 'x/a > y/a 80'], deny: ['x/a > x/b 80', 'x/a > y/c 80'] },
    { name: 'a block of outside addresses and of nodes', policies: [np('x', { podSelector: A, policyTypes: ['Egress'], egress: [{ to: [{ ipBlock: { cidr: '192.168.50.0/24', except: ['192.168.50.2/32'] } }] }] })], allow: ['x/a > external 80', 'x/a > node:n1 80', 'x/a > 192.168.50.100 6443'], deny: ['x/a > node:n2 80', 'x/a > 203.0.113.7 80'] },
    { name: 'every IPv6 address is no IPv4 address', policies: [np('x', { podSelector: A, ingress: [{ from: [{ ipBlock: { cidr: '::/0' } }] }] })], allow: [], deny: ['y/b > x/a 80', 'external > x/a 80'] },
    { name: 'pod selectors mean no node and nobody outside', policies: [np('x', { podSelector: A, ingress: [{ from: [{ namespaceSelector: {} }] }] })], allow: ['y/b > x/a 80', 'x/c > x/a 80'], deny: ['node:n2 > x/a 80', 'external > x/a 80'] },
    { name: 'a policy without a spec isolates its namespace', policies: [np('x', undefined)], allow: ['x/a > y/a 80'], deny: ['y/a > x/a 80'] },
    { name: 'an audited policy changes nothing', policies: [np('x', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }, true)], allow: ['y/a > x/a 80', 'x/a > y/a 80'], deny: [] },
    { name: 'an audited policy allows nothing either', policies: [np('x', { podSelector: A, policyTypes: ['Ingress'] }), np('x', { podSelector: A, ingress: [{}] }, true)], allow: [], deny: ['y/a > x/a 80'] },
  ])('$name', holds);
});

describe('CiliumNetworkPolicy', () => {
  test.each<Sentence>([
    { name: 'an empty rule isolates and allows nobody', policies: [cnp('x', { endpointSelector: {}, ingress: [{}] })], allow: ['x/a > y/a 80'], deny: ['y/a > x/a 80', 'x/b > x/a 80'] },
    { name: 'an empty list of rules does nothing', policies: [cnp('x', { endpointSelector: {}, ingress: [], egress: [] })], allow: ['y/a > x/a 80', 'x/a > y/a 80'], deny: [] },
    { name: 'an empty list of endpoints is nobody', policies: [cnp('x', { endpointSelector: {}, ingress: [{ fromEndpoints: [] }] })], allow: [], deny: ['x/b > x/a 80', 'y/a > x/a 80'] },
    { name: 'an empty selector is the own namespace', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{}] }] })], allow: ['x/b > x/a 80'], deny: ['y/b > x/a 80', 'node:n2 > x/a 80', 'external > x/a 80'] },
    { name: 'another namespace by name', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{ matchLabels: { 'k8s:io.kubernetes.pod.namespace': 'y', pod: 'b' } }] }] })], allow: ['y/b > x/a 80'], deny: ['y/a > x/a 80', 'x/b > x/a 80'] },
    { name: 'every namespace', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{ matchExpressions: [{ key: 'io.kubernetes.pod.namespace', operator: 'Exists' }] }] }] })], allow: ['y/b > x/a 80', 'x/b > x/a 80'], deny: ['node:n2 > x/a 80', 'external > x/a 80'] },
    { name: 'namespaces by their labels', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{ matchLabels: { 'k8s:io.cilium.k8s.namespace.labels.team': 'far' } }] }] })], allow: ['y/b > x/a 80', 'z/a > x/a 80'], deny: ['x/b > x/a 80'] },
    { name: 'a service account, of the own namespace', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{ matchLabels: { 'io.cilium.k8s.policy.serviceaccount': 'robot' } }] }] })], allow: ['x/b > x/a 80'], deny: ['x/c > x/a 80', 'y/b > x/a 80'] },
    { name: 'a subject by service account', policies: [cnp('x', { endpointSelector: { matchLabels: { 'io.cilium.k8s.policy.serviceaccount': 'robot' } }, egress: [{}] })], allow: ['x/a > y/a 80'], deny: ['x/b > y/a 80'] },
    { name: 'the own cluster by label', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{ matchLabels: { 'io.cilium.k8s.policy.cluster': 'default' } }] }] })], allow: ['x/b > x/a 80'], deny: ['y/b > x/a 80'] },
    { name: 'another cluster is nobody here', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{ matchLabels: { 'io.cilium.k8s.policy.cluster': 'mesh-2' } }] }] })], allow: [], deny: ['x/b > x/a 80'] },
    { name: 'reserved labels in selectors', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{ matchLabels: { 'reserved:remote-node': '' } }] }] })], allow: ['node:n2 > x/a 80', 'node:n1 > x/a 80'], deny: ['x/b > x/a 80', 'external > x/a 80'] },
    { name: 'who is not the world is everybody of the cluster', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{ matchExpressions: [{ key: 'reserved:world', operator: 'DoesNotExist' }] }] }] })], allow: ['y/b > x/a 80', 'node:n2 > x/a 80'], deny: ['external > x/a 80', '192.168.50.100 > x/a 80'] },
    { name: 'ports without peers are anybody\'s', policies: [cnp('x', { endpointSelector: A, ingress: [tcp('80')] })], allow: ['y/b > x/a 80', 'external > x/a 80', 'node:n2 > x/a 80'], deny: ['y/b > x/a 81', 'y/b > x/a 80/UDP'] },
    { name: 'any protocol is TCP, UDP and SCTP, not ICMP', policies: [cnp('x', { endpointSelector: A, ingress: [{ toPorts: [{ ports: [{ port: '80' }] }] }] })], allow: ['y/b > x/a 80', 'y/b > x/a 80/UDP', 'y/b > x/a 80/SCTP'], deny: ['y/b > x/a icmp', 'y/b > x/a 81'] },
    { name: 'port 0 is every port of the protocol', policies: [cnp('x', { endpointSelector: A, ingress: [tcp('0')] })], allow: ['y/b > x/a 1', 'y/b > x/a 65535'], deny: ['y/b > x/a 80/UDP', 'y/b > x/a icmp'] },
    { name: 'a range of ports', policies: [cnp('x', { endpointSelector: A, ingress: [tcp('64', { endPort: 127 })] })], allow: ['y/b > x/a 64', 'y/b > x/a 127'], deny: ['y/b > x/a 63', 'y/b > x/a 128'] },
    { name: 'a port by name, in any case', policies: [cnp('x', { endpointSelector: A, ingress: [tcp('Serve-80-TCP')] })], allow: ['y/b > x/a 80'], deny: ['y/b > x/a 81'] },
    { name: 'peers alone are every protocol', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [B] }] })], allow: ['x/b > x/a 80', 'x/b > x/a icmp', 'x/b > x/a 53/UDP'], deny: ['x/c > x/a icmp'] },
    { name: 'a type of ICMP, of whom the rule names', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [B], icmps: [{ fields: [{ type: 8 }] }] }] })], allow: ['x/b > x/a icmp'], deny: ['x/b > x/a icmp/13', 'x/c > x/a icmp', 'x/b > x/a 80'] },
    { name: 'a type of ICMP by name', policies: [cnp('x', { endpointSelector: A, ingress: [{ icmps: [{ fields: [{ type: 'EchoRequest' }, { type: 'Timestamp' }] }] }] })], allow: ['y/b > x/a icmp', 'y/b > x/a icmp/13'], deny: ['y/b > x/a icmp/3'] },
    { name: 'types of IPv6 are none of IPv4', policies: [cnp('x', { endpointSelector: A, ingress: [{ icmps: [{ fields: [{ family: 'IPv6', type: 8 }] }] }] })], allow: [], deny: ['y/b > x/a icmp'] },
    { name: 'deny wins over every allow', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEntities: ['all'] }, { fromEndpoints: [B] }], ingressDeny: [{ fromEndpoints: [B] }] })], allow: ['x/c > x/a 80', 'external > x/a 80'], deny: ['x/b > x/a 80', 'x/b > x/a icmp'] },
    { name: 'deny wins over a NetworkPolicy\'s allow', policies: [np('x', { podSelector: A, ingress: [{}] }), cnp('x', { endpointSelector: A, ingressDeny: [{ fromEndpoints: [B], ...tcp('80') }] })], allow: ['x/b > x/a 81', 'x/c > x/a 80'], deny: ['x/b > x/a 80'] },
    { name: 'deny rules alone isolate as well', policies: [cnp('x', { endpointSelector: A, egressDeny: [{ toCIDR: ['203.0.113.7/32'] }] })], allow: ['y/b > x/a 80'], deny: ['x/a > 203.0.113.7 80', 'x/a > 203.0.113.8 80', 'x/a > y/b 80'] },
    { name: 'deny rules without default deny', policies: [cnp('x', { endpointSelector: A, enableDefaultDeny: { egress: false }, egressDeny: [{ toCIDR: ['203.0.113.7/32'] }] })], allow: ['x/a > 203.0.113.8 80', 'x/a > y/b 80'], deny: ['x/a > 203.0.113.7 80'] },
    { name: 'an empty deny rule denies nobody, and isolates', policies: [cnp('x', { endpointSelector: A, ingressDeny: [{}] }), cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [B] }] })], allow: ['x/b > x/a 80'], deny: ['x/c > x/a 80'] },
    { name: 'default deny off is off for that policy alone', policies: [cnp('x', { endpointSelector: A, enableDefaultDeny: { ingress: false }, ingress: [{ fromEndpoints: [B] }] }), cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [{ matchLabels: { pod: 'c' } }] }] })], allow: ['x/b > x/a 80', 'x/c > x/a 80'], deny: ['y/b > x/a 80'] },
    { name: 'entity all', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEntities: ['all'] }] })], allow: ['y/b > x/a 80', 'external > x/a icmp', 'node:n2 > x/a 80'], deny: [] },
    { name: 'entity world is outside, an API server there too', policies: [cnp('x', { endpointSelector: A, egress: [{ toEntities: ['world'] }] })], allow: ['x/a > external 80', 'x/a > 192.168.50.100 6443'], deny: ['x/a > y/b 80', 'x/a > node:n1 80', 'x/a > node:n2 80', 'x/a > node:n3 6443'] },
    { name: 'entity cluster is pods and nodes, and the API server, wherever it is', policies: [cnp('x', { endpointSelector: A, egress: [{ toEntities: ['cluster'] }] })], allow: ['x/a > y/b 80', 'x/a > node:n1 80', 'x/a > node:n2 80', 'x/a > 192.168.50.100 6443'], deny: ['x/a > external 80', 'x/a > 203.0.113.7 80'] },
    { name: 'entity host is the own node', policies: [cnp('x', { endpointSelector: A, egress: [{ toEntities: ['host'] }] })], allow: ['x/a > node:n1 80'], deny: ['x/a > node:n2 80', 'x/a > y/b 80'] },
    { name: 'entity remote-node is every other one', policies: [cnp('x', { endpointSelector: A, egress: [{ toEntities: ['remote-node'] }] })], allow: ['x/a > node:n2 80', 'x/a > node:n3 80'], deny: ['x/a > node:n1 80', 'x/a > external 80'] },
    { name: 'entity kube-apiserver, on a node and outside', policies: [cnp('x', { endpointSelector: A, egress: [{ toEntities: ['kube-apiserver'] }] })], allow: ['x/a > node:n3 6443', 'x/a > 192.168.50.100 6443'], deny: ['x/a > node:n2 6443', 'x/a > external 6443'] },
    { name: 'entities that nobody here is', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEntities: ['none', 'init', 'health', 'unmanaged', 'ingress'] }] })], allow: ['node:n1 > x/a 80'], deny: ['y/b > x/a 80', 'external > x/a 80', 'node:n2 > x/a 80'] },
    { name: 'the own node is let in without a rule, and not when a rule denies it', policies: [cnp('x', { endpointSelector: A, ingress: [{}] }), cnp('x', { endpointSelector: { matchLabels: { pod: 'c' } }, ingressDeny: [{ fromEntities: ['host'] }] })], allow: ['node:n1 > x/a 80'], deny: ['node:n2 > x/a 80', 'node:n1 > x/c 80'] },
    { name: 'CIDRs mean nobody in the cluster', policies: [cnp('x', { endpointSelector: A, egress: [{ toCIDR: ['0.0.0.0/0'] }] })], allow: ['x/a > external 80', 'x/a > 192.168.50.100 80'], deny: ['x/a > y/b 80', 'x/a > node:n2 80'] },
    { name: 'CIDRs mean nodes where the setting says so', settings: { 'policy-cidr-match-mode': 'nodes' }, policies: [cnp('x', { endpointSelector: A, egress: [{ toCIDR: ['192.168.50.0/24'] }] })], allow: ['x/a > node:n1 80', 'x/a > node:n2 80', 'x/a > external 80'], deny: ['x/a > y/b 80'] },
    { name: 'CIDRs mean pods where the setting says so', settings: { 'policy-cidr-match-mode': 'pods' }, policies: [cnp('x', { endpointSelector: A, egress: [{ toCIDR: ['0.0.0.0/0'] }] })], allow: ['x/a > y/b 80', 'x/a > external 80'], deny: ['x/a > node:n2 80'] },
    { name: 'a CIDR without a part, at a bare address, in a group, by the group\'s labels', policies: [cnp('x', { endpointSelector: A, egress: [{ toCIDRSet: [{ cidr: '198.51.100.0/24', except: ['198.51.100.9/32'] }, { cidrGroupRef: 'partners', except: ['203.0.113.128/25'] }] }, { toCIDR: ['192.0.2.1'] }] })], allow: ['x/a > 198.51.100.8 80', 'x/a > 203.0.113.7 80', 'x/a > 192.0.2.1 80'], deny: ['x/a > 198.51.100.9 80', 'x/a > 203.0.113.200 80', 'x/a > 192.0.2.2 80'] },
    { name: 'a group that nobody wrote is nobody', policies: [cnp('x', { endpointSelector: A, egress: [{ toCIDRSet: [{ cidrGroupRef: 'missing' }] }] })], allow: [], deny: ['x/a > 203.0.113.7 80'] },
    { name: 'nodes by label', policies: [cnp('x', { endpointSelector: A, egress: [{ toNodes: [{ matchLabels: { pool: 'gpu' } }] }] })], allow: ['x/a > node:n2 80', 'x/a > node:n3 80'], deny: ['x/a > node:n1 80', 'x/a > external 80'] },
    { name: 'what only a proxy can see is denied, unless another rule allows it', policies: [cnp('x', { endpointSelector: A, ingress: [{ toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], rules: { http: [{}] } }] }, { fromEndpoints: [B], ...tcp('80') }] })], allow: ['x/b > x/a 80'], deny: ['x/c > x/a 80', 'x/b > x/a 81'] },
    { name: 'names of DNS open nothing', policies: [cnp('x', { endpointSelector: A, egress: [{ toFQDNs: [{ matchPattern: '*' }] }] })], allow: [], deny: ['x/a > external 80', 'x/a > 203.0.113.7 443'] },
    { name: 'authentication that nobody does opens nothing', policies: [cnp('x', { endpointSelector: A, ingress: [{ fromEndpoints: [B], authentication: { mode: 'required' } }, { fromEndpoints: [{ matchLabels: { pod: 'c' } }], authentication: { mode: 'disabled' } }] })], allow: ['x/c > x/a 80'], deny: ['x/b > x/a 80'] },
    { name: 'a namespaced policy never leaves its namespace', policies: [cnp('x', { endpointSelector: { matchLabels: { 'k8s:io.kubernetes.pod.namespace': 'y' } }, ingress: [{}] })], allow: ['x/b > y/a 80'], deny: ['y/b > x/a 80'] },
    { name: 'specs are policies of their own', policies: [{ ...cnp('x', undefined), specs: [{ endpointSelector: A, ingress: [{}] }, { endpointSelector: B, egress: [{}] }] }], allow: ['x/a > x/c 80', 'y/a > x/b 80'], deny: ['y/a > x/a 80', 'x/b > x/c 80'] },
  ])('$name', holds);
});

describe('CiliumClusterwideNetworkPolicy', () => {
  test.each<Sentence>([
    { name: 'every pod of the cluster, and no node', policies: [ccnp({ endpointSelector: {}, ingress: [{ fromEntities: ['cluster'] }] })], allow: ['x/a > y/b 80', 'node:n2 > x/a 80', 'external > node:n1 80'], deny: ['external > x/a 80', 'external > z/c 80'] },
    { name: 'pods of one namespace to pods of another', policies: [ccnp({ endpointSelector: { matchLabels: { 'io.kubernetes.pod.namespace': 'x' } }, ingress: [{ fromEndpoints: [{ matchLabels: { 'k8s:io.kubernetes.pod.namespace': 'y' } }] }] })], allow: ['y/a > x/a 80', 'z/a > y/a 80'], deny: ['z/a > x/a 80', 'x/b > x/a 80'] },
    { name: 'an empty selector of peers is every pod', policies: [ccnp({ endpointSelector: A, ingress: [{ fromEndpoints: [{}] }] })], allow: ['z/c > x/a 80'], deny: ['external > x/a 80', 'node:n2 > x/a 80'] },
    { name: 'a node is judged once a policy selects it, and no other one', policies: [ccnp({ ...NODE_1, ingress: [{ fromEntities: ['remote-node'] }] })], allow: ['node:n2 > node:n1 80', 'external > node:n2 80', 'x/a > node:n2 80', 'node:n1 > x/b 80'], deny: ['external > node:n1 80', 'x/a > node:n1 80', 'y/a > node:n1 80'] },
    { name: 'egress of a node', policies: [ccnp({ ...NODE_1, egress: [{ toEndpoints: [{ matchLabels: { pod: 'a' } }] }, { toEntities: ['remote-node'] }] })], allow: ['node:n1 > y/a 80', 'node:n1 > node:n2 80', 'node:n2 > external 80'], deny: ['node:n1 > y/b 80', 'node:n1 > external 80'] },
    { name: 'whom a host policy denies', policies: [ccnp({ nodeSelector: {}, ingressDeny: [{ fromEndpoints: [{ matchLabels: { pod: 'b' } }], ...tcp('10250') }], enableDefaultDeny: { ingress: false } })], allow: ['x/b > node:n1 80', 'x/a > node:n1 10250', 'external > node:n2 10250'], deny: ['x/b > node:n1 10250', 'x/b > node:n2 10250'] },
  ])('$name', holds);
});

describe('ClusterNetworkPolicy', () => {
  const to = (...rules: readonly object[]): object => ({ ingress: rules });
  const everybody = { from: [{ namespaces: {} }] };
  test.each<Sentence>([
    { name: 'Admin denies what NetworkPolicy allows', policies: [tier(to({ action: 'Deny', from: [{ namespaces: { matchLabels: { ns: 'y' } } }] })), np('x', { podSelector: {}, ingress: [{}] })], allow: ['z/a > x/a 80'], deny: ['y/a > x/a 80'] },
    { name: 'Admin accepts what NetworkPolicy denies', policies: [tier(to({ action: 'Accept', from: [{ namespaces: { matchLabels: { ns: 'y' } } }] })), np('x', { podSelector: {}, policyTypes: ['Ingress'] })], allow: ['y/a > x/a 80'], deny: ['z/a > x/a 80'] },
    { name: 'Admin accepts what a Cilium policy denies', policies: [tier(to({ action: 'Accept', ...everybody })), cnp('x', { endpointSelector: {}, ingressDeny: [{ fromEntities: ['all'] }] })], allow: ['y/a > x/a 80'], deny: ['external > x/a 80'] },
    { name: 'Pass leaves the tier: later rules and policies of it do not count', policies: [tier(to({ action: 'Pass', from: [{ namespaces: { matchLabels: { ns: 'y' } } }] }, { action: 'Deny', ...everybody })), tier({ priority: 2, ...to({ action: 'Deny', ...everybody }) })], allow: ['y/a > x/a 80'], deny: ['z/a > x/a 80'] },
    { name: 'the lower priority number goes first', policies: [tier({ priority: 20, ...to({ action: 'Deny', ...everybody }) }), tier({ priority: 10, ...to({ action: 'Accept', ...everybody }) })], allow: ['y/a > x/a 80'], deny: [] },
    { name: 'rules go in the order in which they are written', policies: [tier(to({ action: 'Accept', from: [{ pods: { podSelector: B } }] }, { action: 'Deny', ...everybody }))], allow: ['y/b > x/a 80'], deny: ['y/a > x/a 80'] },
    { name: 'it isolates nobody', policies: [tier(to({ action: 'Accept', from: [{ pods: { podSelector: B } }] }))], allow: ['y/a > x/a 80', 'external > x/a 80'], deny: [] },
    { name: 'Baseline speaks where nobody isolates', policies: [tier({ tier: 'Baseline', ...to({ action: 'Deny', ...everybody }) }), np('x', { podSelector: A, ingress: [{ from: [{ namespaceSelector: {} }] }] })], allow: ['y/a > x/a 80', 'external > x/b 80'], deny: ['y/a > x/b 80'] },
    { name: 'a Pass of Admin ends at Baseline', policies: [tier(to({ action: 'Pass', ...everybody })), tier({ tier: 'Baseline', ...to({ action: 'Deny', ...everybody }) })], allow: ['external > x/a 80'], deny: ['y/a > x/a 80'] },
    { name: 'subjects by pods and namespaces', policies: [tier({ subject: { pods: { namespaceSelector: { matchLabels: { ns: 'x' } }, podSelector: A } }, ...to({ action: 'Deny', ...everybody }) })], allow: ['y/a > x/b 80', 'y/a > z/a 80'], deny: ['y/a > x/a 80'] },
    { name: 'ports, ranges and names', policies: [tier(to({ action: 'Deny', ...everybody, protocols: [{ tcp: { destinationPort: { number: 80 } } }, { udp: { destinationPort: { range: { start: 100, end: 200 } } } }, { destinationNamedPort: 'serve-81-tcp' }] }))], allow: ['y/a > x/a 82', 'y/a > x/a 80/UDP', 'y/a > x/a 99/UDP', 'y/a > x/a icmp'], deny: ['y/a > x/a 80', 'y/a > x/a 100/UDP', 'y/a > x/a 200/UDP', 'y/a > x/a 81'] },
    { name: 'no protocols are all, ICMP too', policies: [tier(to({ action: 'Deny', ...everybody }))], allow: [], deny: ['y/a > x/a icmp', 'y/a > x/a 1/SCTP'] },
    { name: 'networks mean every address, pods and nodes too', policies: [tier({ egress: [{ action: 'Deny', to: [{ networks: ['10.244.2.0/24', '192.168.50.2/32', '203.0.113.0/24'] }] }] })], allow: ['x/a > x/c 80', 'x/a > node:n3 80', 'x/a > external 80'], deny: ['x/a > x/b 80', 'x/a > node:n2 80', 'x/a > 203.0.113.7 80'] },
    { name: 'nodes by label', policies: [tier({ egress: [{ action: 'Deny', to: [{ nodes: { matchLabels: { pool: 'gpu' } } }] }] })], allow: ['x/a > node:n1 80', 'x/a > external 80'], deny: ['x/a > node:n2 80', 'x/b > node:n2 80'] },
    { name: 'a pod that a node is, is no pod', policies: [tier({ egress: [{ action: 'Deny', to: [{ namespaces: {} }] }] })], allow: ['x/a > node:n2 80'], deny: ['x/a > y/a 80'] },
    { name: 'a peer of no known kind in an Accept rule matches nothing', policies: [tier(to({ action: 'Accept', from: [{ later: {} }, { namespaces: {} }] }, { action: 'Deny', ...everybody }))], allow: ['external > x/a 80'], deny: ['y/a > x/a 80'] },
    { name: 'a peer of no known kind in a Deny or Pass rule denies all', policies: [tier({ subject: { namespaces: { matchLabels: { ns: 'x' } } }, ...to({ action: 'Deny', from: [{}] }) }), tier({ priority: 3, subject: { namespaces: { matchLabels: { ns: 'z' } } }, ...to({ action: 'Pass', from: [{ later: {} }] }) })], allow: ['x/a > y/a 80'], deny: ['y/a > x/a 80', 'external > x/a 80', 'y/a > z/a 80'] },
    { name: 'domain names match nothing', policies: [tier({ egress: [{ action: 'Accept', to: [{ domainNames: ['*.example.org'] }] }] }), np('x', { podSelector: {}, policyTypes: ['Egress'] })], allow: [], deny: ['x/a > external 80'] },
  ])('$name', holds);
});

describe('settings', () => {
  test.each<Sentence>([
    { name: 'always: every pod is isolated, rules still open, nodes are as they were', settings: { 'policy-enforcement-mode': 'always' }, policies: [np('x', { podSelector: A, ingress: [{ from: [{ podSelector: {} }] }] }), np('x', { podSelector: {}, policyTypes: ['Egress'], egress: [{}] })], allow: ['x/b > x/a 80', 'node:n2 > y/a 80', 'external > node:n1 80'], deny: ['node:n1 > y/a 80', 'y/a > x/a 80', 'x/a > y/a 80', 'y/a > external 80', 'external > z/a 80'] },
    { name: 'always: Admin still goes first', settings: { 'policy-enforcement-mode': 'always' }, policies: [tier({ ingress: [{ action: 'Accept', from: [{ namespaces: {} }] }], egress: [{ action: 'Accept', to: [{ namespaces: {} }] }] })], allow: ['x/a > y/a 80'], deny: ['external > x/a 80', 'x/a > external 80'] },
    { name: 'never: nothing is denied by anybody', settings: { 'policy-enforcement-mode': 'never' }, policies: [np('x', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] }), cnp('y', { endpointSelector: {}, ingressDeny: [{ fromEntities: ['all'] }] }), tier({ ingress: [{ action: 'Deny', from: [{ namespaces: {} }] }] }), ccnp({ nodeSelector: {}, ingress: [{}] })], allow: ['x/a > y/a 80', 'external > x/a 80', 'external > node:n1 80'], deny: [] },
  ])('$name', holds);
});

describe('a pod that runs beside Seine, which no node has reported', () => {
  const BESIDE = { key: 'z/a', address: '10.244.1.16' } as const;
  const answers = (policies: readonly RawObject[], probes: readonly string[]): readonly string[] => {
    const { events, objects } = clusterOf({ objects: [...CLUSTER, ...policies], settings: {} });
    const others = events.filter(({ type, key }) => !(type === 'endpoint.observed.v1' && key === BESIDE.key) && !(type === 'address.bound.v1' && key === BESIDE.address));
    const state = foldNode([{ seq: 1, events: others }]);
    return probes.map((text) => verdictOf(state, objects, asked(text)).got);
  };
  const ingress = (rule: object): RawObject => cnp('x', { endpointSelector: A, ingress: [rule] });
  test.each([
    { name: 'is unmanaged', rule: { fromEntities: ['unmanaged'] }, got: 'allow' },
    { name: 'is of the cluster', rule: { fromEntities: ['cluster'] }, got: 'allow' },
    { name: 'is not the world', rule: { fromEntities: ['world'] }, got: 'deny' },
    { name: 'has no labels that selectors could see', rule: { fromEndpoints: [{ matchLabels: { 'k8s:io.kubernetes.pod.namespace': 'z' } }] }, got: 'deny' },
    { name: 'is not meant by CIDR rules', rule: { fromCIDR: ['10.244.0.0/16'] }, got: 'deny' },
    { name: 'is meant by name', rule: { fromEndpoints: [{ matchLabels: { 'reserved:unmanaged': '' } }] }, got: 'allow' },
  ])('$name', ({ rule, got }) => { expect(answers([ingress(rule)], ['z/a > x/a 80', 'z/b > x/a 81'])[0]).toBe(got); });

  test('is within a block of a NetworkPolicy, and is no pod that it selects', () => {
    expect(answers([np('x', { podSelector: A, ingress: [{ from: [{ ipBlock: { cidr: '10.244.1.16/32' } }] }] })], ['z/a > x/a 80'])).toEqual(['allow']);
    expect(answers([np('x', { podSelector: A, ingress: [{ from: [{ namespaceSelector: {} }] }] })], ['z/a > x/a 80', 'z/b > x/a 80'])).toEqual(['deny', 'allow']);
  });
});

describe('relabelled', () => {
  const relabel = (kind: string, name: string, labels: Readonly<Record<string, string>>): readonly RawObject[] =>
    CLUSTER.map((object) => (object.kind === kind && object.metadata.name === name && (object.metadata.namespace ?? 'x') === 'x' ? { ...object, metadata: { ...object.metadata, labels } } : object));
  const policies = [np('x', { podSelector: A, ingress: [{ from: [{ namespaceSelector: { matchLabels: { ns: 'y' } } }, { podSelector: B }] }] })];
  const after = (objects: readonly RawObject[], probe: string): string => {
    const kube = (given: readonly RawObject[]): readonly KubeObject[] => [...given, ...policies].map((raw) => toObject(raw)).filter((each): each is KubeObject => !isRefused(each));
    const cluster = openCluster(0);
    const events = [...cluster.apply(kube(CLUSTER)), ...cluster.apply(kube(objects))];
    return verdictOf(foldNode(events.map((event, index) => ({ seq: index + 1, events: [event] }))), kube(objects), asked(probe)).got;
  };
  test.each([
    { name: 'as it was, the pod is let in', objects: CLUSTER, probe: 'x/b > x/a 80', got: 'allow' },
    { name: 'a pod is another one', objects: relabel('Pod', 'b', { pod: 'other' }), probe: 'x/b > x/a 80', got: 'deny' },
    { name: 'a pod that a policy selected is free', objects: relabel('Pod', 'a', { pod: 'other' }), probe: 'z/b > x/a 80', got: 'allow' },
    { name: 'a namespace that a rule meant is another one', objects: relabel('Namespace', 'y', { ns: 'other' }), probe: 'y/a > x/a 80', got: 'deny' },
    { name: 'a namespace is one that a rule means', objects: relabel('Namespace', 'z', { ns: 'y' }), probe: 'z/a > x/a 80', got: 'allow' },
  ])('$name', ({ objects, probe, got }) => { expect(after(objects, probe)).toBe(got); });
});
