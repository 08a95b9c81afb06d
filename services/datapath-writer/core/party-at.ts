/** Who is at one address, for questions about one flow: the whole cluster's addresses are not needed for them. Pure. */
import { familyOf, parsePrefix, PROTOCOL, RESERVED_IDENTITY, type Labels, type LabelSet, type ReservedIdentityName } from '@seine/model';

import type { NodeState } from './fold.ts';
import { apiServerAddresses, clusterFamilies, insidePodRange, worldIdentity } from './cluster.ts';
import { bindingKey, bindingsOf, identityView, type Bindings, type Party } from './policy/index.ts';

/** What the log says of one address. */
export interface PartyAt extends Party {
  readonly pod: string | undefined;
  /** The node that judges for it: a pod's node, or the node itself. */
  readonly node: string | undefined;
}

/** Everything that is asked of a state that does not change meanwhile. */
export interface PartyFinder {
  /** @param self the node that asks: it is the host, other nodes are remote */
  readonly at: (address: string, self: string | undefined) => PartyAt;
  /** @param identity as the kernel told it: the log may know more by now. @returns the same party with that identity's labels */
  readonly withIdentity: (party: PartyAt, identity: number) => PartyAt;
  /** Every named port that a pod binds. */
  readonly bindings: (pod: string | undefined) => Bindings;
}

export const partyFinder = (state: Readonly<NodeState>): PartyFinder => {
  const nodeOf = new Map<string, { readonly name: string; readonly labels: Labels; readonly addresses: readonly string[] }>();
  for (const [name, { addresses, labels }] of state.nodes) for (const address of addresses) nodeOf.set(address, { name, labels, addresses });
  const views = new Map<number, { readonly labels: LabelSet; readonly view: Party['view'] }>();
  const viewOf = (identity: number): Party['view'] => {
    const labels = state.identities.get(identity);
    if (labels === undefined) return undefined;
    const known = views.get(identity);
    if (known?.labels === labels) return known.view;
    const view = identityView(labels);
    views.set(identity, { labels, view });
    return view;
  };
  const servers = apiServerAddresses(state);
  const families = clusterFamilies(state);
  let unmanaged: ReadonlyMap<string, { readonly pod: string; readonly node: string }> | undefined;
  /* A pod that no node has reported runs beside Seine. */
  const unmanagedAt = (address: string) => (unmanaged ??= new Map([...state.pods].flatMap(([pod, { addresses, hostNetwork, phase, nodeName }]) =>
    (hostNetwork || phase !== 'running' || nodeName === undefined || state.endpoints.has(pod) ? [] : addresses.map((each) => [each, { pod, node: nodeName }] as const))))).get(address);

  const at: PartyFinder['at'] = (address, self) => {
    /* One address is the finest prefix there is: it lies wholly in or out of every prefix that a policy mentions. */
    const base = { prefix: parsePrefix(address), view: undefined, nodeLabels: undefined, pod: undefined, node: undefined };
    const bound = state.addresses.get(address);
    if (bound !== undefined) return { ...base, identity: bound.identity, view: viewOf(bound.identity), reserved: [], pod: bound.pod, node: bound.node };
    const node = nodeOf.get(address);
    if (node !== undefined) {
      const own = node.name === self;
      const reserved: readonly ReservedIdentityName[] = [own ? 'host' : 'remote-node', ...(node.addresses.some((each) => servers.has(each)) ? ['kube-apiserver' as const] : [])];
      return { ...base, identity: own ? RESERVED_IDENTITY.host : RESERVED_IDENTITY['remote-node'], reserved, nodeLabels: node.labels, node: node.name };
    }
    const beside = unmanagedAt(address);
    if (beside !== undefined) return { ...base, identity: RESERVED_IDENTITY.unmanaged, reserved: ['unmanaged'], pod: beside.pod, node: beside.node };
    /* Nobody has it yet: rules of any peer only, as for the kernel. */
    if (base.prefix !== undefined && insidePodRange(state, base.prefix)) return { ...base, identity: RESERVED_IDENTITY.unknown, prefix: undefined, reserved: [] };
    const family = familyOf(address);
    return { ...base, identity: worldIdentity(families, family), reserved: [...(servers.has(address) ? ['kube-apiserver' as const] : []), 'world', family === 4 ? 'world-ipv4' : 'world-ipv6'] };
  };
  return {
    at,
    withIdentity: (party, identity) => {
      const view = viewOf(identity);
      return party.identity === identity || view === undefined ? party : { ...party, identity, view, reserved: [], nodeLabels: undefined };
    },
    bindings: (pod) => {
      const ports = (pod === undefined ? undefined : state.pods.get(pod)?.ports ?? []) ?? [];
      const named = ports.map(({ name, port, protocol }) => ({ name, port, protocol: PROTOCOL[protocol] }));
      return bindingsOf(named, new Set(named.flatMap(({ name, protocol }) => (name === undefined ? [] : [bindingKey(protocol, name)]))));
    },
  };
};
