import { expect, test } from '@jest/globals';

import type { CompiledHostPorts, CompiledService } from '@seine/events';

import { flowsByFrontend } from './flows.ts';

const services = new Map<string, CompiledService>([
  ['shop/web', { refusals: [], frontends: [{ id: 7, address: '10.96.0.1', port: 80, protocol: 'TCP', portName: '' }, { id: 3, address: '0.0.0.0', port: 30_080, protocol: 'TCP', portName: '', kind: 'nodePort' }] }],
  ['shop/dns', { refusals: [], frontends: [{ id: 5, address: 'fd00:96::5', port: 53, protocol: 'UDP', portName: '' }] }],
]);
const hostPorts = new Map([['shop/edge', { node: 'n1', ports: [{ id: 9, address: '0.0.0.0', port: 8443, protocol: 'TCP', backend: { id: 1, address: '10.244.1.1', port: 443 } }], refusals: [] } as unknown as CompiledHostPorts]]); // what is read of it

test('flows have the names of whom they were for; ids that nobody has are told apart', () => {
  expect(flowsByFrontend({ services, hostPorts }, [[9, 1], [7, 4], [2, 8], [3, 2], [5, 6]])).toEqual({
    counted: [
      { value: 2, labels: { namespace: 'shop', service: 'web', frontend: '0.0.0.0:30080/TCP', kind: 'nodePort' } },
      { value: 6, labels: { namespace: 'shop', service: 'dns', frontend: '[fd00:96::5]:53/UDP', kind: 'clusterIP' } },
      { value: 4, labels: { namespace: 'shop', service: 'web', frontend: '10.96.0.1:80/TCP', kind: 'clusterIP' } },
      { value: 1, labels: { namespace: 'shop', pod: 'edge', frontend: '0.0.0.0:8443/TCP', kind: 'hostPort' } },
    ],
    gone: [2],
  });
});
