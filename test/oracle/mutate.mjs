/**
 * Random clusters near a real one: reads manifests, applies one more random edit a case, asks a dozen questions and answers them by naive.mjs.
 *
 *   mutate.mjs --seed S --edits N DIR > cases.jsonl
 */
import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { parseAllDocuments } from 'yaml';

import { naive } from './naive.mjs';

/** The same seed, the same cases. */
export const randomOf = (seed) => {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit) => Math.floor(next() * limit);
  return { below, chance: (share) => next() < share, pick: (list) => list[below(list.length)] };
};

const NODES = [['n1', '192.168.50.1'], ['n2', '192.168.50.2']].map(([name, address]) => ({
  apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/hostname': name } }, status: { addresses: [{ type: 'InternalIP', address }] },
}));

const addPod = (world, namespace, name, labels, spec) => {
  const node = world.given % 2;
  const podIP = `10.244.${node + 1}.${10 + Math.floor(world.given / 2)}`;
  world.given += 1;
  world.pods.push({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, labels: { ...labels } }, spec: { ...structuredClone(spec), nodeName: `n${node + 1}` }, status: { podIP } });
};

export const readWorld = (folder) => {
  const documents = readdirSync(folder).filter((name) => /\.ya?ml$/.test(name) && name !== 'fix.yaml').sort()
    .flatMap((name) => parseAllDocuments(readFileSync(`${folder}/${name}`, 'utf8')).map((document) => document.toJS())).filter((object) => object !== null);
  const world = { given: 0, namespaces: [], services: [], policies: [], pods: [] };
  for (const object of documents) {
    if (object.metadata.namespace === undefined && object.kind !== 'Namespace') object.metadata.namespace = 'default';
    if (object.kind === 'Namespace') world.namespaces.push(object);
    if (object.kind === 'NetworkPolicy') world.policies.push(object);
    if (object.kind === 'Service') world.services.push({ ...object, spec: { ...object.spec, clusterIP: `10.96.1.${world.services.length + 1}` } });
    if (object.kind === 'Pod') addPod(world, object.metadata.namespace, object.metadata.name, object.metadata.labels ?? {}, object.spec);
    if (object.kind === 'Deployment') {
      const { replicas = 1, template } = object.spec;
      for (let index = 0; index < replicas; index += 1) addPod(world, object.metadata.namespace, `${object.metadata.name}-${index}`, template.metadata.labels, template.spec);
    }
  }
  return world;
};

const slicesOf = ({ services, pods }) => services.flatMap((service) => {
  const backing = pods.filter((pod) => pod.metadata.namespace === service.metadata.namespace && Object.entries(service.spec.selector).every(([key, value]) => pod.metadata.labels[key] === value));
  if (backing.length === 0) return [];
  return [{
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4',
    metadata: { namespace: service.metadata.namespace, name: `${service.metadata.name}-slice`, labels: { 'kubernetes.io/service-name': service.metadata.name } },
    ports: service.spec.ports.map(({ name = '', port, targetPort = port, protocol = 'TCP' }) => ({ name, port: targetPort, protocol })),
    endpoints: backing.slice(0, 1).map((pod) => ({ addresses: [pod.status.podIP], nodeName: pod.spec.nodeName, conditions: { ready: true }, targetRef: { kind: 'Pod', name: pod.metadata.name, namespace: pod.metadata.namespace } })),
  }];
});

const objectsOf = (world) => structuredClone([...world.namespaces, ...NODES, ...world.pods, ...world.services, ...slicesOf(world), ...world.policies]);

const PORTS = [80, 443, 3306, 8079, 8080, 8087, 8088, 27017, 53, 1, 65535];
const PROTOCOLS = ['TCP', 'TCP', 'TCP', 'UDP', 'SCTP'];
const CIDRS = ['0.0.0.0/0', '10.244.0.0/16', '10.244.1.0/24', '10.244.2.0/24', '10.244.1.10/31', '192.168.50.0/24', '192.168.50.200/32', '203.0.113.0/24', '203.0.113.0/29', '198.51.100.0/24', '10.0.0.0/8', 'fd00::/8', '::/0'];
const HOLES = { '0.0.0.0/0': ['10.0.0.0/8', '203.0.113.0/25', '192.168.50.200/32', '10.244.1.10/32'], '10.244.0.0/16': ['10.244.2.0/24', '10.244.1.12/30'], '10.244.1.0/24': ['10.244.1.10/31', '10.244.1.12/32'], '192.168.50.0/24': ['192.168.50.200/32', '192.168.50.2/32'], '203.0.113.0/24': ['203.0.113.0/29', '203.0.113.7/32'], '10.0.0.0/8': ['10.244.1.0/24'], '::/0': ['fc00::/7', 'fd00::/8'] };
const OUTSIDE = ['external', '203.0.113.7', '203.0.113.200', '198.51.100.9'];
const TIERS = ['front', 'back', 'data'];
const PORT_NAMES = ['web', 'db', 'metrics'];

