// A cluster of raw objects, random edits on it, probes for it. Seeded: the same seed gives the same cases.

/** mulberry32: numbers in [0, 1). */
export const randomOf = (seed) => {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (limit) => Math.floor(next() * limit);
  return { next, below, one: (list) => list[below(list.length)], chance: (share) => next() < share };
};

const NODES = [['n1', '192.168.50.1'], ['n2', '192.168.50.2']];
const PROTOCOLS = ['TCP', 'UDP', 'SCTP'];
const OUTSIDE = ['203.0.113.7', '203.0.113.200', '198.51.100.9', '10.99.1.1'];

/** Deployments become pods with addresses on alternating nodes; everything has a name that a probe can use. */
export const expandCluster = (manifests) => {
  const objects = NODES.map(([name, address]) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'kubernetes.io/hostname': name } }, status: { addresses: [{ type: 'InternalIP', address }] } }));
  const namespaces = new Set(manifests.filter(({ kind }) => kind !== 'Namespace').map((object) => object.metadata.namespace ?? 'default'));
  for (const object of manifests) if (object.kind === 'Namespace') { objects.push(object); namespaces.delete(object.metadata.name); }
  for (const name of namespaces) objects.push({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const count = [0, 0];
  let place = 0;
  for (const object of manifests) {
    const namespace = object.metadata.namespace ?? 'default';
    if (object.kind === 'Deployment') {
      for (let replica = 0; replica < (object.spec.replicas ?? 1); replica += 1) {
        const node = place++ % 2;
        count[node] += 1;
        objects.push({
          apiVersion: 'v1', kind: 'Pod', metadata: { name: `${object.metadata.name}-${replica}`, namespace, labels: { ...object.spec.template.metadata.labels } },
          spec: { nodeName: NODES[node][0], containers: structuredClone(object.spec.template.spec.containers) }, status: { podIP: `10.244.${node + 1}.${count[node] + 9}` },
        });
      }
    } else if (object.kind === 'NetworkPolicy') {
      objects.push({ ...structuredClone(object), metadata: { name: object.metadata.name, namespace } });
    } else if (object.kind === 'Service') {
      objects.push({ ...structuredClone(object), metadata: { name: object.metadata.name, namespace }, spec: { ...structuredClone(object.spec), clusterIP: `10.96.7.${objects.length + 1}` } });
    }
  }
  return withSlices(objects);
};

const withSlices = (objects) => {
  const rest = objects.filter(({ kind }) => kind !== 'EndpointSlice');
  const slices = rest.filter(({ kind }) => kind === 'Service').map((service) => {
    const pods = rest.filter((pod) => pod.kind === 'Pod' && pod.metadata.namespace === service.metadata.namespace && Object.entries(service.spec.selector ?? {}).every(([key, value]) => pod.metadata.labels[key] === value));
    return {
      apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `${service.metadata.name}-1`, namespace: service.metadata.namespace, labels: { 'kubernetes.io/service-name': service.metadata.name } }, addressType: 'IPv4',
      ports: service.spec.ports.map(({ name = '', port, targetPort = port, protocol = 'TCP' }) => ({ name, port: targetPort, protocol })),
      // One backend: which of several is chosen is not a policy's business.
      endpoints: pods.slice(0, 1).map((pod) => ({ addresses: [pod.status.podIP], conditions: { ready: true }, nodeName: pod.spec.nodeName, targetRef: { kind: 'Pod', name: pod.metadata.name } })),
    };
  });
  return [...rest, ...slices];
};

const kindOf = (objects, kind) => objects.filter((object) => object.kind === kind);

const randomSelector = (random, objects) => {
  const pod = random.one(kindOf(objects, 'Pod'));
  const [key, value] = random.one(Object.entries(pod.metadata.labels));
  switch (random.below(7)) {
    case 0: return {};
    case 1: return { matchLabels: { [key]: `${value}x` } };
    case 2: return { matchExpressions: [{ key, operator: 'In', values: [value, 'nobody'] }] };
    case 3: return { matchExpressions: [{ key, operator: 'NotIn', values: [value] }] };
    case 4: return { matchExpressions: [{ key, operator: random.one(['Exists', 'DoesNotExist']) }] };
    default: return { matchLabels: { [key]: value } };
  }
};

