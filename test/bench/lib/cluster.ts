/** A large cluster as events: so many namespaces, each with its pods, each pod of an identity of its own, and NetworkPolicies among them. */
import type { FactEvent, SeineEvent } from '@seine/events';
import { POLICY_KINDS } from '@seine/events';
import { policyDecider } from '@seine/policy-compiler';
import { decideAll } from '@seine/events';

const TIME = '2026-03-01T12:00:00.000Z';
/** The node whose rows are made. */
export const SELF = 'n1';

export interface Size {
  readonly namespaces: number;
  readonly identities: number;
  readonly policies: number;
  /** Pods of SELF, one identity each, all in the first namespace. */
  readonly local: number;
}

export const event = <E extends SeineEvent>(type: E['type'], key: string, data: E['data']): SeineEvent => ({ type, key, time: TIME, data }) as SeineEvent; // type and data are of one event

const FIRST_IDENTITY = 256;
const NODES = 100;
const podAddress = (index: number): string => `10.${64 + (index >>> 16)}.${(index >>> 8) & 255}.${index & 255}`;
export const namespaceName = (index: number): string => `team-${index}`;
/** From here on namespaces run other applications: what is said of the first ones does not mean them. */
export const KIN = 50;
const appName = (namespace: number, index: number): string => `${namespace < KIN ? 'app' : 'far'}-${index}`;

/** One pod and all that the log says of it. */
export const podEvents = ({ index, namespace, app, node, identity = FIRST_IDENTITY + index, workload = app }: {
  readonly index: number; readonly namespace: string; readonly app: string; readonly node: string; readonly identity?: number; readonly workload?: string;
}): readonly SeineEvent[] => {
  const [key, uid, address] = [`${namespace}/${workload}-${index}`, `uid-${index}`, podAddress(index)];
  return [
    event('pod.observed.v1', key, { uid, nodeName: node, labels: { app, tier: `t${identity % 4}` }, serviceAccount: 'default', hostNetwork: false, addresses: [], phase: 'running', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }] }),
    event('identity.allocated.v1', String(identity), { identity, labels: [
      `k8s:app=${app}`, `k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=${namespace}`, 'k8s:io.cilium.k8s.policy.cluster=default', `k8s:io.kubernetes.pod.namespace=${namespace}`, `k8s:tier=t${identity % 4}`,
    ] }),
    event('podidentity.assigned.v1', key, { uid, identity }),
    event('endpoint.observed.v1', key, { uid, node, addresses: [address], endpointId: (index % 65_535) + 1, hostInterface: `sn${index.toString(16).padStart(12, '0')}`, containerId: key }),
    event('address.bound.v1', address, { identity, node, pod: key, uid }),
  ];
};

const labels = (app: string): unknown => ({ matchLabels: { app } });

/** As an API server holds it. */
export interface PolicyObject { readonly namespace: string; readonly name: string; readonly spec: unknown }

/** Who may talk to one application of a namespace: two others beside it, and one of the next namespace; every fourth also says where it may go. */
const policyObject = (index: number, size: Size): PolicyObject => {
  const namespace = index % size.namespaces;
  const perNamespace = Math.floor(size.identities / size.namespaces);
  const app = Math.floor(index / size.namespaces) % perNamespace;
  const other = (step: number): string => appName(namespace, (app + step) % perNamespace);
  return {
    namespace: namespaceName(namespace), name: `policy-${index}`,
    spec: {
      podSelector: labels(appName(namespace, app)),
      ingress: [
        { from: [{ podSelector: labels(other(1)) }, { podSelector: labels(other(2)) }], ports: [{ protocol: 'TCP', port: 8080 }, { protocol: 'TCP', port: 9000, endPort: 9010 }] },
        { from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespaceName((namespace + 1) % size.namespaces) } }, podSelector: labels(other(3)) }], ports: [{ protocol: 'TCP', port: 8443 }] },
      ],
      ...(index % 4 === 0 ? { egress: [{ to: [{ ipBlock: { cidr: `203.0.${index % 200}.0/24` } }, { podSelector: labels(other(4)) }] }] } : {}),
    },
  };
};

export const policyFact = ({ namespace, name, spec }: PolicyObject): FactEvent => event('networkpolicy.observed.v1', `${namespace}/${name}`, { uid: name, spec }) as FactEvent; // a fact by its type

/** What the policy-compiler makes of such objects. */
export const compiled = (objects: readonly PolicyObject[]): readonly SeineEvent[] => {
  const decider = policyDecider();
  return decideAll(decider, decider.initialState(), objects.map(policyFact));
};

export const policyObjects = (size: Size): readonly PolicyObject[] => Array.from({ length: size.policies }, (_, index) => policyObject(index, size));

export const nodeEvents = (): readonly SeineEvent[] => [
  ...POLICY_KINDS.map((kind) => event('policykind.compiled.v1', kind, { kind })),
  ...Array.from({ length: NODES }, (_, index) => event('node.observed.v1', `n${index + 1}`, { uid: `n${index + 1}`, labels: { zone: `z${index % 3}` }, addresses: [`192.168.${index >>> 8}.${(index & 255) + 1}`] })),
];

/** Everything but the policies. */
export const clusterEvents = (size: Size): readonly SeineEvent[] => {
  const perNamespace = Math.floor(size.identities / size.namespaces);
  return [...nodeEvents(), ...Array.from({ length: size.identities }, (_, index) => {
    const namespace = Math.floor(index / perNamespace) % size.namespaces;
    return podEvents({ index, namespace: namespaceName(namespace), app: appName(namespace, index % perNamespace), node: index < size.local ? SELF : `n${2 + (index % (NODES - 1))}` });
  }).flat()];
};
