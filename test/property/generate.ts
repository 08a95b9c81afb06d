/**
 * Random clusters with policies of every kind, and questions about them. The same seed, the same cases. Each case names the features that it
 * holds, so that a run can say that none of them is rare.
 */
import type { Settings } from '@seine/objects';

import { randomOf } from '../oracle/mutate.mjs';
import { naive, type Asked } from '../oracle/naive.mjs';

export type Random = ReturnType<typeof randomOf>;
export type Labels = Readonly<Record<string, string>>;
export type RawObject = { readonly kind: string; readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels; readonly annotations?: Labels } } & Readonly<Record<string, unknown>>;
export type Answered = Asked & { readonly want: 'allow' | 'deny' };
/** What the texts of the APIs say it about: objects, and the settings of their cluster. */
export interface Given { readonly objects: readonly RawObject[]; readonly settings: Settings }
export interface PropertyCase extends Given { readonly name: string; readonly probes: readonly Answered[]; readonly features: readonly string[] }

export const KINDS = ['NetworkPolicy', 'CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy', 'ClusterNetworkPolicy'] as const;
export type Kind = (typeof KINDS)[number];

const AUDIT = 'seine.network/audit';
const NODES = [
  { name: 'n1', address: '192.168.50.1', labels: { 'kubernetes.io/hostname': 'n1', pool: 'plain', zone: 'a' } },
  { name: 'n2', address: '192.168.50.2', labels: { 'kubernetes.io/hostname': 'n2', pool: 'gpu', zone: 'b' } },
  { name: 'n3', address: '192.168.50.3', labels: { 'kubernetes.io/hostname': 'n3', pool: 'gpu', zone: 'a' } },
] as const;
const NAMESPACES = ['shop', 'pay', 'ops'] as const;
const TEAMS = ['a', 'b'] as const;
const APPS = ['web', 'db', 'job'] as const;
const TIERS = ['front', 'back'] as const;
const ACCOUNTS = ['default', 'robot'] as const;
const PORT_NAMES = ['http', 'admin'] as const;
const PORTS = [80, 443, 8080, 8081, 5432, 53, 9090] as const;
const OUTSIDE = ['203.0.113.7', '203.0.113.200', '198.51.100.9', '192.168.50.200', '192.168.50.100'] as const;
const API_SERVERS = [['192.168.50.100'], ['192.168.50.1'], ['192.168.50.1', '192.168.50.100']] as const;
const CIDRS = ['0.0.0.0/0', '203.0.113.0/24', '203.0.113.0/25', '198.51.100.0/24', '192.168.50.0/24', '192.168.50.100/32', '10.244.0.0/16', '10.244.1.0/24', '10.244.1.10/31', '10.0.0.0/8', '::/0'] as const;
const HOLES: Readonly<Record<string, readonly string[]>> = {
  '0.0.0.0/0': ['10.0.0.0/8', '203.0.113.0/25', '192.168.50.0/24'], '203.0.113.0/24': ['203.0.113.0/29', '203.0.113.200/32', '203.0.113.0/25'], '192.168.50.0/24': ['192.168.50.200/32', '192.168.50.2/32'],
  '10.244.0.0/16': ['10.244.2.0/24', '10.244.1.0/24', '10.244.1.10/31', '10.244.1.12/30'], '10.244.1.0/24': ['10.244.1.10/32', '10.244.1.8/29'], '10.0.0.0/8': ['10.244.1.0/24'],
};

const listOf = <T>(random: Random, most: number, make: () => T): T[] => Array.from({ length: 1 + random.below(most) }, make);
/** One of several makers, the first ones more often. */
const oneOf = <T>(random: Random, makers: readonly (() => T)[]): T => random.pick(makers)();

/** Notes what a policy holds, while it is made. */
interface Maker { readonly random: Random; readonly note: (feature: string) => void }

const noted = <T>({ note }: Maker, feature: string, value: T): T => { note(feature); return value; };

interface Selector { readonly matchLabels?: Labels; readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values?: readonly string[] }[] }

const expressionOf = (random: Random, key: string, values: readonly string[]) => {
  const operator = random.pick(['In', 'NotIn', 'Exists', 'DoesNotExist']);
  return operator === 'Exists' || operator === 'DoesNotExist' ? { key, operator } : { key, operator, values: [...new Set(listOf(random, 2, () => random.pick(values)))] };
};

