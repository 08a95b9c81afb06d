/**
 * Security labels: `source:key=value`. A label set's canonical text is the sorted list, each followed by `;`.
 * Pure; comparisons are by code unit, never by locale.
 */

/** Sorted, without doubles: `['k8s:app=web', 'k8s:io.kubernetes.pod.namespace=shop']`. */
export type LabelSet = readonly string[];

export const compareCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export const labelSetKey = (labels: LabelSet): string => labels.map((label) => `${label};`).join('');

export const NAMESPACE_LABEL = 'io.kubernetes.pod.namespace';
export const NAMESPACE_LABELS_PREFIX = 'io.cilium.k8s.namespace.labels.';
export const SERVICE_ACCOUNT_LABEL = 'io.cilium.k8s.policy.serviceaccount';

/** Splits at the first `=` after the source. `{source:'k8s', key:'app', value:'web'}` */
export const parseLabel = (label: string): { readonly source: string; readonly key: string; readonly value: string } => {
  const colon = label.indexOf(':');
  const source = colon < 0 ? '' : label.slice(0, colon);
  const rest = label.slice(colon + 1);
  const equals = rest.indexOf('=');
  return equals < 0 ? { source, key: rest, value: '' } : { source, key: rest.slice(0, equals), value: rest.slice(equals + 1) };
};