const randomPeer = (random, objects) => {
  switch (random.below(6)) {
    case 0: return { ipBlock: { cidr: random.one(['0.0.0.0/0', '10.0.0.0/8', '10.244.1.0/24', '203.0.113.0/24', '192.168.50.0/24']) } };
    case 1: return { ipBlock: random.one([{ cidr: '0.0.0.0/0', except: ['203.0.113.128/25'] }, { cidr: '10.244.0.0/16', except: ['10.244.2.0/24'] }, { cidr: '203.0.0.0/8', except: ['203.0.113.0/25', '203.0.113.200/32'] }]) };
    case 2: return { namespaceSelector: random.one([{}, { matchLabels: { 'kubernetes.io/metadata.name': random.one(kindOf(objects, 'Namespace')).metadata.name } }]) };
    case 3: return { namespaceSelector: random.one([{}, { matchExpressions: [{ key: 'team', operator: 'Exists' }] }]), podSelector: randomSelector(random, objects) };
    default: return { podSelector: randomSelector(random, objects) };
  }
};

const portsOf = (objects) => [...new Set(kindOf(objects, 'Pod').flatMap((pod) => (pod.spec.containers ?? []).flatMap(({ ports = [] }) => ports.map(({ containerPort }) => containerPort))))];

const randomPort = (random, objects) => {
  const port = random.one(portsOf(objects));
  switch (random.below(7)) {
    case 0: return { protocol: random.one(PROTOCOLS) };
    case 1: return { port, endPort: Math.min(65535, port + random.one([0, 1, 100, 4000])) };
    case 2: return { port: Math.max(1, port - 60), endPort: port + random.below(3) };
    case 3: return { port: 'main' };
    case 4: return { protocol: random.one(PROTOCOLS), port };
    default: return { port };
  }
};

const some = (random, most, make) => Array.from({ length: random.below(most) + 1 }, make);

const randomRule = (random, objects, direction) => {
  const peersName = direction === 'ingress' ? 'from' : 'to';
  return {
    ...(random.chance(0.8) ? { [peersName]: random.chance(0.08) ? [] : some(random, 2, () => randomPeer(random, objects)) } : {}),
    ...(random.chance(0.6) ? { ports: random.chance(0.08) ? [] : some(random, 2, () => randomPort(random, objects)) } : {}),
  };
};

/** A name that no policy has: of two objects of one name only the later would exist. */
const freeName = (objects) => {
  const names = new Set(kindOf(objects, 'NetworkPolicy').map(({ metadata }) => metadata.name));
  let number = names.size;
  while (names.has(`edit-${number}`)) number += 1;
  return `edit-${number}`;
};

