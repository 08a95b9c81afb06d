/**
 * Label sets → numbers; pods → numbers; addresses → pods. One writer, the whole lane in view: no number has two label sets.
 * A number is retired when its last pod is gone and freed when every known node has passed the retirement and an hour has gone by.
 */
import type { Decider, EndpointData, NamespaceData, PodData, SeineEvent } from '@seine/events';
import { CLUSTER_IDENTITY_MAX, CLUSTER_IDENTITY_MIN, labelSetKey, type LabelSet } from '@seine/model';

import { podLabelSet } from './label-filter.ts';

const RETIREMENT_MS = 3_600_000;

interface Allocated { readonly labels: LabelSet; readonly users: Set<string>; retiredAtMs: number | undefined; waitingFor: Set<string> | undefined }

export interface IdentityState {
  readonly namespaces: Map<string, NamespaceData>;
  readonly pods: Map<string, PodData>;
  readonly podsOf: Map<string, Set<string>>;
  readonly endpoints: Map<string, EndpointData>;
  readonly nodes: Set<string>;
  readonly identities: Map<number, Allocated>;
  readonly numberByLabels: Map<string, number>;
  /** Freed numbers, longest free first, and the next never given. */
  readonly free: number[];
  next: number;
  readonly assigned: Map<string, { readonly uid: string; readonly identity: number }>;
  readonly bound: Map<string, { readonly identity: number; readonly node: string; readonly pod: string; readonly uid: string }>;
  /** Pods that wait because every number is in use. */
  readonly waiting: Set<string>;
}

const initialState = (): IdentityState => ({
  namespaces: new Map(), pods: new Map(), podsOf: new Map(), endpoints: new Map(), nodes: new Set(), identities: new Map(), numberByLabels: new Map(),
  free: [], next: CLUSTER_IDENTITY_MIN, assigned: new Map(), bound: new Map(), waiting: new Set(),
});

const namespaceOf = (pod: string): string => pod.slice(0, pod.indexOf('/'));

const release = (draft: IdentityState, pod: string): void => {
  const former = draft.assigned.get(pod);
  if (former !== undefined) draft.identities.get(former.identity)?.users.delete(pod);
  draft.assigned.delete(pod);
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
      return;
    }
    case 'pod.vanished.v1': {
      draft.pods.delete(event.key);
      draft.podsOf.get(namespaceOf(event.key))?.delete(event.key);
      draft.waiting.delete(event.key);
      return;
    }
    case 'endpoint.observed.v1': draft.endpoints.set(event.key, event.data); return;
    case 'endpoint.vanished.v1': draft.endpoints.delete(event.key); return;
    case 'nodeposition.observed.v1': {
      for (const allocated of draft.identities.values()) {
        /* A position is observed after the node reported it, so one that comes after the retirement in the log has passed it by a report later. */
        if (allocated.retiredAtMs !== undefined) allocated.waitingFor?.delete(event.key);
      }
      return;
    }
    case 'identity.allocated.v1': {
      const { identity, labels } = event.data;
      const known = draft.identities.get(identity);
      if (known !== undefined) { known.retiredAtMs = undefined; known.waitingFor = undefined; return; }
      draft.identities.set(identity, { labels, users: new Set(), retiredAtMs: undefined, waitingFor: undefined });
      draft.numberByLabels.set(labelSetKey(labels), identity);
      const index = draft.free.indexOf(identity);
      if (index >= 0) draft.free.splice(index, 1);
      draft.next = Math.max(draft.next, identity + 1);
      return;
    }
    case 'identity.retired.v1': {
      const allocated = draft.identities.get(event.data.identity);
      if (allocated !== undefined) { allocated.retiredAtMs = Date.parse(event.time); allocated.waitingFor = new Set(draft.nodes); }
      return;
    }
    case 'identity.freed.v1': {
      const allocated = draft.identities.get(event.data.identity);
      if (allocated === undefined) return;
      draft.numberByLabels.delete(labelSetKey(allocated.labels));
      draft.identities.delete(event.data.identity);
      draft.free.push(event.data.identity);
      return;
    }
    case 'podidentity.assigned.v1': {
      release(draft, event.key);
      draft.assigned.set(event.key, event.data);
      draft.identities.get(event.data.identity)?.users.add(event.key);
      draft.waiting.delete(event.key);
      return;
    }
    case 'podidentity.removed.v1': release(draft, event.key); return;
    case 'address.bound.v1': draft.bound.set(event.key, event.data); return;
    case 'address.unbound.v1': draft.bound.delete(event.key); return;
    default: return;
  }
};

const wantsIdentity = (pod: PodData): boolean => pod.nodeName !== undefined && !pod.hostNetwork && pod.phase !== 'finished';

/** What one input made necessary, decided against a private overlay so that several pods in one decision get several numbers. */
const decidePods = (pods: Iterable<string>, input: SeineEvent, state: Readonly<IdentityState>): readonly SeineEvent[] => {
  const events: SeineEvent[] = [];
  const trace = { time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
  const given = new Map<string, number>();
  const left = new Map<number, number>();
  const joined = new Set<number>();
  let fromFree = 0;
  let next = state.next;
  const numberOf = (labels: LabelSet): number | undefined => {
    const key = labelSetKey(labels);
    const known = state.numberByLabels.get(key) ?? given.get(key);
    if (known !== undefined) {
      if (state.identities.get(known)?.retiredAtMs !== undefined && !given.has(key)) events.push({ type: 'identity.allocated.v1', key: String(known), ...trace, data: { identity: known, labels } });
      given.set(key, known);
      return known;
    }
    /* Never given before freed: a number comes back as late as possible. */
    const number = next <= CLUSTER_IDENTITY_MAX ? next++ : state.free[fromFree++];
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
    /* Addresses: what the node reported, or what the pod's status says where no node has. */
    const live = pod !== undefined && identity !== undefined;
    const attached = live && endpoint?.uid === pod.uid ? endpoint : undefined;
    const addresses = new Set(!live ? [] : attached?.addresses ?? []);
    for (const [address, binding] of state.bound) {
      if (binding.pod === key && !addresses.has(address)) events.push({ type: 'address.unbound.v1', key: address, ...trace, data: {} });
    }
    if (!live) continue;
    for (const address of addresses) {
      const data = { identity, node: attached?.node ?? pod.nodeName!, pod: key, uid: pod.uid };
      const binding = state.bound.get(address);
      if (binding === undefined || JSON.stringify(binding) !== JSON.stringify(data)) events.push({ type: 'address.bound.v1', key: address, ...trace, data });
    }
  }
  for (const [identity, count] of left) {
    const allocated = state.identities.get(identity);
    if (allocated === undefined || allocated.retiredAtMs !== undefined || joined.has(identity) || allocated.users.size > count) continue;
    events.push({ type: 'identity.retired.v1', key: String(identity), ...trace, data: { identity, labels: [...allocated.labels] } });
  }
  return events;
};

const decideFreed = (input: SeineEvent, state: Readonly<IdentityState>): readonly SeineEvent[] => {
  const now = Date.parse(input.time);
  return [...state.identities].filter(([, { retiredAtMs, waitingFor }]) => retiredAtMs !== undefined && waitingFor?.size === 0 && now - retiredAtMs >= RETIREMENT_MS)
    .map(([identity]): SeineEvent => ({ type: 'identity.freed.v1', key: String(identity), time: input.time, data: { identity } }));
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
