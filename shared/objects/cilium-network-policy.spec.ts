import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import type { CompiledPolicy, Peer, PortItem } from '@seine/events';
import type { Selector } from '@seine/model';

import { parsePolicyObject, type ParsedPolicies, type PolicySource } from './policy.ts';

const NAMESPACED = { kind: 'CiliumNetworkPolicy', namespace: 'shop', name: 'a', uid: 'u' } as const;
const CLUSTERWIDE = { kind: 'CiliumClusterwideNetworkPolicy', namespace: '', name: 'a', uid: 'u' } as const;

const parse = (spec: unknown, more: Partial<PolicySource> = {}): ParsedPolicies => parsePolicyObject({ ...NAMESPACED, spec, ...more });
const policiesOf = (parsed: ParsedPolicies): readonly CompiledPolicy[] => { if (!parsed.ok) throw new Error(parsed.refusals.map(({ message }) => message).join('\n')); return parsed.policies; };
const compile = (spec: unknown, more: Partial<PolicySource> = {}): CompiledPolicy => policiesOf(parse(spec, more))[0]!; // a parsed object has a policy
const refusals = (parsed: ParsedPolicies): readonly string[] => (parsed.ok ? [] : parsed.refusals.map(({ message }) => message));

const OWN = 'k8s:io.kubernetes.pod.namespace in shop';
const ANY_POD = 'k8s:io.kubernetes.pod.namespace exists';

const selectorText = (selector: Selector): string => selector.map((each) => ('values' in each ? `${each.key} ${each.operator === 'In' ? 'in' : 'not in'} ${each.values.join('|')}` : `${each.key} ${each.operator === 'Exists' ? 'exists' : 'absent'}`)).join(' and ') || 'all';
const peerText = (peer: Peer): string => {
  switch (peer.type) {
    case 'labels': return selectorText(peer.labels);
    case 'nodes': return `nodes ${selectorText(peer.labels)}`;
    case 'cidr': return `${peer.cidr}${peer.except.length === 0 ? '' : ` but ${peer.except.join('|')}`}${peer.not === undefined ? '' : ` not ${peer.not.join('|')}`}`;
    case 'entity': return peer.entity;
    case 'name': return `name ${peer.name}`;
    case 'group': return `${peer.ref.kind} ${peer.ref.namespace ?? '*'}/${peer.ref.name ?? selectorText(peer.ref.labels ?? [])}${peer.ref.except === undefined ? '' : ` but ${peer.ref.except.join('|')}`}`;
    case 'pods': return 'pods';
  }
};
const portText = (port: PortItem): string => (port.type === 'named' ? `${port.protocol}/${port.name}` : `${port.protocol}/${port.from === port.to ? port.from : `${port.from}-${port.to}`}`);
const rulesText = ({ rules }: CompiledPolicy): readonly string[] => rules.map(({ section, index, action, peers, ports }) =>
  `${section}[${index}] ${action} ${peers === 'any' ? 'anybody' : peers.map(peerText).join(' or ') || 'nobody'}${ports === 'any' ? '' : ` on ${ports.map(portText).join(' ')}`}`);

const web = { matchLabels: { app: 'web' } };
const ingress = (...rules: readonly unknown[]): object => ({ endpointSelector: {}, ingress: rules });
const egress = (...rules: readonly unknown[]): object => ({ endpointSelector: {}, egress: rules });
const ports = (...items: readonly unknown[]): object => ({ toPorts: [{ ports: items }] });

describe('whom a policy is for', () => {
  test.each<{ name: string; spec: object; more?: Partial<PolicySource>; then: string }>([
    { name: 'a policy of a namespace is for its own namespace', spec: { endpointSelector: {} }, then: OWN },
    { name: 'a key without a source is of any source', spec: { endpointSelector: web }, then: `any:app in web and ${OWN}` },
    { name: 'a key with a source keeps it', spec: { endpointSelector: { matchLabels: { 'k8s:app': 'web' } } }, then: `k8s:app in web and ${OWN}` },
    { name: 'a key that only looks as if it had one has none', spec: { endpointSelector: { matchLabels: { 'k8s.app': 'web' } } }, then: `any:k8s.app in web and ${OWN}` },
    { name: 'another namespace among matchLabels is replaced by its own', spec: { endpointSelector: { matchLabels: { 'k8s:io.kubernetes.pod.namespace': 'other' } } }, then: OWN },
    { name: 'another namespace of any source does not take it out of its own', spec: { endpointSelector: { matchLabels: { 'io.kubernetes.pod.namespace': 'other' } } }, then: `any:io.kubernetes.pod.namespace in other and ${OWN}` },
    { name: 'a clusterwide policy is for every pod', spec: { endpointSelector: {} }, more: CLUSTERWIDE, then: ANY_POD },
    { name: 'a clusterwide policy that names a namespace is for that', spec: { endpointSelector: { matchLabels: { 'io.kubernetes.pod.namespace': 'x' } } }, more: CLUSTERWIDE, then: 'any:io.kubernetes.pod.namespace in x' },
    { name: 'a clusterwide policy may be for initializing pods', spec: { endpointSelector: { matchLabels: { 'reserved:init': '' } } }, more: CLUSTERWIDE, then: 'reserved:init in ' },
    { name: 'expressions are all four', spec: { endpointSelector: { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['b', 'c'] }, { key: 'd', operator: 'Exists' }, { key: 'e', operator: 'DoesNotExist' }] } }, then: `any:a not in b|c and any:d exists and any:e absent and ${OWN}` },
    { name: 'a clusterwide policy may be for nodes, by plain labels', spec: { nodeSelector: { matchLabels: { 'k8s:role': 'edge' } } }, more: CLUSTERWIDE, then: 'nodes role in edge' },
  ])('$name', ({ spec, more, then }) => {
    const { subject } = compile({ ingress: [], ...spec }, more);
    expect(peerText(subject)).toBe(then);
  });
});

