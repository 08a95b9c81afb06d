/**
 * What policies refer to: CIDR groups, services, slices of services without a selector. Who a reference means now, and which policies a change
 * of an object concerns. A reference to what nobody has seen means nobody. Pure.
 */
import type { CidrGroupData, CidrPeer, CompiledPolicy, EndpointSliceData, GroupPeer, ServiceData } from '@seine/events';
import { compareCodeUnits, formatPrefix, parsePrefix, prefixCovers, selects, type Labels, type Selector } from '@seine/model';

export type Reference = GroupPeer['ref'];
type Member = GroupPeer['members'][number];

export interface References {
  readonly cidrGroups: Map<string, CidrGroupData>;
  /** By `<namespace>/<name>`. */
  readonly services: Map<string, ServiceData>;
  readonly slices: Map<string, EndpointSliceData>;
  /** Keys of the slices of a service. */
  readonly slicesByService: Map<string, Set<string>>;
  /** Users by what they name: `Service/<namespace or nothing>/<name>`. */
  readonly usersByName: Map<string, Set<string>>;
  /** References by labels, by user. */
  readonly selectorsByUser: Map<string, readonly Reference[]>;
  readonly namesByUser: Map<string, readonly string[]>;
}

export const noReferences = (): References => ({
  cidrGroups: new Map(), services: new Map(), slices: new Map(), slicesByService: new Map(), usersByName: new Map(), selectorsByUser: new Map(), namesByUser: new Map(),
});

const sorted = (texts: Iterable<string>): readonly string[] => [...new Set(texts)].sort(compareCodeUnits);

/** The prefixes of a group without those of `except`. */
const cidrMembers = ({ cidrs }: CidrGroupData, { except = [], not }: Reference): readonly CidrPeer[] => {
  const holes = except.flatMap((text) => parsePrefix(text) ?? []);
  return cidrs.flatMap((cidr) => {
    const prefix = parsePrefix(cidr);
    if (prefix === undefined || holes.some((hole) => prefixCovers(hole, prefix))) return [];
    const inside = holes.filter((hole) => prefixCovers(prefix, hole)).map(formatPrefix);
    return [{ type: 'cidr', cidr, except: inside, ...(not === undefined ? {} : { not }) } satisfies CidrPeer];
  });
};

const asSelector = (labels: Labels): Selector => Object.keys(labels).sort(compareCodeUnits).map((key) => ({ key, operator: 'In', values: [labels[key]!] })); // a key of labels

const hasSelector = ({ selector }: ServiceData): boolean => selector !== undefined && Object.keys(selector).length > 0;

const namespaceOf = (key: string): string => key.slice(0, key.indexOf('/'));
const nameOf = (key: string): string => key.slice(key.indexOf('/') + 1);

/** The pods that a service selects; of one without a selector the addresses of its slices, as CIDRs. */
const serviceMembers = (references: References, key: string, service: ServiceData, { not }: Reference): readonly Member[] => {
  if (hasSelector(service)) return [{ type: 'pods', namespace: namespaceOf(key), pods: asSelector(service.selector ?? {}) }];
  const addresses = [...references.slicesByService.get(key) ?? []].flatMap((slice) => references.slices.get(slice)?.endpoints.flatMap((endpoint) => endpoint.addresses) ?? []);
  return sorted(addresses).map((address) => ({ type: 'cidr', cidr: `${address}/${address.includes(':') ? 128 : 32}`, except: [], ...(not === undefined ? {} : { not }) }));
};

const isMeant = (reference: Reference, kind: Reference['kind'], key: string, labels: Labels): boolean => {
  if (reference.kind !== kind) return false;
  const [namespace, name] = kind === 'Service' ? [namespaceOf(key), nameOf(key)] : ['', key];
  if (reference.namespace !== undefined && reference.namespace !== namespace) return false;
  return reference.name === undefined ? selects(reference.labels ?? [], labels) : reference.name === name;
};

const keysMeant = (reference: Reference, objects: ReadonlyMap<string, { readonly labels?: Labels | undefined }>): readonly string[] => {
  const exact = reference.kind === 'CiliumCIDRGroup' ? reference.name : reference.name === undefined || reference.namespace === undefined ? undefined : `${reference.namespace}/${reference.name}`;
  if (exact !== undefined) return objects.has(exact) ? [exact] : [];
  return sorted([...objects].filter(([key, { labels = {} }]) => isMeant(reference, reference.kind, key, labels)).map(([key]) => key));
};

