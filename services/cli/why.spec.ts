import { describe, expect, test } from '@jest/globals';

import { attributor } from '@seine/datapath-writer';
import { labNodes } from '@seine/lab';
import { mergeObjects, parseManifests } from '@seine/objects';

import { whyText } from './print/why.ts';
import { probeOfWords } from './probes.ts';
import { whole, type Whole } from './whole.ts';
import { explainWhy, type WhyReport } from './why.ts';

const pod = (namespace: string, name: string, labels: Readonly<Record<string, string>>, port = 80): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace, name, labels }, spec: { nodeName: 'n1', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: port }] }] } });
const policy = (kind: string, metadata: object, spec: object): string => JSON.stringify({ apiVersion: kind === 'NetworkPolicy' ? 'networking.k8s.io/v1' : kind.startsWith('Cilium') ? 'cilium.io/v2' : 'policy.networking.k8s.io/v1alpha2', kind, metadata, spec });

const PODS = [pod('a', 'web', { app: 'web', tier: 'front' }), pod('a', 'db', { app: 'db' }, 5432), pod('b', 'web', { app: 'web' }), pod('b', 'job', {})];
const clusterOf = (...documents: readonly string[]): Whole => whole(mergeObjects(parseManifests([...PODS, ...documents].join('\n---\n'), 'given.yaml').objects).objects, labNodes(2));
const why = (cluster: Whole, words: string): WhyReport => explainWhy(cluster.state, cluster.objects, probeOfWords(words.split(' ')), { seq: cluster.events.length, storedMs: 0, head: cluster.events.length });

const db = { matchLabels: { app: 'db' } };
const netpol = (name: string, spec: object, annotations?: object): string => policy('NetworkPolicy', { namespace: 'a', name, ...(annotations === undefined ? {} : { annotations }) }, spec);
const from = (...peers: readonly object[]): object => ({ podSelector: db, ingress: [{ from: peers, ports: [{ port: 5432 }] }] });
const pods = (matchLabels: object, namespaces?: object): object => ({ podSelector: { matchLabels }, ...(namespaces === undefined ? {} : { namespaceSelector: { matchLabels: namespaces } }) });
const AUDIT = { 'seine.network/audit': 'true' };
const OPEN = clusterOf();

