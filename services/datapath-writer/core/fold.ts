/** The node's view of the log: the last state of every key that its rows depend on. Path-independent; total. */
import {
  EVENT_CATALOGUE, MASQUERADE_KIND, POLICY_KINDS, unpackBackends, type CompiledBackends, type CompiledHostPorts, type CompiledPolicy, type CompiledService, type EndpointData, type IpMasqAgentData, type NodeData, type PodData, type SeineEvent,
} from '@seine/events';
import { familyOf, type IpFamily, type LabelSet } from '@seine/model';

/** The event behind a key's present state: what `verify` names. */
export interface Origin { readonly seq: number; readonly type: string; readonly traceparent?: string }

export interface NodeState {
  readonly pods: Map<string, PodData>;
  readonly nodes: Map<string, NodeData>;
  readonly endpoints: Map<string, EndpointData>;
  readonly identities: Map<number, LabelSet>;
  readonly podIdentities: Map<string, { readonly uid: string; readonly identity: number }>;
  readonly addresses: Map<string, { readonly identity: number; readonly node: string; readonly pod: string; readonly uid: string }>;
  readonly podCidrs: Map<string, readonly string[]>;
  readonly policies: Map<string, CompiledPolicy>;
  /** Policy objects that are refused: key → messages. */
  readonly refusedPolicies: Map<string, readonly string[]>;
  readonly services: Map<string, CompiledService>;
  readonly slices: Map<string, CompiledBackends>;
  /** `<namespace>/<pod>` → what it answers at its node's addresses */
  readonly hostPorts: Map<string, CompiledHostPorts>;
  /** By name; one that was never said is its default. */
  readonly settings: Map<string, string>;
  /** `<namespace>/<name>` → the ConfigMap; there is one at most. */
  readonly masqAgents: Map<string, IpMasqAgentData>;
  readonly listed: Set<string>;
  /** `<noun> <key>` → the event behind it */
  readonly origins: Map<string, Origin>;
}

export const emptyNodeState = (): NodeState => ({
  pods: new Map(), nodes: new Map(), endpoints: new Map(), identities: new Map(), podIdentities: new Map(), addresses: new Map(), podCidrs: new Map(),
  policies: new Map(), refusedPolicies: new Map(), services: new Map(), slices: new Map(), hostPorts: new Map(), settings: new Map(), masqAgents: new Map(), listed: new Set(), origins: new Map(),
});

/** Where a node is reached with packets of a family; undefined: it is not. */
export const nodeAddress = (state: Readonly<NodeState>, node: string, family: IpFamily): string | undefined => state.nodes.get(node)?.addresses.find((address) => familyOf(address) === family);

/** Joined, not written together: that would keep both parts beside the whole, for as long as the key lasts. */
export const originKey = (noun: string, key: string): string => [noun, key].join(' ');

/** Types after which their aggregate is gone, and so is its origin. */
const GONE: ReadonlySet<string> = new Set(EVENT_CATALOGUE.filter(({ gone }) => gone).map(({ type }) => type));

/** Applies one event of any lane to the owned draft. */
export const evolveNode = (draft: NodeState, event: SeineEvent, seq: number): void => {
  const noun = event.type.slice(0, event.type.indexOf('.'));
  if (GONE.has(event.type)) draft.origins.delete(originKey(noun, event.key));
  else draft.origins.set(originKey(noun, event.key), { seq, type: event.type, ...(event.traceparent === undefined ? {} : { traceparent: event.traceparent }) });
  switch (event.type) {
    case 'pod.observed.v1': draft.pods.set(event.key, event.data); return;
    case 'pod.vanished.v1': draft.pods.delete(event.key); return;
    case 'node.observed.v1': draft.nodes.set(event.key, event.data); return;
    case 'node.vanished.v1': draft.nodes.delete(event.key); return;
    case 'endpoint.observed.v1': draft.endpoints.set(event.key, event.data); return;
    case 'endpoint.vanished.v1': draft.endpoints.delete(event.key); return;
    case 'setting.observed.v1': draft.settings.set(event.key, event.data.value); return;
    case 'ipmasqagent.observed.v1': draft.masqAgents.set(event.key, event.data); return;
    case 'ipmasqagent.vanished.v1': draft.masqAgents.delete(event.key); return;
    case 'kind.listed.v1': if (event.data.kind === MASQUERADE_KIND) draft.listed.add(event.data.kind); return;
    case 'policykind.compiled.v1': draft.listed.add(event.data.kind); return;
    case 'identity.allocated.v1': draft.identities.set(event.data.identity, event.data.labels); return;
    case 'identity.freed.v1': draft.identities.delete(event.data.identity); return;
    case 'podidentity.assigned.v1': draft.podIdentities.set(event.key, event.data); return;
    case 'podidentity.removed.v1': draft.podIdentities.delete(event.key); return;
    case 'address.bound.v1': draft.addresses.set(event.key, event.data); return;
    case 'address.unbound.v1': draft.addresses.delete(event.key); return;
    case 'podcidr.assigned.v1': draft.podCidrs.set(event.key, event.data.cidrs); return;
    case 'podcidr.released.v1': draft.podCidrs.delete(event.key); return;
    case 'policy.compiled.v1': draft.policies.set(event.key, event.data); draft.refusedPolicies.delete(event.key); return;
    case 'policy.refused.v1':
      if (event.data.standing === undefined) draft.policies.delete(event.key);
      else draft.policies.set(event.key, event.data.standing);
      draft.refusedPolicies.set(event.key, event.data.refusals.map(({ message }) => message));
      return;
    case 'policy.removed.v1': draft.policies.delete(event.key); draft.refusedPolicies.delete(event.key); return;
    case 'service.compiled.v1': draft.services.set(event.key, event.data); return;
    case 'service.removed.v1': draft.services.delete(event.key); return;
    case 'backends.compiled.v2': draft.slices.set(event.key, unpackBackends(event.data)); return;
    case 'backends.removed.v1': draft.slices.delete(event.key); return;
    case 'hostports.compiled.v1': draft.hostPorts.set(event.key, event.data); return;
    case 'hostports.removed.v1': draft.hostPorts.delete(event.key); return;
    default: return; // not this node's business
  }
};

/** Closed until known: no endpoint gets a policy before whatever of policies was listed is compiled. The facts alone are not enough: the compiler may be behind. */
export const policiesKnown = (state: Readonly<NodeState>): boolean => POLICY_KINDS.every((kind) => state.listed.has(kind));
