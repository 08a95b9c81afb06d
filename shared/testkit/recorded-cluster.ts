/**
 * A cluster of 500 pods as an API server holds it: the same bytes on every run. Pods have everything that real ones have and that a
 * snapshot must leave behind: environment, images, volumes, tokens in annotations, field sets; finished Jobs whose addresses others have
 * got since; host-network agents.
 */
import type { RecordedObject, Resource } from './recorded-api.ts';

const NODES = 20;
const TEAMS = 8;
/** Stands wherever a real cluster holds what is nobody's business. */
export const RECORDED_SECRET = 'hunter2-do-not-record';

type Plain = Readonly<Record<string, unknown>>;
const range = <T>(count: number, of: (index: number) => T): readonly T[] => Array.from({ length: count }, (_, index) => of(index));

const nodeName = (index: number): string => `ip-10-0-${Math.floor(index / 10)}-${10 + index}.internal`;
const nodeAddress = (index: number): string => `10.0.${Math.floor(index / 10)}.${10 + index}`;

const managedFields = (manager: string, time: string): readonly Plain[] => [
  { manager, operation: 'Update', apiVersion: 'v1', time, fieldsType: 'FieldsV1', fieldsV1: { 'f:metadata': { 'f:labels': {} }, 'f:spec': {} } },
  { manager: 'kubelet', operation: 'Update', apiVersion: 'v1', time: '2026-11-20T09:30:00Z', fieldsType: 'FieldsV1', fieldsV1: { 'f:status': {} }, subresource: 'status' },
];
const meta = (name: string, namespace: string | undefined, labels: Plain = {}, more: Plain = {}): RecordedObject['metadata'] => ({
  name, ...(namespace === undefined ? {} : { namespace }), uid: `uid-${namespace ?? ''}-${name}`, resourceVersion: '4711', creationTimestamp: '2026-11-01T08:00:00Z', labels,
  annotations: { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ password: RECORDED_SECRET }) }, managedFields: managedFields('argocd-controller', '2026-11-19T08:00:00Z'), ...more,
});

interface App { readonly namespace: string; readonly name: string; readonly replicas: number; readonly labels: Plain; readonly port: number; readonly portName: string; readonly owner?: 'StatefulSet' | 'DaemonSet' | 'Job' }

const SHOP: readonly App[] = [
  ['front-end', 30, 8080, 'http'], ['catalogue', 4, 8080, 'http'], ['carts', 4, 8080, 'http'], ['orders', 4, 8080, 'http'], ['payment', 3, 8443, 'https'],
].map(([name, replicas, port, portName]) => ({ namespace: 'shop', name: String(name), replicas: Number(replicas), labels: { name: String(name), tier: 'app' }, port: Number(port), portName: String(portName) }));
const DATABASES: readonly App[] = ['carts', 'orders', 'catalogue'].map((name) => ({ namespace: 'shop', name: `${name}-db`, replicas: 3, labels: { name: `${name}-db`, tier: 'db' }, port: 27017, portName: 'mongo', owner: 'StatefulSet' }));
const PLATFORM: readonly App[] = [
  { namespace: 'kube-system', name: 'coredns', replicas: 3, labels: { 'k8s-app': 'kube-dns' }, port: 53, portName: 'dns' },
  { namespace: 'kube-system', name: 'agent', replicas: NODES, labels: { 'k8s-app': 'agent' }, port: 9100, portName: 'metrics', owner: 'DaemonSet' },
  { namespace: 'monitoring', name: 'prometheus', replicas: 2, labels: { 'app.kubernetes.io/name': 'prometheus' }, port: 9090, portName: 'web', owner: 'StatefulSet' },
  { namespace: 'ingress', name: 'gateway', replicas: 5, labels: { app: 'gateway' }, port: 8443, portName: 'https' },
  { namespace: 'shop', name: 'nightly', replicas: 12, labels: { name: 'nightly' }, port: 8080, portName: 'http', owner: 'Job' },
];
const TEAM_APPS: readonly App[] = range(TEAMS, (team) => ['web', 'api', 'worker', 'cache', 'db'].map((name, at): App => ({ namespace: `team-${team}`, name, replicas: at === 1 ? 12 : 10, labels: { app: name, team: `t${team}` }, port: 8000 + at, portName: name }))).flat();
const APPS: readonly App[] = [...SHOP, ...DATABASES, ...PLATFORM, ...TEAM_APPS];