describe('what a policy isolates', () => {
  test.each<{ name: string; spec: object; then: readonly ('ingress' | 'egress')[] }>([
    { name: 'an empty list has no effect', spec: { ingress: [], egress: [], ingressDeny: [], egressDeny: [] }, then: [] },
    { name: 'an empty rule isolates its direction', spec: { ingress: [{}] }, then: ['ingress'] },
    { name: 'rules of one direction isolate that direction', spec: { egress: [{ toEntities: ['world'] }] }, then: ['egress'] },
    { name: 'deny rules alone isolate as well', spec: { egressDeny: [{ toEntities: ['world'] }] }, then: ['egress'] },
    { name: 'enableDefaultDeny off isolates nobody', spec: { ingress: [{}], egress: [{}], enableDefaultDeny: { ingress: false, egress: false } }, then: [] },
    { name: 'enableDefaultDeny on isolates without rules', spec: { egress: [], enableDefaultDeny: { egress: true } }, then: ['egress'] },
    { name: 'enableDefaultDeny of one direction says nothing of the other', spec: { ingress: [{}], egress: [{}], enableDefaultDeny: { egress: false } }, then: ['ingress'] },
  ])('$name', ({ spec, then }) => {
    const { isolates } = compile({ endpointSelector: {}, ...spec });
    expect((['ingress', 'egress'] as const).filter((direction) => isolates[direction])).toEqual(then);
  });
});

describe('whom a rule means', () => {
  const tier = { selector: { matchLabels: { tier: 'db' } } };
  test.each<{ name: string; spec: object; more?: Partial<PolicySource>; then: readonly string[] }>([
    { name: 'an empty rule allows nobody', spec: ingress({}), then: [] },
    { name: 'an empty deny rule denies nobody', spec: { endpointSelector: {}, ingressDeny: [{}] }, then: [] },
    { name: 'an empty list of endpoints is nobody', spec: ingress({ fromEndpoints: [] }), then: ['ingress[0] allow nobody'] },
    { name: 'an empty list of endpoints is nobody on any port', spec: ingress({ fromEndpoints: [], ...ports({ port: '80', protocol: 'TCP' }) }), then: ['ingress[0] allow nobody on 6/80'] },
    { name: 'an empty list of names opens nothing', spec: egress({ toFQDNs: [], ...ports({ port: '80', protocol: 'TCP' }) }), then: ['egress[0] allow nobody on 6/80'] },
    { name: 'ports without peers are anybody', spec: ingress(ports({ port: '80', protocol: 'TCP' })), then: ['ingress[0] allow anybody on 6/80'] },
    { name: 'an empty selector is the namespace', spec: ingress({ fromEndpoints: [{}] }), then: [`ingress[0] allow ${OWN}`] },
    { name: 'selectors are OR, their requirements AND', spec: ingress({ fromEndpoints: [{ matchLabels: { a: '1', b: '2' } }, web] }), then: [`ingress[0] allow any:a in 1 and any:b in 2 and ${OWN} or any:app in web and ${OWN}`] },
    { name: 'another namespace by name', spec: ingress({ fromEndpoints: [{ matchLabels: { 'k8s:io.kubernetes.pod.namespace': 'other' } }] }), then: ['ingress[0] allow k8s:io.kubernetes.pod.namespace in other'] },
    { name: 'namespaces by label', spec: ingress({ fromEndpoints: [{ matchLabels: { 'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name': 'x' } }] }), then: ['ingress[0] allow k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name in x'] },
    { name: 'a service account stays within the namespace', spec: egress({ toEndpoints: [{ matchLabels: { 'io.cilium.k8s.policy.serviceaccount': 'api' } }] }), then: [`egress[0] allow any:io.cilium.k8s.policy.serviceaccount in api and ${OWN}`] },
    { name: 'a reserved label has no namespace', spec: ingress({ fromEndpoints: [{ matchLabels: { 'reserved:host': '' } }] }), then: ['ingress[0] allow reserved:host in '] },
    { name: 'clusterwide, an empty selector is every pod', spec: ingress({ fromEndpoints: [{}] }), more: CLUSTERWIDE, then: [`ingress[0] allow ${ANY_POD}`] },
    { name: 'clusterwide, labels of namespaces are of pods', spec: ingress({ fromEndpoints: [{ matchLabels: { 'k8s:io.cilium.k8s.namespace.labels.team': 'x' } }] }), more: CLUSTERWIDE, then: [`ingress[0] allow k8s:io.cilium.k8s.namespace.labels.team in x and ${ANY_POD}`] },
    { name: 'for initializing pods an empty selector is everybody with labels', spec: { endpointSelector: { matchLabels: { 'reserved:init': '' } }, ingress: [{ fromEndpoints: [{}] }] }, more: CLUSTERWIDE, then: ['ingress[0] allow all'] },
    { name: 'entities', spec: ingress({ fromEntities: ['world', 'host', 'kube-apiserver', 'cluster-mesh', 'none'] }), then: ['ingress[0] allow world or host or kube-apiserver or cluster-mesh or none'] },
    { name: 'all is anybody', spec: ingress({ fromEntities: ['cluster', 'all'] }), then: ['ingress[0] allow anybody'] },
    { name: 'CIDRs are outside of the cluster, bare addresses too', spec: egress({ toCIDR: ['10.1.2.3/8', '1.1.1.1', 'fd00::/8'] }), then: ['egress[0] allow 10.0.0.0/8 not pods|nodes or 1.1.1.1/32 not pods|nodes or fd00::/8 not pods|nodes'] },
    { name: 'every address of IPv6 is none of IPv4', spec: egress({ toCIDR: ['::/0'] }), then: ['egress[0] allow ::/0 but 0.0.0.0/0 not pods|nodes'] },
    { name: 'a CIDR without the whole of it', spec: egress({ toCIDRSet: [{ cidr: '10.0.0.0/8', except: ['10.0.0.0/8'] }] }), then: ['egress[0] allow 10.0.0.0/8 but 10.0.0.0/8 not pods|nodes'] },
    { name: 'a CIDR without a part', spec: egress({ toCIDRSet: [{ cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] }] }), then: ['egress[0] allow 10.0.0.0/8 but 10.1.0.0/16 not pods|nodes'] },
    { name: 'a CIDR group by name, without a part', spec: egress({ toCIDRSet: [{ cidrGroupRef: 'g', except: ['10.1.0.0/16'] }] }), then: ['egress[0] allow CiliumCIDRGroup */g but 10.1.0.0/16'] },
    { name: 'CIDR groups by label', spec: ingress({ fromCIDRSet: [{ cidrGroupSelector: { matchLabels: { of: 'partners' } } }] }), then: ['ingress[0] allow CiliumCIDRGroup */of in partners'] },
    { name: 'nodes by label', spec: ingress({ fromNodes: [{ matchLabels: { 'node-role': 'x' } }] }), then: ['ingress[0] allow nodes node-role in x'] },
    { name: 'services by name', spec: egress({ toServices: [{ k8sService: { serviceName: 's', namespace: 'n' } }, { k8sService: { serviceName: 's' } }] }), then: ['egress[0] allow Service n/s or Service */s'] },
    { name: 'services by label', spec: egress({ toServices: [{ k8sServiceSelector: { ...tier, namespace: 'n' } }] }), then: ['egress[0] allow Service n/tier in db'] },
    { name: 'DNS names are nobody yet', spec: egress({ toFQDNs: [{ matchName: 'a.example' }, { matchPattern: '**.example' }] }), then: ['egress[0] allow name a.example or name **.example'] },
    { name: 'groups of a cloud are nobody', spec: egress({ toGroups: [{ aws: { securityGroupsIds: ['sg-1'] } }] }), then: ['egress[0] allow nobody'] },
    { name: 'no requirements are none', spec: ingress({ fromRequires: [], fromEndpoints: [web] }), then: [`ingress[0] allow any:app in web and ${OWN}`] },
    { name: 'all four sections, each with its own index', spec: { endpointSelector: {}, ingress: [{ fromEntities: ['host'] }], ingressDeny: [{}, { fromEntities: ['world'] }], egress: [{ toEntities: ['all'] }], egressDeny: [{ toCIDR: ['1.1.1.1/32'] }] },
      then: ['ingress[0] allow host', 'ingressDeny[1] deny world', 'egress[0] allow anybody', 'egressDeny[0] deny 1.1.1.1/32 not pods|nodes'] },
  ])('$name', ({ spec, more, then }) => { expect(rulesText(compile(spec, more))).toEqual(then); });

  test('CIDRs mean nodes when the setting says so', () => {
    const parsed = parsePolicyObject({ ...NAMESPACED, spec: egress({ toCIDR: ['1.1.1.1/32'] }) }, { cidrNot: ['pods'] });
    expect(rulesText(policiesOf(parsed)[0]!)).toEqual(['egress[0] allow 1.1.1.1/32 not pods']);
  });
});

