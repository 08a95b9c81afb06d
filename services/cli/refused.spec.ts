import { expect, test } from '@jest/globals';

import { labNodes } from '@seine/lab';
import { parseManifests } from '@seine/objects';

import { refusedNow } from './refused.ts';
import { whole } from './whole.ts';

const service = (name: string, spec: string): string => `apiVersion: v1\nkind: Service\nmetadata: {namespace: a, name: ${name}}\nspec: ${spec}\n---\n`;
const MANIFESTS = [
  service('whole', '{clusterIP: 10.96.0.1, ports: [{port: 0}]}'), service('well', '{clusterIP: 10.96.0.2, ports: [{port: 80}]}'),
  service('part', '{clusterIP: 10.96.0.3, externalIPs: [10.96.0.2, "2001:db8::1"], ports: [{port: 80}]}'),
  'apiVersion: v1\nkind: Pod\nmetadata: {namespace: a, name: web}\nspec: {nodeName: n1, containers: [{ports: [{containerPort: 80, hostPort: 4000}, {containerPort: 81, hostPort: 4001, hostIP: 127.0.0.1}]}]}\n---\n',
  'apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: later}\nspec: {}\n',
].join('');

test('what is refused is told reason by reason, by kind and name, with whether the rest is served', () => {
  const { state, refused } = whole(parseManifests(MANIFESTS, 'm.yaml').objects, labNodes(1));
  const told = refusedNow(state, { refusedObjects: new Map(refused.map(({ key, data }) => [key, data])) });
  expect(told.map(({ kind, namespace, name, refused: how, message }) => `${kind} ${namespace}/${name} ${how}: ${message.split(':')[0]}`)).toEqual([
    'AdminNetworkPolicy /later as a whole: kind', 'Pod a/web in part: spec.containers[].ports[].hostIP', 'Service a/part in part: spec.externalIPs[0]', 'Service a/part in part: spec.externalIPs[1]', 'Service a/whole as a whole: spec.ports[0].port',
  ]);
});

test('a policy that its compiler refused is told once, however many policies it holds', () => {
  const refusedPolicies = new Map([['CiliumNetworkPolicy/a/p', ['specs: too large']], ['CiliumNetworkPolicy/a/p/1', ['specs: too large']]]);
  expect(refusedNow({ refusedPolicies, services: new Map(), hostPorts: new Map() }, { refusedObjects: new Map() })).toEqual([{ kind: 'CiliumNetworkPolicy', namespace: 'a', name: 'p', refused: 'as a whole', message: 'specs: too large' }]);
});