const podOf = (app: App, index: number, at: number): RecordedObject => {
  const { namespace, name, labels, port, portName, owner } = app;
  const hash = 'abcdef'.slice(0, 3 + (name.length % 3)) + String(namespace.length);
  const node = owner === 'DaemonSet' ? index : at % NODES;
  const hostNetwork = owner === 'DaemonSet';
  const finished = owner === 'Job';
  /* A finished pod keeps the address that it had; the first application has it now. */
  const address = hostNetwork ? nodeAddress(node) : `10.244.${finished ? index % NODES : node}.${10 + Math.floor((finished ? index : at) / NODES)}`;
  const reference = owner === undefined ? { kind: 'ReplicaSet', name: `${name}-${hash}` } : { kind: owner, name };
  return {
    metadata: meta(owner === 'StatefulSet' ? `${name}-${index}` : `${name}-${owner === undefined ? `${hash}-` : ''}${String(index).padStart(3, '0')}`, namespace, { ...labels, ...(owner === undefined ? { 'pod-template-hash': hash } : {}) }, {
      ownerReferences: [{ apiVersion: 'apps/v1', ...reference, uid: `uid-${name}`, controller: true, blockOwnerDeletion: true }],
    }),
    spec: {
      nodeName: nodeName(node), serviceAccountName: name, ...(hostNetwork ? { hostNetwork } : {}), restartPolicy: 'Always', terminationGracePeriodSeconds: 30,
      containers: [{ name, image: `registry.internal/${name}:1.${index}`, command: ['/bin/serve', '--token', RECORDED_SECRET], env: [{ name: 'PASSWORD', value: RECORDED_SECRET }], ports: [{ name: portName, containerPort: port, protocol: 'TCP' }], resources: { limits: { memory: '64Mi' } } },
        { name: 'sidecar', image: 'registry.internal/sidecar:2', env: [{ name: 'KEY', valueFrom: { secretKeyRef: { name: RECORDED_SECRET, key: 'k' } } }] }],
      volumes: [{ name: 'token', secret: { secretName: RECORDED_SECRET } }],
    },
    status: { phase: finished ? 'Succeeded' : 'Running', podIP: address, podIPs: [{ ip: address }], hostIP: nodeAddress(node), conditions: [{ type: 'Ready', status: finished ? 'False' : 'True' }], containerStatuses: [{ name, imageID: RECORDED_SECRET }] },
  };
};

const PODS: readonly RecordedObject[] = (() => { let at = 0; return APPS.flatMap((app) => range(app.replicas, (index) => { const pod = podOf(app, index, at); at += app.owner === 'Job' || app.owner === 'DaemonSet' ? 0 : 1; return pod; })); })();