describe('on which ports', () => {
  const tcp = (port: string, more: object = {}): object => ({ port, protocol: 'TCP', ...more });
  test.each<{ name: string; rule: object; then: readonly string[] }>([
    { name: 'a port', rule: ports(tcp('80')), then: ['6/80'] },
    { name: 'a port without a protocol is of TCP, UDP and SCTP', rule: ports({ port: '53' }), then: ['6/53 17/53 132/53'] },
    { name: 'ANY is the same', rule: ports({ port: '53', protocol: 'ANY' }), then: ['6/53 17/53 132/53'] },
    { name: 'port 0 is every port of the protocol', rule: ports(tcp('0')), then: ['6/0-65535'] },
    { name: 'no port is every port', rule: ports({ protocol: 'UDP' }), then: ['17/0-65535'] },
    { name: 'a range', rule: ports(tcp('80', { endPort: 90 })), then: ['6/80-90'] },
    { name: 'a range of nothing more is the port', rule: ports(tcp('80', { endPort: 0 })), then: ['6/80'] },
    { name: 'a name, in lower case', rule: ports(tcp('Http')), then: ['6/http'] },
    { name: 'a name of any protocol', rule: ports({ port: 'dns' }), then: ['6/dns 17/dns 132/dns'] },
    { name: 'protocols without ports', rule: ports(...['VRRP', 'IGMP', 'GRE', 'IPIP', 'IPV6', 'ESP', 'AH'].map((protocol) => ({ protocol }))), then: ['112/0-65535 2/0-65535 47/0-65535 4/0-65535 41/0-65535 50/0-65535 51/0-65535'] },
    { name: 'several items are OR', rule: { toPorts: [{ ports: [tcp('80')] }, { ports: [tcp('81')] }] }, then: ['6/80 6/81'] },
    { name: 'an item without ports is none', rule: { toPorts: [{}] }, then: [] },
    { name: 'types of ICMP with every code', rule: { icmps: [{ fields: [{ type: 8 }, { family: 'IPv6', type: 128 }] }, { fields: [{ type: 'EchoReply' }, { family: 'IPv6', type: 'PacketTooBig' }, { type: '3' }] }] }, then: ['1/2048-2303 58/32768-33023 1/0-255 58/512-767 1/768-1023'] },
  ])('$name', ({ rule, then }) => {
    expect(compile(ingress(rule)).rules.map((each) => (each.ports === 'any' ? 'any' : each.ports.map(portText).join(' ')))).toEqual(then);
  });
});