/** @param prefix in front of each key: Cilium's sources */
const podSelectorOf = (random: Random, prefix = ''): Selector => oneOf<Selector>(random, [
  () => ({ matchLabels: { [`${prefix}app`]: random.pick(APPS) } }), () => ({ matchLabels: { [`${prefix}app`]: random.pick(APPS) } }), () => ({ matchLabels: { [`${prefix}tier`]: random.pick(TIERS) } }),
  () => ({}), () => ({ matchExpressions: [expressionOf(random, `${prefix}app`, APPS)] }), () => ({ matchLabels: { [`${prefix}app`]: random.pick(APPS) }, matchExpressions: [expressionOf(random, `${prefix}tier`, TIERS)] }),
]);
/** Whom a policy is for: everybody, more often than a peer is. */
const subjectSelectorOf = (random: Random, prefix = ''): Selector => (random.chance(0.3) ? {} : podSelectorOf(random, prefix));
const namespaceSelectorOf = (random: Random): Selector => oneOf<Selector>(random, [
  () => ({}), () => ({ matchLabels: { team: random.pick(TEAMS) } }), () => ({ matchLabels: { 'kubernetes.io/metadata.name': random.pick(NAMESPACES) } }),
  () => ({ matchExpressions: [expressionOf(random, 'team', TEAMS)] }), () => ({ matchExpressions: [expressionOf(random, 'kubernetes.io/metadata.name', NAMESPACES)] }),
]);
const nodeSelectorOf = (random: Random, prefix = ''): Selector => oneOf<Selector>(random, [
  () => ({}), () => ({ matchLabels: { [`${prefix}pool`]: random.pick(['plain', 'gpu']) } }), () => ({ matchExpressions: [expressionOf(random, `${prefix}zone`, ['a', 'b'])] }),
]);
const blockOf = (random: Random): { readonly cidr: string; readonly except?: readonly string[] } => {
  const cidr = random.pick(CIDRS);
  return HOLES[cidr] !== undefined && random.chance(0.6) ? { cidr, except: [...new Set(listOf(random, 2, () => random.pick(HOLES[cidr]!)))] } : { cidr };
};

const rangeOf = (random: Random): { readonly port: number; readonly endPort: number } => {
  const port = random.pick(PORTS);
  return { port, endPort: Math.min(65535, port + random.pick([1, 7, 8, 1000, 60_000])) };
};

/* NetworkPolicy */

const networkPort = (maker: Maker): unknown => {
  const { random } = maker;
  const protocol = random.chance(0.4) ? {} : { protocol: random.pick(['TCP', 'UDP', 'SCTP']) };
  return oneOf<unknown>(random, [
    () => noted(maker, 'port number', { ...protocol, port: random.pick(PORTS) }), () => noted(maker, 'port number', { ...protocol, port: random.pick(PORTS) }), () => noted(maker, 'port range', { ...protocol, ...rangeOf(random) }),
    () => noted(maker, 'port name', { ...protocol, port: random.pick(PORT_NAMES) }), () => noted(maker, 'protocol alone', { protocol: random.pick(['TCP', 'UDP', 'SCTP']) }),
  ]);
};
const networkPeer = (maker: Maker): unknown => {
  const { random } = maker;
  return oneOf<unknown>(random, [
    () => noted(maker, 'pods', { podSelector: podSelectorOf(random) }), () => noted(maker, 'namespaces', { namespaceSelector: namespaceSelectorOf(random) }),
    () => noted(maker, 'namespaces and pods', { namespaceSelector: namespaceSelectorOf(random), podSelector: podSelectorOf(random) }), () => noted(maker, 'ipBlock', { ipBlock: blockOf(random) }),
  ]);
};
const networkRule = (maker: Maker, peers: 'from' | 'to'): unknown => ({
  ...(maker.random.chance(0.85) ? { [peers]: maker.random.chance(0.06) ? noted(maker, 'empty peers', []) : listOf(maker.random, 2, () => networkPeer(maker)) } : noted(maker, 'any peer', {})),
  ...(maker.random.chance(0.5) ? { ports: listOf(maker.random, 2, () => networkPort(maker)) } : {}),
});
const networkSpec = (maker: Maker): unknown => {
  const { random } = maker;
  const rules = (peers: 'from' | 'to'): unknown => (random.chance(0.12) ? noted(maker, 'no rules', []) : listOf(random, 2, () => networkRule(maker, peers)));
  return {
    podSelector: subjectSelectorOf(random), ...(random.chance(0.75) ? { ingress: rules('from') } : {}), ...(random.chance(0.5) ? { egress: rules('to') } : {}),
    ...(random.chance(0.5) ? { policyTypes: random.pick([['Ingress'], ['Egress'], ['Ingress', 'Egress']]) } : {}),
  };
};

