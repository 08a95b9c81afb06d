import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { decideAll, foldAll, type SeineEvent } from '@seine/events';

import { policyDecider as createDecider } from './policy.decider.ts';

const policyDecider = createDecider();

const time = '2026-03-01T12:00:00.000Z';
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const observed = (name: string, spec: unknown, more: { readonly uid?: string; readonly line?: number } = {}): SeineEvent => ({
  type: 'networkpolicy.observed.v1', key: `shop/${name}`, time, traceparent: TRACE,
  data: { uid: more.uid ?? name, spec, ...(more.line === undefined ? {} : { source: { file: 'policies.yaml', line: more.line } }) },
});
const vanished = (name: string): SeineEvent => ({ type: 'networkpolicy.vanished.v1', key: `shop/${name}`, time, data: { uid: name } });

const OPEN = { podSelector: {}, ingress: [{}] };
const CLOSED = { podSelector: {}, policyTypes: ['Ingress', 'Egress'] };
const BROKEN = { podSelector: {}, ingress: [{ ports: [{ port: 0 }] }] };

const decided = (...inputs: readonly SeineEvent[]): readonly SeineEvent[] => decideAll(policyDecider, policyDecider.initialState(), inputs);
const said = (events: readonly SeineEvent[]): readonly string[] => events.map((event) => {
  const policy = event.type === 'policy.compiled.v1' ? event.data : event.type === 'policy.refused.v1' ? event.data.standing : undefined;
  const isolates = policy === undefined ? '' : ` isolates ${Object.entries(policy.isolates).flatMap(([way, is]) => (is ? way : [])).join('+')}, ${policy.rules.length} rules`;
  return `${event.type.split('.').slice(0, 2).join('.')} ${event.key}${event.type === 'policy.refused.v1' ? ` for ${event.data.refusals.map(({ field }) => field).join()}` : ''}${isolates}`;
});

describe('policy objects and what is decided for them', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'a policy is compiled', given: [observed('a', OPEN)], then: ['policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules'] },
    { name: 'the same policy again decides nothing', given: [observed('a', OPEN), observed('a', OPEN)], then: ['policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules'] },
    { name: 'what only reads otherwise decides nothing', given: [observed('a', OPEN), observed('a', { policyTypes: ['Ingress'], ingress: [{ from: [], ports: [] }], podSelector: {} })], then: ['policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules'] },
    { name: 'a change is compiled', given: [observed('a', OPEN), observed('a', CLOSED)], then: ['policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules', 'policy.compiled NetworkPolicy/shop/a isolates ingress+egress, 0 rules'] },
    { name: 'a policy that moved in its file is told anew: people are pointed there', given: [observed('a', OPEN, { line: 1 }), observed('a', OPEN, { line: 9 })], then: ['policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules', 'policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules'] },
    { name: 'a policy that vanishes is removed, once', given: [observed('a', OPEN), vanished('a'), vanished('a')], then: ['policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules', 'policy.removed NetworkPolicy/shop/a'] },
    { name: 'a policy that nobody saw is not removed', given: [vanished('a')], then: [] },
    { name: 'one that never compiled is refused, and nothing stands for it', given: [observed('a', BROKEN)], then: ['policy.refused NetworkPolicy/shop/a for spec.ingress[0].ports[0].port'] },
    { name: 'one that stops compiling keeps its isolation and loses its allow rules', given: [observed('a', OPEN), observed('a', BROKEN)], then: [
      'policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules', 'policy.refused NetworkPolicy/shop/a for spec.ingress[0].ports[0].port isolates ingress, 0 rules',
    ] },
    { name: 'a second mistake does not open it either', given: [observed('a', CLOSED), observed('a', BROKEN), observed('a', { podSelector: 7 })], then: [
      'policy.compiled NetworkPolicy/shop/a isolates ingress+egress, 0 rules', 'policy.refused NetworkPolicy/shop/a for spec.ingress[0].ports[0].port isolates ingress+egress, 0 rules',
      'policy.refused NetworkPolicy/shop/a for spec.podSelector isolates ingress+egress, 0 rules',
    ] },
    { name: 'one that is repaired is in force again', given: [observed('a', OPEN), observed('a', BROKEN), observed('a', OPEN)], then: [
      'policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules', 'policy.refused NetworkPolicy/shop/a for spec.ingress[0].ports[0].port isolates ingress, 0 rules', 'policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules',
    ] },
    { name: 'a refused policy that vanishes is removed', given: [observed('a', BROKEN), vanished('a')], then: ['policy.refused NetworkPolicy/shop/a for spec.ingress[0].ports[0].port', 'policy.removed NetworkPolicy/shop/a'] },
  ])('$name', ({ given, then }) => { expect(said(decided(...given))).toEqual(then); });

  const listed = (kind: string): SeineEvent => ({ type: 'kind.listed.v1', key: kind, time, data: { kind, resourceVersion: '1', absent: false } });
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'a kind that is listed is told to be compiled, after its policies and once', given: [observed('a', OPEN), listed('NetworkPolicy'), listed('NetworkPolicy'), observed('b', OPEN)], then: [
      'policy.compiled NetworkPolicy/shop/a isolates ingress, 1 rules', 'policykind.compiled NetworkPolicy', 'policy.compiled NetworkPolicy/shop/b isolates ingress, 1 rules',
    ] },
    { name: 'so is a kind that policies refer to', given: [listed('CiliumCIDRGroup'), listed('Service')], then: ['policykind.compiled CiliumCIDRGroup', 'policykind.compiled Service'] },
    { name: 'a kind that says nothing of policies is not', given: [listed('Pod')], then: [] },
  ])('$name', ({ given, then }) => { expect(said(decided(...given))).toEqual(then); });

  test('in a log of before, what was listed is told with the next decision', () => {
    const state = policyDecider.initialState();
    for (const event of [observed('a', OPEN), listed('NetworkPolicy')]) policyDecider.evolve(state, event);
    expect(said(decideAll(policyDecider, state, [vanished('b')]))).toEqual(['policykind.compiled NetworkPolicy']);
  });

  test('a policy is compiled for its own namespace', () => {
    expect(decided(observed('a', { podSelector: {}, ingress: [{ from: [{ podSelector: {} }, { namespaceSelector: {} }] }] }))[0]?.data).toMatchObject({
      object: { namespace: 'shop', name: 'a' }, subject: { namespace: 'shop' }, rules: [{ peers: [{ namespace: 'shop', pods: [] }, { namespaces: [], pods: [] }] }],
    });
  });

  test('decisions carry the time and the trace of their input', () => { expect(decided(observed('a', OPEN))[0]).toMatchObject({ time, traceparent: TRACE }); });

  test('doubled and repeated facts come to the same policies as the facts once', () => {
    const fact = fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom(OPEN, CLOSED, BROKEN, undefined)).map(([name, spec]) => (spec === undefined ? vanished(name) : observed(name, spec)));
    const storedAfter = (facts: readonly SeineEvent[]) => { const state = policyDecider.initialState(); decideAll(policyDecider, state, facts); return state.events; };
    fc.assert(fc.property(fc.array(fact, { maxLength: 12 }), (facts) => {
      expect(storedAfter(facts.flatMap((each) => [each, each]))).toEqual(storedAfter(facts));
      const decisions = decided(...facts);
      expect(foldAll(policyDecider, decisions).events).toEqual(storedAfter(facts));
    }));
  });
});
