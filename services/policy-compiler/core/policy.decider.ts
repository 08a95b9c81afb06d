/**
 * Policy objects → one compiled event for each policy in them, or a refusal with what stands meanwhile. What they refer to (CIDR groups, services)
 * is filled in, and again whenever it changes; a namespace under audit has its policies audited. Pure.
 */
import {
  EVENT_BYTES_MAX, eventSizeBytes, POLICY_KINDS, POLICY_OBJECT_KINDS, type CompiledPolicy, type CompiledRule, type Decider, type ObjectRef, type PolicyObjectData, type PolicyObjectKind, type Refusal, type SeineEvent,
} from '@seine/events';
import {
  DEFAULT_POLICY_OPTIONS, enforcementModeOf, objectKey, parsePolicyObject, policyOptionsOf, policyPartKey, type EnforcementMode, type ParsedPolicies, type PolicyOptions,
} from '@seine/objects';

import { ALWAYS_KEY, ALWAYS_POLICY, NOT_ENFORCED } from './enforcement.ts';
import { noReferences, referencesOf, setCidrGroup, setReferences, setService, setSlice, withMembers, type References } from './references.ts';

interface Source { readonly object: ObjectRef & { readonly kind: PolicyObjectKind }; readonly data: PolicyObjectData }

export interface PolicyState {
  /** Last event of each policy key that is in force or refused. */
  readonly events: Map<string, SeineEvent>;
  /** Every policy object as it was observed, by object key. */
  readonly sources: Map<string, Source>;
  /** Object keys by namespace. */
  readonly sourcesByNamespace: Map<string, Set<string>>;
  readonly references: References;
  readonly auditedNamespaces: Set<string>;
  /** Kinds that the watcher has listed whole, and those of which this lane says so. */
  readonly listed: Set<string>;
  readonly compiledKinds: Set<string>;
  enforcement: EnforcementMode;
  options: PolicyOptions;
  /** Object keys that the last input concerns, beside its own. */
  concerned: readonly string[];
}

const KIND_BY_NOUN: ReadonlyMap<string, PolicyObjectKind> = new Map(POLICY_OBJECT_KINDS.map((kind) => [kind.toLowerCase(), kind]));

/** The policy object that an event is about. */
const policyObject = ({ type, key }: SeineEvent): (ObjectRef & { readonly kind: PolicyObjectKind }) | undefined => {
  const kind = KIND_BY_NOUN.get(type.slice(0, type.indexOf('.')));
  if (kind === undefined) return undefined;
  const slash = key.indexOf('/');
  return { kind, namespace: slash < 0 ? '' : key.slice(0, slash), name: key.slice(slash + 1) };
};

const policyOf = (event: SeineEvent | undefined): CompiledPolicy | undefined =>
  (event?.type === 'policy.compiled.v1' ? event.data : event?.type === 'policy.refused.v1' ? event.data.standing : undefined);

/** What stands of a policy that is refused: nothing that allows. A withheld rule denies where nobody else allows, so it stays too. */
const denyRules = (policy: CompiledPolicy): readonly CompiledRule[] => policy.rules.filter((rule) => rule.action === 'deny' || rule.action === 'withheld');

/** Keys of the policies of one object, as they stand in the log. */
const partKeys = (key: string, events: ReadonlyMap<string, SeineEvent>): readonly string[] => {
  const keys: string[] = [];
  for (let next = key; events.has(next); next = policyPartKey(key, keys.length)) keys.push(next);
  return keys;
};

const same = (a: SeineEvent | undefined, b: SeineEvent): boolean => a !== undefined && a.type === b.type && JSON.stringify(a.data) === JSON.stringify(b.data);

type Head = Pick<SeineEvent, 'time' | 'traceparent'>;

/** Room that a stored event needs besides what is known when it is decided. */
const LARGEST_BYTES = EVENT_BYTES_MAX - 4 * 1024;

/** A deny rule that cannot name everybody whom it denies denies everybody. */
const widened = (rule: CompiledRule): CompiledRule => {
  if (rule.peers === 'any' || !rule.peers.some(({ type }) => type === 'group')) return rule;
  const { direction, section, index, action, ports, line } = rule;
  return { direction, section, index, action, peers: 'any', ports, ...(line === undefined ? {} : { line }) };
};

/** What stands for a policy whose groups hold more than an event can. */
const withoutGroups = (policy: CompiledPolicy): CompiledPolicy => ({ ...policy, rules: denyRules(policy).map(widened) });

const tooLarge = (bytes: number): Refusal => {
  const expected = `at most ${LARGEST_BYTES} bytes`;
  return { field: '', value: `${bytes} bytes`, expected, message: `SEINE_POLICY_TOO_LARGE: ${bytes} bytes with the members of its groups: expected ${expected}: split the policy or its groups` };
};

/** User of references: the object as observed, and each of its policies as stored, which may stand for it while it is refused. */
const factUser = (key: string): string => `object ${key}`;
const eventUser = (key: string, event: string): string => `${event} of ${key}`;
const userObject = (user: string): string => (user.startsWith('object ') ? user.slice('object '.length) : user.slice(user.indexOf(' of ') + ' of '.length));