/* ClusterNetworkPolicy */

const namespacedPods = (random: Random): unknown => ({ namespaceSelector: namespaceSelectorOf(random), podSelector: podSelectorOf(random) });
const clusterPeer = (maker: Maker, direction: 'ingress' | 'egress'): unknown => {
  const { random } = maker;
  const both = [
    () => noted(maker, 'namespaces', { namespaces: namespaceSelectorOf(random) }), () => noted(maker, 'pods', { pods: namespacedPods(random) }),
    () => noted(maker, 'pods', { pods: namespacedPods(random) }),
  ];
  if (random.chance(0.02)) return noted(maker, 'unknown peer', {});
  return oneOf<unknown>(random, direction === 'ingress' ? both : [
    ...both, () => noted(maker, 'nodes', { nodes: nodeSelectorOf(random) }), () => noted(maker, 'networks', { networks: [...new Set(listOf(random, 2, () => random.pick(CIDRS)))] }),
  ]);
};
const clusterProtocol = (maker: Maker, named: boolean): unknown => {
  const { random } = maker;
  if (named && random.chance(0.3)) return noted(maker, 'port name', { destinationNamedPort: random.pick(PORT_NAMES) });
  const { port: start, endPort: end } = rangeOf(random);
  return { [random.pick(['tcp', 'tcp', 'udp', 'sctp'])]: { destinationPort: random.chance(0.6) ? noted(maker, 'port number', { number: start }) : noted(maker, 'port range', { range: { start, end } }) } };
};
const clusterRule = (maker: Maker, direction: 'ingress' | 'egress'): unknown => {
  const { random } = maker;
  const action = random.pick(['Accept', 'Deny', 'Deny', 'Pass']);
  maker.note(action);
  const peers: unknown[] = listOf(random, 2, () => clusterPeer(maker, direction));
  if (direction === 'egress' && action === 'Accept' && random.chance(0.1)) peers.push(noted(maker, 'domain names', { domainNames: ['*.example.org'] }));
  const named = !peers.some((peer) => ['nodes', 'networks', 'domainNames'].some((name) => Object.hasOwn(peer as object, name))); // made above: objects
  return { action, [direction === 'ingress' ? 'from' : 'to']: peers, ...(random.chance(0.5) ? { protocols: listOf(random, 2, () => clusterProtocol(maker, named)) } : {}) };
};
const clusterSpec = (maker: Maker, serial: number): unknown => {
  const { random } = maker;
  const tier = random.pick(['Admin', 'Baseline']);
  maker.note(tier);
  return {
    tier, priority: noted(maker, 'priority', random.chance(0.3) ? 7 : random.below(10) * 100 + serial),
    subject: random.chance(0.5) ? { namespaces: namespaceSelectorOf(random) } : { pods: namespacedPods(random) },
    ...(random.chance(0.7) ? { ingress: listOf(random, 2, () => clusterRule(maker, 'ingress')) } : {}), ...(random.chance(0.6) ? { egress: listOf(random, 2, () => clusterRule(maker, 'egress')) } : {}),
  };
};

/* CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy */

const NAMESPACE_KEY = 'io.kubernetes.pod.namespace';
const peerSelectorOf = (maker: Maker): Selector => {
  const { random } = maker;
  const pods = podSelectorOf(random, random.pick(['', '', 'k8s:', 'any:']));
  const withLabel = (key: string, value: string): Selector => ({ ...pods, matchLabels: { ...pods.matchLabels, [key]: value } });
  return oneOf<Selector>(random, [
    () => noted(maker, 'endpoints of the own namespace', pods), () => noted(maker, 'endpoints of the own namespace', pods),
    () => noted(maker, 'endpoints by namespace', withLabel(`${random.pick(['', 'k8s:'])}${NAMESPACE_KEY}`, random.pick(NAMESPACES))),
    () => noted(maker, 'endpoints by namespace', { ...pods, matchExpressions: [...pods.matchExpressions ?? [], { key: `k8s:${NAMESPACE_KEY}`, operator: random.pick(['Exists', 'DoesNotExist']) }] }),
    () => noted(maker, 'endpoints by namespace label', withLabel('k8s:io.cilium.k8s.namespace.labels.team', random.pick(TEAMS))),
    () => noted(maker, 'endpoints by service account', withLabel('io.cilium.k8s.policy.serviceaccount', random.pick(ACCOUNTS))),
    () => noted(maker, 'endpoints by cluster', withLabel('io.cilium.k8s.policy.cluster', random.pick(['default', 'default', 'other']))),
    () => noted(maker, 'reserved endpoints', { matchLabels: { [`reserved:${random.pick(['host', 'remote-node', 'world', 'kube-apiserver'])}`]: '' } }),
    () => noted(maker, 'reserved endpoints', { matchExpressions: [{ key: `reserved:${random.pick(['host', 'remote-node', 'world'])}`, operator: random.pick(['Exists', 'DoesNotExist']) }] }),
  ]);
};
const ENTITIES = ['all', 'world', 'cluster', 'host', 'remote-node', 'kube-apiserver', 'init', 'ingress', 'unmanaged', 'health', 'none', 'cluster-mesh'] as const;
const cidrSetOf = (maker: Maker): unknown => {
  const { random } = maker;
  const except = random.chance(0.3) ? { except: [random.pick(['203.0.113.0/29', '198.51.100.0/28'])] } : {};
  return oneOf<unknown>(random, [
    () => noted(maker, 'CIDRSet', blockOf(random)), () => noted(maker, 'CIDR group by name', { cidrGroupRef: random.pick(['partners', 'partners', 'offices', 'nobody']), ...except }),
    () => noted(maker, 'CIDR group by labels', { cidrGroupSelector: oneOf<Selector>(random, [() => ({ matchLabels: { trust: random.pick(['high', 'low']) } }), () => ({ matchExpressions: [expressionOf(random, 'trust', ['high', 'low'])] })]), ...except }),
  ]);
};
const serviceOf = (maker: Maker): unknown => {
  const { random } = maker;
  const namespace = random.chance(0.7) ? { namespace: random.pick(['shop', 'pay', 'default']) } : {};
  return random.chance(0.6) ? noted(maker, 'Service by name', { k8sService: { serviceName: random.pick(['web', 'db', 'outside', 'kubernetes']), ...namespace } }) :
    noted(maker, 'Service by labels', { k8sServiceSelector: { selector: { matchLabels: { kind: random.pick(['inner', 'outer']) } }, ...namespace } });
};
type Section = 'ingress' | 'egress' | 'ingressDeny' | 'egressDeny';

