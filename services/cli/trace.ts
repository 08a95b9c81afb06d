/**
 * How a verdict came about: the log read again with both ends in hand. Told are the changes of what the verdict depends on (the ends' labels,
 * identities and namespaces, and every policy that ever selected one of them), and at which of them the verdict flipped. Pure.
 */
import type { Commit } from '@seine/bus';
import type { CompiledPolicy, SeineEvent } from '@seine/events';
import { emptyNodeState, evolveNode, partyFinder, subjectMatches, type NodeState, type PartyAt } from '@seine/datapath-writer';
import { compareCodeUnits } from '@seine/model';
import { objectKey, policyPartKey } from '@seine/objects';

import { sidesOf, type Ends } from './verdict.ts';

export type Said = 'allow' | 'deny' | 'audit';

export interface HistoryEntry {
  readonly seq: number;
  /** RFC 3339: when the broker stored it. */
  readonly time: string;
  readonly subject: string;
  readonly summary: string;
  /** Field manager of the object's last change. */
  readonly manager: string | null;
  /** The verdict from here on; null while an end is not there. */
  readonly verdict: Said | null;
  /** The verdict was another one before. */
  readonly flipped: boolean;
}

export interface Trace {
  readonly take: (commit: Pick<Commit, 'seq' | 'storedMs' | 'events'>) => void;
  /** In the order of the log; of policies only those that ever selected an end. */
  readonly entries: () => readonly HistoryEntry[];
  /** The verdict after everything that was taken; undefined where an end is not there. */
  readonly verdict: () => Said | undefined;
  /** Sequence since which a pod has had its value of a label; undefined for a label that it does not have. */
  readonly labelSince: (pod: string, key: string) => number | undefined;
}

type Labels = ReadonlyMap<string, string>;

interface Told { readonly summary: string; readonly manager: string | undefined; /** key of a policy: of no concern until it selects an end */ readonly policy?: string }

const labelsOf = (labels: Readonly<Record<string, string>> | undefined): Labels => new Map(Object.entries(labels ?? {}));

const changedKeys = (before: Labels, after: Labels): readonly string[] =>
  [...new Set([...before.keys(), ...after.keys()])].filter((key) => before.get(key) !== after.get(key)).sort(compareCodeUnits);

const labelText = (labels: Labels, key: string): string => { const value = labels.get(key); return value === undefined ? `no k8s:${key}` : `k8s:${key}=${value}`; };

const changeText = (before: Labels, after: Labels, keys: readonly string[]): string =>
  `${keys.map((key) => labelText(after, key)).join(', ')} (before: ${keys.map((key) => labelText(before, key)).join(', ')})`;

const policyOf = (event: SeineEvent): CompiledPolicy | undefined => (event.type === 'policy.compiled.v1' ? event.data : event.type === 'policy.refused.v1' ? event.data.standing : undefined);

/** What the verdict says, whatever decided it. */
const verdictNow = (state: Readonly<NodeState>, ends: Ends, protocol: string): { readonly said: Said; readonly selecting: readonly string[] } => {
  const { egress, ingress } = sidesOf(state, partyFinder(state), ends, protocol);
  const sides = [egress, ingress].flatMap((side) => side ?? []);
  const outcomes = new Set(sides.map(({ outcome }) => outcome.verdict));
  return {
    said: ends.draw?.refusal !== undefined || outcomes.has('deny') || outcomes.has('default-deny') ? 'deny' : outcomes.has('audit') ? 'audit' : 'allow',
    selecting: sides.flatMap(({ selecting }) => selecting.map(({ object, part }) => policyPartKey(objectKey(object), part ?? 0))),
  };
};

