import { describe, expect, test } from '@jest/globals';

import { toObject, type KubeObject } from '@seine/objects';

import { assignAddresses, clusterIPs, endpointSlices, expand, familiesOf, familyOfEnds, IP_FAMILIES, labNodes, podAddresses, resolveParty, servicesAsked, withPodAddresses } from './index.ts';

const object = (kind: string, name: string, more: Readonly<Record<string, unknown>> = {}): KubeObject => toObject({ apiVersion: 'v1', kind, metadata: { name, namespace: 'shop', labels: { app: name } }, ...more }) as KubeObject; // well formed
const service = (spec: Readonly<Record<string, unknown>>): KubeObject => object('Service', 'web', { spec: { selector: { app: 'web' }, ports: [{ port: 80 }], ...spec } });
const made = (given: readonly KubeObject[], families: keyof typeof IP_FAMILIES = 'dual', nodes = labNodes(2, IP_FAMILIES[families])) => assignAddresses(expand(given, nodes).objects, nodes);
const find = (objects: readonly KubeObject[], kind: string, name: string): KubeObject => objects.find((each) => each.kind === kind && each.name === name)!;

describe('a pod of the lab', () => {
  test.each([
    { families: 'dual', want: ['10.244.1.2', 'fd00:10:244:1::2'] }, { families: 'ipv4', want: ['10.244.1.2'] }, { families: 'ipv6', want: ['fd00:10:244:1::2'] },
  ] as const)('has on paper the addresses of $families', ({ families, want }) => {
    expect(podAddresses(find(made([object('Pod', 'web', { spec: { nodeName: 'n1' } })], families), 'Pod', 'web'))).toEqual(want);
  });
  test('keeps what it was given, and gets what it lacks', () => {
    expect(podAddresses(find(made([withPodAddresses(object('Pod', 'web', { spec: { nodeName: 'n2' } }), ['10.244.7.7'])]), 'Pod', 'web'))).toEqual(['10.244.7.7', 'fd00:10:244:2::2']);
  });
  test('is of IPv4 where the manifests\' own nodes are', () => {
    const own = object('Node', 'worker', { status: { addresses: [{ type: 'InternalIP', address: '172.18.0.2' }] } });
    expect(podAddresses(find(made([own, object('Pod', 'web', { spec: { nodeName: 'worker' } })], 'dual', []), 'Pod', 'web'))).toEqual(['10.244.1.2']);
  });
});

describe('a Service of the lab', () => {
  test.each<{ name: string; spec: Readonly<Record<string, unknown>>; families: keyof typeof IP_FAMILIES; want: readonly string[] }>([
    { name: 'one address, of the cluster\'s first family', spec: {}, families: 'dual', want: ['4'] },
    { name: 'the family that it names', spec: { ipFamilies: ['IPv6'] }, families: 'dual', want: ['6'] },
    { name: 'both where it prefers both, its own first', spec: { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6'] }, families: 'dual', want: ['6', '4'] },
    { name: 'one where the cluster has one', spec: { ipFamilyPolicy: 'PreferDualStack' }, families: 'ipv4', want: ['4'] },
    { name: 'none of a family that the cluster lacks', spec: { ipFamilies: ['IPv6'] }, families: 'ipv4', want: [] },
    { name: 'none where it is headless', spec: { clusterIP: 'None', ipFamilyPolicy: 'RequireDualStack' }, families: 'dual', want: [] },
  ])('has $name', ({ spec, families, want }) => {
    expect(clusterIPs(find(made([service(spec)], families), 'Service', 'web')).map((address) => (address.includes(':') ? '6' : '4'))).toEqual(want);
  });
  test.each([
    { name: 'of both families', spec: { ipFamilyPolicy: 'RequireDualStack' }, want: [['IPv4', '10.244.1.2'], ['IPv6', 'fd00:10:244:1::2']] },
    { name: 'of one', spec: {}, want: [['IPv4', '10.244.1.2']] },
    { name: 'headless, of both', spec: { clusterIP: 'None', ipFamilyPolicy: 'RequireDualStack' }, want: [['IPv4', '10.244.1.2'], ['IPv6', 'fd00:10:244:1::2']] },
  ])('$name, has a slice of each', ({ spec, want }) => {
    const objects = made([service(spec), object('Pod', 'web', { spec: { nodeName: 'n1' } })]);
    const slices = endpointSlices(objects.filter(({ kind }) => kind === 'Service'), objects.filter(({ kind }) => kind === 'Pod'), familiesOf(objects));
    expect(slices.map(({ raw }) => [raw['addressType'], (raw['endpoints'] as readonly { readonly addresses: readonly string[] }[])[0]!.addresses[0]])).toEqual(want);
    expect(new Set(slices.map(({ name }) => name)).size).toBe(slices.length);
  });
});

test('a pod asks the Services of its namespace that its environment names, at their addresses', () => {
  const env = [{ name: 'WEB', value: 'web:80' }, { name: 'ELSEWHERE', value: 'web.other:80' }, { name: 'GONE', value: 'gone:80' }, { name: 'LEVEL', value: 'info' }, { name: 'OWN', valueFrom: {} }];
  const objects = made([service({ clusterIP: '10.96.0.9' }), object('Pod', 'asker', { spec: { nodeName: 'n1', containers: [{ env }] } })]);
  expect(servicesAsked(find(objects, 'Pod', 'asker'), objects)).toEqual([{ service: 'web', address: '10.96.0.9', port: 80 }]);
});

describe('the ends of a probe', () => {
  const objects = made([object('Pod', 'web', { spec: { nodeName: 'n1' } }), service({})]);
  test.each([
    { name: 'the cluster\'s first where nobody says', ends: { from: 'external', to: 'shop/web' }, want: 4 },
    { name: 'what the probe says', ends: { from: 'external', to: 'shop/web', family: 6 as const }, want: 6 },
    { name: 'that of an address', ends: { from: 'shop/web', to: '2001:db8::1' }, want: 6 },
  ])('speak $name', ({ ends, want }) => { expect(familyOfEnds(ends, objects)).toBe(want); });
  test.each([
    { name: 'addresses of two families', ends: { from: '10.0.0.1', to: '2001:db8::1' }, want: '2001:db8::1: expected an IPv4 address, as the other end has' },
    { name: 'an address of another family than the probe\'s', ends: { from: 'shop/web', to: '10.0.0.1', family: 6 as const }, want: '10.0.0.1: expected an IPv6 address: the probe\'s family is 6' },
  ])('are refused for $name', ({ ends, want }) => { expect(() => familyOfEnds(ends, objects)).toThrow(want); });
  test.each([['external', 'fd00:192:168:50::200'], ['shop/web', 'fd00:10:244:1::2'], ['node:n2', 'fd00:192:168:50::2'], ['2001:DB8:0::1', '2001:db8::1']] as const)('%s is at %s over IPv6', (text, address) => {
    expect(resolveParty(text, objects, 6).address).toBe(address);
  });
  test('are refused where a Service lacks the family', () => {
    expect(() => resolveParty('svc:shop/web', objects, 6)).toThrow('svc:shop/web: has no IPv6 address: expected family 4, or a cluster with both');
  });
});