const EDITS = {
  relabel: (random, objects) => {
    const pod = random.one(kindOf(objects, 'Pod'));
    pod.metadata.labels = { ...pod.metadata.labels, [random.one(['name', 'tier', 'zone'])]: random.one(['front-end', 'carts', 'orders', 'a', 'b']) };
  },
  namespaceLabel: (random, objects) => {
    const namespace = random.one(kindOf(objects, 'Namespace'));
    namespace.metadata.labels = random.chance(0.5) ? { ...namespace.metadata.labels, team: random.one(['red', 'blue']) } : {};
  },
  secondNamespace: (random, objects) => {
    if (objects.some((object) => object.kind === 'Namespace' && object.metadata.name === 'other')) return;
    objects.push({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other', labels: { team: 'red' } } });
    const like = random.one(kindOf(objects, 'Pod'));
    objects.push({ ...structuredClone(like), metadata: { name: 'stranger-0', namespace: 'other', labels: { ...like.metadata.labels } }, spec: { ...structuredClone(like.spec), nodeName: 'n2' }, status: { podIP: '10.244.2.200' } });
  },
  namePort: (random, objects) => {
    const pod = random.one(kindOf(objects, 'Pod'));
    const port = pod.spec.containers[0].ports?.[0];
    if (port !== undefined) port.name = 'main';
  },
  movePort: (random, objects) => {
    const pod = random.one(kindOf(objects, 'Pod'));
    const port = pod.spec.containers[0].ports?.[0];
    if (port !== undefined) { port.name = 'main'; port.containerPort = 9000 + random.below(3); }
  },
  newPolicy: (random, objects) => {
    const types = random.one([undefined, ['Ingress'], ['Egress'], ['Ingress', 'Egress'], []]);
    objects.push({
      apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: freeName(objects), namespace: random.one(kindOf(objects, 'Pod')).metadata.namespace },
      spec: {
        podSelector: randomSelector(random, objects), ...(types === undefined ? {} : { policyTypes: types }),
        ...(random.chance(0.7) ? { ingress: random.chance(0.15) ? [{}] : random.chance(0.15) ? [] : some(random, 2, () => randomRule(random, objects, 'ingress')) } : {}),
        ...(random.chance(0.5) ? { egress: random.chance(0.15) ? [{}] : random.chance(0.15) ? [] : some(random, 2, () => randomRule(random, objects, 'egress')) } : {}),
      },
    });
  },
  dropPolicy: (random, objects) => {
    const policies = kindOf(objects, 'NetworkPolicy');
    if (policies.length > 2) objects.splice(objects.indexOf(random.one(policies)), 1);
  },
  editRule: (random, objects) => {
    const policies = kindOf(objects, 'NetworkPolicy');
    if (policies.length === 0) return;
    const { spec } = random.one(policies);
    const direction = random.one(['ingress', 'egress']);
    spec[direction] = [...(spec[direction] ?? []).slice(0, 2), randomRule(random, objects, direction)];
  },
  editTypes: (random, objects) => {
    const policies = kindOf(objects, 'NetworkPolicy');
    if (policies.length === 0) return;
    const { spec } = random.one(policies);
    const types = random.one([undefined, ['Ingress'], ['Egress'], ['Ingress', 'Egress']]);
    if (types === undefined) delete spec.policyTypes;
    else spec.policyTypes = types;
  },
  editSubject: (random, objects) => {
    const policies = kindOf(objects, 'NetworkPolicy');
    if (policies.length > 0) random.one(policies).spec.podSelector = randomSelector(random, objects);
  },
};
export const EDIT_NAMES = Object.keys(EDITS);

/** A new list of objects, edited once; the name of the edit with it. */
export const editOnce = (random, objects) => {
  const copy = structuredClone(objects);
  const name = random.one([...EDIT_NAMES, 'newPolicy', 'editRule', 'newPolicy', 'editRule']);
  EDITS[name](random, copy);
  return { name, objects: withSlices(copy) };
};

export const randomProbes = (random, objects, count) => {
  const pods = kindOf(objects, 'Pod').map((pod) => `${pod.metadata.namespace}/${pod.metadata.name}`);
  const services = kindOf(objects, 'Service');
  const ports = [...portsOf(objects), 81, 9000, 9001];
  return Array.from({ length: count }, () => {
    const from = random.chance(0.75) ? random.one(pods) : random.one(['external', 'node:n1', ...OUTSIDE]);
    const inCluster = pods.includes(from);
    if (inCluster && services.length > 0 && random.chance(0.15)) {
      const service = random.one(services);
      const entry = random.one(service.spec.ports);
      return { from, to: `svc:${service.metadata.namespace}/${service.metadata.name}`, protocol: entry.protocol ?? 'TCP', port: entry.port };
    }
    const to = !inCluster || random.chance(0.8) ? random.one(pods) : random.one(['external', ...OUTSIDE]);
    if (random.chance(0.08)) return { from, to, protocol: 'ICMP', icmp: { type: 8, code: 0 } };
    return { from, to, protocol: random.chance(0.8) ? 'TCP' : random.one(PROTOCOLS), port: random.one(ports) };
  });
};