/** @param ends as they were resolved: pods stay who they are, whatever becomes of their workloads */
export const createTrace = (ends: Ends, protocol: string): Trace => {
  const state = emptyNodeState();
  const namespaces = new Map<string, Labels>();
  const since = new Map<string, Map<string, number>>();
  const entries: (HistoryEntry & Pick<Told, 'policy'>)[] = [];
  const concerning = new Set<string>();
  let said: Said | undefined;

  /** Which pod must be at an address; undefined where nobody is expected: outside, nodes. */
  const podAt = new Map([[ends.sourceAddress, ends.sourcePod], [ends.destination, ends.destinationPod]]);
  const pods = new Set([...podAt.values()].flatMap((pod) => pod ?? []));
  const isThere = (): boolean => [...podAt].every(([address, pod]) => pod === undefined || state.addresses.get(address)?.pod === pod);

  let parties: readonly PartyAt[] | undefined;
  const partiesNow = (): readonly PartyAt[] => {
    const finder = parties === undefined ? partyFinder(state) : undefined;
    parties ??= [...podAt.keys()].map((address) => finder!.at(address, finder!.at(address, undefined).node)); // made just above
    return parties;
  };
  const selectsAnEnd = (policy: CompiledPolicy | undefined): boolean => policy !== undefined && partiesNow().some((party) => subjectMatches(policy.subject, party));

  const tellPod = (event: Extract<SeineEvent, { readonly type: 'pod.observed.v1' }>, seq: number): Told | undefined => {
    const { uid, labels, changedBy } = event.data;
    const before = state.pods.get(event.key);
    const isNew = before?.uid !== uid;
    const [was, is] = [labelsOf(isNew ? undefined : before?.labels), labelsOf(labels)];
    const keys = changedKeys(was, is);
    const times = isNew ? new Map<string, number>() : since.get(event.key) ?? new Map<string, number>();
    since.set(event.key, times);
    for (const key of keys) if (is.has(key)) times.set(key, seq); else times.delete(key);
    if (!isNew && keys.length === 0) return undefined;
    return { summary: `pod ${event.key} observed${isNew ? '' : ` with ${changeText(was, is, keys)}`}`, manager: changedBy === undefined ? undefined : `${changedBy.manager}, ${changedBy.operation}` };
  };

  const tellNamespace = (name: string, labels: Labels): Told | undefined => {
    const was = namespaces.get(name);
    namespaces.set(name, labels);
    const keys = was === undefined ? [] : changedKeys(was, labels);
    return was === undefined || keys.length === 0 || ![...pods].some((pod) => pod.startsWith(`${name}/`)) ? undefined : { summary: `namespace ${name} observed with ${changeText(was, labels, keys)}`, manager: undefined };
  };

  const tellPolicy = (event: Extract<SeineEvent, { readonly type: 'policy.compiled.v1' | 'policy.refused.v1' | 'policy.removed.v1' }>): Told => {
    const { kind, namespace, name } = event.data.object;
    const [before, after] = [state.policies.get(event.key), policyOf(event)];
    if (selectsAnEnd(before) || selectsAnEnd(after)) concerning.add(event.key);
    const what = event.type === 'policy.removed.v1' ? 'removed' : event.type === 'policy.refused.v1' ? 'refused: what it isolates and denies stays, what it allows goes' : before === undefined ? 'compiled' : 'changed';
    return { summary: `${kind} ${namespace === '' ? '' : `${namespace}/`}${name} ${what}`, manager: after?.changedBy === undefined ? undefined : `${after.changedBy.manager}, ${after.changedBy.operation}`, policy: event.key };
  };

  /** What an event did to an end or to a policy, before it is folded; undefined where it is no concern. */
  const tell = (event: SeineEvent, seq: number): Told | undefined => {
    switch (event.type) {
      case 'pod.observed.v1': return pods.has(event.key) ? tellPod(event, seq) : undefined;
      case 'pod.vanished.v1': return pods.has(event.key) ? { summary: `pod ${event.key} vanished`, manager: undefined } : undefined;
      case 'namespace.observed.v1': return tellNamespace(event.key, labelsOf(event.data.labels));
      case 'address.bound.v1': {
        const { pod, identity } = event.data;
        if (!podAt.has(event.key) || podAt.get(event.key) !== pod) return undefined;
        const before = state.addresses.get(event.key);
        if (before?.pod === pod && before.identity === identity) return undefined;
        return { summary: before?.pod === pod ? `${pod} has identity ${identity} (before: ${before.identity})` : `${pod} at ${event.key} has identity ${identity}`, manager: undefined };
      }
      case 'policy.compiled.v1': case 'policy.refused.v1': case 'policy.removed.v1': return tellPolicy(event);
      default: return undefined;
    }
  };

  return {
    take: ({ seq, storedMs, events }) => {
      const time = new Date(storedMs).toISOString();
      const fresh: (typeof entries)[number][] = [];
      for (const event of events) {
        const told = tell(event, seq);
        evolveNode(state, event, seq);
        if (!event.type.startsWith('policy.')) parties = undefined;
        if (told !== undefined) fresh.push({ seq, time, subject: `${event.type.slice(0, event.type.indexOf('.'))}/${event.key}`, summary: told.summary, manager: told.manager ?? null, verdict: said ?? null, flipped: false, ...(told.policy === undefined ? {} : { policy: told.policy }) });
      }
      const last = fresh.findLastIndex(({ policy }) => policy === undefined || concerning.has(policy));
      if (last >= 0) {
        const now = isThere() ? verdictNow(state, ends, protocol) : undefined;
        for (const key of now?.selecting ?? []) concerning.add(key);
        /* The first verdict is no flip: before it, an end was not there. */
        fresh[last] = { ...fresh[last]!, verdict: now?.said ?? null, flipped: now !== undefined && said !== undefined && now.said !== said };
        said = now?.said;
      }
      entries.push(...fresh);
    },
    entries: () => entries.filter(({ policy }) => policy === undefined || concerning.has(policy)).map(({ policy: _policy, ...entry }) => entry),
    verdict: () => said,
    labelSince: (pod, key) => since.get(pod)?.get(key),
  };
};