const membersOf = (references: References, reference: Reference): readonly Member[] =>
  reference.kind === 'CiliumCIDRGroup' ? keysMeant(reference, references.cidrGroups).flatMap((key) => cidrMembers(references.cidrGroups.get(key)!, reference)) : // keys of that map
    keysMeant(reference, references.services).flatMap((key) => serviceMembers(references, key, references.services.get(key)!, reference)); // likewise

/** The policy with the members of its groups as they are now. */
export const withMembers = (policy: CompiledPolicy, references: References): CompiledPolicy => {
  if (referencesOf(policy).length === 0) return policy;
  return {
    ...policy,
    rules: policy.rules.map((rule) => (rule.peers === 'any' ? rule : {
      ...rule, peers: rule.peers.map((peer) => (peer.type === 'group' ? { ...peer, members: membersOf(references, peer.ref) } : peer)),
    })),
  };
};

export const referencesOf = (policy: CompiledPolicy): readonly Reference[] =>
  policy.rules.flatMap(({ peers }) => (peers === 'any' ? [] : peers.flatMap((peer) => (peer.type === 'group' ? [peer.ref] : []))));

const nameKey = ({ kind, namespace = '' }: Pick<Reference, 'kind' | 'namespace'>, name: string): string => `${kind}/${namespace}/${name}`;

/** From now on `user` refers to these, and to nothing else. */
export const setReferences = (draft: References, user: string, all: readonly Reference[]): void => {
  for (const key of draft.namesByUser.get(user) ?? []) {
    const users = draft.usersByName.get(key);
    users?.delete(user);
    if (users?.size === 0) draft.usersByName.delete(key);
  }
  const names = sorted(all.flatMap((reference) => (reference.name === undefined ? [] : [nameKey(reference, reference.name)])));
  const selectors = all.filter(({ name }) => name === undefined);
  for (const key of names) draft.usersByName.set(key, (draft.usersByName.get(key) ?? new Set()).add(user));
  if (names.length === 0) draft.namesByUser.delete(user);
  else draft.namesByUser.set(user, names);
  if (selectors.length === 0) draft.selectorsByUser.delete(user);
  else draft.selectorsByUser.set(user, selectors);
};

/** Users whose references mean the object, with any of these labels: those that it had and those that it has. */
const usersOf = (references: References, kind: Reference['kind'], key: string, labels: readonly (Labels | undefined)[]): readonly string[] => {
  const [namespace, name] = kind === 'Service' ? [namespaceOf(key), nameOf(key)] : ['', key];
  const byName = [nameKey({ kind, namespace }, name), nameKey({ kind }, name)].flatMap((each) => [...references.usersByName.get(each) ?? []]);
  const bySelector = [...references.selectorsByUser].filter(([, selectors]) => selectors.some((each) => labels.some((of) => of !== undefined && isMeant(each, kind, key, of)))).map(([user]) => user);
  return sorted([...byName, ...bySelector]);
};

const setOrDelete = <V>(map: Map<string, V>, key: string, value: V | undefined): V | undefined => {
  const former = map.get(key);
  if (value === undefined) map.delete(key);
  else map.set(key, value);
  return former;
};

/** @returns the users that this concerns */
export const setCidrGroup = (draft: References, key: string, group: CidrGroupData | undefined): readonly string[] => {
  const former = setOrDelete(draft.cidrGroups, key, group);
  return usersOf(draft, 'CiliumCIDRGroup', key, [former?.labels, group?.labels]);
};

/** @returns the users that this concerns */
export const setService = (draft: References, key: string, service: ServiceData | undefined): readonly string[] => {
  const former = setOrDelete(draft.services, key, service);
  return usersOf(draft, 'Service', key, [former === undefined ? undefined : former.labels ?? {}, service === undefined ? undefined : service.labels ?? {}]);
};

/** @returns the users that this concerns: those of services whose addresses are in slices alone */
export const setSlice = (draft: References, key: string, slice: EndpointSliceData | undefined): readonly string[] => {
  const serviceOf = (data: EndpointSliceData | undefined): readonly string[] => (data === undefined ? [] : [`${namespaceOf(key)}/${data.service}`]);
  const former = serviceOf(setOrDelete(draft.slices, key, slice));
  for (const service of former) {
    const keys = draft.slicesByService.get(service);
    keys?.delete(key);
    if (keys?.size === 0) draft.slicesByService.delete(service);
  }
  const present = serviceOf(slice);
  for (const service of present) draft.slicesByService.set(service, (draft.slicesByService.get(service) ?? new Set()).add(key));
  return sorted([...former, ...present].flatMap((serviceKey) => {
    const service = draft.services.get(serviceKey);
    return service === undefined || hasSelector(service) ? [] : usersOf(draft, 'Service', serviceKey, [service.labels ?? {}]);
  }));
};