const ciliumPeers = (maker: Maker, section: Section): Readonly<Record<string, unknown>> => {
  const { random } = maker;
  const side = section.startsWith('ingress') ? 'from' : 'to';
  const listed = (name: string, make: () => unknown, most = 2): Readonly<Record<string, unknown>> => ({ [`${side}${name}`]: listOf(random, most, make) });
  const entities = () => listed('Entities', () => { const entity = random.pick(random.chance(0.5) ? ENTITIES.slice(0, 6) : ENTITIES); return noted(maker, `entity ${entity}`, entity); });
  const endpoints = () => listed('Endpoints', () => peerSelectorOf(maker));
  return oneOf<Readonly<Record<string, unknown>>>(random, [
    endpoints, endpoints, endpoints, entities, entities, () => listed('CIDR', () => noted(maker, 'CIDR', random.pick([...CIDRS, '203.0.113.7']))),
    () => listed('CIDRSet', () => cidrSetOf(maker)), () => listed('CIDRSet', () => cidrSetOf(maker)), () => listed('Nodes', () => noted(maker, 'nodes', nodeSelectorOf(random, random.pick(['', 'k8s:'])))),
    () => (section === 'egress' || section === 'egressDeny' ? listed('Services', () => serviceOf(maker), 1) : endpoints()),
    () => (section === 'egress' ? listed('FQDNs', () => noted(maker, 'names', random.chance(0.5) ? { matchName: 'example.org' } : { matchPattern: '*.example.org' })) : endpoints()),
    () => noted(maker, 'no endpoints', { [`${side}Endpoints`]: [] }), () => noted(maker, 'no peers', {}),
  ]);
};
const ciliumPort = (maker: Maker): unknown => {
  const { random } = maker;
  const protocol = random.chance(0.4) ? noted(maker, 'protocol ANY', random.chance(0.5) ? {} : { protocol: 'ANY' }) : { protocol: random.pick(['TCP', 'TCP', 'UDP', 'SCTP']) };
  const { port, endPort } = rangeOf(random);
  return oneOf<unknown>(random, [
    () => noted(maker, 'port number', { port: String(port), ...protocol }), () => noted(maker, 'port number', { port: String(port), ...protocol }), () => noted(maker, 'port range', { port: String(port), endPort, ...protocol }),
    () => noted(maker, 'port name', { port: random.pick(PORT_NAMES), ...protocol, ...(random.chance(0.2) ? { endPort } : {}) }), () => noted(maker, 'port 0', { port: '0', protocol: random.pick(['TCP', 'UDP', 'SCTP']) }),
  ]);
};
const ciliumPorts = (maker: Maker, section: Section, needed: boolean): Readonly<Record<string, unknown>> => {
  const { random } = maker;
  const kind = random.below(needed ? 5 : 10);
  const isAllow = !section.endsWith('Deny');
  if (kind >= 5) return {};
  if (kind === 4) {
    return { icmps: [{ fields: listOf(random, 2, () => noted(maker, 'ICMP', { ...(random.chance(0.5) ? {} : { family: random.pick(['IPv4', 'IPv4', 'IPv6']) }), type: random.pick([8, 0, 3, 11, '8', 'EchoRequest', 'EchoReply', 'DestinationUnreachable', 'TimeExceeded']) })) }] };
  }
  const plain = { toPorts: [{ ports: listOf(random, 2, () => ciliumPort(maker)) }] };
  if (kind > 0 || !isAllow) return plain;
  const http = noted(maker, 'HTTP', { ports: [{ port: String(random.pick(PORTS)), protocol: 'TCP' }], rules: { http: [random.chance(0.5) ? {} : { method: 'GET', path: '/' }] } });
  const dns = (): unknown => noted(maker, 'DNS', { ports: [{ port: '53', protocol: random.pick(['UDP', 'TCP']) }], rules: { dns: [{ matchPattern: '*' }] } });
  const names = (): unknown => noted(maker, 'server names', { ports: [{ port: '443', protocol: 'TCP' }], serverNames: ['example.org'] });
  return { toPorts: [oneOf<unknown>(random, section === 'egress' ? [() => http, dns, names] : [() => http, names]), ...(random.chance(0.3) ? plain.toPorts : [])] };
};
const ciliumRule = (maker: Maker, section: Section): unknown => {
  const { random } = maker;
  maker.note(section);
  const peers = ciliumPeers(maker, section);
  if (random.chance(0.06)) return noted(maker, 'empty rule', {});
  return {
    ...peers, ...ciliumPorts(maker, section, Object.keys(peers).length === 0),
    ...(!section.endsWith('Deny') && random.chance(0.06) ? { authentication: { mode: noted(maker, 'authentication', random.pick(['required', 'disabled'])) } } : {}),
  };
};
const ciliumSpec = (maker: Maker, subject: Readonly<Record<string, unknown>>): unknown => {
  const { random } = maker;
  const isHost = Object.hasOwn(subject, 'nodeSelector');
  const sections = (['ingress', 'egress', 'ingressDeny', 'egressDeny'] as const).filter((section) => random.chance(section.endsWith('Deny') ? 0.25 : 0.55));
  const made = Object.fromEntries((sections.length === 0 ? ['ingress' as const] : sections).map((section) => [section, random.chance(0.06) ? noted(maker, 'no rules', []) : listOf(random, 2, () => withoutL7(isHost, ciliumRule(maker, section)))]));
  const defaultDeny = random.chance(0.25) ? { enableDefaultDeny: noted(maker, 'enableDefaultDeny', { ...(random.chance(0.7) ? { ingress: random.chance(0.3) } : {}), ...(random.chance(0.7) ? { egress: random.chance(0.3) } : {}) }) } : {};
  return { ...subject, ...made, ...defaultDeny };
};
/** Host policies have no rules above the ports. */
const withoutL7 = (isHost: boolean, rule: unknown): unknown => {
  const { toPorts, authentication: _unused, ...rest } = rule as { readonly toPorts?: readonly { readonly ports: unknown }[]; readonly authentication?: unknown }; // made above
  return isHost ? { ...rest, ...(toPorts === undefined ? {} : { toPorts: toPorts.map(({ ports }) => ({ ports })) }) } : rule;
};
const endpointSubject = (maker: Maker): Readonly<Record<string, unknown>> => {
  const { random } = maker;
  return { endpointSelector: random.chance(0.15) ? noted(maker, 'subject by service account', { matchLabels: { 'k8s:io.cilium.k8s.policy.serviceaccount': random.pick(ACCOUNTS) } }) : subjectSelectorOf(random, random.pick(['', '', 'k8s:', 'any:'])) };
};
const clusterwideSubject = (maker: Maker): Readonly<Record<string, unknown>> => {
  const { random } = maker;
  if (random.chance(0.25)) return noted(maker, 'node selector', { nodeSelector: nodeSelectorOf(random) });
  const { endpointSelector } = endpointSubject(maker) as { readonly endpointSelector: Selector }; // made above
  return random.chance(0.5) ? { endpointSelector: { ...endpointSelector, matchLabels: { ...endpointSelector.matchLabels, 'k8s:io.kubernetes.pod.namespace': random.pick(NAMESPACES) } } } : { endpointSelector };
};
const ciliumBody = (maker: Maker, kind: Kind): Readonly<Record<string, unknown>> => {
  const subject = (): Readonly<Record<string, unknown>> => (kind === 'CiliumNetworkPolicy' ? endpointSubject(maker) : clusterwideSubject(maker));
  return maker.random.chance(0.1) ? noted(maker, 'specs', { specs: listOf(maker.random, 2, () => ciliumSpec(maker, subject())) }) : { spec: ciliumSpec(maker, subject()) };
};