const SERVED = APPS.filter(({ owner }) => owner !== 'Job' && owner !== 'DaemonSet');
const SERVICES: readonly RecordedObject[] = [
  { metadata: meta('kubernetes', 'default', { component: 'apiserver' }), spec: { type: 'ClusterIP', clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1'], ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }] }, status: { loadBalancer: {} } },
  ...SERVED.map((app, index): RecordedObject => ({
    metadata: meta(app.name, app.namespace, { app: app.name }),
    spec: { type: 'ClusterIP', clusterIP: `10.96.1.${index + 1}`, clusterIPs: [`10.96.1.${index + 1}`], selector: app.labels, ports: [{ name: app.portName, port: app.portName === 'dns' ? 53 : app.port === 27017 ? 27017 : 80, protocol: 'TCP', targetPort: app.portName }], sessionAffinity: 'None', ipFamilies: ['IPv4'] },
    status: { loadBalancer: {} },
  })),
];
const podsOf = (app: App): readonly RecordedObject[] => PODS.filter(({ metadata }) => metadata.namespace === app.namespace && metadata.name.startsWith(`${app.name}-`) && Object.entries(app.labels).every(([key, value]) => (metadata['labels'] as Plain)[key] === value)); // `meta` made the labels
const SLICES: readonly RecordedObject[] = [
  { metadata: meta('kubernetes', 'default', { 'kubernetes.io/service-name': 'kubernetes' }), addressType: 'IPv4', ports: [{ name: 'https', port: 6443, protocol: 'TCP' }], endpoints: [{ addresses: ['10.0.9.9'], conditions: { ready: true } }] },
  ...SERVED.map((app): RecordedObject => ({
    metadata: meta(`${app.name}-x7k2p`, app.namespace, { 'kubernetes.io/service-name': app.name, 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' }),
    addressType: 'IPv4', ports: [{ name: app.portName, port: app.port, protocol: 'TCP' }],
    endpoints: podsOf(app).map((pod) => ({ addresses: [(pod['status'] as { readonly podIP: string }).podIP], conditions: { ready: true, serving: true, terminating: false }, nodeName: (pod['spec'] as { readonly nodeName: string }).nodeName, targetRef: { kind: 'Pod', namespace: app.namespace, name: pod.metadata.name, uid: 'x' } })), // `podOf` made them
  })),
];

const NAMESPACES: readonly RecordedObject[] = ['default', 'ingress', 'kube-system', 'monitoring', 'shop', ...range(TEAMS, (team) => `team-${team}`)]
  .map((name) => ({ metadata: meta(name, undefined, { 'kubernetes.io/metadata.name': name, ...(name.startsWith('team-') ? { kind: 'team' } : {}) }), spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }));
const NODE_OBJECTS: readonly RecordedObject[] = range(NODES, (index) => ({
  metadata: meta(nodeName(index), undefined, { 'kubernetes.io/hostname': nodeName(index), 'kubernetes.io/os': 'linux', 'topology.kubernetes.io/zone': `z${index % 3}` }),
  spec: { podCIDR: `10.244.${index}.0/24`, providerID: RECORDED_SECRET }, status: { addresses: [{ type: 'InternalIP', address: nodeAddress(index) }, { type: 'Hostname', address: nodeName(index) }], nodeInfo: { kernelVersion: '6.12' }, images: [{ names: [RECORDED_SECRET] }] },
}));

const NETWORK_POLICIES: readonly RecordedObject[] = [
  { metadata: meta('carts-db-access', 'shop'), spec: { podSelector: { matchLabels: { name: 'carts-db' } }, policyTypes: ['Ingress'], ingress: [{ from: [{ podSelector: { matchLabels: { name: 'cart' } } }], ports: [{ port: 'mongo', protocol: 'TCP' }] }] } },
  { metadata: meta('orders-db-access', 'shop'), spec: { podSelector: { matchLabels: { name: 'orders-db' } }, policyTypes: ['Ingress'], ingress: [{ from: [{ podSelector: { matchLabels: { name: 'orders' } } }, { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }], ports: [{ port: 27017, protocol: 'TCP' }] }] } },
  { metadata: meta('front-end-access', 'shop'), spec: { podSelector: { matchLabels: { name: 'front-end' } }, policyTypes: ['Ingress'], ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'ingress' } }, podSelector: { matchLabels: { app: 'gateway' } } }], ports: [{ port: 'http' }] }] } },
  ...range(TEAMS, (team): readonly RecordedObject[] => [
    { metadata: meta('default-deny', `team-${team}`), spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] } },
    { metadata: meta('within', `team-${team}`), spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'], ingress: [{ from: [{ podSelector: {} }] }], egress: [{ to: [{ podSelector: {} }] }, { to: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } }, podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } } }], ports: [{ port: 53, protocol: 'UDP' }, { port: 53, protocol: 'TCP' }] }] } },
    { metadata: meta('web-from-ingress', `team-${team}`), spec: { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'], ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'ingress' } } }], ports: [{ port: 8000 }] }] } },
  ]).flat(),
];

