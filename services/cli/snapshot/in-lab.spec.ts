import { describe, expect, test } from '@jest/globals';
import { toObject, type KubeObject } from '@seine/objects';

import { inLab } from './in-lab.ts';

const object = (kind: string, more: object = {}): KubeObject => toObject({ apiVersion: 'v1', kind, metadata: { name: 'a', namespace: 'shop' }, ...more }) as KubeObject; // well formed

describe('a snapshot in the lab', () => {
  test('loses where its pods ran, and keeps what they are', () => {
    const pod = object('Pod', { spec: { nodeName: 'far', containers: [{ ports: [{ containerPort: 80 }] }] }, status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }] } });
    expect(inLab([pod]).objects.map(({ raw }) => raw)).toEqual([{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'shop' }, spec: { containers: [{ ports: [{ containerPort: 80 }] }] }, status: { phase: 'Running' } }]);
  });
  test('leaves nodes, slices and pods of host networks behind, and says so', () => {
    const service = object('Service', { spec: { clusterIP: '10.96.0.1' } });
    expect(inLab([object('Node'), object('EndpointSlice'), object('Pod', { spec: { hostNetwork: true } }), service])).toEqual({
      objects: [service], warning: "a snapshot: its 1 Nodes, 1 EndpointSlices and 1 pods of host networks stay behind, its 0 pods run on the lab's nodes",
    });
  });
});