const setSource = (draft: PolicyState, source: Source | undefined, ref: ObjectRef): void => {
  const key = objectKey(ref);
  const keys = draft.sourcesByNamespace.get(ref.namespace) ?? new Set();
  if (source === undefined) {
    draft.sources.delete(key);
    keys.delete(key);
  } else {
    draft.sources.set(key, source);
    keys.add(key);
  }
  if (keys.size === 0) draft.sourcesByNamespace.delete(ref.namespace);
  else draft.sourcesByNamespace.set(ref.namespace, keys);
};

/** @returns object keys of the policies in a namespace whose audit begins or ends */
const setNamespaceAudit = (draft: PolicyState, namespace: string, audit: boolean): readonly string[] => {
  if (draft.auditedNamespaces.has(namespace) === audit) return [];
  if (audit) draft.auditedNamespaces.add(namespace);
  else draft.auditedNamespaces.delete(namespace);
  return [...draft.sourcesByNamespace.get(namespace) ?? []];
};

/** @returns object keys of the policies that mean something else now: all, or none */
const setSetting = (draft: PolicyState, name: string, value: string): readonly string[] => {
  const [former, formerNot] = [draft.enforcement, draft.options.cidrNot.join()];
  if (name === 'policy-enforcement-mode') draft.enforcement = enforcementModeOf(value);
  if (name === 'policy-cidr-match-mode') draft.options = policyOptionsOf(value);
  return former === draft.enforcement && formerNot === draft.options.cidrNot.join() ? [] : [...draft.sources.keys()];
};

/** Also in a log of before: what was listed long ago is told with the next decision. */
const newlyCompiled = (state: Readonly<PolicyState>, head: Head): readonly SeineEvent[] =>
  POLICY_KINDS.filter((kind) => state.listed.has(kind) && !state.compiledKinds.has(kind)).map((kind) => ({ type: 'policykind.compiled.v1', key: kind, ...head, data: { kind } }));

const evolveOwn = (draft: PolicyState, event: SeineEvent): void => {
  switch (event.type) {
    case 'policy.compiled.v1':
    case 'policy.refused.v1': {
      draft.events.set(event.key, event);
      const policy = policyOf(event);
      setReferences(draft.references, eventUser(objectKey(event.data.object), event.key), policy === undefined ? [] : referencesOf(policy));
      return;
    }
    case 'policy.removed.v1':
      draft.events.delete(event.key);
      setReferences(draft.references, eventUser(objectKey(event.data.object), event.key), []);
      return;
    default:
  }
};

