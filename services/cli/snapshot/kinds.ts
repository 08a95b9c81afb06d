/** The kinds that a snapshot asks for: those that Seine judges, with what it keeps of each, and those that it only counts and names. */
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
}

const POLICY: Kept = { mask: { spec: true, specs: true }, managers: true };
const UNKNOWN_POLICY = 'what is allowed here such a policy may deny there, and the other way round';
const PORT = { name: true, containerPort: true, protocol: true, hostPort: true } as const;

/** In the order in which they stand in the file: what others refer to comes first. */
export const JUDGED_KINDS: readonly JudgedKind[] = [
  { kind: 'Namespace', plural: 'namespaces', namespaced: false, apiVersions: ['v1'], kept: { mask: {} }, unknown: 'rules that select namespaces by their labels match nobody here' },
  { kind: 'Node', plural: 'nodes', namespaced: false, apiVersions: ['v1'], kept: { mask: { status: { addresses: [{ type: true, address: true }] } } }, unknown: 'which addresses are nodes is not known, and nothing can be said about rules for nodes' },
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
          type: true, clusterIP: true, clusterIPs: true, externalIPs: true, externalTrafficPolicy: true, internalTrafficPolicy: true, ipFamilies: true, loadBalancerSourceRanges: true, loadBalancerClass: true,
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
      mask: { spec: { nodeName: true, hostNetwork: true, serviceAccountName: true, containers: [{ name: true, ports: [PORT] }] }, status: { phase: true, podIP: true, podIPs: [{ ip: true }] } },
    },
  },
  {
    kind: 'EndpointSlice', plural: 'endpointslices', namespaced: true, apiVersions: ['discovery.k8s.io/v1'], unknown: 'the backends of Services are guessed from their selectors',
    kept: {
      mask: {
        addressType: true, ports: [{ name: true, port: true, protocol: true }],
        endpoints: [{ addresses: true, conditions: { ready: true, serving: true, terminating: true }, nodeName: true, zone: true, targetRef: { kind: true, name: true, namespace: true } }],
      },
    },
  },
];

export interface UnjudgedKind extends KindSource {
  /** It may change a verdict; the others are staged, or only referred to by those that do. */
  readonly decides: boolean;
}

/** Newer Calico serves its kinds itself; older ones are read where they are stored. */
const CALICO = ['projectcalico.org/v3', 'crd.projectcalico.org/v1'];
const calico = (kind: string, plural: string, namespaced: boolean, decides: boolean): UnjudgedKind => ({ kind, plural, namespaced, apiVersions: CALICO, decides });

export const UNJUDGED_KINDS: readonly UnjudgedKind[] = [
  { kind: 'AdminNetworkPolicy', plural: 'adminnetworkpolicies', namespaced: false, apiVersions: ['policy.networking.k8s.io/v1alpha1'], decides: true },
  { kind: 'BaselineAdminNetworkPolicy', plural: 'baselineadminnetworkpolicies', namespaced: false, apiVersions: ['policy.networking.k8s.io/v1alpha1'], decides: true },
  { kind: 'CiliumEgressGatewayPolicy', plural: 'ciliumegressgatewaypolicies', namespaced: false, apiVersions: ['cilium.io/v2'], decides: false },
  { kind: 'CiliumLocalRedirectPolicy', plural: 'ciliumlocalredirectpolicies', namespaced: true, apiVersions: ['cilium.io/v2'], decides: true },
  calico('GlobalNetworkPolicy', 'globalnetworkpolicies', false, true),
  calico('NetworkPolicy', 'networkpolicies', true, true),
  calico('HostEndpoint', 'hostendpoints', false, true),
  calico('GlobalNetworkSet', 'globalnetworksets', false, false),
  calico('NetworkSet', 'networksets', true, false),
  calico('StagedGlobalNetworkPolicy', 'stagedglobalnetworkpolicies', false, false),
  calico('StagedKubernetesNetworkPolicy', 'stagedkubernetesnetworkpolicies', true, false),
  calico('StagedNetworkPolicy', 'stagednetworkpolicies', true, false),
  calico('Tier', 'tiers', false, false),
];

/** Groups whose policies may come in kinds or versions that this table does not know: asked what they serve. */
export const POLICY_GROUPS = ['policy.networking.k8s.io', 'cilium.io', 'projectcalico.org', 'crd.projectcalico.org'] as const;
/** Resources of those groups that say who may talk to whom. */
export const isPolicyResource = (plural: string): boolean => /polic|networkset|cidrgroup|hostendpoint/.test(plural) && !/bgp|l2announcement|recommendation/.test(plural);
/** Two groups, one set of objects. */
export const familyOf = (apiVersion: string): string => { const group = apiVersion.split('/')[0]!; return group === 'crd.projectcalico.org' ? 'projectcalico.org' : group; };

export const pathOf = (apiVersion: string, plural: string, namespace: string | undefined): string =>
  `${apiVersion.includes('/') ? '/apis' : '/api'}/${apiVersion}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}`;