describe('seine why', () => {
  test.each([
    { name: 'a default deny names the policy that isolates', given: [netpol('p', { podSelector: db })], ask: 'a/web a/db 5432', want: { verdict: 'deny', direction: 'ingress', reason: { code: 133 }, decidedBy: null, isolatedBy: [{ kind: 'NetworkPolicy', namespace: 'a', name: 'p' }], anyOf: [] } },
    { name: 'a default deny names every policy that isolates', given: [netpol('p', { podSelector: db }), netpol('q', { podSelector: {} })], ask: 'a/web a/db 5432', want: { isolatedBy: [{ name: 'p' }, { name: 'q' }] } },
    { name: 'a verdict names rule and peer', given: [netpol('p', from(pods({ app: 'none' }), pods({ tier: 'front' })))], ask: 'a/web a/db 5432', want: { verdict: 'allow', direction: 'ingress', decidedBy: { name: 'p', section: 'ingress', index: 0, peer: 1, peerField: 'from[1]' } } },
    { name: 'a rule of anybody has no peer', given: [netpol('p', { podSelector: db, ingress: [{ ports: [{ port: 5432 }] }] })], ask: 'a/web a/db 5432', want: { decidedBy: { peer: null, peerField: null }, anyOf: [{ matches: 'anybody' }] } },
    { name: 'a peer of Cilium has the member that it was written in', given: [policy('CiliumNetworkPolicy', { namespace: 'a', name: 'c' }, { endpointSelector: db, ingressDeny: [{ fromEndpoints: [{ matchLabels: { app: 'web' } }] }] })], ask: 'a/web a/db 5432', want: { verdict: 'deny', reason: { code: 181 }, decidedBy: { kind: 'CiliumNetworkPolicy', section: 'ingressDeny', index: 0, peer: 0, peerField: 'fromEndpoints[0]' } } },
    { name: 'of several rules that suffice any is said', given: [netpol('p', from(pods({ app: 'web' }))), netpol('q', from(pods({ tier: 'front' })))], ask: 'a/web a/db 5432', want: { anyOf: [{ rule: { name: 'p' } }, { rule: { name: 'q' } }], decidedBy: { name: 'p' } } },
    { name: 'deny overrules what allows', given: [netpol('p', from(pods({ app: 'web' }))), policy('CiliumNetworkPolicy', { namespace: 'a', name: 'c' }, { endpointSelector: db, ingressDeny: [{ fromEntities: ['all'] }] })], ask: 'a/web a/db 5432', want: { verdict: 'deny', overruled: [{ name: 'p', peer: 0 }] } },
    { name: 'an Admin tier overrules what denies', given: [netpol('p', { podSelector: db }), policy('ClusterNetworkPolicy', { name: 'admin' }, { tier: 'Admin', priority: 1, subject: { namespaces: {} }, ingress: [{ action: 'Accept', from: [{ namespaces: {} }] }] })], ask: 'b/web a/db 5432', want: { verdict: 'allow', decidedBy: { kind: 'ClusterNetworkPolicy', name: 'admin' } } },
    { name: 'an audited default deny passes and names its policy', given: [netpol('p', { podSelector: db }, AUDIT)], ask: 'a/web a/db 5432', want: { verdict: 'audit', direction: 'ingress', reason: null, decidedBy: null, isolatedBy: [{ name: 'p' }] } },
    { name: 'an audit policy is none of the reasons of what is denied without it', given: [netpol('p', { podSelector: db }), netpol('q', { podSelector: db }, AUDIT)], ask: 'a/web a/db 5432', want: { verdict: 'deny', isolatedBy: [{ name: 'p' }] } },
    { name: 'the nearest miss is one value away', given: [netpol('p', from(pods({ app: 'webs' }), pods({ app: 'zzz' }, { x: 'y' })))], ask: 'a/web a/db 5432', want: { nearestMisses: [{ rule: { name: 'p', peer: 0 }, admits: 'k8s:app=webs  in namespace a', has: 'k8s:app=web  in namespace a', what: 'one label value differs' }, { rule: { peer: 1 }, what: '2 things differ' }] } },
    { name: 'a port that differs is a near miss', given: [netpol('p', from(pods({ app: 'web' })))], ask: 'a/web a/db 80', want: { nearestMisses: [{ admits: 'k8s:app=web  in namespace a  on 5432/TCP', has: 'k8s:app=web  in namespace a  on 80/TCP', what: 'the port differs' }] } },
    { name: 'another namespace is a near miss', given: [netpol('p', from(pods({ app: 'web' })))], ask: 'b/web a/db 5432', want: { nearestMisses: [{ admits: 'k8s:app=web  in namespace a', has: 'k8s:app=web  in namespace b', what: 'another namespace' }] } },
    { name: 'a denial at egress stops there', given: [netpol('e', { podSelector: {}, policyTypes: ['Egress'] })], ask: 'a/web a/db 5432', want: { direction: 'egress', ways: { egress: 'deny', ingress: null } } },
    { name: 'what cannot be enforced here is said', given: [policy('CiliumNetworkPolicy', { namespace: 'a', name: 'c' }, { endpointSelector: db, ingress: [{ fromEndpoints: [{ matchLabels: { app: 'web' } }], toPorts: [{ ports: [{ port: '5432', protocol: 'TCP' }], rules: { http: [{ method: 'GET' }] } }] }] })], ask: 'a/web a/db 5432', want: { verdict: 'deny', reason: { code: 133 }, withheld: [expect.stringContaining('http')] } },
    { name: 'an ICMP question is asked in its own words', given: [netpol('p', from(pods({ app: 'web' })))], ask: 'a/web a/db icmp', want: { port: null, protocol: 'ICMP', nearestMisses: [{ admits: 'k8s:app=web  in namespace a  on 5432/TCP', has: 'k8s:app=web  in namespace a  on ICMP 8/0' }] } },
    { name: 'a port that a Service does not have is said', given: [JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'a', name: 'db' }, spec: { selector: { app: 'db' }, ports: [{ port: 5432 }] } })], ask: 'a/web svc:a/db 80', want: { notes: [expect.stringContaining('svc:a/db has no port 80/TCP')] } },
    { name: 'a peer that nobody knows yet is denied where policies tell peers apart', given: [policy('CiliumNetworkPolicy', { namespace: 'a', name: 'c' }, { endpointSelector: db, ingressDeny: [{ fromEndpoints: [{ matchLabels: { app: 'web' } }] }], ingress: [{ fromEntities: ['all'] }] })], ask: '10.244.1.77 a/db 5432', want: { verdict: 'deny', reason: { code: 171 }, ways: { ingress: 'deny' }, anyOf: [], isolatedBy: [], nearestMisses: [] } },
    { name: 'nothing selects anybody', given: [], ask: 'a/web a/db 5432', want: { verdict: 'allow', direction: null, decidedBy: null, selecting: { egress: [], ingress: [] } } },
  ])('$name', ({ given, ask, want }) => { expect(why(given.length === 0 ? OPEN : clusterOf(...given), ask)).toMatchObject(want); });

  test('lists only policies that say something in the direction', () => {
    const { selecting } = why(clusterOf(netpol('in', { podSelector: {}, ingress: [{}] }), netpol('out', { podSelector: {}, policyTypes: ['Egress'], egress: [{}] })), 'a/web a/db 5432');
    expect(selecting).toMatchObject({ egress: [{ name: 'out', isolates: true, rules: 1 }], ingress: [{ name: 'in', isolates: true, rules: 1 }] });
  });

  test('in words: a Service with whom it draws and why others are out', () => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'a', name: 'web' }, spec: { type: 'NodePort', internalTrafficPolicy: 'Cluster', sessionAffinity: 'ClientIP', selector: { tier: 'front' }, clusterIP: '10.96.0.10', ports: [{ port: 80, nodePort: 30080 }] } };
    const away = { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'a', name: 'web2', labels: { tier: 'front', app: 'away' } }, spec: { nodeName: 'n2', containers: [{ name: 'c' }] } };
    const ended = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { namespace: 'a', name: 'web-x', labels: { 'kubernetes.io/service-name': 'web' } }, addressType: 'IPv4', ports: [{ name: '', port: 80, protocol: 'TCP' }], endpoints: [
      { addresses: ['10.244.1.2'], nodeName: 'n1', targetRef: { kind: 'Pod', namespace: 'a', name: 'web' }, conditions: { ready: true } }, { addresses: ['10.244.2.2'], nodeName: 'n2', targetRef: { kind: 'Pod', namespace: 'a', name: 'web2' }, conditions: { ready: true } },
      { addresses: ['10.244.2.9'], nodeName: 'n2', conditions: { ready: false, serving: true, terminating: true } }] };
    const report = why(clusterOf(...[service, away, ended].map((each) => JSON.stringify(each)), netpol('p', { podSelector: { matchLabels: { app: 'away' } } })), 'b/web svc:a/web 80');
    expect(report).toMatchObject({ verdict: 'allow', service: { kind: 'clusterIP', set: 'active', from: 'inside', node: 'n1', affinityS: 10_800, backends: [
      { address: '10.244.1.2', share: 0.5, verdict: 'allow', out: null }, { address: '10.244.2.2', share: 0.5, verdict: 'deny', direction: 'ingress', reason: { code: 133 }, out: null }, { address: '10.244.2.9', state: 'terminating', share: 0, verdict: null, out: 'terminating, while others are active' }] } });
    expect(whyText(report)).toContain(`        1 of the 2 backends that can be drawn are denied: this is about the first

  Service a/web  10.96.0.10:80/TCP (ClusterIP)
    drawn on n1, from active backends, at random, a client keeps its backend for 10800 s
    10.244.1.2:80  a/web   n1  50 %  allowed
    10.244.2.2:80  a/web2  n2  50 %  denied at ingress: no rule allows it (133)
    10.244.2.9:80  -       n2  out   terminating, while others are active
`);
  });

  test('refuses a name that nobody has', () => { expect(() => why(OPEN, 'a/nobody a/db 5432')).toThrow('a/nobody: no pod or workload'); });

  test('in words: a default deny', () => {
    expect(whyText(why(clusterOf(netpol('db-access', from(pods({ app: 'wep', tier: 'front' })))), 'a/web a/db 5432/TCP'))).toBe(`DENIED  a/web (identity 256, n1)  ->  a/db (identity 257, n1)  5432/TCP
        at ingress of a/db: drop reason 133, no rule allows it

  egress of a/web   allowed   no policy selects it for egress
  ingress of a/db   denied    selected by 1 policy, 1 rule, none matches

  Nearest misses
    NetworkPolicy a/db-access ingress[0].from[0]   given.yaml:9
      admits   k8s:app=wep, k8s:tier=front  in namespace a
      client   k8s:app=web, k8s:tier=front  in namespace a    one label value differs

  Selected by
    ingress  NetworkPolicy a/db-access  isolates, 1 rule  given.yaml:9

  As of  the manifests as given: no log was asked
`);
  });

  test('in words: a deny rule among what it overrules', () => {
    const deny = policy('CiliumNetworkPolicy', { namespace: 'a', name: 'quarantine' }, { endpointSelector: db, ingressDeny: [{ fromEndpoints: [{ matchLabels: { tier: 'front' } }] }] });
    expect(whyText(why(clusterOf(netpol('db-access', from(pods({ app: 'web' }))), deny), 'a/web a/db 5432'))).toBe(`DENIED  a/web (identity 256, n1)  ->  a/db (identity 257, n1)  5432/TCP
        at ingress of a/db: drop reason 181, a deny rule matched

  egress of a/web   allowed   no policy selects it for egress
  ingress of a/db   denied    selected by 2 policies, 2 rules, 1 decides

  Decided by
    CiliumNetworkPolicy a/quarantine ingressDeny[0].fromEndpoints[0]   given.yaml:11
      matches   any:tier=front  in namespace a
      client    k8s:tier=front  in namespace a

  Allowed but overruled   (deny wins over any allow)
    NetworkPolicy a/db-access ingress[0].from[0]   given.yaml:9

  Selected by
    ingress  CiliumNetworkPolicy a/quarantine  isolates, 1 rule  given.yaml:11
    ingress  NetworkPolicy a/db-access         isolates, 1 rule  given.yaml:9

  As of  the manifests as given: no log was asked
`);
  });

  test('at a pod\'s host port tells of that pod, not of a draw', () => {
    const edge = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'a', name: 'edge' }, spec: { nodeName: 'n2', containers: [{ name: 'c', ports: [{ containerPort: 8080, hostPort: 4000 }] }] } });
    const report = why(clusterOf(edge), 'a/web node:n2 4000');
    expect(report).toMatchObject({ verdict: 'allow', service: { service: 'a/edge', kind: 'hostPort', node: 'n2', from: 'outside', backends: [{ pod: 'a/edge', port: 8080, share: 1, verdict: 'allow' }] } });
    expect(whyText(report)).toContain('  Pod a/edge  192.168.50.2:4000/TCP (host port)\n    asked from outside at n2\n');
  });
});