const labelOf = (world, random) => {
  const labels = Object.entries(random.pick(world.pods).metadata.labels);
  return labels.length === 0 ? ['tier', random.pick(TIERS)] : random.pick(labels);
};

const expressionOf = (random, [key, value], others) => {
  const operator = random.pick(['In', 'NotIn', 'Exists', 'DoesNotExist']);
  return operator === 'Exists' || operator === 'DoesNotExist' ? { key, operator } : { key, operator, values: [...new Set([value, ...others])] };
};

const podSelectorOf = (world, random) => {
  const kind = random.below(10);
  if (kind === 0) return {};
  const [key, value] = labelOf(world, random);
  if (kind < 7) return { matchLabels: { [key]: value } };
  const expressions = [expressionOf(random, [key, value], random.chance(0.5) ? [labelOf(world, random)[1]] : [])];
  if (random.chance(0.3)) expressions.push(expressionOf(random, ['tier', random.pick(TIERS)], []));
  return random.chance(0.3) ? { matchLabels: { [key]: value }, matchExpressions: expressions } : { matchExpressions: expressions };
};

const namespaceSelectorOf = (world, random) => {
  const { name } = random.pick(world.namespaces).metadata;
  return random.pick([{}, { matchLabels: { team: random.pick(['a', 'b']) } }, { matchLabels: { 'kubernetes.io/metadata.name': name } }, { matchExpressions: [expressionOf(random, ['team', 'a'], [])] }, { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: [name] }] }]);
};

const peerOf = (world, random) => {
  const kind = random.below(7);
  if (kind < 2) return { podSelector: podSelectorOf(world, random) };
  if (kind < 4) return { namespaceSelector: namespaceSelectorOf(world, random) };
  if (kind === 4) return { namespaceSelector: namespaceSelectorOf(world, random), podSelector: podSelectorOf(world, random) };
  const cidr = random.pick(CIDRS);
  return { ipBlock: HOLES[cidr] !== undefined && random.chance(0.5) ? { cidr, except: [...new Set([random.pick(HOLES[cidr]), random.pick(HOLES[cidr])])] } : { cidr } };
};

const portOf = (random) => {
  const protocol = random.pick(PROTOCOLS);
  const said = protocol === 'TCP' && random.chance(0.5) ? {} : { protocol };
  const kind = random.below(8);
  if (kind === 0) return { protocol };
  if (kind === 1) return { ...said, port: random.pick(PORT_NAMES) };
  const port = random.pick(PORTS);
  if (kind === 2 || kind === 3) return { ...said, port, endPort: Math.min(65535, port + random.pick([0, 1, 7, 8, 1000, 60000])) };
  return { ...said, port };
};

const listOf = (random, most, make) => Array.from({ length: 1 + random.below(most) }, make);
const ruleOf = (world, random, peers) => {
  const rule = {};
  if (random.chance(0.85)) rule[peers] = random.chance(0.07) ? [] : listOf(random, 3, () => peerOf(world, random));
  if (random.chance(0.6)) rule.ports = random.chance(0.1) ? [] : listOf(random, 3, () => portOf(random));
  return rule;
};
const rulesOf = (world, random, peers) => (random.chance(0.12) ? [] : listOf(random, 3, () => ruleOf(world, random, peers)));

const policyOf = (world, random) => {
  const spec = { podSelector: podSelectorOf(world, random) };
  if (random.chance(0.8)) spec.ingress = rulesOf(world, random, 'from');
  if (random.chance(0.45)) spec.egress = rulesOf(world, random, 'to');
  if (random.chance(0.6)) spec.policyTypes = random.pick([['Ingress'], ['Egress'], ['Ingress', 'Egress'], []]);
  world.serial = (world.serial ?? 0) + 1;
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace: random.pick(world.pods).metadata.namespace, name: `made-${world.serial}` }, spec };
};

const someRule = (world, random) => {
  const { spec } = random.pick(world.policies);
  const direction = random.pick(['ingress', 'egress']);
  if ((spec[direction] ?? []).length === 0) spec[direction] = [ruleOf(world, random, direction === 'ingress' ? 'from' : 'to')];
  return { rule: random.pick(spec[direction]), peers: direction === 'ingress' ? 'from' : 'to' };
};