export const policyDecider = (): Decider<PolicyState> => {
  /** Each fact is parsed once under the same options: what it is asked for twice is the same. */
  const parses = new WeakMap<PolicyObjectData, { readonly cidrNot: string; readonly result: ParsedPolicies }>();
  const parsed = ({ object, data }: Source, options: PolicyOptions): ParsedPolicies => {
    const known = parses.get(data);
    const cidrNot = options.cidrNot.join();
    if (known?.cidrNot === cidrNot) return known.result;
    const result = parsePolicyObject({ ...object, uid: data.uid, spec: data.spec, specs: data.specs, audit: data.audit, lines: data.lines }, options);
    parses.set(data, { cidrNot, result });
    return result;
  };

  const evolveObject = (draft: PolicyState, ref: Source['object'], event: SeineEvent): void => {
    const key = objectKey(ref);
    if (event.type.split('.')[1] === 'vanished') {
      setSource(draft, undefined, ref);
      setReferences(draft.references, factUser(key), []);
      return;
    }
    const source = { object: ref, data: event.data as PolicyObjectData }; // every observed policy kind has this data
    setSource(draft, source, ref);
    const result = parsed(source, draft.options);
    setReferences(draft.references, factUser(key), result.ok ? result.policies.flatMap(referencesOf) : []);
  };

  const evolveInput = (draft: PolicyState, event: SeineEvent): readonly string[] => {
    switch (event.type) {
      case 'ciliumcidrgroup.observed.v1': return setCidrGroup(draft.references, event.key, event.data).map(userObject);
      case 'ciliumcidrgroup.vanished.v1': return setCidrGroup(draft.references, event.key, undefined).map(userObject);
      case 'service.observed.v1': return setService(draft.references, event.key, event.data).map(userObject);
      case 'service.vanished.v1': return setService(draft.references, event.key, undefined).map(userObject);
      case 'endpointslice.observed.v1': return setSlice(draft.references, event.key, event.data).map(userObject);
      case 'endpointslice.vanished.v1': return setSlice(draft.references, event.key, undefined).map(userObject);
      case 'namespace.observed.v1': return setNamespaceAudit(draft, event.key, event.data.audit === true);
      case 'setting.observed.v1': return setSetting(draft, event.key, event.data.value);
      case 'namespace.vanished.v1': return setNamespaceAudit(draft, event.key, false);
      default: return [];
    }
  };

  const compiled = (state: Readonly<PolicyState>, source: Source, policy: CompiledPolicy, key: string, head: Head): SeineEvent => {
    const { object, data } = source;
    const whole: CompiledPolicy = {
      ...withMembers(policy, state.references), audit: policy.audit || state.auditedNamespaces.has(object.namespace),
      ...(data.source === undefined ? {} : { source: data.source }), ...(data.changedBy === undefined ? {} : { changedBy: data.changedBy }),
    };
    const event: SeineEvent = { type: 'policy.compiled.v1', key, ...head, data: whole };
    /* What has no groups was measured by whoever admitted it. */
    const bytes = referencesOf(policy).length === 0 ? 0 : eventSizeBytes(event);
    return bytes <= LARGEST_BYTES ? event : { type: 'policy.refused.v1', key, ...head, data: { object, refusals: [tooLarge(bytes)], standing: withoutGroups(whole) } };
  };

  /** What the mode adds to the policies that people wrote: before they change, where it isolates; after, where it does no longer. */
  const always = (state: Readonly<PolicyState>, head: Head): { readonly first: readonly SeineEvent[]; readonly last: readonly SeineEvent[] } => {
    const [has, wants] = [state.events.has(ALWAYS_KEY), state.enforcement === 'always'];
    return {
      first: wants && !has ? [{ type: 'policy.compiled.v1', key: ALWAYS_KEY, ...head, data: ALWAYS_POLICY }] : [],
      last: has && !wants ? [{ type: 'policy.removed.v1', key: ALWAYS_KEY, ...head, data: { object: ALWAYS_POLICY.object } }] : [],
    };
  };

  /** A policy that stops compiling does not open its subjects: isolation, deny rules and withheld ones stay, allow rules go. */
  const refused = (state: Readonly<PolicyState>, { object, data }: Source, refusals: readonly Refusal[], key: string, head: Head): SeineEvent => {
    const former = policyOf(state.events.get(key));
    const audit = data.audit === true || state.auditedNamespaces.has(object.namespace);
    const standing = former === undefined ? undefined : withMembers({ ...former, audit, rules: denyRules(former) }, state.references);
    if (standing === undefined) return { type: 'policy.refused.v1', key, ...head, data: { object, refusals } };
    const event: SeineEvent = { type: 'policy.refused.v1', key, ...head, data: { object, refusals, standing } };
    return referencesOf(standing).length === 0 || eventSizeBytes(event) <= LARGEST_BYTES ? event : { ...event, data: { ...event.data, standing: withoutGroups(standing) } };
  };

  const notEnforced = (object: ObjectRef, result: ParsedPolicies, key: string, head: Head): readonly SeineEvent[] =>
    (result.ok ? result.policies.map((_, part) => policyPartKey(key, part)) : [key]).map((each) => ({ type: 'policy.refused.v1', key: each, ...head, data: { object, refusals: result.ok ? [NOT_ENFORCED] : [...result.refusals] } }));

  const decideObject = (state: Readonly<PolicyState>, key: string, object: ObjectRef, head: Head): readonly SeineEvent[] => {
    const formerKeys = partKeys(key, state.events);
    const source = state.sources.get(key);
    const result = source === undefined ? undefined : parsed(source, state.options);
    const events = source === undefined || result === undefined ? [] :
      state.enforcement === 'never' ? notEnforced(object, result, key, head) :
      result.ok ? result.policies.map((policy, part) => compiled(state, source, policy, policyPartKey(key, part), head)) :
        (formerKeys.length === 0 ? [key] : formerKeys).map((each) => refused(state, source, result.refusals, each, head));
    const removed = formerKeys.slice(events.length).toReversed().map((each): SeineEvent => ({ type: 'policy.removed.v1', key: each, ...head, data: { object } }));
    return [...events.filter((event) => !same(state.events.get(event.key), event)), ...removed];
  };

  return {
    initialState: () => ({ events: new Map(), sources: new Map(), sourcesByNamespace: new Map(), references: noReferences(), auditedNamespaces: new Set(), listed: new Set(), compiledKinds: new Set(), enforcement: 'default', options: DEFAULT_POLICY_OPTIONS, concerned: [] }),
    evolve: (draft, event) => {
      if (event.type === 'policykind.compiled.v1') { draft.compiledKinds.add(event.data.kind); return; }
      if (event.type.startsWith('policy.')) { evolveOwn(draft, event); return; }
      if (event.type === 'kind.listed.v1') draft.listed.add(event.data.kind);
      const ref = policyObject(event);
      if (ref !== undefined) evolveObject(draft, ref, event);
      draft.concerned = ref === undefined ? [...new Set(evolveInput(draft, event))] : [];
    },
    decide: (input, state) => {
      const head = { time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
      const ref = policyObject(input);
      if (ref !== undefined) return [...decideObject(state, objectKey(ref), ref, head), ...newlyCompiled(state, head)];
      const { first, last } = always(state, head);
      const concerned = state.concerned.flatMap((key) => {
        const source = state.sources.get(key);
        return source === undefined ? [] : decideObject(state, key, source.object, head);
      });
      return [...first, ...concerned, ...last, ...newlyCompiled(state, head)];
    },
  };
};