describe('what cannot be enforced here', () => {
  const with80 = (more: object): object => ({ toEntities: ['world'], toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], ...more }] });
  const tls = { secret: { name: 's', namespace: 'n' } };
  test.each<{ name: string; rule: object; then: readonly string[]; withheld: readonly string[] }>([
    { name: 'HTTP', rule: with80({ rules: { http: [{ method: 'GET', path: '/(a|b)[[:alpha:]]+(?i)x$' }] } }), then: ['egress[0] withheld world on 6/80'], withheld: ['toPorts[0].rules.http'] },
    { name: 'HTTP of any kind', rule: with80({ rules: { http: [] } }), then: ['egress[0] withheld world on 6/80'], withheld: ['toPorts[0].rules.http'] },
    { name: 'no rules at all are no condition', rule: with80({ rules: {} }), then: ['egress[0] allow world on 6/80'], withheld: [] },
    { name: 'headers', rule: with80({ rules: { http: [{ headers: ['X-Token: 42', 'X-Key'], headerMatches: [{ name: 'Authorization', mismatch: 'REPLACE', secret: { name: 's' } }] }] } }), then: ['egress[0] withheld world on 6/80'], withheld: ['toPorts[0].rules.http'] },
    { name: 'DNS', rule: { toPorts: [{ ports: [{ port: '53', protocol: 'UDP' }], rules: { dns: [{ matchPattern: '*' }] } }] }, then: ['egress[0] withheld anybody on 17/53'], withheld: ['toPorts[0].rules.dns'] },
    { name: 'names in TLS', rule: with80({ serverNames: ['*.example'] }), then: ['egress[0] withheld world on 6/80'], withheld: ['toPorts[0].serverNames'] },
    { name: 'TLS', rule: with80({ terminatingTLS: tls, originatingTLS: tls }), then: ['egress[0] withheld world on 6/80'], withheld: ['toPorts[0].terminatingTLS', 'toPorts[0].originatingTLS'] },
    { name: 'a listener', rule: with80({ listener: { name: 'l', envoyConfig: { name: 'c' }, priority: 1 } }), then: ['egress[0] withheld world on 6/80'], withheld: ['toPorts[0].listener'] },
    { name: 'authentication', rule: { toEntities: ['world'], authentication: { mode: 'required' } }, then: ['egress[0] withheld world'], withheld: ['authentication.mode'] },
    { name: 'authentication that always fails', rule: { ...with80({}), authentication: { mode: 'test-always-fail' } }, then: ['egress[0] withheld world on 6/80'], withheld: ['authentication.mode'] },
    { name: 'disabled authentication is no condition', rule: { toEntities: ['world'], authentication: { mode: 'disabled' } }, then: ['egress[0] allow world'], withheld: [] },
    { name: 'DNS names', rule: { toFQDNs: [{ matchName: 'a' }] }, then: ['egress[0] allow name a'], withheld: ['toFQDNs'] },
    { name: 'ports without a condition beside ports with one', rule: { toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], rules: { http: [{}] } }, { ports: [{ port: '81', protocol: 'TCP' }] }] },
      then: ['egress[0] allow anybody on 6/81', 'egress[0] withheld anybody on 6/80'], withheld: ['toPorts[0].rules.http'] },
  ])('$name', ({ rule, then, withheld }) => {
    const policy = compile(egress(rule));
    expect(rulesText(policy)).toEqual(then);
    expect((policy.withheld ?? []).map((text) => text.split(': ')[0])).toEqual(withheld.map((field) => `spec.egress[0].${field}`));
  });
});

describe('objects of several policies', () => {
  const two = policiesOf(parse(ingress({ fromEntities: ['host'] }), {
    specs: [{ endpointSelector: {}, ingress: [] }, { endpointSelector: web, egressDeny: [{ toEntities: ['world', 'host'] }], log: { value: 'no world' }, description: 'x', labels: [{ key: 'a', value: 'b', source: 'k8s' }] }],
    audit: true, lines: { 'specs[1].egressDeny[0]': 9, 'specs[1].egressDeny[0].toEntities[1]': 11, 'ingress[0]': 2 },
  }));

  test('each spec is a policy, in order', () => { expect(two.map(({ part, audit }) => [part, audit])).toEqual([[0, true], [1, true], [2, true]]); });
  test('a section says of which spec it is', () => { expect(two.flatMap(rulesText)).toEqual(['ingress[0] allow host', 'specs[1].egressDeny[0] deny world or host']); });
  test('peers know their members and lines', () => { expect(two[2]?.rules[0]).toMatchObject({ line: 9, peerFields: ['toEntities[0]', 'toEntities[1]'], peerLines: [9, 11] }); });
  test('text for flows is kept', () => { expect(two[2]?.log).toBe('no world'); });
  test('one spec alone has no number', () => { expect(compile(ingress({}))).not.toHaveProperty('part'); });
});

