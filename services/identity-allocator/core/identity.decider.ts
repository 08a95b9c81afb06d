/**
 * Label sets → numbers; pods → numbers; addresses → pods. One writer, the whole lane in view: no number has two label sets.
 * A number is retired when its last pod is gone. It is freed when an hour has gone by and every node that was known then has applied what
 * the furthest node had applied after that hour: a node that was cut off meanwhile holds the number back until it has caught up.
 */
import type { Decider, EndpointData, NamespaceData, PodData, SeineEvent } from '@seine/events';
import { CLUSTER_IDENTITY_MAX, CLUSTER_IDENTITY_MIN, labelSetKey, type LabelSet } from '@seine/model';

import { podLabelSet } from './label-filter.ts';

const RETIREMENT_MS = 3_600_000;

interface Retirement { readonly atMs: number; readonly waitingFor: Set<string>; /** Sequence that each of them must have applied; known once the hour is over. */ bar: number | undefined }
interface Allocated { readonly labels: LabelSet; readonly users: Set<string> }

export interface IdentityState {
  readonly namespaces: Map<string, NamespaceData>;
  readonly pods: Map<string, PodData>;
  readonly podsOf: Map<string, Set<string>>;
  readonly endpoints: Map<string, EndpointData>;
  /** Pods whose attachment has an address: one, but while another takes it over. */
  readonly podsAt: Map<string, Set<string>>;
  readonly nodes: Set<string>;
  /** node → up to which sequence it has applied everything, as it said last */
  readonly positions: Map<string, number>;
  readonly identities: Map<number, Allocated>;
  readonly retired: Map<number, Retirement>;
  readonly numberByLabels: Map<string, number>;
  /** Freed numbers, longest free first, and the next never given. */
  readonly free: number[];
  next: number;
  readonly assigned: Map<string, { readonly uid: string; readonly identity: number }>;
  readonly bound: Map<string, { readonly identity: number; readonly node: string; readonly pod: string; readonly uid: string }>;
  readonly addressesOf: Map<string, Set<string>>;
  /** Pods without an identity that want one: they wait because every number is in use (SEINE_IDENTITY_EXHAUSTED). */
  readonly waiting: Set<string>;
}

const initialState = (): IdentityState => ({
  namespaces: new Map(), pods: new Map(), podsOf: new Map(), endpoints: new Map(), podsAt: new Map(), nodes: new Set(), positions: new Map(), identities: new Map(), retired: new Map(), numberByLabels: new Map(),
  free: [], next: CLUSTER_IDENTITY_MIN, assigned: new Map(), bound: new Map(), addressesOf: new Map(), waiting: new Set(),
});

const namespaceOf = (pod: string): string => pod.slice(0, pod.indexOf('/'));

const release = (draft: IdentityState, pod: string): void => {
  const former = draft.assigned.get(pod);
  if (former !== undefined) draft.identities.get(former.identity)?.users.delete(pod);
  draft.assigned.delete(pod);
};

const wantsIdentity = (pod: PodData): boolean => pod.nodeName !== undefined && !pod.hostNetwork && pod.phase !== 'finished';

const updateWaiting = (draft: IdentityState, key: string): void => {
  const pod = draft.pods.get(key);
  if (pod !== undefined && wantsIdentity(pod) && !draft.assigned.has(key)) draft.waiting.add(key);
  else draft.waiting.delete(key);
};

const unbind = (draft: IdentityState, address: string): void => {
  const former = draft.bound.get(address);
  if (former === undefined) return;
  const addresses = draft.addressesOf.get(former.pod);
  addresses?.delete(address);
  if (addresses?.size === 0) draft.addressesOf.delete(former.pod);
  draft.bound.delete(address);
};

const setEndpoint = (draft: IdentityState, pod: string, endpoint: EndpointData | undefined): void => {
  for (const address of draft.endpoints.get(pod)?.addresses ?? []) {
    const pods = draft.podsAt.get(address);
    pods?.delete(pod);
    if (pods?.size === 0) draft.podsAt.delete(address);
  }
  for (const address of endpoint?.addresses ?? []) draft.podsAt.set(address, (draft.podsAt.get(address) ?? new Set()).add(pod));
  if (endpoint === undefined) draft.endpoints.delete(pod);
  else draft.endpoints.set(pod, endpoint);
};

