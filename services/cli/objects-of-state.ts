/** A folded log → the objects that names are resolved against: pods, Services and nodes as the log knows them. Pure. */
import type { NodeState } from '@seine/datapath-writer';
import type { CompiledService, PodData, ServiceData } from '@seine/events';
import type { KubeObject, PlainObject } from '@seine/objects';

const split = (key: string): { readonly namespace: string; readonly name: string } => ({ namespace: key.slice(0, key.indexOf('/')), name: key.slice(key.indexOf('/') + 1) });

const addressesOf = ({ frontends }: CompiledService, kind: CompiledService['frontends'][number]['kind']): readonly string[] => [...new Set(frontends.filter((frontend) => frontend.kind === kind).map(({ address }) => address))];

/** As it is served; of one that is not, what its fact says. */
const serviceRaw = (key: string, service: CompiledService | undefined, observed: ServiceData | undefined): PlainObject => {
  const compiled = service ?? { frontends: [], refusals: [] };
  const addresses = addressesOf(compiled, undefined);
  const nodePorts = compiled.frontends.filter(({ kind }) => kind === 'nodePort');
  const clusterIPs = addresses.length > 0 ? addresses : observed?.type === 'ExternalName' ? [] : observed === undefined || observed.clusterIPs.length === 0 ? ['None'] : observed.clusterIPs;
  return {
    metadata: split(key),
    spec: { ...(observed === undefined ? {} : { type: observed.type }), clusterIPs, externalIPs: addressesOf(compiled, 'externalIP'), ports: nodePorts.map(({ port, protocol }) => ({ nodePort: port, protocol })) },
    status: { loadBalancer: { ingress: addressesOf(compiled, 'loadBalancer').map((ip) => ({ ip })) } },
  };
};

/** @param observed the Services' own facts, which a node's state does not keep */
export const objectsOfState = (state: Readonly<NodeState>, observed: ReadonlyMap<string, ServiceData> = new Map()): readonly KubeObject[] => {
  const bound = new Map<string, readonly string[]>();
  for (const [address, { pod }] of state.addresses) bound.set(pod, [...bound.get(pod) ?? [], address]);
  const podAddresses = (key: string, pod: PodData): readonly string[] => state.endpoints.get(key)?.addresses.filter((address) => state.addresses.get(address)?.pod === key) ?? bound.get(key) ?? pod.addresses;
  return [
    ...[...state.nodes].map(([name, { addresses, labels, uid }]): KubeObject => ({
      apiVersion: 'v1', kind: 'Node', namespace: '', name, uid, raw: { metadata: { name, labels }, status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) } },
    })),
    ...[...state.pods].map(([key, pod]): KubeObject => ({
      apiVersion: 'v1', kind: 'Pod', ...split(key), uid: pod.uid,
      raw: {
        metadata: { ...split(key), labels: pod.labels, ...(pod.workload === undefined ? {} : { ownerReferences: [{ ...pod.workload, controller: true }] }) },
        spec: { nodeName: pod.nodeName, hostNetwork: pod.hostNetwork }, status: { podIPs: podAddresses(key, pod).map((ip) => ({ ip })) },
      },
    })),
    ...[...new Set([...state.services.keys(), ...observed.keys()])].map((key): KubeObject => ({
      apiVersion: 'v1', kind: 'Service', ...split(key), uid: key, raw: serviceRaw(key, state.services.get(key), observed.get(key)),
    })),
  ];
};
