/** Which labels make an identity: the field's default filter (Cilium's), exact. Pure. */
import type { NamespaceData, PodData } from '@seine/events';
import { compareCodeUnits, NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX, SERVICE_ACCOUNT_LABEL, type LabelSet } from '@seine/model';

const KEPT = [/^io\.kubernetes\.pod\.namespace$/, /^io\.cilium\.k8s\.namespace\.labels\./, /^app\.kubernetes\.io\//, /^io\.cilium\.k8s\.policy\.(cluster|serviceaccount)$/];
const DROPPED = [
  /^io\.kubernetes/, /kubernetes\.io/, /\.?k8s\.io\//, /^pod-template-(hash|generation)$/, /^controller-revision-hash$/, /^controller-uid$/, /^annotation\./, /^etcd_node$/,
];

export const isIdentityLabel = (key: string): boolean => KEPT.some((kept) => kept.test(key)) || !DROPPED.some((dropped) => dropped.test(key));

/** The security labels of a pod: its own, its namespace's, its service account's. */
export const podLabelSet = (namespace: string, pod: Pick<PodData, 'labels' | 'serviceAccount'>, namespaceLabels: NamespaceData['labels'] | undefined): LabelSet => [
  ...Object.entries(pod.labels).filter(([key]) => isIdentityLabel(key)).map(([key, value]) => `k8s:${key}=${value}`),
  ...Object.entries(namespaceLabels ?? { 'kubernetes.io/metadata.name': namespace }).map(([key, value]) => `k8s:${NAMESPACE_LABELS_PREFIX}${key}=${value}`),
  `k8s:${NAMESPACE_LABEL}=${namespace}`,
  `k8s:${SERVICE_ACCOUNT_LABEL}=${pod.serviceAccount}`,
  'k8s:io.cilium.k8s.policy.cluster=default',
].sort(compareCodeUnits);