/** Who else is attached with an address: facts of one pod may come before those of who had it. */
const otherAt = (state: Readonly<IdentityState>, address: string, pod: string): { readonly identity: number; readonly node: string; readonly pod: string; readonly uid: string } | undefined => {
  for (const other of state.podsAt.get(address) ?? []) {
    const [data, endpoint, assigned] = [state.pods.get(other), state.endpoints.get(other), state.assigned.get(other)];
    if (other !== pod && data !== undefined && wantsIdentity(data) && endpoint?.uid === data.uid && assigned?.uid === data.uid) return { identity: assigned.identity, node: endpoint.node, pod: other, uid: data.uid };
  }
  return undefined;
};

const passRetirements = (draft: IdentityState, nowMs: number): void => {
  for (const retirement of draft.retired.values()) {
    if (nowMs - retirement.atMs < RETIREMENT_MS) continue;
    retirement.bar ??= [...draft.positions.values()].reduce((furthest, position) => Math.max(furthest, position), 0);
    for (const node of retirement.waitingFor) if ((draft.positions.get(node) ?? -1) >= retirement.bar) retirement.waitingFor.delete(node);
  }
};

const evolve = (draft: IdentityState, event: SeineEvent): void => {
  switch (event.type) {
    case 'namespace.observed.v1': draft.namespaces.set(event.key, event.data); return;
    case 'namespace.vanished.v1': draft.namespaces.delete(event.key); return;
    case 'node.observed.v1': draft.nodes.add(event.key); return;
    case 'node.vanished.v1': draft.nodes.delete(event.key); return;
    case 'pod.observed.v1': {
      draft.pods.set(event.key, event.data);
      const peers = draft.podsOf.get(namespaceOf(event.key)) ?? new Set();
      draft.podsOf.set(namespaceOf(event.key), peers.add(event.key));
      updateWaiting(draft, event.key);
      return;
    }
    case 'pod.vanished.v1': {
      draft.pods.delete(event.key);
      draft.podsOf.get(namespaceOf(event.key))?.delete(event.key);
      updateWaiting(draft, event.key);
      return;
    }
    case 'endpoint.observed.v1': setEndpoint(draft, event.key, event.data); return;
    case 'endpoint.vanished.v1': setEndpoint(draft, event.key, undefined); return;
    case 'nodeposition.observed.v1': {
      draft.positions.set(event.key, event.data.complete);
      passRetirements(draft, Date.parse(event.time));
      return;
    }
    case 'identity.allocated.v1': {
      const { identity, labels } = event.data;
      draft.retired.delete(identity);
      if (draft.identities.has(identity)) return;
      draft.identities.set(identity, { labels, users: new Set() });
      draft.numberByLabels.set(labelSetKey(labels), identity);
      const index = draft.free.indexOf(identity);
      if (index >= 0) draft.free.splice(index, 1);
      draft.next = Math.max(draft.next, identity + 1);
      return;
    }
    case 'identity.retired.v1': draft.retired.set(event.data.identity, { atMs: Date.parse(event.time), waitingFor: new Set(draft.nodes), bar: undefined }); return;
    case 'identity.freed.v1': {
      const allocated = draft.identities.get(event.data.identity);
      if (allocated === undefined) return;
      draft.numberByLabels.delete(labelSetKey(allocated.labels));
      draft.identities.delete(event.data.identity);
      draft.retired.delete(event.data.identity);
      draft.free.push(event.data.identity);
      return;
    }
    case 'podidentity.assigned.v1': {
      release(draft, event.key);
      draft.assigned.set(event.key, event.data);
      draft.identities.get(event.data.identity)?.users.add(event.key);
      updateWaiting(draft, event.key);
      return;
    }
    case 'podidentity.removed.v1': release(draft, event.key); updateWaiting(draft, event.key); return;
    case 'address.bound.v1': {
      unbind(draft, event.key);
      draft.bound.set(event.key, event.data);
      draft.addressesOf.set(event.data.pod, (draft.addressesOf.get(event.data.pod) ?? new Set()).add(event.key));
      return;
    }
    case 'address.unbound.v1': unbind(draft, event.key); return;
    default: return;
  }
};

/**
 * What one input made necessary, decided against a private overlay so that several pods in one decision get several numbers.
 * @param freed numbers that this very decision freed
 */
