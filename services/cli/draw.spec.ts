/** Whom a client's packets to a frontend may reach, beside what the node's maps hold: the same backends, by another way. */
import { describe, expect, test } from '@jest/globals';

import { hereOf, serviceRows } from '@seine/datapath-writer';
import { parseManifests, mergeObjects } from '@seine/objects';

import { absenceText, drawAt, drawOf, type Draw } from './draw.ts';
import { probeOfWords } from './probes.ts';
import { whole, type Whole } from './whole.ts';

const NODES = [['n1', 'a'], ['n2', 'b'], ['n3', 'b']] as const;
const node = ([name, zone]: (typeof NODES)[number], index: number): object => ({
  apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { 'topology.kubernetes.io/zone': zone } }, status: { addresses: [{ type: 'InternalIP', address: `192.168.50.${index + 1}` }] },
});
const pod = (name: string, nodeName: string, address: string, over: object = {}): object => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'a', name, labels: { app: name } }, spec: { nodeName, containers: [{ name: 'c' }], ...over }, status: { phase: 'Running', podIP: address, podIPs: [{ ip: address }] },
});
interface Endpoint { readonly at: string; readonly node: string; readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean; readonly zone?: string }
const slice = (...endpoints: readonly Endpoint[]): object => ({
  apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { namespace: 'a', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } }, addressType: 'IPv4', ports: [{ name: '', port: 8080, protocol: 'TCP' }],
  endpoints: endpoints.map(({ at, node: nodeName, ready = true, serving = ready, terminating = false, zone }) => ({ addresses: [at], nodeName, conditions: { ready, serving, terminating }, ...(zone === undefined ? {} : { hints: { forZones: [{ name: zone }] } }) })),
});
const service = (over: object = {}, rest: object = {}): object => ({ apiVersion: 'v1', kind: 'Service', metadata: { namespace: 'a', name: 'web', ...rest }, spec: { clusterIP: '10.96.0.10', ports: [{ port: 80, targetPort: 8080 }], ...over } });
const NODE_PORT = { type: 'NodePort', ports: [{ port: 80, targetPort: 8080, nodePort: 30080 }] };

const HOST_PORT = pod('edge', 'n1', '10.244.1.7', { containers: [{ name: 'c', ports: [{ containerPort: 8080, hostPort: 4000 }] }] });

const clusterOf = (...objects: readonly object[]): Whole =>
  whole(mergeObjects(parseManifests([...NODES.map(node), pod('client', 'n1', '10.244.1.9'), pod('host', 'n1', '192.168.50.1', { hostNetwork: true }), ...objects].map((object) => JSON.stringify(object)).join('\n---\n'), 'given.yaml').objects).objects, []);

const CLIENTS = {
  pod: { address: '10.244.1.9', node: 'n1', isNode: false }, node: { address: '192.168.50.1', node: 'n1', isNode: true }, outside: { address: '192.168.50.254', node: undefined, isNode: false },
} as const;
type Asking = readonly [keyof typeof CLIENTS, string, number];

const told = (draw: Draw | undefined): string => {
  if (draw === undefined) return 'untranslated';
  const drawn = draw.backends.filter(({ absence }) => absence === undefined).map(({ backend }) => backend.address.slice(-1)).join('');
  const out = draw.backends.flatMap(({ backend, absence }) => (absence === undefined ? [] : [`${backend.address.slice(-1)} ${absence}`])).join(', ');
  return `${draw.node} ${draw.scope}: ${drawn}${draw.refusal === undefined ? '' : draw.refusal}${out === '' ? '' : ` | ${out}`} (${draw.set})`;
};

const TWO = slice({ at: '10.244.1.1', node: 'n1' }, { at: '10.244.2.2', node: 'n2' });

