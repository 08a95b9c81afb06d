/** Clusters of very many pods as a log would leave them, without the watcher and the deciders in between: for storms. */
import { foldNode, type NodeState } from '@seine/datapath-writer';
import { POLICY_KINDS, type PolicyObjectKind, type SeineEvent } from '@seine/events';
import { parsePolicyObject } from '@seine/objects';

const time = '2026-03-01T12:00:00.000Z';
const event = <E extends SeineEvent>(type: E['type'], key: string, data: E['data']): SeineEvent => ({ type, key, time, data }) as SeineEvent; // type and data are of one event

export interface StormPod { readonly name: string; readonly node: string; readonly address: string; readonly labels: Readonly<Record<string, string>> }
export interface StormPolicy { readonly kind: PolicyObjectKind; readonly name: string; readonly spec: unknown }

/** Identities by label text, the same in every state of one storm. */
export const stormStates = (nodes: Readonly<Record<string, string>>, ranges: readonly string[]) => {
  const identities = new Map<string, number>();
  return (pods: readonly StormPod[], policies: readonly StormPolicy[]): NodeState => {
    const events: SeineEvent[] = [
      ...Object.entries(nodes).map(([name, address]) => event('node.observed.v1', name, { uid: name, labels: {}, addresses: [address] })),
      event('podcidr.assigned.v1', 'n1', { node: 'n1', cidrs: [...ranges] }),
      ...POLICY_KINDS.map((kind) => event('policykind.compiled.v1', kind, { kind })),
    ];
    const told = new Set<number>();
    pods.forEach(({ name, node, address, labels }, index) => {
      const set = [...Object.entries(labels).map(([key, value]) => `k8s:${key}=${value}`), 'k8s:io.kubernetes.pod.namespace=shop'].sort();
      const identity = identities.get(set.join()) ?? 256 + identities.size;
      identities.set(set.join(), identity);
      if (!told.has(identity)) events.push(event('identity.allocated.v1', String(identity), { identity, labels: set }));
      told.add(identity);
      const key = `shop/${name}`;
      events.push(
        event('pod.observed.v1', key, { uid: name, nodeName: node, labels, serviceAccount: 'default', hostNetwork: false, addresses: [address], phase: 'running', ports: [] }),
        event('podidentity.assigned.v1', key, { uid: name, identity }),
        event('endpoint.observed.v1', key, { uid: name, node, addresses: [address], endpointId: (index % 65_535) + 1, hostInterface: `sn${index}`, containerId: name }),
        event('address.bound.v1', address, { identity, node, pod: key, uid: name }),
      );
    });
    for (const { kind, name, spec } of policies) {
      const parsed = parsePolicyObject({ kind, namespace: 'shop', name, uid: name, spec });
      if (!parsed.ok) throw new Error(parsed.refusals.map(({ message }) => message).join());
      parsed.policies.forEach((policy) => { events.push(event('policy.compiled.v1', `${kind}/shop/${name}`, policy)); });
    }
    return foldNode([{ seq: 1, events }]);
  };
};