const decidePods = (pods: Iterable<string>, input: SeineEvent, state: Readonly<IdentityState>, freed: readonly number[] = []): readonly SeineEvent[] => {
  const events: SeineEvent[] = [];
  const trace = { time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
  const given = new Map<string, number>();
  const left = new Map<number, number>();
  const joined = new Set<number>();
  const free = freed.length === 0 ? state.free : [...state.free, ...freed];
  let fromFree = 0;
  let next = state.next;
  const numberOf = (labels: LabelSet): number | undefined => {
    const key = labelSetKey(labels);
    const known = state.numberByLabels.get(key) ?? given.get(key);
    if (known !== undefined) {
      if (state.retired.has(known) && !given.has(key)) events.push({ type: 'identity.allocated.v1', key: String(known), ...trace, data: { identity: known, labels } });
      given.set(key, known);
      return known;
    }
    /* Never given before freed: a number comes back as late as possible. */
    const number = next <= CLUSTER_IDENTITY_MAX ? next++ : free[fromFree++];
    if (number === undefined) return undefined;
    given.set(key, number);
    events.push({ type: 'identity.allocated.v1', key: String(number), ...trace, data: { identity: number, labels } });
    return number;
  };
  for (const key of pods) {
    const pod = state.pods.get(key);
    const former = state.assigned.get(key);
    const endpoint = state.endpoints.get(key);
    const labels = pod === undefined || !wantsIdentity(pod) ? undefined : podLabelSet(namespaceOf(key), pod, state.namespaces.get(namespaceOf(key))?.labels);
    const identity = labels === undefined ? undefined : numberOf(labels);
    if (former !== undefined && former.identity !== identity) left.set(former.identity, (left.get(former.identity) ?? 0) + 1);
    if (pod !== undefined && identity !== undefined) {
      joined.add(identity);
      if (former?.identity !== identity || former.uid !== pod.uid) events.push({ type: 'podidentity.assigned.v1', key, ...trace, data: { uid: pod.uid, identity } });
    } else if (former !== undefined) {
      events.push({ type: 'podidentity.removed.v1', key, ...trace, data: { uid: former.uid } });
    }
    /* Addresses: what the node reported for this very pod. */
    const live = pod !== undefined && identity !== undefined;
    const attached = live && endpoint?.uid === pod.uid ? endpoint : undefined;
    const addresses = new Set(attached?.addresses);
    for (const address of state.addressesOf.get(key) ?? []) {
      if (addresses.has(address)) continue;
      const other = otherAt(state, address, key);
      events.push(other === undefined ? { type: 'address.unbound.v1', key: address, ...trace, data: {} } : { type: 'address.bound.v1', key: address, ...trace, data: other });
    }
    if (!live || attached === undefined) continue;
    for (const address of addresses) {
      const data = { identity, node: attached.node, pod: key, uid: pod.uid };
      const binding = state.bound.get(address);
      if (binding === undefined || JSON.stringify(binding) !== JSON.stringify(data)) events.push({ type: 'address.bound.v1', key: address, ...trace, data });
    }
  }
  for (const [identity, count] of left) {
    const allocated = state.identities.get(identity);
    if (allocated === undefined || state.retired.has(identity) || joined.has(identity) || allocated.users.size > count) continue;
    events.push({ type: 'identity.retired.v1', key: String(identity), ...trace, data: { identity, labels: [...allocated.labels] } });
  }
  return events;
};

/** Numbers whose retirement every node has passed, and the pods that waited for them. */
const decideFreed = (input: SeineEvent, state: Readonly<IdentityState>): readonly SeineEvent[] => {
  const freed = [...state.retired].filter(([, { bar, waitingFor }]) => bar !== undefined && waitingFor.size === 0).map(([identity]) => identity);
  if (freed.length === 0) return [];
  return [...freed.map((identity): SeineEvent => ({ type: 'identity.freed.v1', key: String(identity), time: input.time, data: { identity } })), ...decidePods(state.waiting, input, state, freed)];
};

export const identityDecider: Decider<IdentityState> = {
  initialState,
  evolve,
  decide: (input, state) => {
    switch (input.type) {
      case 'pod.observed.v1':
      case 'pod.vanished.v1':
      case 'endpoint.observed.v1':
      case 'endpoint.vanished.v1': return decidePods([input.key], input, state);
      case 'namespace.observed.v1':
      case 'namespace.vanished.v1': return decidePods(state.podsOf.get(input.key) ?? [], input, state);
      case 'nodeposition.observed.v1': return decideFreed(input, state);
      default: return [];
    }
  },
};
