/**
 * Which selectors may mean a party, and which parties a selector may mean, without asking all. Both sides are filed under short texts: a party
 * under each of its labels, a selector under labels of which its parties have at least one. What is found is then asked exactly. Pure.
 */
import type { Peer } from '@seine/events';
import { NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX, type Requirement } from '@seine/model';

import type { IdentityView, Party } from '../policy/index.ts';

/** `N shop`: the namespace; `n team=a`, `n team`: its labels; `p app=web`, `p app`: the pod's; `shop app=web`: both at once. No label has a blank in its key. */
const inNamespace = (namespace: string): string => `N ${namespace}`;
const namespaced = (namespace: string, key: string, value: string): string => `${namespace} ${key}=${value}`;

const filed = new WeakMap<IdentityView, readonly string[]>();

/** Everything under which a pod is filed. */
export const labelTexts = (view: IdentityView): readonly string[] => {
  const known = filed.get(view);
  if (known !== undefined) return known;
  const texts = [inNamespace(view.namespace)];
  for (const [key, value] of Object.entries(view.namespaceLabels)) texts.push(`n ${key}`, `n ${key}=${value}`);
  for (const [key, value] of Object.entries(view.podLabels)) texts.push(`p ${key}`, `p ${key}=${value}`, namespaced(view.namespace, key, value));
  filed.set(view, texts);
  return texts;
};

/** Whom a peer can mean: pods that have a label of each group; parties with a prefix; or anybody. */
export type Reach = { readonly type: 'labels'; readonly groups: readonly (readonly string[])[] } | { readonly type: 'prefix' } | { readonly type: 'anybody' };

const ANYBODY: Reach = { type: 'anybody' };

const requirementGroup = (requirement: Requirement, texts: { readonly key: string; readonly value: (value: string) => string }): readonly string[] | undefined => {
  switch (requirement.operator) {
    case 'In': return requirement.values.map(texts.value);
    case 'Exists': return [texts.key];
    default: return undefined;
  }
};
const labelled = (space: 'n' | 'p', key: string) => ({ key: `${space} ${key}`, value: (value: string) => `${space} ${key}=${value}` });

/** A requirement over `k8s:key` or `any:key`. A reserved identity has its label without a value, so a value is a pod's. */
const sourcedGroup = (requirement: Requirement, namespace: string | undefined): readonly string[] | undefined => {
  const colon = requirement.key.indexOf(':');
  const [source, key] = [requirement.key.slice(0, colon), requirement.key.slice(colon + 1)];
  if (source !== 'k8s' && !(source === 'any' && requirement.operator === 'In' && !requirement.values.includes(''))) return undefined;
  if (key === NAMESPACE_LABEL) return requirement.operator === 'In' ? requirement.values.map(inNamespace) : undefined;
  if (key.startsWith(NAMESPACE_LABELS_PREFIX)) return requirementGroup(requirement, labelled('n', key.slice(NAMESPACE_LABELS_PREFIX.length)));
  return requirementGroup(requirement, namespace === undefined ? labelled('p', key) : { key: `p ${key}`, value: (value) => namespaced(namespace, key, value) });
};

/** The one namespace that a selector over sourced labels asks for. */
const namespaceAsked = (labels: readonly Requirement[]): string | undefined => {
  const asked = labels.find((requirement) => (requirement.key === `k8s:${NAMESPACE_LABEL}` || requirement.key === `any:${NAMESPACE_LABEL}`) && requirement.operator === 'In' && requirement.values.length === 1);
  return asked === undefined || !('values' in asked) ? undefined : asked.values[0];
};

const ofGroups = (groups: readonly (readonly string[] | undefined)[]): Reach => {
  const asked = groups.filter((group) => group !== undefined);
  return asked.length === 0 ? ANYBODY : { type: 'labels', groups: asked };
};

