import { describe, expect, test } from '@jest/globals';

import { workloadOf } from './workload.ts';

const owned = (kind: string, name: string, labels: Record<string, string> = {}, controller = true) => ({ labels, ownerReferences: [{ kind: 'Something', name: 'else' }, { kind, name, controller }] });

describe('whose a pod is', () => {
  test.each([
    { name: 'the Deployment behind its ReplicaSet', metadata: owned('ReplicaSet', 'carts-5d8f', { 'pod-template-hash': '5d8f' }), want: { kind: 'Deployment', name: 'carts' } },
    { name: 'a ReplicaSet that stands alone', metadata: owned('ReplicaSet', 'carts-5d8f'), want: { kind: 'ReplicaSet', name: 'carts-5d8f' } },
    { name: 'a ReplicaSet whose name is another hash', metadata: owned('ReplicaSet', 'carts-5d8f', { 'pod-template-hash': '77aa' }), want: { kind: 'ReplicaSet', name: 'carts-5d8f' } },
    { name: 'a ReplicaSet that is named by nothing but a hash', metadata: owned('ReplicaSet', '-5d8f', { 'pod-template-hash': '5d8f' }), want: { kind: 'ReplicaSet', name: '-5d8f' } },
    { name: 'a DaemonSet, whatever its labels', metadata: owned('DaemonSet', 'agent-5d8f', { 'pod-template-hash': '5d8f' }), want: { kind: 'DaemonSet', name: 'agent-5d8f' } },
    { name: 'nobody, where an owner does not control it', metadata: owned('ReplicaSet', 'carts-5d8f', {}, false), want: undefined },
    { name: 'nobody, without owners', metadata: {}, want: undefined },
    { name: 'nobody, with owners of another shape', metadata: { ownerReferences: [null, 'x', { kind: 5, name: 'x', controller: true }] }, want: undefined },
  ])('is $name', ({ metadata, want }) => { expect(workloadOf(metadata)).toEqual(want); });
});