const resource = (apiVersion: string, kind: string, plural: string, namespaced: boolean, items: readonly RecordedObject[]): Resource => ({ apiVersion, kind, plural, namespaced, items });
const CORE: readonly Resource[] = [
  resource('v1', 'Namespace', 'namespaces', false, NAMESPACES), resource('v1', 'Node', 'nodes', false, NODE_OBJECTS), resource('v1', 'Pod', 'pods', true, PODS), resource('v1', 'Service', 'services', true, SERVICES),
  resource('v1', 'Secret', 'secrets', true, [{ metadata: meta('token', 'shop'), data: { token: RECORDED_SECRET } }]), resource('v1', 'ConfigMap', 'configmaps', true, [{ metadata: meta('settings', 'shop'), data: { password: RECORDED_SECRET } }]),
  resource('discovery.k8s.io/v1', 'EndpointSlice', 'endpointslices', true, SLICES), resource('networking.k8s.io/v1', 'NetworkPolicy', 'networkpolicies', true, NETWORK_POLICIES),
];

const CILIUM: readonly Resource[] = [
  resource('cilium.io/v2', 'CiliumNetworkPolicy', 'ciliumnetworkpolicies', true, [
    { metadata: meta('payment', 'shop'), spec: { endpointSelector: { matchLabels: { name: 'payment' } }, ingress: [{ fromEndpoints: [{ matchLabels: { name: 'orders' } }], toPorts: [{ ports: [{ port: 'https', protocol: 'TCP' }] }] }], egress: [{ toCIDRSet: [{ cidrGroupRef: 'banks' }], toPorts: [{ ports: [{ port: '443' }] }] }] }, status: { conditions: [{ type: 'Valid', status: 'True' }] } },
  ]),
  resource('cilium.io/v2', 'CiliumClusterwideNetworkPolicy', 'ciliumclusterwidenetworkpolicies', false, [
    { metadata: meta('no-metadata-service', undefined), spec: { endpointSelector: {}, egressDeny: [{ toCIDR: ['169.254.169.254/32'] }], enableDefaultDeny: { ingress: false, egress: false } } },
  ]),
  resource('cilium.io/v2alpha1', 'CiliumCIDRGroup', 'ciliumcidrgroups', false, [{ metadata: meta('banks', undefined, { owner: 'payments' }), spec: { externalCIDRs: ['192.0.2.0/24', '198.51.100.7/32'] } }]),
  resource('cilium.io/v2', 'CiliumLocalRedirectPolicy', 'ciliumlocalredirectpolicies', true, []), resource('cilium.io/v2', 'CiliumEgressGatewayPolicy', 'ciliumegressgatewaypolicies', false, []),
  resource('cilium.io/v2', 'CiliumEndpoint', 'ciliumendpoints', true, []), resource('cilium.io/v2', 'CiliumBGPClusterConfig', 'ciliumbgpclusterconfigs', false, []),
];