describe('a frontend is drawn from', () => {
  test.each<{ name: string; given: readonly object[]; ask: Asking; want: string }>([
    { name: 'where the client is', given: [service(), TWO], ask: ['pod', '10.96.0.10', 80], want: 'n1 inside: 12 (active)' },
    { name: 'at the first node where a router outside may ask any', given: [service(), TWO], ask: ['outside', '10.96.0.10', 80], want: 'n1 outside: 12 (active)' },
    { name: 'nobody at a port that it does not have', given: [service(), TWO], ask: ['pod', '10.96.0.10', 81], want: 'untranslated' },
    { name: 'those that are ready', given: [service(), slice({ at: '10.244.1.1', node: 'n1' }, { at: '10.244.2.2', node: 'n2', ready: false }, { at: '10.244.2.3', node: 'n2', ready: false, serving: true, terminating: true })], ask: ['pod', '10.96.0.10', 80],
      want: 'n1 inside: 1 | 2 notReady, 3 terminating (active)' },
    { name: 'those that end while nobody is active', given: [service(), slice({ at: '10.244.2.2', node: 'n2', ready: false }, { at: '10.244.2.3', node: 'n2', ready: false, serving: true, terminating: true })], ask: ['pod', '10.96.0.10', 80],
      want: 'n1 inside: 3 | 2 notReady (terminating)' },
    { name: 'nobody while nobody serves', given: [service(), slice({ at: '10.244.2.2', node: 'n2', ready: false })], ask: ['pod', '10.96.0.10', 80], want: 'n1 inside: 158 | 2 notReady (nobody)' },
    { name: 'the node\'s own where the internal policy is Local', given: [service({ internalTrafficPolicy: 'Local' }), TWO], ask: ['pod', '10.96.0.10', 80], want: 'n1 inside: 1 | 2 otherNode (active)' },
    { name: 'the zone\'s own where each has a hint', given: [service(), slice({ at: '10.244.1.1', node: 'n1', zone: 'a' }, { at: '10.244.2.2', node: 'n2', zone: 'b' })], ask: ['pod', '10.96.0.10', 80], want: 'n1 inside: 1 | 2 hints (active)' },
    { name: 'the zone\'s own of those that end', given: [service(), slice({ at: '10.244.1.1', node: 'n1', zone: 'a', ready: false, serving: true, terminating: true }, { at: '10.244.2.2', node: 'n2', zone: 'b', ready: false, serving: true, terminating: true })], ask: ['pod', '10.96.0.10', 80],
      want: 'n1 inside: 1 | 2 hints (terminating)' },
    { name: 'a port of the client\'s own node, there', given: [service(NODE_PORT), TWO], ask: ['pod', '192.168.50.1', 30080], want: 'n1 inside: 12 (active)' },
    { name: 'a port of another node, there', given: [service(NODE_PORT), TWO], ask: ['pod', '192.168.50.2', 30080], want: 'n2 outside: 12 (active)' },
    { name: 'a node\'s own from outside where the external policy is Local', given: [service({ ...NODE_PORT, externalTrafficPolicy: 'Local' }), TWO], ask: ['outside', '192.168.50.2', 30080], want: 'n2 outside: 2 | 1 otherNode (active)' },
    { name: 'all from inside all the same', given: [service({ ...NODE_PORT, externalTrafficPolicy: 'Local' }), TWO], ask: ['node', '192.168.50.1', 30080], want: 'n1 inside: 12 (active)' },
    { name: 'nobody at a node without one', given: [service({ ...NODE_PORT, externalTrafficPolicy: 'Local' }), TWO], ask: ['outside', '192.168.50.3', 30080], want: 'n3 outside: 158 | 1 otherNode, 2 otherNode (nobody)' },
    { name: 'a load balancer\'s address by whom its ranges hold', given: [{ ...service({ ...NODE_PORT, type: 'LoadBalancer', loadBalancerSourceRanges: ['10.244.1.0/24'] }), status: { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } } }, TWO], ask: ['pod', '203.0.113.7', 80], want: 'n1 inside: 12 (active)' },
    { name: 'a load balancer\'s address not by others', given: [{ ...service({ ...NODE_PORT, type: 'LoadBalancer', loadBalancerSourceRanges: ['10.244.1.0/24'] }), status: { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } } }, TWO], ask: ['outside', '203.0.113.7', 80], want: 'n1 outside: 12177 (active)' },
    { name: 'no load balancer\'s address with ranges by a node\'s own process', given: [{ ...service({ ...NODE_PORT, type: 'LoadBalancer', loadBalancerSourceRanges: ['10.244.1.0/24'] }), status: { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } } }, TWO], ask: ['node', '203.0.113.7', 80], want: 'untranslated' },
    { name: 'a host port of the client\'s own node, there', given: [HOST_PORT], ask: ['pod', '192.168.50.1', 4000], want: 'n1 inside: 7 (active)' },
    { name: 'a host port from outside', given: [HOST_PORT], ask: ['outside', '192.168.50.1', 4000], want: 'n1 outside: 7 (active)' },
    { name: 'a host port at its own node alone', given: [HOST_PORT], ask: ['pod', '192.168.50.2', 4000], want: 'untranslated' },
    { name: 'a node port rather than a host port', given: [HOST_PORT, service({ ...NODE_PORT, ports: [{ port: 80, targetPort: 8080, nodePort: 4000 }] }), TWO], ask: ['pod', '192.168.50.1', 4000], want: 'n1 inside: 12 (active)' },
    { name: 'an external address', given: [service({ externalIPs: ['203.0.113.8'] }), TWO], ask: ['pod', '203.0.113.8', 80], want: 'n1 inside: 12 (active)' },
  ])('$name', ({ given, ask: [who, address, port], want }) => { expect(told(drawOf(clusterOf(...given).state, CLIENTS[who], { address, port, protocol: 'TCP' }))).toBe(want); });

  test('by shares of the slots that the maps hold, for every node and from both sides', () => {
    const given = [
      service({ ...NODE_PORT, externalTrafficPolicy: 'Local' }, { annotations: { 'seine.network/load-balancing': 'maglev' } }),
      slice({ at: '10.244.1.1', node: 'n1', zone: 'a' }, { at: '10.244.2.2', node: 'n2', zone: 'b' }, { at: '10.244.2.3', node: 'n2', zone: 'b', ready: false, serving: true, terminating: true }, { at: '10.244.2.4', node: 'n2', zone: 'b' }),
    ];
    const { state } = clusterOf(...given);
    const [compiled, slices] = [state.services.get('a/web')!, [...state.slices.values()]];
    let compared = 0;
    for (const [name] of NODES) {
      const rows = serviceRows(compiled, slices, hereOf(state, name));
      for (const frontend of compiled.frontends) {
        for (const scope of ['inside', 'outside'] as const) {
          const row = rows.flatMap((each) => (each.map === 'sn_frontend_02' && each.key.address === frontend.address && each.key.port === frontend.port && each.key.scope === (scope === 'outside' ? 1 : 0) ? [each.value] : []))[0];
          if (row === undefined) continue; // one row answers both sides
          const slots = rows.flatMap((each) => (each.map === 'sn_slot_02' && each.key.slots === row.slots && each.key.slotsHigh === row.slotsHigh && each.key.index < row.count ? [each.value.value] : []));
          const wanted = new Map<number, number>();
          for (const id of slots) wanted.set(id, (wanted.get(id) ?? 0) + 1 / row.count);
          const draw = drawAt(state, { service: 'a/web', frontend }, { node: name, scope, client: undefined });
          const found = new Map(draw.backends.flatMap(({ backend, share, absence }) => (absence === undefined ? [[backend.id, share] as const] : [])));
          expect(new Set(found.keys())).toEqual(new Set(wanted.keys()));
          for (const [id, share] of found) expect(share).toBeCloseTo(wanted.get(id)!, 9);
          compared += 1;
        }
      }
    }
    expect(compared).toBe(9); // three nodes: a ClusterIP, a node port from inside, one from outside
  });

  test('says in words why one is out', () => {
    const draw = drawOf(clusterOf(service({ internalTrafficPolicy: 'Local' }), TWO).state, CLIENTS.pod, { address: '10.96.0.10', port: 80, protocol: 'TCP' })!;
    expect(absenceText('otherNode', draw)).toBe('not on n1, and the traffic policy is Local');
    expect(absenceText('hints', draw)).toBe('its hints are for others than zone a');
  });
});