describe('refusals name field, value, expectation', () => {
  const PORT = 'the text of a number from 0 to 65535 (such as "80"), or a port name: at most 15 of [A-Za-z0-9-], with a letter';
  const many = (count: number): readonly object[] => Array.from({ length: count }, () => ({ port: '80' }));
  const http = (rules: object, port: object = { port: '80', protocol: 'TCP' }): object => ingress({ toPorts: [{ ports: [port], rules }] });
  test.each<{ name: string; spec: unknown; more?: Partial<PolicySource>; then: readonly string[] }>([
    { name: 'no spec', spec: undefined, then: ['spec: nothing: expected a spec, or at least one item of specs'] },
    { name: 'no specs', spec: undefined, more: { specs: [] }, then: ['spec: nothing: expected a spec, or at least one item of specs'] },
    { name: 'specs that are no list', spec: undefined, more: { specs: {} }, then: ['specs: {}: expected a list', 'spec: nothing: expected a spec, or at least one item of specs'] },
    { name: 'a spec that is none', spec: 7, then: ['spec: 7: expected an object with endpointSelector or nodeSelector'] },
    { name: 'nobody selected', spec: { ingress: [] }, then: ['spec: ["ingress"]: expected exactly one of endpointSelector, nodeSelector'] },
    { name: 'no section of rules', spec: { endpointSelector: {}, enableDefaultDeny: { ingress: true } }, then: ['spec: ["endpointSelector","enableDefaultDeny"]: expected at least one of ingress, ingressDeny, egress, egressDeny'] },
    { name: 'a section that is nothing', spec: { endpointSelector: {}, ingress: null }, then: ['spec: ["endpointSelector","ingress"]: expected at least one of ingress, ingressDeny, egress, egressDeny'] },
    { name: 'an entity that no definition knows', spec: ingress({ fromEntities: ['world-ipv4'] }), then: ['spec.ingress[0].fromEntities[0]: "world-ipv4": expected one of all, world, cluster, cluster-mesh, host, init, ingress, unmanaged, remote-node, health, none, kube-apiserver'] },
    { name: 'a key of a node, as it was written', spec: ingress({ fromNodes: [{ matchLabels: { 'node:-x': 'y' } }] }), then: [expect.stringMatching(/^spec\.ingress\[0\]\.fromNodes\[0\]\.matchLabels\.node:-x: "node:-x": expected a label key/)] as unknown as readonly string[] },
    { name: 'a hole of another family', spec: egress({ toCIDRSet: [{ cidr: '::/0', except: ['10.0.0.0/8'] }] }), then: ['spec.egress[0].toCIDRSet[0].except[0]: "10.0.0.0/8": expected a CIDR inside ::/0'] },
    { name: 'both selectors', spec: { endpointSelector: {}, nodeSelector: {}, ingress: [] }, more: CLUSTERWIDE, then: ['spec: ["endpointSelector","nodeSelector","ingress"]: expected exactly one of endpointSelector, nodeSelector'] },
    { name: 'nodes in a policy of a namespace', spec: { nodeSelector: {}, ingress: [] }, then: ['spec.nodeSelector: {}: expected endpointSelector: only a CiliumClusterwideNetworkPolicy is for nodes'] },
    { name: 'an unknown field, with the near one', spec: { endpointSelector: {}, egress: [], ingres: [] }, then: ['spec.ingres: []: expected no such field; did you mean ingress?'] },
    { name: 'an unknown field of a rule', spec: ingress({ fromEndpoint: [] }), then: ['spec.ingress[0].fromEndpoint: []: expected no such field; did you mean fromEndpoints?'] },
    { name: 'the peers of the other direction', spec: ingress({ toEntities: ['world'] }), then: ['spec.ingress[0].toEntities: ["world"]: expected no such field; known are fromEndpoints, fromEntities, fromCIDR, fromCIDRSet, fromNodes, fromGroups, fromRequires, toPorts, icmps, authentication'] },
    { name: 'everything that is wrong, not only the first', spec: { ...ingress({ fromEntities: ['moon'] }), egress: [{ toCIDR: ['x'] }] }, then: [
      'spec.ingress[0].fromEntities[0]: "moon": expected one of all, world, cluster, cluster-mesh, host, init, ingress, unmanaged, remote-node, health, none, kube-apiserver',
      'spec.egress[0].toCIDR[0]: "x": expected a CIDR such as 10.0.0.0/8 or fd00::/8, or an address',
    ] },
    { name: 'two kinds of peers', spec: ingress({ fromEndpoints: [{}], fromCIDR: ['1.1.1.1'] }), then: ['spec.ingress[0]: ["fromEndpoints","fromCIDR"]: expected one kind of peers in a rule: write one rule for each'] },
    { name: 'requirements', spec: ingress({ fromRequires: [{}] }), then: ['spec.ingress[0].fromRequires: "1 items": expected at most 0 items: fromRequires is no longer supported; write its labels into each selector'] },
    { name: 'an unknown source', spec: { egress: [], endpointSelector: { matchLabels: { 'k8:app': 'x' } } }, then: ['spec.endpointSelector.matchLabels.k8:app: "k8:app": expected a source of labels before the colon: one of k8s, any, reserved, cidr'] },
    { name: 'an unknown reserved label', spec: ingress({ fromEndpoints: [{ matchLabels: { 'reserved:moon': '' } }] }), then: [expect.stringContaining('spec.ingress[0].fromEndpoints[0].matchLabels.reserved:moon: "reserved:moon": expected a reserved label: one of reserved:host,')] as unknown as readonly string[] },
    { name: 'an unknown operator', spec: { egress: [], endpointSelector: { matchExpressions: [{ key: 'a', operator: 'Is' }] } }, then: ['spec.endpointSelector.matchExpressions[0].operator: "Is": expected one of In, NotIn, Exists, DoesNotExist'] },
    { name: 'values where none belong', spec: { egress: [], endpointSelector: { matchExpressions: [{ key: 'a', operator: 'Exists', values: ['b'] }] } }, then: ['spec.endpointSelector.matchExpressions[0].values: ["b"]: expected no values with Exists'] },
    { name: 'a hole that is no part', spec: egress({ toCIDRSet: [{ cidr: '10.0.0.0/8', except: ['11.0.0.0/16', '0.0.0.0/0'] }] }), then: ['spec.egress[0].toCIDRSet[0].except[0]: "11.0.0.0/16": expected a CIDR inside 10.0.0.0/8', 'spec.egress[0].toCIDRSet[0].except[1]: "0.0.0.0/0": expected a CIDR inside 10.0.0.0/8'] },
    { name: 'two sources of one set', spec: egress({ toCIDRSet: [{ cidr: '10.0.0.0/8', cidrGroupRef: 'g' }] }), then: ['spec.egress[0].toCIDRSet[0]: {"cidr":"10.0.0.0/8","cidrGroupRef":"g"}: expected exactly one of cidr, cidrGroupRef, cidrGroupSelector'] },
    { name: 'a service without a name', spec: egress({ toServices: [{ k8sService: {} }] }), then: ['spec.egress[0].toServices[0].k8sService.serviceName: nothing: expected the name of a Service: a DNS label of at most 63 of [a-z0-9-]'] },
    { name: 'a port that is a number', spec: ingress(ports({ port: 80 })), then: [`spec.ingress[0].toPorts[0].ports[0].port: 80: expected ${PORT}`] },
    { name: 'a port too high', spec: ingress(ports({ port: '65536' })), then: [`spec.ingress[0].toPorts[0].ports[0].port: "65536": expected ${PORT}`] },
    { name: 'a range that ends before it begins', spec: ingress(ports({ port: '80', endPort: 79 })), then: ['spec.ingress[0].toPorts[0].ports[0].endPort: 79: expected a number from port (80) to 65535'] },
    { name: 'an unknown protocol', spec: ingress(ports({ port: '80', protocol: 'tcp' })), then: ['spec.ingress[0].toPorts[0].ports[0].protocol: "tcp": expected one of TCP, UDP, SCTP, VRRP, IGMP, GRE, IPIP, IPV6, ESP, AH, ANY'] },
    { name: 'a port of a protocol without ports', spec: ingress(ports({ port: '80', protocol: 'ESP' })), then: ['spec.ingress[0].toPorts[0].ports[0].port: 80: expected no port: ESP has none'] },
    { name: 'too many ports', spec: ingress(ports(...many(41))), then: ['spec.ingress[0].toPorts[0].ports: "41 items": expected at most 40 items'] },
    { name: 'ICMP beside ports', spec: ingress({ ...ports({ port: '80' }), icmps: [{ fields: [{ type: 8 }] }] }), then: ['spec.ingress[0].icmps: "1 items": expected no icmps beside toPorts: write one rule for each'] },
    { name: 'a type of another family', spec: ingress({ icmps: [{ fields: [{ type: 'PacketTooBig' }] }] }), then: [expect.stringContaining('spec.ingress[0].icmps[0].fields[0].type: "PacketTooBig": expected a number from 0 to 255, or one of EchoReply')] as unknown as readonly string[] },
    { name: 'an expression that does not compile', spec: http({ http: [{ path: '/(a' }] }), then: ['spec.ingress[0].toPorts[0].rules.http[0].path: "/(a": expected a regular expression as RE2 reads it'] },
    { name: 'HTTP over another protocol', spec: http({ http: [{}] }, { port: '80' }), then: ['spec.ingress[0].toPorts[0].ports: "ANY": expected protocol TCP beside rules.http'] },
    { name: 'HTTP on every port', spec: http({ http: [{}] }, { port: '0', protocol: 'TCP' }), then: ['spec.ingress[0].toPorts[0].ports: "0": expected a port other than 0 beside rules.http'] },
    { name: 'a header without a name', spec: http({ http: [{ headerMatches: [{ value: 'x' }] }] }), then: ['spec.ingress[0].toPorts[0].rules.http[0].headerMatches[0].name: nothing: expected the name of a header: letters, digits and !#$%&\'*+-.^_`|~'] },
    { name: 'DNS on ingress', spec: http({ dns: [{ matchName: 'a' }] }), then: ['spec.ingress[0].toPorts[0].rules.dns: {"dns":[{"matchName":"a"}]}: expected no DNS rules in an ingress rule'] },
    { name: 'rules of Kafka', spec: http({ kafka: [] }), then: ['spec.ingress[0].toPorts[0].rules.kafka: []: expected http or dns: Cilium 1.20 has removed this'] },
    { name: 'a name of odd characters', spec: egress({ toFQDNs: [{ matchName: 'a b' }] }), then: ['spec.egress[0].toFQDNs[0].matchName: "a b": expected a DNS name: at most 255 of [A-Za-z0-9-_.], no label empty'] },
    { name: 'a listener on ingress', spec: ingress({ toPorts: [{ ports: [{ port: '80' }], listener: { name: 'l', envoyConfig: { name: 'c' } } }] }), then: ['spec.ingress[0].toPorts[0].listener: {"name":"l","envoyConfig":{"name":"c"}}: expected no listener in an ingress rule'] },
    { name: 'HTTP in a deny rule', spec: { endpointSelector: {}, ingressDeny: [{ toPorts: [{ ports: [{ port: '80' }], rules: {} }] }] }, then: ['spec.ingressDeny[0].toPorts[0].rules: {}: expected no such field in a deny rule: it denies ports, whatever is said over them'] },
    { name: 'DNS names in a deny rule', spec: { endpointSelector: {}, egressDeny: [{ toFQDNs: [] }] }, then: ['spec.egressDeny[0].toFQDNs: []: expected no such field in a deny rule'] },
    { name: 'authentication in a deny rule', spec: { endpointSelector: {}, egressDeny: [{ authentication: { mode: 'required' } }] }, then: ['spec.egressDeny[0].authentication: {"mode":"required"}: expected no such field in a deny rule'] },
    { name: 'HTTP for nodes', spec: { nodeSelector: {}, ingress: [{ toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], rules: { http: [{}] } }] }] }, more: CLUSTERWIDE, then: ['spec.ingress[0].toPorts[0].rules.http: {"http":[{}]}: expected no such rules in a policy of nodes'] },
    { name: 'a default deny that is no choice', spec: { endpointSelector: {}, egress: [], enableDefaultDeny: { ingress: 'no' } }, then: ['spec.enableDefaultDeny.ingress: "no": expected true or false'] },
    { name: 'an unknown mode', spec: ingress({ authentication: { mode: 'maybe' } }), then: ['spec.ingress[0].authentication.mode: "maybe": expected one of disabled, required, test-always-fail'] },
    { name: 'in which of the specs', spec: undefined, more: { specs: [{ endpointSelector: {}, egress: [] }, ingress({ fromEntities: [1] })] }, then: [expect.stringMatching(/^specs\[1\]\.ingress\[0\]\.fromEntities\[0\]: 1: expected one of all,/)] as unknown as readonly string[] },
  ])('$name', ({ spec, more, then }) => { expect(refusals(parse(spec, more))).toEqual(then); });
});

