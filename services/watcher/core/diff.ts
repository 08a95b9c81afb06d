/** What the watcher knows × what it sees now → facts: only where the state changed. Pure. */
import type { FactEvent, ObjectRef, SeineEvent } from '@seine/events';
import { objectKey, refOf, SETTING_NAMES, SETTINGS, type KubeObject, type RefusedObject, type Settings } from '@seine/objects';

import { refusedFact, toFact } from './to-fact.ts';

/** Kinds that this watcher lists, in the order in which their facts are committed: what others refer to comes first. Of ConfigMaps it is one: ip-masq-agent's. */
export const WATCHED_KINDS = [
  'Namespace', 'Node', 'ConfigMap', 'CiliumCIDRGroup', 'NetworkPolicy', 'CiliumNetworkPolicy', 'CiliumClusterwideNetworkPolicy', 'ClusterNetworkPolicy', 'Service', 'Pod', 'EndpointSlice',
] as const;
export type WatchedKind = (typeof WATCHED_KINDS)[number];

const NOUN: Readonly<Record<WatchedKind, string>> = {
  Namespace: 'namespace', Node: 'node', ConfigMap: 'ipmasqagent', CiliumCIDRGroup: 'ciliumcidrgroup', NetworkPolicy: 'networkpolicy', CiliumNetworkPolicy: 'ciliumnetworkpolicy',
  CiliumClusterwideNetworkPolicy: 'ciliumclusterwidenetworkpolicy', ClusterNetworkPolicy: 'clusternetworkpolicy', Service: 'service', Pod: 'pod', EndpointSlice: 'endpointslice',
};

/** The fold of the fact lane as far as objects go: last observed fact and refusal of every key. */
export interface Known {
  /** `<noun>/<key>` → its last observed fact */
  readonly facts: Map<string, FactEvent>;
  /** `<kind>/<namespace>/<name>` → its refusal */
  readonly refusals: Map<string, FactEvent>;
  /** Kind → whether its source does not have it. */
  readonly listed: Map<string, boolean>;
}

export const emptyKnown = (): Known => ({ facts: new Map(), refusals: new Map(), listed: new Map() });

const nounOf = (type: string): string => type.slice(0, type.indexOf('.'));

export const evolveKnown = (draft: Known, event: SeineEvent): void => {
  const noun = nounOf(event.type);
  if (event.type === 'kind.listed.v1') draft.listed.set(event.data.kind, event.data.absent);
  else if (event.type === 'object.refused.v1') draft.refusals.set(event.key, event);
  else if (event.type === 'refusal.vanished.v1') draft.refusals.delete(event.key);
  else if (event.type.endsWith('.observed.v1')) draft.facts.set(`${noun}/${event.key}`, event as FactEvent); // holds: observed events are facts
  else if (event.type.endsWith('.vanished.v1')) draft.facts.delete(`${noun}/${event.key}`);
};

/** Who wrote it is no change: an annotation that a controller touches every second is none of the log's business. */
const stateText = ({ data }: { readonly data: object }): string => JSON.stringify({ ...data, changedBy: undefined });
const sameData = (a: { readonly data: object }, b: { readonly data: object }): boolean => stateText(a) === stateText(b);

const vanished = (type: string, fact: FactEvent, time: string): FactEvent =>
  ({ type: `${type}.vanished.v1`, key: fact.key, time, data: { uid: (fact.data as { readonly uid: string }).uid } }) as FactEvent; // holds: every watched kind has a uid and a vanished fact

/** How a kind was listed. `absent`: the source does not have it at all. */
export interface Listing { readonly resourceVersion: string; readonly absent: boolean }

/** What a source tells that watches: of some kinds everything, of the others what changed. */
export interface SeenPart {
  /** Of these kinds `objects` holds all. */
  readonly whole: ReadonlyMap<WatchedKind, Listing>;
  readonly gone: readonly ObjectRef[];
}

export interface Seen {
  readonly objects: readonly KubeObject[];
  readonly refused: readonly RefusedObject[];
  /** Absent: as they were. */
  readonly settings?: Settings | undefined;
  /** Absent: `objects` and `refused` are all that there is, of every kind. */
  readonly part?: SeenPart;
}

const ALL_LISTED: SeenPart = { whole: new Map(WATCHED_KINDS.map((kind) => [kind, { resourceVersion: '0', absent: false }])), gone: [] };