const VERSIONS: Readonly<Record<Kind, string>> = {
  NetworkPolicy: 'networking.k8s.io/v1', CiliumNetworkPolicy: 'cilium.io/v2', CiliumClusterwideNetworkPolicy: 'cilium.io/v2', ClusterNetworkPolicy: 'policy.networking.k8s.io/v1alpha2',
};

/** A namespaced policy stands where pods are. */
const policyOf = (random: Random, kind: Kind, serial: number, pods: readonly RawObject[], note: (feature: string) => void): RawObject => {
  const maker: Maker = { random, note: (feature) => { note(`${kind}: ${feature}`); } };
  const isNamespaced = kind === 'NetworkPolicy' || kind === 'CiliumNetworkPolicy';
  maker.note('any');
  const tried = random.chance(0.08) ? { annotations: noted(maker, 'audit', { [AUDIT]: 'true' }) } : {};
  const body = kind === 'NetworkPolicy' ? { spec: networkSpec(maker) } : kind === 'ClusterNetworkPolicy' ? { spec: clusterSpec(maker, serial) } : ciliumBody(maker, kind);
  return { apiVersion: VERSIONS[kind], kind, metadata: { name: `p${serial}`, ...(isNamespaced ? { namespace: random.pick(pods).metadata.namespace ?? '' } : {}), ...tried }, ...body };
};

/* The cluster around them */

const podOf = (random: Random, index: number): RawObject => {
  const node = index % 2;
  const app = random.pick(APPS);
  const labels = { app, ...(random.chance(0.7) ? { tier: random.pick(TIERS) } : {}) };
  /* Pods of one identity may bind a name to different numbers. */
  const ports = PORT_NAMES.filter(() => random.chance(0.6)).map((name) => ({ name, containerPort: random.pick(PORTS), protocol: random.pick(['TCP', 'TCP', 'UDP', 'SCTP']) }));
  return {
    apiVersion: 'v1', kind: 'Pod', metadata: { namespace: random.pick(NAMESPACES), name: `${app}-${index}`, labels },
    spec: { nodeName: `n${node + 1}`, serviceAccountName: random.pick(ACCOUNTS), containers: [{ name: 'main', image: 'main', ports }] }, status: { podIP: `10.244.${node + 1}.${10 + (index >> 1)}` },
  };
};
/** The last one may be a twin of the first: one identity, and perhaps another number for a port's name. */
const podsOf = (random: Random, note: (feature: string) => void): readonly RawObject[] => {
  const pods = Array.from({ length: 6 + random.below(4) }, (_, index) => podOf(random, index));
  const [first, last] = [pods[0]!, pods.at(-1)!]; // six or more
  if (random.chance(0.5)) return pods;
  note('Cluster: twins');
  const accountOf = ({ spec }: RawObject): object => ({ serviceAccountName: (spec as { readonly serviceAccountName: string }).serviceAccountName }); // made above
  return pods.with(-1, { ...last, metadata: { ...first.metadata, name: last.metadata.name }, spec: { ...last['spec'] as object, ...accountOf(first) } });
};

const addressOf = (pod: RawObject): string => (pod['status'] as { readonly podIP: string }).podIP; // made here