/* Random objects in the shape of the schema: mostly what it takes, seldom another word, seldom another kind of value, seldom a member too many. */
const SELDOM = 400;
const ODD: readonly unknown[] = [0, -1, 70000, '', 'x y', '*', true, [], {}, [null], { x: 1 }, '__proto__', 'a'.repeat(300)];
const seldom = (usual: fc.Arbitrary<unknown>, other: readonly unknown[]): fc.Arbitrary<unknown> => fc.oneof({ weight: SELDOM, arbitrary: usual }, { weight: 1, arbitrary: fc.constantFrom(...other) });
const word = (right: readonly unknown[], wrong: readonly unknown[] = []): fc.Arbitrary<unknown> => seldom(fc.constantFrom(...right), [...wrong, ...ODD]);
const listOf = (item: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> => seldom(fc.array(item, { minLength: 1, maxLength: 2 }), [[], ...ODD]);
const objectOf = (members: Readonly<Record<string, fc.Arbitrary<unknown>>>, required: readonly string[] = Object.keys(members)): fc.Arbitrary<unknown> =>
  seldom(fc.tuple(fc.record(members, { requiredKeys: [...required] }), fc.nat({ max: SELDOM })).map(([object, chance]) => (chance === 0 ? { ...object, extra: 1 } : object)), ODD);
const oneOf = (members: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<unknown> => fc.oneof(...Object.entries(members).map(([name, member]) => objectOf({ [name]: member })));

const selector = fc.oneof(
  objectOf({ matchLabels: fc.oneof(...['app', 'k8s:app', 'reserved:host', 'cidr:10.0.0.0/8', 'k8s:io.kubernetes.pod.namespace', 'io.cilium.k8s.namespace.labels.team'].map((key) => objectOf({ [key]: word(['web', '']) }))) }),
  objectOf({ matchExpressions: listOf(objectOf({ key: word(['app', 'any:app'], ['k8:x', 'fqdn:x', ':']), operator: word(['In', 'NotIn'], ['Exists', 'Is']), values: listOf(word(['a', 'b'])) })) }), fc.constant({}),
);
const cidr = word(['10.0.0.0/8', '::/0', 'fd00::/8'], ['10.0.0.0/33']);
const portItem = objectOf({ port: word(['80', 'http', '8080'], ['65536', 80]), endPort: word([9000], [70]), protocol: word(['TCP'], ['UDP', 'ESP', 'tcp']) }, ['port', 'protocol']);
const dnsName = oneOf({ matchName: word(['a.example'], ['a..b']), matchPattern: word(['*.example', '**.x']) });
const httpRule = objectOf({ path: word(['/a', '[[:alpha:]]'], ['/(a', 'a**']), method: word(['GET']), headers: listOf(word(['X: 1'], [':'])), headerMatches: listOf(objectOf({ name: word(['X']), mismatch: word(['LOG'], ['NO']) })) }, []);
const portRule = fc.oneof(
  objectOf({ ports: listOf(portItem) }),
  objectOf({ ports: listOf(portItem), rules: objectOf({ http: listOf(httpRule) }), terminatingTLS: objectOf({ secret: objectOf({ name: word(['s']), namespace: word(['n']) }) }) }, ['ports', 'rules']),
  objectOf({ ports: listOf(portItem), serverNames: fc.constantFrom(['a.b'], ['*.c', 'd'], []) }),
);
const layer4 = fc.oneof(fc.constant({}), fc.record({ toPorts: listOf(portRule) }), fc.record({ icmps: listOf(objectOf({ fields: listOf(objectOf({ family: word(['IPv4'], ['IPv5']), type: word([8, 'EchoReply', '8'], [300]) })) })) }));
const layer3 = (way: 'from' | 'to'): fc.Arbitrary<object> => fc.oneof(...Object.entries({
  Endpoints: listOf(selector), Entities: listOf(word(['world', 'all', 'host'], ['moon'])), CIDR: listOf(cidr), Nodes: listOf(objectOf({ matchLabels: objectOf({ role: word(['x']) }) })),
  CIDRSet: listOf(oneOf({ cidr, cidrGroupRef: word(['g'], ['G']), cidrGroupSelector: fc.constant({ matchLabels: { a: 'b' } }) })),
  ...(way === 'to' ? { Services: listOf(oneOf({ k8sService: objectOf({ serviceName: word(['s']), namespace: word(['n']) }) })) } : {}),
}).map(([name, member]) => fc.record({ [`${way}${name}`]: member })), fc.constant({}));
const rule = (way: 'from' | 'to'): fc.Arbitrary<unknown> => seldom(fc.tuple(layer3(way), layer4).map(([peers, on]) => ({ ...peers, ...on })), ODD);
const spec = objectOf({
  endpointSelector: selector, ingress: listOf(rule('from')), egress: listOf(fc.oneof(rule('to'), objectOf({ toFQDNs: listOf(dnsName) }))), ingressDeny: listOf(rule('from')), egressDeny: listOf(rule('to')),
  enableDefaultDeny: objectOf({ ingress: word([true, false]), egress: word([true]) }), log: objectOf({ value: word(['x']) }), labels: listOf(objectOf({ key: word(['k']), value: word(['v']) })),
}, ['endpointSelector']);
const FORBIDDEN = /"extra"|"moon"|"tcp"|"IPv5"|"Is"|"NO"|10\.0\.0\.0\/33|"65536"|"k8:x"|"fqdn:x"|\(a|a\*\*|"G"|a\.\.b|\[null\]|70000|-1/;

const VALID = {
  endpointSelector: web, description: 'd', log: { value: 'l' }, enableDefaultDeny: { ingress: true }, labels: [{ key: 'k' }],
  ingress: [
    { fromEndpoints: [{ matchExpressions: [{ key: 'a', operator: 'In', values: ['b'] }] }], toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], rules: { http: [{ path: '/', headerMatches: [{ name: 'X' }] }] } }] },
    { fromCIDRSet: [{ cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] }], icmps: [{ fields: [{ family: 'IPv4', type: 8 }] }] },
  ],
  egress: [{ toFQDNs: [{ matchName: 'a' }], authentication: { mode: 'required' } }, { toServices: [{ k8sService: { serviceName: 's', namespace: 'n' } }] }],
  egressDeny: [{ toEntities: ['world'], toPorts: [{ ports: [{ port: '1', endPort: 9 }] }] }],
};
/** Members whose every other value is another thing to select; an unknown member is legal there. */
const FREE: ReadonlySet<string> = new Set(['matchLabels']);

