/** A folded log → the objects that names are resolved against: pods, Services and nodes as the log knows them. Pure. */
import type { NodeState } from '@seine/datapath-writer';
import type { KubeObject } from '@seine/objects';

const split = (key: string): { readonly namespace: string; readonly name: string } => ({ namespace: key.slice(0, key.indexOf('/')), name: key.slice(key.indexOf('/') + 1) });

export const objectsOfState = (state: Readonly<NodeState>): readonly KubeObject[] => {
  const addressOfPod = new Map([...state.addresses].map(([address, { pod }]) => [pod, address]));
  return [
    ...[...state.nodes].map(([name, { addresses, labels, uid }]): KubeObject => ({
      apiVersion: 'v1', kind: 'Node', namespace: '', name, uid, raw: { metadata: { name, labels }, status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) } },
    })),
    ...[...state.pods].map(([key, pod]): KubeObject => ({
      apiVersion: 'v1', kind: 'Pod', ...split(key), uid: pod.uid,
      raw: {
        metadata: { ...split(key), labels: pod.labels, ...(pod.workload === undefined ? {} : { ownerReferences: [{ ...pod.workload, controller: true }] }) },
        spec: { nodeName: pod.nodeName, hostNetwork: pod.hostNetwork }, status: { podIP: addressOfPod.get(key) ?? pod.addresses[0] },
      },
    })),
    ...[...state.services].map(([key, service]): KubeObject => ({
      apiVersion: 'v1', kind: 'Service', ...split(key), uid: key, raw: { metadata: split(key), spec: { clusterIP: service.frontends[0]?.address ?? 'None' } },
    })),
  ];
};