const EDITS = {
  'labels a pod': (world, random) => { random.pick(world.pods).metadata.labels.tier = random.pick(TIERS); },
  'takes a label away': (world, random) => { delete random.pick(world.pods).metadata.labels.tier; },
  'gives a pod the labels of another': (world, random) => { random.pick(world.pods).metadata.labels = { ...random.pick(world.pods).metadata.labels }; },
  'names a port': (world, random) => {
    const container = random.pick(world.pods).spec.containers[0];
    container.ports = [...(container.ports ?? []).filter(({ name }) => name === undefined), { name: random.pick(PORT_NAMES), containerPort: random.pick(PORTS), protocol: random.pick(PROTOCOLS) }];
  },
  'changes a subject': (world, random) => { random.pick(world.policies).spec.podSelector = podSelectorOf(world, random); },
  'changes policyTypes': (world, random) => { const { spec } = random.pick(world.policies); if (random.chance(0.3)) delete spec.policyTypes; else spec.policyTypes = random.pick([['Ingress'], ['Egress'], ['Ingress', 'Egress'], []]); },
  'changes peers': (world, random) => { const { rule, peers } = someRule(world, random); rule[peers] = listOf(random, 3, () => peerOf(world, random)); },
  'empties or drops peers': (world, random) => { const { rule, peers } = someRule(world, random); if (random.chance(0.5)) delete rule[peers]; else rule[peers] = []; },
  'changes ports': (world, random) => { someRule(world, random).rule.ports = listOf(random, 3, () => portOf(random)); },
  'empties or drops ports': (world, random) => { const { rule } = someRule(world, random); if (random.chance(0.5)) delete rule.ports; else rule.ports = []; },
  'adds a rule': (world, random) => { const { spec } = random.pick(world.policies); const ingress = random.chance(0.5); const direction = ingress ? 'ingress' : 'egress'; spec[direction] = [...spec[direction] ?? [], ruleOf(world, random, ingress ? 'from' : 'to')].slice(-4); },
  'isolates wholly': (world, random) => { const { spec } = random.pick(world.policies); if (random.chance(0.5)) spec.ingress = []; else spec.egress = []; },
  'adds a policy': (world, random) => { if (world.policies.length < 9) world.policies.push(policyOf(world, random)); else world.policies[random.below(9)] = policyOf(world, random); },
  'removes a policy': (world, random) => { if (world.policies.length > 3) world.policies.splice(random.below(world.policies.length), 1); },
  'labels a namespace': (world, random) => { random.pick(world.namespaces).metadata.labels = random.chance(0.2) ? {} : { team: random.pick(['a', 'b']) }; },
  'has a second namespace': (world, random) => {
    if (world.pods.some(({ metadata }) => metadata.namespace === 'other')) return;
    world.namespaces.push({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other', labels: { team: 'b' } } });
    for (const name of ['web', 'store', 'job']) addPod(world, 'other', name, { name: random.pick(['front-end', 'orders', name]), tier: random.pick(TIERS) }, { containers: [{ name: 'main', image: 'other/main', ports: [{ name: 'web', containerPort: 8080 }] }] });
  },
};

/** Two thirds of the questions go where some policy selects and ports are mentioned; anything else is nearly always allowed. */
const probeOf = (world, random) => {
  const nameOf = ({ metadata }) => `${metadata.namespace}/${metadata.name}`;
  const pod = nameOf(random.pick(world.pods));
  const kind = random.below(12);
  const mentioned = world.policies.flatMap(({ spec }) => [...spec.ingress ?? [], ...spec.egress ?? []]).flatMap(({ ports }) => ports ?? []).filter(({ port }) => typeof port === 'number');
  const item = mentioned.length > 0 && random.chance(0.7) ? random.pick(mentioned) : { port: random.pick(PORTS), protocol: random.pick(PROTOCOLS) };
  const protocol = random.chance(0.07) ? 'ICMP' : item.protocol ?? 'TCP';
  /* Ranges go wrong at their edges. */
  const last = item.endPort ?? item.port;
  const port = Math.min(65535, random.pick([item.port, item.port, last, last, last + 1, Math.floor((item.port + last) / 2)]));
  const asked = protocol === 'ICMP' ? { protocol } : { protocol, port };
  if (kind === 0) return { from: random.pick(OUTSIDE), to: pod, ...asked };
  if (kind === 1) return { from: pod, to: random.pick(OUTSIDE), ...asked };
  if (kind === 2) return { from: `node:${random.pick(['n1', 'n2'])}`, to: pod, ...asked };
  if (kind === 3) return { from: pod, to: random.pick(['node:n1', 'node:n2', pod]), ...asked };
  if (kind === 4 && world.services.length > 0) {
    const service = random.pick(world.services);
    return { from: pod, to: `svc:${nameOf(service)}`, protocol: 'TCP', port: random.pick(service.spec.ports).port };
  }
  return { from: pod, to: kind === 5 ? random.pick(world.pods).status.podIP : nameOf(random.pick(world.pods)), ...asked };
};

const PROBES = 14;

export const casesOf = function* casesOf(start, seed, edits) {
  const world = structuredClone(start);
  const random = randomOf(seed);
  for (let edit = 1; edit <= edits; edit += 1) {
    const what = random.pick(Object.keys(EDITS));
    EDITS[what](world, random);
    const objects = objectsOf(world);
    const probes = [];
    while (probes.length < PROBES) {
      const probe = probeOf(world, random);
      const want = naive(objects, probe);
      if (want !== undefined) probes.push({ ...probe, want });
    }
    yield { name: `seed ${seed} edit ${edit}: ${what}`, objects, probes };
  }
};

if (import.meta.main === true) {
  const { values, positionals } = parseArgs({ options: { seed: { type: 'string', default: '1' }, edits: { type: 'string', default: '50' } }, allowPositionals: true });
  for (const each of casesOf(readWorld(positionals[0]), Number(values.seed), Number(values.edits))) process.stdout.write(`${JSON.stringify(each)}\n`);
}
