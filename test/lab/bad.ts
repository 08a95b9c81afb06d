/** Bad manifests and CNI requests, each with what the refusal must name. */

export interface BadManifest { readonly name: string; readonly manifest: string; readonly object: string; readonly message: string }

const policy = (name: string, spec: string): string => `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ${name}, namespace: shop}\nspec: ${spec}\n`;
const PORT = 'a number from 1 to 65535';

const bad = (name: string, title: string, spec: string, message: string): BadManifest => ({ name: title, manifest: policy(name, spec), object: `NetworkPolicy shop/${name}`, message });

const service = (name: string, title: string, spec: string, message: string, annotations = ''): BadManifest => ({
  name: title, object: `Service shop/${name}`, message, manifest: `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop${annotations === '' ? '' : `, annotations: {${annotations}}`}}\nspec: ${spec}\n`,
});
const slice = (name: string, title: string, members: string, message: string): BadManifest => ({
  name: title, object: `EndpointSlice shop/${name}`, message, manifest: `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: ${name}}}\naddressType: IPv4\n${members}\n`,
});

const BAD_SERVICES: readonly BadManifest[] = [
  service('port', 'a Service with a port that is none', '{ports: [{port: 70000}]}', `spec.ports[0].port: 70000: expected ${PORT}`),
  service('target', 'a Service with a target port that is none', '{ports: [{port: 80, targetPort: HTTP}]}', 'spec.ports[0].targetPort: "HTTP": expected a number from 1 to 65535 or a port name'),
  service('nodeport', 'a Service with one node port twice', '{type: NodePort, ports: [{name: a, port: 80, nodePort: 30990}, {name: b, port: 81, nodePort: 30990}]}', 'spec.ports[1].nodePort: 30990: expected a node port that no other entry of TCP has'),
  service('portless', 'a Service with an address and no port', '{clusterIP: 10.96.200.2}', 'spec.ports: []: expected at least one port'),
  service('own', 'an external address that is every machine\'s own', '{externalIPs: [127.0.0.1], ports: [{port: 80}]}', 'spec.externalIPs[0]: "127.0.0.1": expected an address of one other machine'),
  service('ranges', 'a source range that is none', '{type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/33], ports: [{port: 80}]}', 'spec.loadBalancerSourceRanges[0]: "10.0.0.0/33": expected a CIDR'),
  service('unranged', 'source ranges that would be passed over', '{loadBalancerSourceRanges: [10.0.0.0/8], ports: [{port: 80}]}', 'spec.loadBalancerSourceRanges: ["10.0.0.0/8"]: expected none: spec.type is ClusterIP'),
  service('affinity', 'an affinity of more than a day', '{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 100000}}, ports: [{port: 80}]}', 'spec.sessionAffinityConfig.clientIP.timeoutSeconds: 100000: expected a number of seconds from 1 to 86400'),
  service('health', 'a health check that nobody asks', '{type: NodePort, healthCheckNodePort: 31990, ports: [{port: 80}]}', 'spec.healthCheckNodePort: 31990: expected none'),
  service('balancing', 'a way of balancing that is none', '{ports: [{port: 80}]}', 'metadata.annotations.seine.network/load-balancing: "fastest": expected one of random, maglev', 'seine.network/load-balancing: fastest'),
  service('spelling', 'an annotation that is spelled wrong', '{ports: [{port: 80}]}', 'metadata.annotations.seine.network/load-balacing: "maglev": expected no such field; did you mean seine.network/load-balancing?', 'seine.network/load-balacing: maglev'),
  service('denying', 'source ranges that are meant the other way round', '{type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8], ports: [{port: 80}]}', 'metadata.annotations.service.cilium.io/src-ranges-policy: "deny": expected one of allow', 'service.cilium.io/src-ranges-policy: deny'),
  ...['127.0.0.1', '169.254.169.254', '224.0.0.1'].map((address, index) => slice(`special-${index}`, `an endpoint at ${address}`, `endpoints: [{addresses: [${address}]}]\nports: [{port: 80}]`, `endpoints[0].addresses[0]: "${address}": expected an address of one other machine`)),
  slice('unnamed', 'an EndpointSlice with two ports of one name', 'endpoints: [{addresses: [10.244.1.9]}]\nports: [{port: 80}, {port: 81}]', 'ports[1].name: "": expected a name that no other port has'),
  slice('hints', 'a hint for nobody', 'endpoints: [{addresses: [10.244.1.9], hints: {forZones: [{}]}}]\nports: [{port: 80}]', 'endpoints[0].hints.forZones[0].name: nothing: expected the name of a zone'),
  slice('worded', 'an endpoint that is ready in words', 'endpoints: [{addresses: [10.244.1.9], conditions: {ready: "false"}}]\nports: [{port: 80}]', 'endpoints[0].conditions.ready: "false": expected true or false'),
];

