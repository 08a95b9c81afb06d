/** Policies that Seine does not judge: a snapshot counts and names them. */
import type { KindSource } from '@seine/kube';

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
