import { describe, expect, test } from '@jest/globals';

import { keep, masked, type Mask } from './keep.ts';
import { JUDGED_KINDS } from './kinds.ts';

const kept = (kind: string, raw: unknown): unknown => keep('v1', kind, JUDGED_KINDS.find((judged) => judged.kind === kind)!.kept, raw);

describe('a mask', () => {
  const MASKS: readonly { readonly name: string; readonly mask: Mask; readonly value: unknown; readonly want: unknown }[] = [
    { name: 'takes named members only', mask: { a: true }, value: { a: 1, b: 2 }, want: { a: 1 } },
    { name: 'goes into lists', mask: [{ a: true }], value: [{ a: 1, b: 2 }, { b: 3 }], want: [{ a: 1 }] },
    { name: 'takes no list for a record', mask: { a: { b: true } }, value: { a: [{ b: 1 }] }, want: undefined },
    { name: 'takes no record for a list', mask: [{ a: true }], value: { a: 1, env: 'secret' }, want: undefined },
    { name: 'takes no text for a record', mask: { a: { b: true } }, value: { a: 'secret' }, want: undefined },
    { name: 'leaves nothing where nothing was', mask: { a: { b: true } }, value: { a: null }, want: undefined },
    { name: 'knows no member of a prototype', mask: Object.fromEntries([['constructor', true], ['toString', true]]), value: {}, want: undefined },
  ];
  test.each(MASKS)('$name', ({ mask, value, want }) => { expect(masked(mask, value)).toEqual(want); });
});

describe('what leaves the cluster', () => {
  test('of a node: its addresses, the keys of its taints, and that it is being deleted', () => {
    expect(kept('Node', { metadata: { name: 'n1', deletionTimestamp: '2026-01-01T00:00:00Z', resourceVersion: '7' }, spec: { podCIDR: '10.244.1.0/24', providerID: 'x', taints: [{ key: 'a', value: 'secret', effect: 'NoSchedule' }] }, status: { addresses: [{ type: 'InternalIP', address: '192.168.50.1' }], nodeInfo: {} } }))
      .toEqual({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1', deletionTimestamp: '2026-01-01T00:00:00Z' }, spec: { taints: [{ key: 'a' }] }, status: { addresses: [{ type: 'InternalIP', address: '192.168.50.1' }] } });
    expect(kept('Pod', { metadata: { name: 'a', deletionTimestamp: '2026-01-01T00:00:00Z' } })).toEqual({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } });
  });
  test('of a pod: where it runs, what it is called, its ports and addresses', () => {
    expect(kept('Pod', {
      metadata: {
        name: 'a', namespace: 'shop', uid: 'u', resourceVersion: '7', labels: { b: '2', a: '1' }, annotations: { 'example.org/token': 'secret', 'policy.cilium.io/no-track-port': '53' }, finalizers: ['x'],
        ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'secret', uid: 'x' }, { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'a-1', uid: 'x', controller: true }],
        managedFields: [{ manager: 'helm', operation: 'Apply', time: '2026-01-01T00:00:00Z', fieldsV1: { 'f:spec': {} } }, { manager: 'kubelet', operation: 'Update', time: '2026-02-01T00:00:00Z', subresource: 'status' }],
      },
      spec: { nodeName: 'n1', serviceAccountName: 'a', containers: [{ name: 'a', image: 'i', env: [{ name: 'P', value: 'secret' }], ports: [{ containerPort: 80, hostIP: '0.0.0.0' }] }], volumes: [{ secret: {} }] },
      status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }], message: 'secret', hostIP: '10.0.9.9' },
    })).toEqual({
      apiVersion: 'v1', kind: 'Pod',
      metadata: {
        name: 'a', namespace: 'shop', labels: { a: '1', b: '2' }, annotations: { 'policy.cilium.io/no-track-port': '53' }, ownerReferences: [{ kind: 'ReplicaSet', name: 'a-1', controller: true }],
        managedFields: [{ manager: 'helm', operation: 'Apply', time: '2026-01-01T00:00:00Z' }],
      },
      spec: { nodeName: 'n1', serviceAccountName: 'a', containers: [{ name: 'a', ports: [{ containerPort: 80, hostIP: '0.0.0.0' }] }] },
      status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }] },
    });
  });

  test('of a policy: all that it says, whoever reports on it', () => {
    const spec = { podSelector: {}, ingress: [{}] };
    expect(kept('NetworkPolicy', { metadata: { name: 'a', namespace: 'shop', annotations: { 'seine.network/audit': 'true' } }, spec, status: { conditions: [] } }))
      .toEqual({ apiVersion: 'v1', kind: 'NetworkPolicy', metadata: { name: 'a', namespace: 'shop', annotations: { 'seine.network/audit': 'true' } }, spec });
  });

  test('of a Namespace: its labels', () => {
    expect(kept('Namespace', { metadata: { name: 'shop', labels: { a: 'b' } }, spec: { finalizers: ['kubernetes'] } })).toEqual({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { a: 'b' } } });
  });

  test('of a stranger with odd names: nothing that pollutes', () => {
    const made = kept('Namespace', JSON.parse('{"metadata":{"name":"a","labels":{"__proto__":"x","a":"b"}}}')) as { readonly metadata: { readonly labels: object } };
    expect(Object.keys(made.metadata.labels)).toEqual(['__proto__', 'a']);
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  test.each([{ name: 'text', raw: 'x' }, { name: 'nothing', raw: null }, { name: 'a list', raw: [] }, { name: 'no metadata', raw: {} }])('of $name: an object without a name, which is refused later', ({ raw }) => {
    expect(kept('Pod', raw)).toEqual({ apiVersion: 'v1', kind: 'Pod', metadata: {} });
  });
});
