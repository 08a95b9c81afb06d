/** Policy objects → one compiled event each, or a refusal with what stands meanwhile. Pure. */
import type { CompiledPolicy, Decider, NetworkPolicyData, SeineEvent } from '@seine/events';
import { parseNetworkPolicy } from '@seine/objects';

export interface PolicyState {
  /** Last event of each policy key that is in force or refused. */
  readonly events: Map<string, SeineEvent>;
}

const keyOf = (factKey: string): string => `NetworkPolicy/${factKey}`;

/** A policy that stops compiling does not open its subjects: isolation and deny rules stay, allow rules go. */
const standing = (former: SeineEvent | undefined): CompiledPolicy | undefined => {
  const policy = former?.type === 'policy.compiled.v1' ? former.data : former?.type === 'policy.refused.v1' ? former.data.standing : undefined;
  return policy === undefined ? undefined : { ...policy, rules: policy.rules.filter((rule) => rule.action === 'deny') };
};

const compile = (factKey: string, data: NetworkPolicyData): ReturnType<typeof parseNetworkPolicy> => {
  const slash = factKey.indexOf('/');
  return parseNetworkPolicy({
    namespace: factKey.slice(0, slash), name: factKey.slice(slash + 1), uid: data.uid, spec: data.spec, ...(data.lines === undefined ? {} : { lines: data.lines }),
  });
};

export const policyDecider: Decider<PolicyState> = {
  initialState: () => ({ events: new Map() }),
  evolve: (draft, event) => {
    if (event.type === 'policy.compiled.v1' || event.type === 'policy.refused.v1') draft.events.set(event.key, event);
    else if (event.type === 'policy.removed.v1') draft.events.delete(event.key);
  },
  decide: (input, state) => {
    if (input.type !== 'networkpolicy.observed.v1' && input.type !== 'networkpolicy.vanished.v1') return [];
    const key = keyOf(input.key);
    const former = state.events.get(key);
    const [namespace, name] = [input.key.slice(0, input.key.indexOf('/')), input.key.slice(input.key.indexOf('/') + 1)];
    const object = { kind: 'NetworkPolicy', namespace, name };
    const head = { key, time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
    if (input.type === 'networkpolicy.vanished.v1') return former === undefined ? [] : [{ type: 'policy.removed.v1', ...head, data: { object } }];
    const parsed = compile(input.key, input.data);
    const kept = standing(former);
    const event: SeineEvent = parsed.ok ?
      {
        type: 'policy.compiled.v1', ...head,
        data: { ...parsed.policy, ...(input.data.source === undefined ? {} : { source: input.data.source }), ...(input.data.changedBy === undefined ? {} : { changedBy: input.data.changedBy }) },
      } :
      { type: 'policy.refused.v1', ...head, data: { object, refusals: parsed.refusals, ...(kept === undefined ? {} : { standing: kept }) } };
    return former !== undefined && former.type === event.type && JSON.stringify(former.data) === JSON.stringify(event.data) ? [] : [event];
  },
};
