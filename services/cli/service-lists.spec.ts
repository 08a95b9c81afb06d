import { describe, expect, test } from '@jest/globals';

import { labNodes } from '@seine/lab';
import { mergeObjects, parseManifests } from '@seine/objects';

import { backendItems, drawnText, frontendItems, shareText } from './service-lists.ts';
import { whole } from './whole.ts';

const SERVICE = {
  apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'a', name: 'web', annotations: { 'seine.network/load-balancing': 'maglev' } }, status: { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } },
  spec: { type: 'LoadBalancer', clusterIP: '10.96.0.10', externalTrafficPolicy: 'Local', healthCheckNodePort: 31_000, sessionAffinity: 'ClientIP', loadBalancerSourceRanges: ['192.0.2.0/24'], ports: [{ name: 'http', port: 80, targetPort: 8080, nodePort: 30_080 }] },
};
const SLICE = {
  apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { namespace: 'a', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } }, addressType: 'IPv4', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: [
    { addresses: ['10.244.1.1'], nodeName: 'n1', targetRef: { kind: 'Pod', namespace: 'a', name: 'one' }, conditions: { ready: true }, hints: { forZones: [{ name: 'b' }] } },
    { addresses: ['10.244.1.2'], nodeName: 'n1', conditions: { ready: true }, hints: { forZones: [{ name: 'b' }] } }, { addresses: ['10.244.1.3'], nodeName: 'n1', conditions: { ready: false } },
  ],
};
const { state } = whole(mergeObjects(parseManifests([SERVICE, SLICE].map((each) => JSON.stringify(each)).join('\n---\n'), 'given.yaml').objects).objects, labNodes(2));

describe('get frontends', () => {
  test('has one for each address and port, with what its choice depends on', () => {
    const items = frontendItems(state);
    expect(items.map(({ kind, address, port }) => `${kind} ${address}:${port}`)).toEqual(['clusterIP 10.96.0.10:80', 'nodePort 0.0.0.0:30080', 'loadBalancer 203.0.113.7:80']);
    expect(items[0]).toMatchObject({ service: 'a/web', protocol: 'TCP', portName: 'http', backends: 3, trafficPolicy: 'Cluster', algorithm: 'maglev', affinityS: 10_800, sourceRanges: [], healthCheckNodePort: null });
    expect(items[2]).toMatchObject({ trafficPolicy: 'Local', sourceRanges: ['192.0.2.0/24'], healthCheckNodePort: 31_000 });
  });
  test('tells each node apart, and who comes from outside where that differs', () => {
    const [cluster, port] = frontendItems(state);
    expect(drawnText(cluster!.drawnOn)).toBe('n1 2/3, n2 2/3');
    expect(drawnText(port!.drawnOn)).toBe('n1 2/3, n2 2/3; outside n1 2/3, n2 0/3');
    expect(port!.drawnOn.at(-1)).toEqual({ node: 'n2', from: 'outside', drawn: 0, of: 3, set: 'nobody' });
    expect(drawnText(frontendItems(state, 'n2')[0]!.drawnOn)).toBe('n2 2/3');
  });
});

describe('get backends', () => {
  test('has where each runs, for whom it is meant, and its share of every frontend\'s draws', () => {
    const [one, two, three] = backendItems(state);
    expect(one).toMatchObject({ service: 'a/web', slice: 'a/web-1', address: '10.244.1.1', port: 8080, protocol: 'TCP', portName: 'http', state: 'active', node: 'n1', pod: 'a/one', zone: null, forZones: ['b'], forNodes: [] });
    expect(one!.shares.map(({ frontend, node, from }) => `${frontend} ${node} ${from}`)).toEqual(['10.96.0.10:80/TCP', '0.0.0.0:30080/TCP', '203.0.113.7:80/TCP']
      .flatMap((frontend, index) => (index === 0 ? [`${frontend} n1 inside`, `${frontend} n2 inside`] : ['n1', 'n2'].flatMap((node) => [`${frontend} ${node} inside`, `${frontend} ${node} outside`]))));
    expect(one!.shares[0]!.share + two!.shares[0]!.share).toBeCloseTo(1, 9);
    expect(shareText(three!.shares)).toBe('n1 out: not ready, n2 out: not ready');
    expect(one!.shares.find(({ node, from }) => node === 'n2' && from === 'outside')).toMatchObject({ share: 0, out: 'not on n2, and the traffic policy is Local' });
  });
});

test('a pod\'s host ports stand beside them, drawn on its own node alone', () => {
  const POD = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'a', name: 'edge' }, spec: { nodeName: 'n2', containers: [{ ports: [{ containerPort: 8080, hostPort: 4000 }, { containerPort: 8080, hostPort: 4001 }] }] } };
  const { state: alone } = whole(mergeObjects(parseManifests(JSON.stringify(POD), 'given.yaml').objects).objects, labNodes(2, [4]));
  expect(frontendItems(alone).map(({ service, pod, kind, port, backends, drawnOn }) => [service, pod, kind, port, backends, drawnText(drawnOn)])).toEqual([[null, 'a/edge', 'hostPort', 4000, 1, 'n2 1/1'], [null, 'a/edge', 'hostPort', 4001, 1, 'n2 1/1']]);
  expect(backendItems(alone).map(({ service, pod, node, port, shares }) => [service, pod, node, port, shares.map(({ frontend }) => frontend)])).toEqual([[null, 'a/edge', 'n2', 8080, ['192.168.50.2:4000/TCP', '192.168.50.2:4001/TCP']]]);
  expect(frontendItems(alone, 'n1').map(({ drawnOn }) => drawnOn)).toEqual([[], []]);
});