export const BAD_MANIFESTS: readonly BadManifest[] = [
  bad('port-high', 'a port above 65535', '{podSelector: {}, ingress: [{ports: [{port: 70000}]}]}', `spec.ingress[0].ports[0].port: 70000: expected ${PORT}`),
  bad('port-zero', 'port 0', '{podSelector: {}, ingress: [{ports: [{port: 0}]}]}', `spec.ingress[0].ports[0].port: 0: expected ${PORT}`),
  bad('port-name', 'a port name with capitals', '{podSelector: {}, ingress: [{ports: [{port: HTTP}]}]}', 'spec.ingress[0].ports[0].port: "HTTP": expected'),
  bad('end-low', 'an endPort below its port', '{podSelector: {}, ingress: [{ports: [{port: 90, endPort: 80}]}]}', 'spec.ingress[0].ports[0].endPort: 80: expected a number from port (90) to 65535'),
  bad('end-named', 'an endPort beside a name', '{podSelector: {}, ingress: [{ports: [{port: http, endPort: 80}]}]}', 'spec.ingress[0].ports[0].endPort: 80: expected no endPort beside a named port'),
  bad('end-alone', 'an endPort without a port', '{podSelector: {}, egress: [{ports: [{endPort: 80}]}]}', 'spec.egress[0].ports[0].endPort: 80: expected no endPort without a port'),
  bad('protocol', 'a protocol that is none', '{podSelector: {}, ingress: [{ports: [{protocol: HTTP, port: 80}]}]}', 'spec.ingress[0].ports[0].protocol: "HTTP": expected one of TCP, UDP, SCTP'),
  bad('cidr', 'a CIDR that is none', '{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]}', 'spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.0/33": expected a CIDR'),
  bad('cidr-bare', 'an address where a CIDR is wanted', '{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.1}}]}]}', 'spec.ingress[0].from[0].ipBlock.cidr: "10.0.0.1": expected a CIDR'),
  bad('except-outside', 'an except outside its block', '{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}', 'ipBlock.except[0]: "11.0.0.0/16": expected a CIDR strictly inside 10.0.0.0/8'),
  bad('peer-both', 'an ipBlock beside a selector', '{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]}', 'expected ipBlock alone'),
  bad('peer-none', 'a peer that says nothing', '{podSelector: {}, ingress: [{from: [{}]}]}', 'spec.ingress[0].from[0]: {}: expected at least one of podSelector, namespaceSelector, ipBlock'),
  bad('operator', 'an operator that is none', '{podSelector: {matchExpressions: [{key: a, operator: Equals, values: [b]}]}}', 'spec.podSelector.matchExpressions[0].operator: "Equals": expected one of In, NotIn, Exists, DoesNotExist'),
  bad('in-empty', 'In without values', '{podSelector: {matchExpressions: [{key: a, operator: In}]}}', 'spec.podSelector.matchExpressions[0].values: []: expected at least one value with In'),
  bad('exists-values', 'Exists with values', '{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}', 'spec.podSelector.matchExpressions[0].values: ["b"]: expected no values with Exists'),
  bad('label-key', 'a label key with a blank', '{podSelector: {matchLabels: {"a b": c}}}', 'spec.podSelector.matchLabels.a b: "a b": expected a label key'),
  bad('label-value', 'a label value that is a number', '{podSelector: {matchLabels: {a: 1}}}', 'spec.podSelector.matchLabels.a: 1: expected a label value'),
  bad('type', 'a policy type that is none', '{podSelector: {}, policyTypes: [ingress]}', 'spec.policyTypes[0]: "ingress": expected one of Ingress, Egress'),
  bad('typo', 'a member with a typing error', '{podSelector: {}, ingres: [{}]}', 'spec.ingres: [{}]: expected no such field; did you mean ingress?'),
  bad('list', 'an object where a list is wanted', '{podSelector: {}, ingress: {from: []}}', 'spec.ingress: {"from":[]}: expected a list'),
  { name: 'a pod with a port that is none', object: 'Pod shop/bad-pod', message: `spec.containers[0].ports[0].containerPort: 99999: expected ${PORT}`, manifest: 'apiVersion: v1\nkind: Pod\nmetadata: {name: bad-pod, namespace: shop}\nspec: {containers: [{name: a, ports: [{containerPort: 99999}]}]}\n' },
  { name: 'a Service whose addresses are not of the families that it names', object: 'Service shop/six', message: 'spec.clusterIPs[0]: "10.96.200.1": expected an IPv6 address, as spec.ipFamilies[0] says', manifest: 'apiVersion: v1\nkind: Service\nmetadata: {name: six, namespace: shop}\nspec: {clusterIP: 10.96.200.1, ipFamilies: [IPv6], ports: [{port: 80}]}\n' },
  { name: 'an EndpointSlice with an address of the other family', object: 'EndpointSlice shop/mixed', message: 'endpoints[0].addresses[0]: "10.244.1.9": expected an IPv6 address, as addressType says', manifest: 'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: mixed, namespace: shop, labels: {kubernetes.io/service-name: mixed}}\naddressType: IPv6\nendpoints: [{addresses: [10.244.1.9]}]\nports: [{port: 80}]\n' },
  { name: 'a pod with two addresses of one family', object: 'Pod shop/twins', message: 'status.podIPs[1].ip: "fd00::2": expected no second IPv6 address', manifest: 'apiVersion: v1\nkind: Pod\nmetadata: {name: twins, namespace: shop}\nspec: {containers: [{name: a}]}\nstatus: {podIPs: [{ip: "fd00::1"}, {ip: "fd00::2"}]}\n' },
  { name: 'a Service with the same port twice', object: 'Service shop/twice', message: 'spec.ports[1]: "80/TCP": expected a port and protocol that no other entry has', manifest: 'apiVersion: v1\nkind: Service\nmetadata: {name: twice, namespace: shop}\nspec: {ports: [{port: 80}, {port: 80}]}\n' },
  ...BAD_SERVICES,
  { name: 'a kind that is not supported', object: 'CiliumEgressGatewayPolicy later', message: 'kind: CiliumEgressGatewayPolicy of cilium.io/v2 is not supported', manifest: 'apiVersion: cilium.io/v2\nkind: CiliumEgressGatewayPolicy\nmetadata: {name: later}\nspec: {selectors: []}\n' },
  { name: 'a Cilium policy with a rule that was taken out of the API', object: 'CiliumNetworkPolicy shop/requires', message: 'spec.ingress[0].fromRequires', manifest: 'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: requires, namespace: shop}\nspec: {endpointSelector: {}, ingress: [{fromRequires: [{}]}]}\n' },
  { name: 'a cluster policy of no tier', object: 'ClusterNetworkPolicy tierless', message: 'spec.tier: "Middle": expected', manifest: 'apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: tierless}\nspec: {tier: Middle, priority: 1, subject: {namespaces: {}}}\n' },
];