/** Pods that policies do not mean: one that is its node, and one that is finished, whose address another has by now. */
const othersOf = (random: Random, pods: readonly RawObject[], note: (feature: string) => void): readonly RawObject[] => {
  const pod = (name: string, spec: object, status: object): RawObject => ({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace: random.pick(NAMESPACES), name, labels: { app: random.pick(APPS) } }, spec: { nodeName: 'n1', containers: [], ...spec }, status });
  const made: RawObject[] = [];
  if (random.chance(0.2)) { note('Cluster: pod of the host network'); made.push(pod('agent', { hostNetwork: true }, { podIP: NODES[0].address })); }
  if (random.chance(0.2)) { note('Cluster: finished pod'); made.push(pod('done', {}, { podIP: addressOf(random.pick(pods)), phase: random.pick(['Succeeded', 'Failed']) })); }
  return made;
};

const service = (namespace: string, name: string, kind: string, selector: Labels | undefined, index: number): RawObject => ({
  apiVersion: 'v1', kind: 'Service', metadata: { namespace, name, labels: { kind } }, spec: { clusterIP: `10.96.0.${10 + index}`, ...(selector === undefined ? {} : { selector }), ports: [{ port: 80, targetPort: 8080, protocol: 'TCP' }] },
});
const slice = (namespace: string, name: string, port: number, addresses: readonly { readonly address: string; readonly pod?: RawObject }[]): RawObject => ({
  apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4', metadata: { namespace, name: `${name}-slice`, labels: { 'kubernetes.io/service-name': name } },
  ports: [{ name: '', port, protocol: 'TCP' }],
  endpoints: addresses.map(({ address, pod }) => ({ addresses: [address], conditions: { ready: true }, ...(pod === undefined ? {} : { targetRef: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name } }) })),
});
const labelsOf = (object: RawObject): Labels => object.metadata.labels ?? {};

const servicesOf = (random: Random, pods: readonly RawObject[]): readonly RawObject[] => {
  const backing = (namespace: string, app: string) => pods.filter((pod) => pod.metadata.namespace === namespace && labelsOf(pod)['app'] === app);
  const apiServer = random.pick(API_SERVERS);
  return [
    ...(['shop', 'pay'] as const).flatMap((namespace, at) => (['web', 'db'] as const).flatMap((app, index) => [
      service(namespace, app, 'inner', { app }, at * 4 + index),
      ...(backing(namespace, app).length === 0 ? [] : [slice(namespace, app, 8080, backing(namespace, app).slice(0, 1).map((pod) => ({ address: addressOf(pod), pod })))]),
    ])),
    service('shop', 'outside', 'outer', undefined, 12), slice('shop', 'outside', 8080, [{ address: '198.51.100.9' }]),
    { apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'default', name: 'kubernetes', labels: {} }, spec: { clusterIP: '10.96.0.1', ports: [{ port: 443, targetPort: 6443, protocol: 'TCP' }] } },
    slice('default', 'kubernetes', 6443, apiServer.map((address) => ({ address }))),
  ];
};

const clusterOf = (random: Random, note: (feature: string) => void): readonly RawObject[] => {
  const pods = podsOf(random, note);
  const noteAudit = (): Labels => { note('Cluster: audited namespace'); return { [AUDIT]: 'true' }; };
  return [
    ...NAMESPACES.map((name): RawObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: random.chance(0.2) ? {} : { team: random.pick(TEAMS) }, ...(random.chance(0.05) ? { annotations: noteAudit() } : {}) } })),
    ...NODES.map(({ name, address, labels }): RawObject => ({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, status: { addresses: [{ type: 'InternalIP', address }] } })),
    { apiVersion: 'cilium.io/v2', kind: 'CiliumCIDRGroup', metadata: { name: 'partners', labels: { trust: 'low' } }, spec: { externalCIDRs: ['203.0.113.0/24', '192.168.50.200'] } },
    { apiVersion: 'cilium.io/v2', kind: 'CiliumCIDRGroup', metadata: { name: 'offices', labels: { trust: 'high' } }, spec: { externalCIDRs: random.pick([['198.51.100.0/24'], ['198.51.100.0/28', '203.0.113.128/25']]) } },
    ...pods, ...othersOf(random, pods, note), ...servicesOf(random, pods),
  ];
};

const settingsOf = (random: Random, note: (feature: string) => void): Settings => {
  const mode = random.chance(0.86) ? 'default' : random.pick(['always', 'always', 'never']);
  const match = random.chance(0.7) ? '' : random.pick(['nodes', 'pods', 'pods,nodes']);
  note(`Settings: mode ${mode}`);
  note(`Settings: CIDRs mean ${match === '' ? 'neither' : match}`);
  return { ...(mode === 'default' ? {} : { 'policy-enforcement-mode': mode }), ...(match === '' ? {} : { 'policy-cidr-match-mode': match }) };
};

