import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { isRefused, parseManifests, refOf, toObject, type KubeObject, type Settings } from '@seine/objects';

import { diffFacts, emptyKnown, evolveKnown, WATCHED_KINDS, type Known, type Seen, type SeenPart } from './diff.ts';

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

describe('what a source tells that watches', () => {
  const listing = { resourceVersion: '7', absent: false };
  const part = (known: Known, objects: readonly KubeObject[], told: Partial<SeenPart>): readonly string[] => {
    const facts = diffFacts(known, { objects, refused: [], part: { whole: new Map(), gone: [], ...told } }, TIME, () => '');
    for (const fact of facts) evolveKnown(known, fact);
    return facts.map((fact) => `${fact.type} ${fact.key}${fact.type === 'kind.listed.v1' && fact.data.absent ? ' absent' : ''}`);
  };
  const other = toObject({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } }) as KubeObject; // well formed

  test('a list of one kind says nothing of another', () => {
    const known = emptyKnown();
    expect(part(known, [namespace, other], { whole: new Map([['Namespace', listing]]) })).toEqual(['namespace.observed.v1 shop', 'namespace.observed.v1 other', 'kind.listed.v1 Namespace']);
    expect(part(known, [GOOD], { whole: new Map([['NetworkPolicy', listing]]) })).toEqual(['networkpolicy.observed.v1 shop/p', 'kind.listed.v1 NetworkPolicy']);
    expect(part(known, [namespace], { whole: new Map([['Namespace', listing]]) })).toEqual(['namespace.vanished.v1 other']);
  });
  test('a change is of one object; what is gone that nobody knew is nothing', () => {
    const known = emptyKnown();
    part(known, [namespace, other, GOOD], {});
    expect(part(known, [], { gone: [refOf(other), refOf(policy({}))] })).toEqual(['networkpolicy.vanished.v1 shop/p', 'namespace.vanished.v1 other']);
    expect(part(known, [], { gone: [refOf(other)] })).toEqual([]);
  });
  test('a refusal is over when its object is well or gone, not when others are', () => {
    const known = emptyKnown();
    part(known, [GOOD], {});
    expect(part(known, [BAD], {})).toEqual(['object.refused.v1 NetworkPolicy/shop/p']);
    expect(part(known, [namespace], {})).toEqual(['namespace.observed.v1 shop']);
    expect(part(known, [GOOD], {})).toEqual(['refusal.vanished.v1 NetworkPolicy/shop/p']);
    part(known, [BAD], {});
    expect(part(known, [], { gone: [refOf(BAD)] })).toEqual(['networkpolicy.vanished.v1 shop/p', 'refusal.vanished.v1 NetworkPolicy/shop/p']);
  });
  test('a kind that is not there is listed, and listed again when it comes or goes', () => {
    const known = emptyKnown();
    const absent = { resourceVersion: '0', absent: true };
    expect(part(known, [], { whole: new Map([['NetworkPolicy', absent]]) })).toEqual(['kind.listed.v1 NetworkPolicy absent']);
    expect(part(known, [], { whole: new Map([['NetworkPolicy', absent]]) })).toEqual([]);
    expect(part(known, [GOOD], { whole: new Map([['NetworkPolicy', listing]]) })).toEqual(['networkpolicy.observed.v1 shop/p', 'kind.listed.v1 NetworkPolicy']);
    expect(part(known, [], { whole: new Map([['NetworkPolicy', absent]]) })).toEqual(['networkpolicy.vanished.v1 shop/p', 'kind.listed.v1 NetworkPolicy absent']);
  });

  /** State of a kind: name → version of its object; undefined: gone. */
  const change = fc.record({ kind: fc.constantFrom('Namespace', 'NetworkPolicy' as const), name: fc.constantFrom('a', 'b', 'c'), version: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined }), relist: fc.boolean() });
  const objectOf = (kind: string, name: string, version: number): KubeObject => toObject({
    apiVersion: kind === 'Namespace' ? 'v1' : 'networking.k8s.io/v1', kind, metadata: { name, ...(kind === 'Namespace' ? { labels: { version: String(version) } } : { namespace: 'shop' }) },
    ...(kind === 'Namespace' ? {} : { spec: version === 3 ? { podSelector: 5 } : { podSelector: { matchLabels: { version: String(version) } } } }),   // version 3 is refused
  }) as KubeObject; // well formed
  test('ends where one look at the end would, however it was told; a refused object keeps what it was', () => {
    fc.assert(fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const known = emptyKnown();
      const wholly = emptyKnown();
      const state = new Map<string, KubeObject>();
      const look = (to: Known, seen: Omit<Seen, 'refused'>): void => { for (const fact of diffFacts(to, { refused: [], ...seen }, TIME, () => '')) evolveKnown(to, fact); };
      for (const { kind, name, version, relist } of changes) {
        const object = objectOf(kind, name, version ?? 0);
        if (version === undefined) state.delete(`${kind}/${name}`);
        else state.set(`${kind}/${name}`, object);
        const all = [...state.values()].filter((each) => each.kind === kind);
        if (relist) look(known, { objects: all, part: { whole: new Map([[kind, listing]]), gone: [] } });
        else look(known, { objects: version === undefined ? [] : [object], part: { whole: new Map(), gone: version === undefined ? [refOf(object)] : [] } });
        look(wholly, { objects: [...state.values()] });
      }
      const shown = (of: Known): unknown => [[...of.facts].map(([key, { data }]) => [key, data]), [...of.refusals].map(([key, { data }]) => [key, data])].map((each) => each.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
      expect(shown(known)).toEqual(shown(wholly));
      expect([...state.values()].some(isRefused)).toBe(false);
    }), { numRuns: 500 });
  });
});