describe('the writer tells of a flow what why tells of a probe', () => {
  const cluster = clusterOf(
    netpol('p', from(pods({ app: 'none' }), pods({ tier: 'front' }))), netpol('q', { podSelector: { matchLabels: { tier: 'front' } } }, AUDIT),
    policy('CiliumNetworkPolicy', { namespace: 'b', name: 'c' }, { endpointSelector: {}, ingress: [{ fromEntities: ['world'] }, { fromCIDR: ['203.0.113.0/24'] }], log: { value: 'of b' } }),
  );
  const at = (name: string) => { const [address, { identity }] = [...cluster.state.addresses].find(([, bound]) => bound.pod === name)!; return { address, identity }; };
  const question = (own: string, other: { readonly address: string; readonly identity: number }, rule: string | null, audit = false) =>
    ({ direction: 'ingress', rule, audit, ...at(own), peerIdentity: other.identity, peerAddress: other.address } as const);
  const outside = { address: '203.0.113.7', identity: 2 };

  test.each([
    { name: 'the peer of the rule that the row names', asked: question('a/db', at('a/web'), 'NetworkPolicy/a/p ingress[0]'), want: { peer: 1, peerField: 'from[1]', isolatedBy: [], log: [] } },
    { name: 'whose isolation denied', asked: question('a/db', at('b/job'), null), want: { peer: null, peerField: null, isolatedBy: ['NetworkPolicy/a/p'], log: [] } },
    { name: 'whose isolation would have denied', asked: question('a/web', at('b/job'), null, true), want: { peer: null, peerField: null, isolatedBy: ['NetworkPolicy/a/q'], log: [] } },
    { name: 'the prefix that an address outside lies in, and the text for flows', asked: question('b/web', outside, 'CiliumNetworkPolicy/b/c ingress[1]'), want: { peer: 0, peerField: 'fromCIDR[0]', isolatedBy: [], log: ['of b'] } },
    { name: 'nothing of a rule that is gone', asked: question('a/db', at('a/web'), 'NetworkPolicy/a/gone ingress[0]'), want: { peer: null, peerField: null, isolatedBy: [], log: [] } },
  ])('$name', ({ asked, want }) => { expect(attributor(cluster.state, 'n1')(asked)).toEqual(want); });
});
