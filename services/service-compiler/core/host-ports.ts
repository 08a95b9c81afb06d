/**
 * What a pod asks for by `hostPort`: to be answered for at its node's own addresses, on that node alone. Who may have which of them is decided
 * with Services' frontends, as both may want one. Pure.
 */
import type { CompiledHostPorts, EndpointData, PodData, Refusal, SeineEvent } from '@seine/events';
import { familyOf, type IpFamily } from '@seine/model';

import { ANY_ADDRESS, frontendKey, refusal } from './asked.ts';

export interface HostPortsState {
  /** Pods that want a port of their node. */
  readonly pods: Map<string, HostPod>;
  readonly podsOfNode: Map<string, Set<string>>;
  readonly nodeAddresses: Map<string, readonly string[]>;
  /** As nodes reported them, of any pod: its node may speak before the API does. */
  readonly endpoints: Map<string, EndpointData>;
  readonly compiled: Map<string, CompiledHostPorts>;
}

interface HostPod {
  readonly pod: PodData & { readonly nodeName: string };
  /** Its node said that it is detached: whatever the API says of its addresses, they are not its own any more. */
  readonly detached: boolean;
}

export type AskedHostPort = Pick<CompiledHostPorts['ports'][number], 'address' | 'port' | 'protocol'> & {
  readonly key: string;
  /** The key of a Service's node port that would answer in its place. */
  readonly nodePortKey: string;
  readonly backend: { readonly address: string; readonly port: number };
};

/** Fields of strangers' objects, as refusals name them. */
export const HOST_PORT_FIELD = 'spec.containers[].ports[].hostPort';
const HOST_IP_FIELD = 'spec.containers[].ports[].hostIP';

export const emptyHostPorts = (): HostPortsState => ({ pods: new Map(), podsOfNode: new Map(), nodeAddresses: new Map(), endpoints: new Map(), compiled: new Map() });

/** Applies one fact to the owned draft. @returns the pods that it may concern */
export const hostPortsAfter = (draft: HostPortsState, event: SeineEvent): readonly string[] => {
  const put = (key: string, next: HostPod | undefined): readonly string[] => {
    const former = draft.pods.get(key)?.pod.nodeName;
    if (former !== undefined) {
      const others = draft.podsOfNode.get(former);
      others?.delete(key);
      if (others?.size === 0) draft.podsOfNode.delete(former);
    }
    if (next === undefined) draft.pods.delete(key);
    else {
      draft.pods.set(key, next);
      const others = draft.podsOfNode.get(next.pod.nodeName);
      if (others === undefined) draft.podsOfNode.set(next.pod.nodeName, new Set([key]));
      else others.add(key);
    }
    return former === undefined && next === undefined ? [] : [key];
  };
  switch (event.type) {
    case 'pod.observed.v1': {
      const { nodeName, hostNetwork, phase, ports, uid } = event.data;
      const asks = nodeName !== undefined && !hostNetwork && phase !== 'finished' && ports.some(({ hostPort }) => hostPort !== undefined);
      const former = draft.pods.get(event.key);
      return put(event.key, asks ? { pod: { ...event.data, nodeName }, detached: former?.pod.uid === uid && former.detached } : undefined);
    }
    case 'pod.vanished.v1': return put(event.key, undefined);
    case 'endpoint.observed.v1': {
      draft.endpoints.set(event.key, event.data);
      const known = draft.pods.get(event.key);
      return known?.pod.uid === event.data.uid ? put(event.key, { ...known, detached: false }) : [];
    }
    case 'endpoint.vanished.v1': {
      draft.endpoints.delete(event.key);
      const known = draft.pods.get(event.key);
      return known?.pod.uid === event.data.uid ? put(event.key, { ...known, detached: true }) : [];
    }
    case 'node.observed.v1':
      draft.nodeAddresses.set(event.key, event.data.addresses);
      return [...draft.podsOfNode.get(event.key) ?? []];
    case 'node.vanished.v1':
      draft.nodeAddresses.delete(event.key);
      return [...draft.podsOfNode.get(event.key) ?? []];
    default: return [];
  }
};

/** In the order of the pod's ports, IPv4 first; nothing while its node or its own addresses are not known. */
export const hostPortsAsked = (state: Readonly<HostPortsState>, key: string): { readonly asked: readonly AskedHostPort[]; readonly refusals: readonly Refusal[] } => {
  const known = state.pods.get(key);
  const nodeAddresses = known === undefined ? undefined : state.nodeAddresses.get(known.pod.nodeName);
  if (known === undefined || nodeAddresses === undefined || known.detached) return { asked: [], refusals: [] };
  const { pod } = known;
  const reported = state.endpoints.get(key);
  const own = reported?.uid === pod.uid ? reported.addresses : pod.addresses;
  if (own.length === 0) return { asked: [], refusals: [] };
  const backendOf = (family: IpFamily): string | undefined => own.find((address) => familyOf(address) === family);

  const asked = new Map<string, AskedHostPort>();
  const refusals: Refusal[] = [];
  for (const { port: containerPort, protocol, hostPort: port, hostIP } of pod.ports) {
    if (port === undefined) continue;
    const isEach = hostIP === undefined || hostIP === ANY_ADDRESS[familyOf(hostIP)];
    if (!isEach && !nodeAddresses.includes(hostIP)) { refusals.push(refusal(HOST_IP_FIELD, hostIP, `an address of node ${pod.nodeName}: ${nodeAddresses.join(', ')}`)); continue; }
    if (!isEach && backendOf(familyOf(hostIP)) === undefined) { refusals.push(refusal(HOST_IP_FIELD, hostIP, `an address of a family that the pod has: ${own.join(', ')}`)); continue; }
    if (protocol === 'SCTP' && containerPort !== port) { refusals.push(refusal(HOST_PORT_FIELD, `${port}/SCTP`, `${containerPort}: SCTP is translated by address only`)); continue; }
    for (const address of isEach ? nodeAddresses.filter((each) => hostIP === undefined || familyOf(each) === familyOf(hostIP)) : [hostIP]) {
      const backend = backendOf(familyOf(address));
      const frontend = { address, port, protocol };
      const frontendAt = frontendKey(frontend);
      if (backend === undefined || asked.has(frontendAt)) continue;
      asked.set(frontendAt, { key: frontendAt, nodePortKey: frontendKey({ ...frontend, address: ANY_ADDRESS[familyOf(address)] }), ...frontend, backend: { address: backend, port: containerPort } });
    }
  }
  return { asked: [...asked.values()], refusals };
};