const portsOf = ({ spec }: RawObject): readonly { readonly protocol: string; readonly containerPort: number }[] =>
  (spec as { readonly containers: readonly { readonly ports?: readonly { readonly protocol: string; readonly containerPort: number }[] }[] }).containers.flatMap(({ ports = [] }) => ports); // made above

/** Numbers that policies mention: anything else is nearly always judged alike. */
const mentionedPorts = (policies: readonly RawObject[]): readonly number[] =>
  [...JSON.stringify(policies.map(({ spec, specs }) => [spec, specs])).matchAll(/"(?:port|number|start|endPort|end)":"?(\d+)/g)].map((match) => Number(match[1])).filter((port) => port > 0);

const probeOf = (random: Random, objects: readonly RawObject[], mentioned: readonly number[]): Asked => {
  const nameOf = ({ metadata }: RawObject): string => `${metadata.namespace}/${metadata.name}`;
  const pods = objects.filter((object) => object.kind === 'Pod' && (object['status'] as { readonly phase?: string }).phase === undefined);
  const pod = nameOf(random.pick(pods));
  const node = `node:${random.pick(NODES).name}`;
  const protocol = random.pick(['TCP', 'TCP', 'TCP', 'UDP', 'SCTP', 'ICMP']);
  const port = Math.min(65535, (mentioned.length > 0 && random.chance(0.7) ? random.pick(mentioned) : random.pick(PORTS)) + (random.chance(0.15) ? 1 : 0));
  const asked = protocol === 'ICMP' ? { protocol, icmp: { type: random.pick([8, 8, 0, 3, 11]), code: random.pick([0, 0, 1, 255]) } } : { protocol, port };
  switch (random.below(12)) {
    case 0: return { from: random.pick(OUTSIDE), to: pod, ...asked };
    case 1: case 2: return { from: pod, to: random.pick(OUTSIDE), ...asked };
    case 3: return { from: node, to: pod, ...asked };
    case 4: return { from: pod, to: random.chance(0.8) ? node : pod, ...asked };
    case 5: case 6: return random.chance(0.3) ? { from: random.pick(OUTSIDE), to: node, ...asked } : random.chance(0.5) ? { from: node, to: random.pick(OUTSIDE), ...asked } : { from: node, to: `node:${random.pick(NODES).name}`, ...asked };
    case 7: return { from: pod, to: `svc:${random.pick(['shop', 'pay'])}/${random.pick(['web', 'db'])}`, protocol: 'TCP', port: 80 };
    default: {
      const target = random.pick(random.chance(0.3) ? [pods[0]!, pods.at(-1)!] : pods); // six or more
      const bound = portsOf(random.chance(0.5) ? target : random.pick(pods));
      const { protocol: of, containerPort } = bound.length > 0 && random.chance(0.4) ? random.pick(bound) : { protocol: undefined, containerPort: 0 };
      return { from: pod, to: nameOf(target), ...(of === undefined ? asked : { protocol: of, port: containerPort }) };
    }
  }
};

export interface CaseOptions { readonly kinds?: readonly Kind[]; readonly probes?: number }

export const caseOf = (seed: number, index: number, { kinds = KINDS, probes: count = 8 }: CaseOptions = {}): PropertyCase => {
  const random = randomOf(Math.imul(seed, 1_000_003) + index);
  const features = new Set<string>();
  const note = (feature: string): void => { features.add(feature); };
  const cluster = clusterOf(random, note);
  const pods = cluster.filter(({ kind }) => kind === 'Pod');
  const policies = Array.from({ length: 3 + random.below(4) }, (_, serial) => policyOf(random, random.pick(kinds), serial, pods, note));
  const objects = [...cluster, ...policies];
  const settings = settingsOf(random, note);
  const mentioned = mentionedPorts(policies);
  const probes: Answered[] = [];
  for (let tries = 0; probes.length < count && tries < count * 4; tries += 1) {
    const probe = probeOf(random, objects, mentioned);
    const want = naive(objects, probe, { settings });
    if (want !== undefined) probes.push({ ...probe, want });
  }
  return { name: `seed ${seed} case ${index}`, objects, settings, probes, features: [...features] };
};

/** A valid policy without a cluster. */
export const policyAlone = (seed: number, index: number): RawObject => {
  const random = randomOf(Math.imul(seed, 1_000_003) + index);
  return policyOf(random, KINDS[index % KINDS.length]!, index, podsOf(random, () => {}), () => {});
};