export const reachOf = (peer: Peer): Reach => {
  switch (peer.type) {
    case 'pods': {
      const { namespace } = peer;
      return ofGroups([
        ...peer.pods.map((requirement) => requirementGroup(requirement, namespace === undefined ? labelled('p', requirement.key) : { key: `p ${requirement.key}`, value: (value) => namespaced(namespace, requirement.key, value) })),
        namespace === undefined ? undefined : [inNamespace(namespace)],
        ...(peer.namespaces ?? []).map((requirement) => requirementGroup(requirement, labelled('n', requirement.key))),
      ]);
    }
    case 'labels': return ofGroups(peer.labels.map((requirement) => sourcedGroup(requirement, namespaceAsked(peer.labels))));
    case 'cidr': return { type: 'prefix' };
    case 'group': {
      const reaches = peer.members.map(reachOf);
      if (reaches.every(({ type }) => type === 'prefix')) return { type: 'prefix' };
      return reaches.every((reach) => reach.type === 'labels') ? { type: 'labels', groups: [reaches.flatMap(({ groups }) => groups[0]!)] } : ANYBODY;
    }
    default: return ANYBODY;
  }
};

/** Under what a selector is filed. */
export type Filing = readonly string[] | 'prefix' | 'anybody';

/** @param crowd how many parties have a label: the group that fewest have is the best */
export const filingOf = (reach: Reach, crowd: (text: string) => number): Filing => {
  if (reach.type !== 'labels') return reach.type;
  const size = (group: readonly string[]): number => group.reduce((sum, text) => sum + crowd(text), 0);
  return [...reach.groups].map((group) => ({ group, size: size(group) })).sort((a, b) => a.size - b.size)[0]!.group;
};

/** Sets by text, without empty ones. */
const createFile = <T>() => {
  const sets = new Map<string, Set<T>>();
  return {
    add: (text: string, item: T): void => {
      const set = sets.get(text);
      if (set === undefined) sets.set(text, new Set([item]));
      else set.add(item);
    },
    remove: (text: string, item: T): void => {
      const set = sets.get(text);
      set?.delete(item);
      if (set?.size === 0) sets.delete(text);
    },
    at: (text: string): ReadonlySet<T> | undefined => sets.get(text),
  };
};

/** Selectors, found by the parties that they may mean. */
export const createSelectorFile = <T>() => {
  const file = createFile<T>();
  return {
    add: (item: T, filing: Filing): void => { for (const text of typeof filing === 'string' ? [filing] : filing) file.add(text, item); },
    remove: (item: T, filing: Filing): void => { for (const text of typeof filing === 'string' ? [filing] : filing) file.remove(text, item); },
    /** Every selector that may mean this party, perhaps more. */
    candidates: ({ view, prefix }: Pick<Party, 'view' | 'prefix'>): ReadonlySet<T> => {
      const found = new Set<T>(file.at('anybody'));
      if (prefix !== undefined) for (const item of file.at('prefix') ?? []) found.add(item);
      if (view !== undefined) for (const text of labelTexts(view)) for (const item of file.at(text) ?? []) found.add(item);
      return found;
    },
  };
};

const textsOf = ({ view, prefix }: Pick<Party, 'view' | 'prefix'>): readonly string[] => ['anybody', ...(prefix === undefined ? [] : ['prefix']), ...(view === undefined ? [] : labelTexts(view))];

/** Parties, found by the selectors that may mean them. */
export const createPartyFile = <P extends Pick<Party, 'view' | 'prefix'>>() => {
  const file = createFile<P>();
  const filedAs = new Map<P, readonly string[]>();
  const remove = (party: P): void => {
    for (const text of filedAs.get(party) ?? []) file.remove(text, party);
    filedAs.delete(party);
  };
  return {
    /** A party that is described anew is filed anew. */
    file: (party: P): void => {
      remove(party);
      const texts = textsOf(party);
      filedAs.set(party, texts);
      for (const text of texts) file.add(text, party);
    },
    remove,
    crowd: (text: string): number => file.at(text)?.size ?? 0,
    /** Every party that a selector may mean, perhaps more. */
    candidates: (filing: Filing): Iterable<P> => {
      if (typeof filing === 'string') return file.at(filing) ?? [];
      if (filing.length === 1) return file.at(filing[0]!) ?? [];
      return new Set(filing.flatMap((text) => [...file.at(text) ?? []]));
    },
  };
};
