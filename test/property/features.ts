/** What a run must have tried, by kind of policy: none of it in fewer than one case of a hundred. */
import type { Kind } from './generate.ts';

const CILIUM = [
  'any', 'audit', 'specs', 'ingress', 'egress', 'ingressDeny', 'egressDeny', 'enableDefaultDeny', 'no rules', 'empty rule', 'no peers', 'no endpoints', 'endpoints of the own namespace', 'endpoints by namespace',
  'endpoints by namespace label', 'endpoints by service account', 'endpoints by cluster', 'reserved endpoints', 'entity all', 'entity world', 'entity cluster', 'entity host', 'entity remote-node', 'entity kube-apiserver',
  'CIDR', 'CIDRSet', 'CIDR group by name', 'CIDR group by labels', 'nodes', 'Service by name', 'Service by labels', 'names', 'port number', 'port range', 'port name', 'port 0', 'protocol ANY', 'ICMP', 'HTTP', 'DNS', 'server names',
  'authentication', 'subject by service account',
] as const;

export const FEATURES: Readonly<Record<Kind | 'Settings' | 'Cluster', readonly string[]>> = {
  Cluster: ['twins', 'audited namespace', 'pod of the host network', 'finished pod'],
  Settings: ['mode default', 'mode always', 'mode never', 'CIDRs mean neither', 'CIDRs mean nodes', 'CIDRs mean pods', 'CIDRs mean pods,nodes'],
  NetworkPolicy: ['any', 'audit', 'pods', 'namespaces', 'namespaces and pods', 'ipBlock', 'any peer', 'empty peers', 'no rules', 'port number', 'port range', 'port name', 'protocol alone'],
  ClusterNetworkPolicy: ['any', 'audit', 'priority', 'Admin', 'Baseline', 'Accept', 'Deny', 'Pass', 'namespaces', 'pods', 'nodes', 'networks', 'domain names', 'unknown peer', 'port number', 'port range', 'port name'],
  CiliumNetworkPolicy: CILIUM,
  CiliumClusterwideNetworkPolicy: [...CILIUM, 'node selector'],
};

const LEAST_SHARE = 0.01;

/** @param kinds those that were made */
export const rareFeatures = (counts: ReadonlyMap<string, number>, cases: number, kinds: readonly Kind[]): readonly string[] =>
  ([...kinds, 'Settings', 'Cluster'] as const).flatMap((kind) => FEATURES[kind].filter((feature) => (counts.get(`${kind}: ${feature}`) ?? 0) < cases * LEAST_SHARE).map((feature) => `${kind}: ${feature} (${counts.get(`${kind}: ${feature}`) ?? 0} of ${cases})`));

export const countsByKind = (counts: ReadonlyMap<string, number>): Readonly<Record<string, Readonly<Record<string, number>>>> => {
  const byKind: Record<string, Record<string, number>> = {};
  for (const [text, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [kind, feature] = text.split(': ') as [string, string]; // as the maker notes them
    (byKind[kind] ??= {})[feature] = count;
  }
  return byKind;
};