const isWatched = (kind: string): kind is WatchedKind => Object.hasOwn(NOUN, kind);

/** Before every object: nobody is judged under one setting and then another. A setting that was never said is its default. */
const settingFacts = (known: Known, settings: Settings, time: string, traceOf: () => string): readonly FactEvent[] => SETTING_NAMES.flatMap((name): readonly FactEvent[] => {
  const former = known.facts.get(`setting/${name}`);
  const value = settings[name] ?? SETTINGS[name].fallback;
  return value === (former?.type === 'setting.observed.v1' ? former.data.value : SETTINGS[name].fallback) ? [] : [{ type: 'setting.observed.v1', key: name, time, traceparent: traceOf(), data: { value } }];
});

/**
 * @param now what the source holds: all of it, or a part
 * @param traceOf a new trace for each changed object
 * @returns facts in the order in which they must be committed; kinds listed for the first time end with their marker
 *
 * An object that is refused keeps what was in force: its former fact stays, as an API server would keep the former object.
 * While something cannot even be read as an object nothing vanishes for being missed: it may stand there, and a policy that vanished would open its pods.
 */
export const diffFacts = (known: Known, now: Seen, time: string, traceOf: () => string): readonly FactEvent[] => {
  const facts: FactEvent[] = now.settings === undefined ? [] : [...settingFacts(known, now.settings, time, traceOf)];
  const stays = new Set<string>();
  const refusals = new Map<string, FactEvent>();
  const { whole, gone } = now.part ?? ALL_LISTED;
  const byKind = new Map<string, FactEvent[]>(WATCHED_KINDS.map((kind) => [kind, []]));
  /** Objects that are well, or gone: a refusal of theirs is over. */
  const settled = new Set<string>(gone.map(objectKey));
  const refuse = (fact: FactEvent, key: string): void => {
    refusals.set(fact.key, fact);
    stays.add(key);
  };
  const nounKey = (kind: string, namespace: string, name: string): string => `${NOUN[kind as WatchedKind] ?? kind}/${namespace === '' ? name : `${namespace}/${name}`}`; // unknown kinds have no facts
  for (const { object, refusals: reasons, source } of now.refused) {
    refuse(refusedFact(object, reasons, source, time), nounKey(object.kind, object.namespace, object.name));
  }
  for (const object of now.objects) {
    const made = toFact(object, time);
    if (made === undefined) continue;
    if ('refusals' in made) { refuse(refusedFact(refOf(object), made.refusals, object.place, time), nounKey(object.kind, object.namespace, object.name)); continue; }
    const { fact } = made;
    const key = nounKey(object.kind, object.namespace, object.name);
    stays.add(key);
    const former = known.facts.get(key);
    if (former === undefined || !sameData(former, fact)) byKind.get(object.kind)?.push({ ...fact, traceparent: traceOf() });
    refusals.delete(objectKey(refOf(object)));
    settled.add(objectKey(refOf(object)));
  }
  /* What refers goes before what it refers to. */
  const leave = (kind: WatchedKind, key: string): void => {
    const fact = known.facts.get(key);
    if (fact !== undefined && !stays.has(key)) facts.push({ ...vanished(NOUN[kind], fact, time), traceparent: traceOf() });
  };
  for (const kind of WATCHED_KINDS.toReversed()) {
    for (const ref of gone) if (ref.kind === kind && !whole.has(kind)) leave(kind, nounKey(kind, ref.namespace, ref.name));
    if (whole.has(kind) && now.refused.length === 0) for (const key of known.facts.keys()) if (key.startsWith(`${NOUN[kind]}/`)) leave(kind, key);
  }
  for (const kind of WATCHED_KINDS) {
    facts.push(...byKind.get(kind)!);
    const listing = whole.get(kind);
    if (listing !== undefined && known.listed.get(kind) !== listing.absent) facts.push({ type: 'kind.listed.v1', key: kind, time, data: { kind, ...listing } });
  }
  for (const [key, fact] of refusals) {
    const former = known.refusals.get(key);
    if (former === undefined || !sameData(former, fact)) facts.push(fact);
  }
  const isOver = (key: string): boolean => { const kind = key.slice(0, key.indexOf('/')); return settled.has(key) || now.part === undefined || (isWatched(kind) && whole.has(kind)); };
  for (const key of known.refusals.keys()) if (!refusals.has(key) && isOver(key)) facts.push({ type: 'refusal.vanished.v1', key, time, data: {} });
  return facts;
};