export interface RefusedInPart { readonly name: string; readonly spec: string; readonly message: string; /** What of it is served all the same. */ readonly served: string }

/** Services that ask for what is another's, beside what they may have. The first holds what others ask for. */
export const SERVICES_IN_PART: Readonly<Record<string, RefusedInPart>> = {
  twin: { name: 'another Service\'s ClusterIP and port', spec: '{clusterIP: 10.96.200.60, selector: {app: server}, ports: [{name: a, port: 80}, {name: b, port: 81, targetPort: 80}]}', message: 'spec.ports[0]: 10.96.200.60/80/TCP: expected a frontend that Service bad/first does not have', served: '10.96.200.60:81' },
  thief: { name: 'a node\'s own address', spec: '{clusterIP: 10.96.200.61, externalIPs: [192.168.50.1], selector: {app: server}, ports: [{port: 80}]}', message: 'spec.externalIPs[0]: 192.168.50.1: expected an address that node n1 does not have: its traffic would be another\'s', served: '10.96.200.61:80' },
  neighbour: { name: 'another Service\'s address', spec: '{clusterIP: 10.96.200.62, externalIPs: [10.96.200.60], selector: {app: server}, ports: [{port: 8080, targetPort: 80}]}', message: 'spec.externalIPs[0]: 10.96.200.60: expected an address that Service bad/first does not have', served: '10.96.200.62:8080' },
  stranger: { name: 'an address of a family that it does not have', spec: '{clusterIP: 10.96.200.63, externalIPs: ["2001:db8::7"], selector: {app: server}, ports: [{port: 80}]}', message: 'spec.externalIPs[0]: 2001:db8::7: expected an IPv4 address: the Service has no IPv6 one', served: '10.96.200.63:80' },
  high: { name: 'a node port that sources are translated to', spec: '{type: NodePort, clusterIP: 10.96.200.64, selector: {app: server}, ports: [{port: 80, nodePort: 61500}]}', message: 'spec.ports[0].nodePort: 61500: expected a port below 61000', served: '10.96.200.64:80' },
  checked: { name: 'a health check at another\'s node port', spec: '{type: LoadBalancer, externalTrafficPolicy: Local, healthCheckNodePort: 30960, clusterIP: 10.96.200.65, selector: {app: server}, ports: [{port: 80}]}', message: 'spec.healthCheckNodePort: 30960: expected a port of the nodes that Service bad/first does not have', served: '10.96.200.65:80' },
};
const partly = (name: string, spec: string): string => `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: bad}\nspec: ${spec}\n`;
export const IN_PART = `${['server', 'client'].map((name) => `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: bad, labels: {app: ${name}}}\nspec: {containers: [{name: a, ports: [{containerPort: 80}]}]}\n`).join('')}${
  partly('first', '{type: NodePort, clusterIP: 10.96.200.60, selector: {app: server}, ports: [{port: 80, nodePort: 30960}]}')}${Object.entries(SERVICES_IN_PART).map(([name, { spec }]) => partly(name, spec)).join('')}`;

