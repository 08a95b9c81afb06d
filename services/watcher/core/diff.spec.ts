import { describe, expect, test } from '@jest/globals';

import { parseManifests, toObject, type KubeObject, type Settings } from '@seine/objects';

import { diffFacts, emptyKnown, evolveKnown, WATCHED_KINDS, type Known } from './diff.ts';

const TIME = '1970-01-01T00:00:00.000Z';
const policy = (spec: unknown): KubeObject => toObject({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p', namespace: 'shop' }, spec }) as KubeObject; // well formed
const namespace = toObject({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } }) as KubeObject; // well formed
const GOOD = policy({ podSelector: {} });
const BAD = policy({ podSelector: {}, ingress: [{ ports: [{ port: 0 }] }] });

const step = (known: Known, objects: readonly KubeObject[]): readonly string[] => {
  const facts = diffFacts(known, { objects, refused: [] }, TIME, () => '');
  for (const fact of facts) evolveKnown(known, fact);
  return facts.map(({ type, key }) => `${type} ${key}`);
};

describe('what changed', () => {
  test('each kind ends with its marker, in the order of the kinds', () => {
    expect(step(emptyKnown(), [GOOD, namespace])).toEqual(WATCHED_KINDS.flatMap((kind) => [
      ...(kind === 'Namespace' ? ['namespace.observed.v1 shop'] : kind === 'NetworkPolicy' ? ['networkpolicy.observed.v1 shop/p'] : []), `kind.listed.v1 ${kind}`,
    ]));
  });
  test('settings come before every object; their defaults are none', () => {
    const known = emptyKnown();
    const settle = (settings: Settings): readonly string[] => {
      const facts = diffFacts(known, { objects: [namespace], refused: [], settings }, TIME, () => '');
      for (const fact of facts) evolveKnown(known, fact);
      return facts.flatMap((fact, index) => (fact.type === 'setting.observed.v1' ? [`${index}: ${fact.key} = ${fact.data.value}`] : []));
    };
    expect(settle({ 'policy-enforcement-mode': 'default' })).toEqual([]);
    expect(settle({ 'policy-enforcement-mode': 'always', 'policy-cidr-match-mode': 'nodes' })).toEqual(['0: policy-enforcement-mode = always', '1: policy-cidr-match-mode = nodes']);
    expect(settle({ 'policy-enforcement-mode': 'always', 'policy-cidr-match-mode': 'nodes' })).toEqual([]);
    expect(settle({ 'policy-cidr-match-mode': 'nodes' })).toEqual(['0: policy-enforcement-mode = default']);
  });
  test('nothing new is no fact', () => {
    const known = emptyKnown();
    step(known, [GOOD, namespace]);
    expect(step(known, [namespace, GOOD])).toEqual([]);
  });
  test('who wrote an object last is no change of it, though a label of that name is', () => {
    const known = emptyKnown();
    const pod = (labels: object, manager: string): KubeObject => toObject({
      apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'shop', uid: 'u', labels, managedFields: [{ manager, operation: 'Update', time: '2026-01-01T00:00:00Z' }] },
    }) as KubeObject; // well formed
    step(known, [pod({ changedBy: 'a' }, 'helm')]);
    expect(step(known, [pod({ changedBy: 'a' }, 'kubectl')])).toEqual([]);
    expect(step(known, [pod({ changedBy: 'b' }, 'kubectl')])).toEqual(['pod.observed.v1 shop/a']);
  });
  test('what refers vanishes before what it refers to', () => {
    const known = emptyKnown();
    step(known, [GOOD, namespace]);
    expect(step(known, [])).toEqual(['networkpolicy.vanished.v1 shop/p', 'namespace.vanished.v1 shop']);
  });
  test('a refused object keeps what was in force, and is well again without a new fact', () => {
    const known = emptyKnown();
    step(known, [GOOD, namespace]);
    const [refused, ...rest] = step(known, [BAD, namespace]);
    expect([refused?.split(' ')[0], rest]).toEqual(['object.refused.v1', []]);
    expect(known.facts.has('networkpolicy/shop/p')).toBe(true);
    expect(step(known, [GOOD, namespace]).map((fact) => fact.split(' ')[0])).toEqual(['refusal.vanished.v1']);
  });
  test.each([
    { name: 'that is no YAML', text: 'kind: NetworkPolicy\nmetadata: {name: p, namespace: shop\nspec: [}\n' },
    { name: 'whose name cannot be told', text: 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: "p p", namespace: shop}\nspec: {podSelector: {}}\n' },
  ])('while there is a text $name nothing vanishes, and once it is well what is gone does', ({ text }) => {
    const known = emptyKnown();
    step(known, [GOOD, namespace]);
    const facts = diffFacts(known, parseManifests(text, 'p.yaml'), TIME, () => '');
    for (const fact of facts) evolveKnown(known, fact);
    expect(facts.map(({ type }) => type)).toEqual(['object.refused.v1']);
    expect(step(known, [namespace])).toEqual(['networkpolicy.vanished.v1 shop/p', expect.stringContaining('refusal.vanished.v1')]);
  });
});
