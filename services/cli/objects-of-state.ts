/** A folded log → the objects that names are resolved against: pods, Services and nodes as the log knows them. Pure. */
import type { NodeState } from '@seine/datapath-writer';
import type { CompiledService, PodData } from '@seine/events';
import type { KubeObject } from '@seine/objects';

const split = (key: string): { readonly namespace: string; readonly name: string } => ({ namespace: key.slice(0, key.indexOf('/')), name: key.slice(key.indexOf('/') + 1) });

const clusterIPsOf = ({ frontends }: CompiledService): readonly string[] => {
  const addresses = new Set(frontends.filter(({ kind }) => kind === undefined).map(({ address }) => address));
  return addresses.size === 0 ? ['None'] : [...addresses];
};

export const objectsOfState = (state: Readonly<NodeState>): readonly KubeObject[] => {
  const bound = new Map<string, readonly string[]>();
  for (const [address, { pod }] of state.addresses) bound.set(pod, [...bound.get(pod) ?? [], address]);
  const addressesOf = (key: string, pod: PodData): readonly string[] => state.endpoints.get(key)?.addresses.filter((address) => state.addresses.get(address)?.pod === key) ?? bound.get(key) ?? pod.addresses;
  return [
    ...[...state.nodes].map(([name, { addresses, labels, uid }]): KubeObject => ({
      apiVersion: 'v1', kind: 'Node', namespace: '', name, uid, raw: { metadata: { name, labels }, status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) } },
    })),
    ...[...state.pods].map(([key, pod]): KubeObject => ({
      apiVersion: 'v1', kind: 'Pod', ...split(key), uid: pod.uid,
      raw: {
        metadata: { ...split(key), labels: pod.labels, ...(pod.workload === undefined ? {} : { ownerReferences: [{ ...pod.workload, controller: true }] }) },
        spec: { nodeName: pod.nodeName, hostNetwork: pod.hostNetwork }, status: { podIPs: addressesOf(key, pod).map((ip) => ({ ip })) },
      },
    })),
    ...[...state.services].map(([key, service]): KubeObject => ({
      apiVersion: 'v1', kind: 'Service', ...split(key), uid: key, raw: { metadata: split(key), spec: { clusterIPs: clusterIPsOf(service) } },
    })),
  ];
};
