import { describe, expect, test } from '@jest/globals';

import { labNodes } from '@seine/lab';
import { mergeObjects, parseManifests } from '@seine/objects';

import { policyStatuses, type PolicyNews, type PolicyStatus } from './policy-status.ts';
import { whole, type Whole } from './whole.ts';

const PODS = `
apiVersion: v1
kind: Pod
metadata: {namespace: a, name: web, labels: {app: web}}
spec: {nodeName: n1}
---
apiVersion: v1
kind: Pod
metadata: {namespace: a, name: db, labels: {app: db}}
spec: {nodeName: n2}
---
`;
const clusterOf = (text: string): Whole => whole(mergeObjects(parseManifests(PODS + text, 'p.yaml').objects).objects, labNodes(2));
const netpol = (name: string, spec: string): string => `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: a, name: ${name}}\nspec: ${spec}\n---\n`;
const cilium = (name: string, spec: string): string => `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {namespace: a, name: ${name}}\nspec: ${spec}\n---\n`;
const HTTP = 'toPorts: [{ports: [{port: "80", protocol: TCP}], rules: {http: [{method: GET}]}}]';
const at = (n1: number, n2: number): PolicyNews['positions'] => new Map([['n1', n1], ['n2', n2]]);
const refusedAs = (key: string, message: string): PolicyNews['refusedObjects'] => new Map([[key, { refusals: [{ message }] }]]);
const FAR = at(1e6, 1e6);
const ofOne = (text: string, news: Partial<PolicyNews> = {}): PolicyStatus | undefined => policyStatuses(clusterOf(text).state, { refusedObjects: new Map(), positions: FAR, ...news })[0];

describe('the status of a policy', () => {
  test.each([
    { name: 'enforced on the nodes where it selects somebody', text: netpol('p', '{podSelector: {matchLabels: {app: db}}}'), want: { state: 'enforced', accepted: true, enforceable: 'wholly', isolates: ['ingress'], selects: 1, nodes: [{ node: 'n2', endpoints: 1, enforced: true }], file: 'p.yaml' } },
    { name: 'pending while such a node is behind', text: netpol('p', '{podSelector: {}}'), news: { positions: at(1e6, 1) }, want: { state: 'pending', nodes: [{ node: 'n1', enforced: true }, { node: 'n2', applied: 1, enforced: false }] } },
    { name: 'pending where nobody has told how far a node is', text: netpol('p', '{podSelector: {}}'), news: { positions: new Map() }, want: { state: 'pending', nodes: [{ node: 'n1', applied: null, enforced: null }, {}] } },
    { name: 'selecting nobody', text: netpol('p', '{podSelector: {matchLabels: {app: none}}}'), want: { state: 'selects nobody', selects: 0, nodes: [] } },
    { name: 'enforced in part where a rule is withheld', text: cilium('c', `{endpointSelector: {}, ingress: [{fromEntities: [world]}, {${HTTP}}]}`), want: { state: 'partly enforced', enforceable: 'partly', withheld: [expect.stringContaining('http')] } },
    { name: 'not enforceable where every rule is', text: cilium('c', `{endpointSelector: {}, ingress: [{${HTTP}}]}`), want: { state: 'not enforceable here', enforceable: 'not' } },
    { name: 'refused, and what it said before is in force', text: netpol('p', '{podSelector: {}}'), news: { refusedObjects: refusedAs('NetworkPolicy/a/p', 'spec.ingress[0].ports[0].port: 70000: expected a number from 1 to 65535') }, want: { state: 'refused', accepted: false, enforceable: 'not', standing: 'what it said before', refusals: [expect.stringContaining('70000')] } },
    { name: 'refused, and nothing is in force', text: '', news: { refusedObjects: refusedAs('AdminNetworkPolicy//x', 'kind: AdminNetworkPolicy is not supported') }, want: { kind: 'AdminNetworkPolicy', namespace: '', name: 'x', state: 'refused', standing: 'nothing', selects: 0 } },
    { name: 'one for an object with several policies', text: 'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {namespace: a, name: s}\nspecs: [{endpointSelector: {matchLabels: {app: web}}, ingress: [{fromEntities: [world]}]}, {endpointSelector: {matchLabels: {app: db}}, egress: [{toEntities: [world]}]}]\n', want: { name: 's', rules: 2, isolates: ['ingress', 'egress'], selects: 2 } },
    { name: 'a host policy is enforced by nodes', text: 'apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: h}\nspec: {nodeSelector: {}, ingress: [{fromEntities: [world]}]}\n', want: { state: 'enforced', nodes: [{ node: 'n1', endpoints: 1 }, { node: 'n2', endpoints: 1 }] } },
  ])('$name', ({ text, news, want }) => { expect(ofOne(text, news)).toMatchObject(want); });

  test('objects that are refused and no policies are not listed', () => {
    expect(ofOne('', { refusedObjects: refusedAs('Pod/a/x', 'status.podIP: "x": expected an IP address') })).toBeUndefined();
  });
});