const CALICO_ITEMS: readonly (readonly [string, string, boolean, readonly RecordedObject[]])[] = [
  ['NetworkPolicy', 'networkpolicies', true, [{ metadata: meta('carts-db-access', 'shop'), spec: { tier: 'default', selector: "name == 'carts-db'", types: ['Ingress'], ingress: [{ action: 'Allow' }] } }]],
  ['GlobalNetworkPolicy', 'globalnetworkpolicies', false, [{ metadata: meta('platform.deny-metadata', undefined), spec: { tier: 'platform', selector: 'all()', types: ['Egress'], egress: [{ action: 'Deny', destination: { nets: ['169.254.169.254/32'] } }] } }, { metadata: meta('platform.allow-dns', undefined), spec: { tier: 'platform' } }]],
  ['StagedNetworkPolicy', 'stagednetworkpolicies', true, [{ metadata: meta('draft', 'shop'), spec: {} }]],
  ['GlobalNetworkSet', 'globalnetworksets', false, [{ metadata: meta('banks', undefined), spec: { nets: ['192.0.2.0/24'] } }]],
  ['Tier', 'tiers', false, [{ metadata: meta('platform', undefined), spec: { order: 100 } }, { metadata: meta('default', undefined), spec: {} }]],
  ['IPPool', 'ippools', false, [{ metadata: meta('default-ipv4', undefined), spec: { cidr: '10.244.0.0/16' } }]],
];
const calico = (apiVersion: string): readonly Resource[] => CALICO_ITEMS.map(([kind, plural, namespaced, items]) => resource(apiVersion, kind, plural, namespaced, items));

const ADMIN: readonly Resource[] = [
  resource('policy.networking.k8s.io/v1alpha1', 'AdminNetworkPolicy', 'adminnetworkpolicies', false, [{ metadata: meta('pass-monitoring', undefined), spec: {} }]),
  resource('policy.networking.k8s.io/v1alpha1', 'BaselineAdminNetworkPolicy', 'baselineadminnetworkpolicies', false, []),
];

/** The IPv6 twin of an address: its last two numbers in a network of its own. */
const twin = (address: string): string => { const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number]; return `fd00:${a}:${b}::${c.toString(16)}:${d.toString(16)}`; }; // an IPv4 address has four
const part = (object: RecordedObject, name: string): Plain => object[name] as Plain; // a part that every object of its kind has here

/** Every address has its twin: dual stack. */
const withTwins = (resource: Resource): Resource => {
  const withItems = (change: (item: RecordedObject) => readonly RecordedObject[]): Resource => ({ ...resource, items: resource.items.flatMap(change) });
  switch (resource.kind) {
    case 'Node': return withItems((node) => { const addresses = part(node, 'status')['addresses'] as readonly { readonly type: string; readonly address: string }[]; return [{ ...node, status: { addresses: [...addresses, { type: 'InternalIP', address: twin(addresses[0]!.address) }] } }]; }); // the first is the InternalIP
    case 'Pod': return withItems((pod) => { const { podIP, ...status } = part(pod, 'status') as Plain & { readonly podIP: string }; return [{ ...pod, status: { ...status, podIP, podIPs: [{ ip: podIP }, { ip: twin(podIP) }] } }]; }); // every pod has one
    case 'Service': return withItems((service) => { const spec = part(service, 'spec') as Plain & { readonly clusterIP: string }; return [{ ...service, spec: { ...spec, clusterIPs: [spec.clusterIP, twin(spec.clusterIP)], ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'PreferDualStack' } }]; }); // every Service has one
    case 'EndpointSlice': return withItems((slice) => [slice, {
      ...slice, metadata: { ...slice.metadata, name: `${slice.metadata.name}6` }, addressType: 'IPv6',
      endpoints: (slice['endpoints'] as readonly (Plain & { readonly addresses: readonly [string] })[]).map((endpoint) => ({ ...endpoint, addresses: endpoint.addresses.map(twin) })), // each has one
    }]);
    default: return resource;
  }
};

/** What the API server of a cluster with this network serves. */
export const recordedCluster = (network: 'plain' | 'dual-stack' | 'cilium' | 'calico' | 'calico-crds'): readonly Resource[] => {
  switch (network) {
    case 'plain': return CORE;
    case 'dual-stack': return CORE.map(withTwins);
    case 'cilium': return [...CORE, ...CILIUM];
    case 'calico': return [...CORE, ...ADMIN, ...calico('projectcalico.org/v3'), ...calico('crd.projectcalico.org/v1')];
    case 'calico-crds': return [...CORE, ...calico('crd.projectcalico.org/v1')];
  }
};
