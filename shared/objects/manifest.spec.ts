import { describe, expect, test } from '@jest/globals';

import { mergeObjects, parseManifests } from './manifest.ts';

const POD = 'apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\n';

describe('manifests', () => {
  test('takes a List apart', () => {
    const { objects } = parseManifests('apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- {apiVersion: v1, kind: Pod, metadata: {name: b}}\n', 'x.yaml');
    expect(objects.map(({ namespace, name, place }) => [namespace, name, place?.line])).toEqual([['default', 'a', 4], ['default', 'b', 5]]);
  });

  test('keeps the later of two and names both places', () => {
    const { objects, warnings } = mergeObjects(parseManifests(`${POD}---\n${POD}`, 'x.yaml').objects);
    expect(objects).toHaveLength(1);
    expect(warnings).toEqual(['Pod/shop/a stands twice: x.yaml:5 replaces x.yaml:1']);
  });

  test('refuses what is no YAML, and reads the document beside it', () => {
    const { objects, refused } = parseManifests(`${POD}---\nkind: [\n---\n${POD}`, 'x.yaml');
    expect(refused).toMatchObject([{ object: { kind: 'manifest', name: 'x.yaml' } }]);
    expect(objects.length).toBeGreaterThan(0);
  });

  test('refuses aliases that multiply', () => {
    const levels = Array.from({ length: 8 }, (_, level) => `l${level + 1}: &l${level + 1} [${Array.from({ length: 10 }, () => `*l${level}`).join(',')}]`).join('\n');
    expect(parseManifests(`l0: &l0 [x]\n${levels}\n`, 'x.yaml').refused).toMatchObject([{ refusals: [{ value: 'aliases' }] }]);
  });

  test('never takes a member from a prototype', () => {
    const { refused } = parseManifests('__proto__: {kind: Pod, apiVersion: v1, metadata: {name: a}}\n', 'x.yaml');
    expect(refused[0]?.refusals.map(({ field }) => field)).toEqual(['apiVersion', 'kind', 'metadata.name']);
    expect(({} as Record<string, unknown>)['kind']).toBeUndefined();
  });

  test.each(['a.b', 'A', '-a', 'a'.repeat(64)])('refuses the namespace %s', (namespace) => {
    expect(parseManifests(`apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: ${namespace}}\n`, 'x.yaml').refused).toMatchObject([{ refusals: [{ field: 'metadata.namespace' }] }]);
  });

  test('skips empty documents', () => { expect(parseManifests('---\n---\n# nothing\n', 'x.yaml')).toEqual({ objects: [], refused: [] }); });

  test('knows the lines of rules and peers of every kind of policy, and of each spec', () => {
    const text = [
      'apiVersion: cilium.io/v2', 'kind: CiliumNetworkPolicy', 'metadata: {name: a}', 'spec:', '  endpointSelector: {}', '  ingressDeny:', '  - fromEndpoints:', '    - {}', '    - {}', '    toPorts:', '    - ports: []',
      'specs:', '- endpointSelector: {}', '- endpointSelector: {}', '  egress:', '  - {}', '  - toCIDRSet:', '    - cidr: 10.0.0.0/8', '',
    ].join('\n');
    expect(parseManifests(text, 'x.yaml').objects[0]?.lines).toEqual({
      'ingressDeny[0]': 7, 'ingressDeny[0].fromEndpoints[0]': 8, 'ingressDeny[0].fromEndpoints[1]': 9, 'specs[1].egress[0]': 16, 'specs[1].egress[1]': 17, 'specs[1].egress[1].toCIDRSet[0]': 18,
    });
  });

  test('takes those lines from an annotation too, and nothing else', () => {
    const lines = 'ingress[0].from[1]=3 specs[1].egressDeny[0].toCIDRSet[2]=4 ingressDeny[9]=5 specs[x].egress[0]=6 labels[0]=7 egress[0].toPorts=8';
    expect(parseManifests(`apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {seine.network/lines: '${lines}'}}\n`, 'x.yaml').objects[0]?.lines).toEqual({
      'ingress[0].from[1]': 3, 'specs[1].egressDeny[0].toCIDRSet[2]': 4, 'ingressDeny[9]': 5,
    });
  });
});