describe('a verdict about a Service', () => {
  const refuse = (name: string): object => ({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace: 'a', name: `no-${name}` }, spec: { podSelector: { matchLabels: { app: name } } } });
  const servers = [pod('one', 'n1', '10.244.1.1'), pod('two', 'n2', '10.244.2.2')];
  const ask = (cluster: Whole, words: string) => cluster.verdict(probeOfWords(words.split(' ')));
  test.each<{ name: string; given: readonly object[]; ask: string; want: object }>([
    { name: 'is the backend\'s that is drawn where only one ends', given: [service(), ...servers, refuse('one'), slice({ at: '10.244.1.1', node: 'n1', ready: false }, { at: '10.244.2.2', node: 'n2', ready: false, serving: true, terminating: true })], ask: 'a/client svc:a/web 80', want: { got: 'allow', destination: '10.244.2.2' } },
    { name: 'is 158 where nobody is drawn here', given: [service({ internalTrafficPolicy: 'Local' }), ...servers, slice({ at: '10.244.2.2', node: 'n2' })], ask: 'a/client svc:a/web 80', want: { got: 'deny', direction: 'egress', reason: { code: 158 } } },
    { name: 'is 177 out of its ranges', given: [{ ...service({ ...NODE_PORT, type: 'LoadBalancer', loadBalancerSourceRanges: ['10.244.1.0/24'] }), status: { loadBalancer: { ingress: [{ ip: '203.0.113.7' }] } } }, ...servers, TWO], ask: 'external 203.0.113.7 80', want: { got: 'deny', direction: 'ingress', reason: { code: 177 } } },
    { name: 'says where the backends differ', given: [service(), ...servers, refuse('two'), TWO], ask: 'a/client svc:a/web 80', want: { got: 'allow', split: { denied: 1, of: 2 } } },
    { name: 'does not where they agree', given: [service(), ...servers, refuse('one'), refuse('two'), TWO], ask: 'a/client svc:a/web 80', want: { got: 'deny', split: undefined, reason: { code: 133 } } },
    { name: 'at a port of another node asks the client\'s egress towards that node', given: [service(NODE_PORT), ...servers, TWO, { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace: 'a', name: 'out' }, spec: { podSelector: { matchLabels: { app: 'client' } }, policyTypes: ['Egress'], egress: [{ to: [{ podSelector: {} }] }] } }],
      ask: 'a/client node:n2 30080', want: { got: 'deny', direction: 'egress', reason: { code: 133 } } },
    { name: 'at a port of the own node asks it towards the backend', given: [service(NODE_PORT), ...servers, TWO, { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { namespace: 'a', name: 'out' }, spec: { podSelector: { matchLabels: { app: 'client' } }, policyTypes: ['Egress'], egress: [{ to: [{ podSelector: {} }] }] } }],
      ask: 'a/client node:n1 30080', want: { got: 'allow', direction: 'egress' } },
    { name: 'is the node\'s that translated it', given: [service({ ...NODE_PORT }), ...servers, refuse('two'), slice({ at: '10.244.2.2', node: 'n2' })], ask: 'external node:n1 30080', want: { got: 'deny', direction: 'ingress', node: 'n1', reason: { code: 133 } } },
  ])('$name', ({ given, ask: words, want }) => { expect(ask(clusterOf(...given), words)).toMatchObject(want); });

  test.each([
    { name: 'an ExternalName', given: { type: 'ExternalName', externalName: 'db.example.org', clusterIP: undefined }, message: 'svc:a/web: an ExternalName Service: its name stands for db.example.org in DNS' },
    { name: 'a headless one', given: { clusterIP: 'None' }, message: 'svc:a/web: a headless Service' },
  ])('has no address for $name, and says which it is', ({ given, message }) => { expect(() => ask(clusterOf(service(given)), 'a/client svc:a/web 80')).toThrow(message); });
  test('has none for one that nobody has', () => { expect(() => ask(clusterOf(service()), 'a/client svc:a/other 80')).toThrow('no Service a/other'); });
});