type Place = readonly (string | number)[];
const placesOf = (value: unknown, path: Place = []): readonly { readonly path: Place; readonly value: unknown }[] =>
  (typeof value !== 'object' || value === null ? [{ path, value }] : [{ path, value }, ...Object.entries(value).flatMap(([key, inner]) => placesOf(inner, [...path, Array.isArray(value) ? Number(key) : key]))]);
const changed = (value: unknown, [first, ...rest]: Place, change: (at: unknown) => unknown): unknown => {
  if (first === undefined) return change(value);
  if (Array.isArray(value)) return value.map((item: unknown, index) => (index === first ? changed(item, rest, change) : item));
  const object = value as Readonly<Record<string, unknown>>; // the path leads here
  return { ...object, [first]: changed(object[first], rest, change) };
};

describe('what strangers write', () => {
  test('random objects in the shape of the schema are compiled or refused with reasons, never thrown at', () => {
    const counts = { accepted: 0, refused: 0 };
    fc.assert(fc.property(spec, fc.option(listOf(spec), { nil: undefined, freq: 4 }), fc.constantFrom(NAMESPACED, CLUSTERWIDE), (one, several, source) => {
      const parsed = parsePolicyObject({ ...source, spec: one, specs: several });
      counts[parsed.ok ? 'accepted' : 'refused'] += 1;
      if (parsed.ok) expect(JSON.stringify([one, several])).not.toMatch(FORBIDDEN);
      else {
        expect(parsed.refusals.length).toBeGreaterThan(0);
        for (const { field, message, expected } of parsed.refusals) expect([message.startsWith(field), expected === '']).toEqual([true, false]);
      }
    }), { numRuns: 1000, seed: 7 });
    expect(Math.min(counts.accepted, counts.refused)).toBeGreaterThan(100);
  });

  const places = placesOf(VALID);
  const objects = places.filter(({ path, value }) => typeof value === 'object' && value !== null && !Array.isArray(value) && !FREE.has(String(path.at(-1))));

  test('the policy that is mutated is valid', () => { expect(refusals(parse(VALID))).toEqual([]); });

  test('no object of a policy takes a member that its schema does not know', () => {
    for (const { path } of objects) {
      const mutant = changed(VALID, path, (at) => ({ ...(at as object), surprise: 1 }));
      expect(refusals(parse(mutant)).filter((message) => message.includes('surprise'))).toHaveLength(1);
    }
  });

  test('every word of an enum is checked', () => {
    for (const { path } of places.filter((each) => ['operator', 'protocol', 'family', 'mode'].includes(String(each.path.at(-1))) || each.value === 'world')) {
      expect(refusals(parse(changed(VALID, path, () => 'unheard')))).toHaveLength(1);
    }
  });

  test('values of another kind, anywhere, are refused or mean the same as nothing', () => {
    fc.assert(fc.property(fc.constantFrom(...places.filter(({ path }) => path.length > 0)), fc.constantFrom(7, true, 'x y', [[]], { no: 1 }, -1), ({ path, value }, other) => {
      fc.pre(typeof value !== typeof other || Array.isArray(value) !== Array.isArray(other));
      expect(parse(changed(VALID, path, () => other)).ok).toBe(false);
    }), { numRuns: 600, seed: 11 });
  });

  test('long texts and deep lists take no longer than their length', () => {
    const startMs = performance.now();
    parse(ingress({ toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], serverNames: ['a'.repeat(200_000)], rules: { http: [{ path: '('.repeat(200_000) }, { path: '[a'.repeat(100_000) }, { path: 'a{'.repeat(100_000) }] } }] }));
    parse({ endpointSelector: { matchLabels: { ['a'.repeat(100_000)]: 'x' } }, ['z'.repeat(100_000)]: 1 });
    parse(egress({ toFQDNs: [{ matchName: `${'a-'.repeat(100_000)}!` }], toCIDR: ['1.'.repeat(100_000)] }));
    expect(performance.now() - startMs).toBeLessThan(2000);
  });
});
