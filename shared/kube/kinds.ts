/** The kinds that Seine judges: where an API server has them, and what Seine keeps of each. */
import { IP_MASQ_AGENT } from '@seine/objects';

import type { Kept } from './keep.ts';

export interface KindSource {
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** The first that is served is read. */
  readonly apiVersions: readonly string[];
}
export interface JudgedKind extends KindSource {
  readonly kept: Kept;
  /** What is uncertain while the kind is unknown. */
  readonly unknown: string;
  /** Of the kind this one object only: no other may be read. */
  readonly only?: { readonly namespace: string; readonly name: string };
}

const POLICY: Kept = { mask: { spec: true, specs: true }, managers: true };
const UNKNOWN_POLICY = 'what is allowed here such a policy may deny there, and the other way round';
const PORT = { name: true, containerPort: true, protocol: true, hostPort: true, hostIP: true } as const;

/** In the order in which they stand in the file: what others refer to comes first. */
export const JUDGED_KINDS: readonly JudgedKind[] = [
  { kind: 'Namespace', plural: 'namespaces', namespaced: false, apiVersions: ['v1'], kept: { mask: {} }, unknown: 'rules that select namespaces by their labels match nobody here' },
  { kind: 'Node', plural: 'nodes', namespaced: false, apiVersions: ['v1'], kept: { mask: { spec: { taints: [{ key: true }] }, status: { addresses: [{ type: true, address: true }] } }, deletion: true }, unknown: 'which addresses are nodes is not known, and nothing can be said about rules for nodes' },
  { kind: 'CiliumCIDRGroup', plural: 'ciliumcidrgroups', namespaced: false, apiVersions: ['cilium.io/v2', 'cilium.io/v2alpha1'], kept: { mask: { spec: { externalCIDRs: true } } }, unknown: 'rules that refer to such a group match nobody here' },
  { kind: 'ClusterNetworkPolicy', plural: 'clusternetworkpolicies', namespaced: false, apiVersions: ['policy.networking.k8s.io/v1alpha2'], kept: POLICY, unknown: UNKNOWN_POLICY },
  { kind: 'CiliumClusterwideNetworkPolicy', plural: 'ciliumclusterwidenetworkpolicies', namespaced: false, apiVersions: ['cilium.io/v2'], kept: POLICY, unknown: UNKNOWN_POLICY },
  { kind: 'CiliumNetworkPolicy', plural: 'ciliumnetworkpolicies', namespaced: true, apiVersions: ['cilium.io/v2'], kept: POLICY, unknown: UNKNOWN_POLICY },
  { kind: 'NetworkPolicy', plural: 'networkpolicies', namespaced: true, apiVersions: ['networking.k8s.io/v1'], kept: POLICY, unknown: UNKNOWN_POLICY },
  {
    kind: 'Service', plural: 'services', namespaced: true, apiVersions: ['v1'], unknown: 'svc: names and rules for services cannot be answered',
    kept: {
      mask: {
        spec: {
          type: true, clusterIP: true, clusterIPs: true, externalIPs: true, externalTrafficPolicy: true, healthCheckNodePort: true, internalTrafficPolicy: true, ipFamilies: true, ipFamilyPolicy: true, loadBalancerSourceRanges: true, loadBalancerClass: true,
          publishNotReadyAddresses: true, sessionAffinity: true, sessionAffinityConfig: true, trafficDistribution: true, selector: true, ports: [{ name: true, port: true, protocol: true, targetPort: true, nodePort: true }],
        },
        status: { loadBalancer: { ingress: [{ ip: true, ipMode: true }] } },
      },
    },
  },
  {
    kind: 'Pod', plural: 'pods', namespaced: true, apiVersions: ['v1'], unknown: 'no pod is known',
    kept: {
      managers: true,
      mask: { spec: { nodeName: true, hostNetwork: true, serviceAccountName: true, containers: [{ name: true, ports: [PORT] }], initContainers: [{ name: true, restartPolicy: true, ports: [PORT] }] }, status: { phase: true, podIP: true, podIPs: [{ ip: true }] } },
    },
  },
  {
    kind: 'EndpointSlice', plural: 'endpointslices', namespaced: true, apiVersions: ['discovery.k8s.io/v1'], unknown: 'the backends of Services are guessed from their selectors',
    kept: {
      mask: {
        addressType: true, ports: [{ name: true, port: true, protocol: true }],
        endpoints: [{ addresses: true, conditions: { ready: true, serving: true, terminating: true }, nodeName: true, zone: true, hints: { forZones: [{ name: true }], forNodes: [{ name: true }] }, targetRef: { kind: true, name: true, namespace: true } }],
      },
    },
  },
];

/** Where pods keep their own addresses towards the world: one ConfigMap, whatever others hold. A snapshot has no use for it. */
export const IP_MASQ_AGENT_KIND: JudgedKind = {
  kind: IP_MASQ_AGENT.kind, plural: 'configmaps', namespaced: true, apiVersions: ['v1'], kept: { mask: { data: { config: true } } }, unknown: 'nothing is masqueraded', only: IP_MASQ_AGENT,
};

export const pathOf = (apiVersion: string, plural: string, namespace: string | undefined): string =>
  `${apiVersion.includes('/') ? '/apis' : '/api'}/${apiVersion}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}`;

/** Where all that a watcher needs of a kind is listed. */
export const watchedPath = (apiVersion: string, { plural, only }: JudgedKind): string =>
  (only === undefined ? pathOf(apiVersion, plural, undefined) : `${pathOf(apiVersion, plural, only.namespace)}?fieldSelector=${encodeURIComponent(`metadata.name=${only.name}`)}`);