/** Faults of the manifest itself: found before anything is sent to the lab. */
export const BAD_TEXTS: readonly BadManifest[] = [
  { name: 'an object without a name', object: 'NetworkPolicy shop/unnamed', message: 'metadata.name: nothing: expected a DNS name', manifest: 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: shop}\nspec: {podSelector: {}}\n' },
  { name: 'a namespace that climbs', object: 'NetworkPolicy', message: 'metadata.namespace: "../etc": expected a DNS label', manifest: 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a, namespace: ../etc}\nspec: {podSelector: {}}\n' },
  { name: 'YAML that is none', object: 'manifest', message: 'bad.yaml:', manifest: 'apiVersion: v1\n  kind: [\n' },
];

export interface BadRequest { readonly name: string; readonly env: Readonly<Record<string, string>>; readonly stdin?: string; readonly code: number; readonly message: string }

const GOOD = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/none', CNI_IFNAME: 'eth0', CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=p;K8S_POD_UID=u' } as const;

export const BAD_REQUESTS: readonly BadRequest[] = [
  { name: 'a command that is none', env: { ...GOOD, CNI_COMMAND: 'PATCH' }, code: 4, message: 'CNI_COMMAND: \\"PATCH\\": expected one of' },
  { name: 'a container id that climbs', env: { ...GOOD, CNI_CONTAINERID: '../x' }, code: 4, message: 'CNI_CONTAINERID' },
  { name: 'an interface name that is too long', env: { ...GOOD, CNI_IFNAME: 'abcdefghijklmnop' }, code: 4, message: 'CNI_IFNAME' },
  { name: 'a namespace path that is relative', env: { ...GOOD, CNI_NETNS: 'netns' }, code: 4, message: 'CNI_NETNS' },
  { name: 'arguments that are no pairs', env: { ...GOOD, CNI_ARGS: 'nonsense' }, code: 4, message: 'CNI_ARGS' },
  { name: 'a pod name that is none', env: { ...GOOD, CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=UP*;K8S_POD_UID=u' }, code: 4, message: 'K8S_POD_NAME' },
  { name: 'two addresses of one family', env: { ...GOOD, CNI_ARGS: `${GOOD.CNI_ARGS};IP=fd00::1,fd00::2` }, code: 4, message: 'expected at most one address of each family' },
  { name: 'a configuration that is no JSON', env: GOOD, stdin: '{', code: 6, message: 'standard input' },
  { name: 'a version of the future', env: GOOD, stdin: '{"cniVersion":"9.9.9","name":"seine","type":"seine-cni"}', code: 1, message: 'cniVersion' },
];
