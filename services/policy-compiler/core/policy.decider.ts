/** Policy objects → one compiled event for each policy in them, or a refusal with what stands meanwhile. Pure. */
import { POLICY_OBJECT_KINDS, type CompiledPolicy, type Decider, type PolicyObjectData, type PolicyObjectKind, type SeineEvent } from '@seine/events';
import { DEFAULT_POLICY_OPTIONS, parsePolicyObject, policyPartKey, type PolicyOptions } from '@seine/objects';

export interface PolicyState {
  /** Last event of each policy key that is in force or refused. */
  readonly events: Map<string, SeineEvent>;
}

const KIND_BY_NOUN: ReadonlyMap<string, PolicyObjectKind> = new Map(POLICY_OBJECT_KINDS.map((kind) => [kind.toLowerCase(), kind]));

/** A policy that stops compiling does not open its subjects: isolation and deny rules stay, allow rules go. */
const standing = (former: SeineEvent | undefined): CompiledPolicy | undefined => {
  const policy = former?.type === 'policy.compiled.v1' ? former.data : former?.type === 'policy.refused.v1' ? former.data.standing : undefined;
  return policy === undefined ? undefined : { ...policy, rules: policy.rules.filter((rule) => rule.action === 'deny') };
};

/** Keys of the policies of one object, as they stand in the log. */
const partKeys = (objectKey: string, events: ReadonlyMap<string, SeineEvent>): readonly string[] => {
  const keys: string[] = [];
  for (let key = objectKey; events.has(key); key = policyPartKey(objectKey, keys.length)) keys.push(key);
  return keys;
};

const same = (a: SeineEvent | undefined, b: SeineEvent): boolean => a !== undefined && a.type === b.type && JSON.stringify(a.data) === JSON.stringify(b.data);

export const policyDecider = (options: PolicyOptions = DEFAULT_POLICY_OPTIONS): Decider<PolicyState> => ({
  initialState: () => ({ events: new Map() }),
  evolve: (draft, event) => {
    if (event.type === 'policy.compiled.v1' || event.type === 'policy.refused.v1') draft.events.set(event.key, event);
    else if (event.type === 'policy.removed.v1') draft.events.delete(event.key);
  },
  decide: (input, state) => {
    const [noun, verb] = input.type.split('.') as [string, string, ...string[]]; // every type has three parts
    const kind = KIND_BY_NOUN.get(noun);
    if (kind === undefined) return [];
    const slash = input.key.indexOf('/');
    const [namespace, name] = [slash < 0 ? '' : input.key.slice(0, slash), input.key.slice(slash + 1)];
    const object = { kind, namespace, name };
    const objectKey = `${kind}/${namespace}/${name}`;
    const formerKeys = partKeys(objectKey, state.events);
    const head = { time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
    const removed = (keys: readonly string[]): readonly SeineEvent[] => keys.toReversed().map((key): SeineEvent => ({ type: 'policy.removed.v1', key, ...head, data: { object } }));
    if (verb === 'vanished') return removed(formerKeys);
    const data = input.data as PolicyObjectData; // every observed policy kind has this data
    const parsed = parsePolicyObject({ ...object, uid: data.uid, spec: data.spec, specs: data.specs, audit: data.audit, lines: data.lines }, options);
    const events = parsed.ok ?
      parsed.policies.map((policy, part): SeineEvent => ({
        type: 'policy.compiled.v1', key: policyPartKey(objectKey, part), ...head,
        data: { ...policy, ...(data.source === undefined ? {} : { source: data.source }), ...(data.changedBy === undefined ? {} : { changedBy: data.changedBy }) },
      })) :
      (formerKeys.length === 0 ? [objectKey] : formerKeys).map((key): SeineEvent => {
        const kept = standing(state.events.get(key));
        return { type: 'policy.refused.v1', key, ...head, data: { object, refusals: parsed.refusals, ...(kept === undefined ? {} : { standing: kept }) } };
      });
    return [...events.filter((event) => !same(state.events.get(event.key), event)), ...removed(formerKeys.slice(events.length))];
  },
});
