/** A Kubernetes object as a manifest or a case holds it. */
import { POLICY_OBJECT_KINDS, type ObjectRef, type Refusal } from '@seine/events';

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** '' for cluster-scoped kinds; 'default' where a namespaced object names none. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly raw: Readonly<Record<string, unknown>>;
  readonly place?: { readonly file: string; readonly line: number };
  /** Lines of the members that people look for: `ingress[0].from[1]`. */
  readonly lines?: Readonly<Record<string, number>>;
}

export interface RefusedObject { readonly object: ObjectRef; readonly refusals: readonly Refusal[]; readonly source?: { readonly file: string; readonly line: number } }

export const objectKey = ({ kind, namespace, name }: ObjectRef): string => `${kind}/${namespace}/${name}`;

export const refOf = ({ kind, namespace, name }: KubeObject): ObjectRef => ({ kind, namespace, name });

/** Kinds that say what Seine cannot enforce yet: refused, never ignored. */
export const UNSUPPORTED_KINDS: ReadonlySet<string> = new Set([
  'AdminNetworkPolicy', 'BaselineAdminNetworkPolicy',
  'GlobalNetworkPolicy', 'CiliumEgressGatewayPolicy', 'CiliumLocalRedirectPolicy', 'CiliumBGPPeeringPolicy',
]);

export const WORKLOAD_KINDS: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController', 'Job', 'CronJob']);
export const FACT_KINDS: ReadonlySet<string> = new Set(['Namespace', 'Node', 'Pod', 'Service', 'EndpointSlice', 'CiliumCIDRGroup', ...POLICY_OBJECT_KINDS]);

const CLUSTER_SCOPED: ReadonlySet<string> = new Set(['Namespace', 'Node', 'PersistentVolume', 'ClusterRole', 'ClusterRoleBinding', 'CustomResourceDefinition', 'CiliumClusterwideNetworkPolicy', 'CiliumCIDRGroup', 'ClusterNetworkPolicy', 'AdminNetworkPolicy', 'BaselineAdminNetworkPolicy', 'CiliumEgressGatewayPolicy', 'CiliumBGPPeeringPolicy', 'GlobalNetworkPolicy', 'StorageClass', 'PriorityClass', 'IngressClass', 'APIService']);
export const isClusterScoped = (kind: string): boolean => CLUSTER_SCOPED.has(kind);
