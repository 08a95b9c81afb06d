import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { decideAll, eventSizeBytes, unpackBackends, type CompiledService, type PodData, type SeineEvent } from '@seine/events';

import { serviceDecider } from './service.decider.ts';

const time = '1970-01-01T00:00:00.000Z';
const service = (name: string, { address = '10.96.0.1', type = 'ClusterIP', externalIPs = [] as readonly string[], loadBalancerIPs = [] as readonly string[], protocol = 'TCP' as 'TCP' | 'UDP' | 'SCTP', targetPort = 8080, nodePort = undefined as number | undefined, options = {} } = {}): SeineEvent => ({
  type: 'service.observed.v1', key: `shop/${name}`, time, data: {
    uid: name, type, clusterIPs: [address], ...(externalIPs.length === 0 ? {} : { externalIPs: [...externalIPs] }), ...(loadBalancerIPs.length === 0 ? {} : { loadBalancerIPs: [...loadBalancerIPs] }), selector: {},
    ports: [{ name: '', port: 80, protocol, targetPort, ...(nodePort === undefined ? {} : { nodePort }) }], ...options,
  },
});
const node = (address: string): SeineEvent => ({ type: 'node.observed.v1', key: 'n1', time, data: { uid: 'n1', labels: {}, addresses: [address] } });
const pod = (name: string, ...addresses: readonly string[]): SeineEvent => ({
  type: 'pod.observed.v1', key: `shop/${name}`, time, data: { uid: name, labels: {}, serviceAccount: 'default', hostNetwork: false, addresses: [...addresses], phase: 'running', ports: [] },
});
const podGone = (name: string): SeineEvent => ({ type: 'pod.vanished.v1', key: `shop/${name}`, time, data: { uid: name } });
const vanished = (name: string): SeineEvent => ({ type: 'service.vanished.v1', key: `shop/${name}`, time, data: { uid: name } });
const slice = (name: string, of: string, ...addresses: readonly string[]): SeineEvent => ({
  type: 'endpointslice.observed.v1', key: `shop/${name}`, time,
  data: { uid: name, service: of, addressType: 'IPv4', endpoints: [{ addresses: [...addresses], ready: true, serving: true, terminating: false }], ports: [{ name: '', port: 8080, protocol: 'TCP' }] },
});
const sliceGone = (name: string): SeineEvent => ({ type: 'endpointslice.vanished.v1', key: `shop/${name}`, time, data: { uid: name } });
const decide = (...given: readonly SeineEvent[]): readonly SeineEvent[] => decideAll(serviceDecider, serviceDecider.initialState(), given);
const backends = (...given: readonly SeineEvent[]): readonly string[] => decide(...given).map((event) => `${event.type} ${event.key}${event.type === 'backends.compiled.v2' ? ` [${event.data.endpoints.flatMap(({ ids }) => ids).join()}]` : ''}`);
const said = (...given: readonly SeineEvent[]): readonly string[] => decide(...given).map((event) =>
  `${event.type} ${event.key}${event.type === 'service.compiled.v1' ? ` [${event.data.frontends.map(({ id }) => id).join()}] ${event.data.refusals.map(({ field }) => field).join()}` : ''}`);

describe('frontends', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'the first frontend is 1', given: [service('a')], then: ['service.compiled.v1 shop/a [1] '] },
    { name: 'the same again decides nothing', given: [service('a'), service('a')], then: ['service.compiled.v1 shop/a [1] '] },
    { name: 'the first Service holds an address and a port', given: [service('a'), service('b')], then: ['service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [] spec.ports[0]'] },
    { name: 'every address of a Service has one of its own', given: [service('a', { type: 'LoadBalancer', nodePort: 30080, externalIPs: ['192.0.2.1', '192.0.2.2'], loadBalancerIPs: ['192.0.2.3'] })], then: ['service.compiled.v1 shop/a [1,2,3,4,5] '] },
    { name: 'an address that is named twice has one', given: [service('a', { type: 'LoadBalancer', externalIPs: ['192.0.2.1'], loadBalancerIPs: ['192.0.2.1'] })], then: ['service.compiled.v1 shop/a [1,2] '] },
    { name: 'requests are not balanced one by one: it is served all the same', given: [service('a', { options: { byRequest: true } })], then: ['service.compiled.v1 shop/a [1] metadata.annotations.service.cilium.io/lb-l7'] },
    { name: 'a port that the nodes translate sources to is no node port', given: [service('a', { type: 'NodePort', nodePort: 61000 })], then: ['service.compiled.v1 shop/a [1] spec.ports[0].nodePort'] },
    { name: 'one node port belongs to one Service', given: [service('a', { type: 'NodePort', nodePort: 30080 }), service('b', { address: '10.96.0.2', type: 'NodePort', nodePort: 30080 })], then: ['service.compiled.v1 shop/a [1,2] ', 'service.compiled.v1 shop/b [3] spec.ports[0].nodePort'] },
    { name: 'a node port that differs from the target is none for SCTP', given: [service('a', { type: 'NodePort', nodePort: 30080, protocol: 'SCTP', targetPort: 80 })], then: ['service.compiled.v1 shop/a [1] spec.ports[0].nodePort'] },
    { name: 'a Service of another proxy has none, and keeps others from its address', given: [service('a', { options: { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } } }), service('b', { address: '10.96.0.2', externalIPs: ['10.96.0.1'] })], then: ['service.compiled.v1 shop/a [] ', 'service.compiled.v1 shop/b [1] spec.externalIPs[0]'] },
    { name: 'a Service that is labelled as headless has none', given: [service('a', { options: { labels: { 'service.kubernetes.io/headless': '' } } })], then: ['service.compiled.v1 shop/a [] '] },
    { name: 'ExternalName has none', given: [service('a', { type: 'ExternalName' })], then: ['service.compiled.v1 shop/a [] '] },
    { name: 'a balancer that says 127.0.0.1 is not served there, its Service is', given: [service('a', { type: 'LoadBalancer', nodePort: 30080, loadBalancerIPs: ['127.0.0.1', '192.0.2.1'] })], then: ['service.compiled.v1 shop/a [1,2,3] status.loadBalancer.ingress[0].ip'] },
    { name: 'nobody takes the traffic of a node', given: [node('192.168.50.1'), service('a', { externalIPs: ['192.168.50.1'] })], then: ['service.compiled.v1 shop/a [1] spec.externalIPs[0]'] },
    { name: 'nobody takes the traffic of a pod, by whichever address', given: [pod('p', '10.244.1.9'), service('a', { type: 'LoadBalancer', loadBalancerIPs: ['10.244.1.9'] }), service('b', { address: '10.244.1.9' })], then: ['service.compiled.v1 shop/a [1] status.loadBalancer.ingress[0].ip', 'service.compiled.v1 shop/b [] spec.ports[0]'] },
    { name: 'nobody takes the traffic of another Service, on a port that it does not serve either', given: [service('a'), service('b', { address: '10.96.0.2', externalIPs: ['10.96.0.1'] })], then: ['service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [2] spec.externalIPs[0]'] },
    { name: 'a pod that comes takes its address back, and leaves it again', given: [service('a', { externalIPs: ['10.244.1.9'] }), pod('p', '10.244.1.9'), podGone('p')], then: ['service.compiled.v1 shop/a [1,2] ', 'service.compiled.v1 shop/a [1] spec.externalIPs[0]', 'service.compiled.v1 shop/a [1,3] '] },
    { name: 'a Service that comes takes its ClusterIP back', given: [service('b', { address: '10.96.0.2', externalIPs: ['10.96.0.1'] }), service('a')], then: ['service.compiled.v1 shop/b [1,2] ', 'service.compiled.v1 shop/b [1] spec.externalIPs[0]', 'service.compiled.v1 shop/a [3] '] },
    { name: 'a pod elsewhere decides nothing', given: [service('a'), pod('p', '10.244.1.9')], then: ['service.compiled.v1 shop/a [1] '] },
    { name: 'how clients are spread goes with them', given: [service('a', { options: { affinityS: 60 } }), service('a', { options: { affinityS: 61 } })], then: ['service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/a [1] '] },
    { name: 'SCTP is translated by address only', given: [service('a', { protocol: 'SCTP' })], then: ['service.compiled.v1 shop/a [] spec.ports[0].targetPort'] },
    { name: 'a Service that goes is removed', given: [service('a'), vanished('a')], then: ['service.compiled.v1 shop/a [1] ', 'service.removed.v1 shop/a'] },
    { name: 'who waited for a frontend has it when its Service goes, the first of them alone', given: [service('a'), service('b'), service('c'), vanished('a')], then: [
      'service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [] spec.ports[0]', 'service.compiled.v1 shop/c [] spec.ports[0]',
      'service.removed.v1 shop/a', 'service.compiled.v1 shop/b [2] ', 'service.compiled.v1 shop/c [] spec.ports[0]',
    ] },
    { name: 'who waited for a frontend has it when its Service moves', given: [service('a'), service('b'), service('a', { address: '10.96.0.2' })], then: [
      'service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [] spec.ports[0]', 'service.compiled.v1 shop/a [2] ', 'service.compiled.v1 shop/b [3] ',
    ] },
    { name: 'who waited for a frontend has it when its Service may no longer hold it', given: [service('a', { protocol: 'SCTP', targetPort: 80 }), service('b', { protocol: 'SCTP', targetPort: 80 }), service('a', { protocol: 'SCTP', targetPort: 81 })], then: [
      'service.compiled.v1 shop/a [1] ', 'service.compiled.v1 shop/b [] spec.ports[0]', 'service.compiled.v1 shop/a [] spec.ports[0].targetPort', 'service.compiled.v1 shop/b [2] ',
    ] },
  ])('$name', ({ given, then }) => { expect(said(...given)).toEqual(then); });

  describe.each([{ name: 'IPv4', address: '10.96.0.1', other: '2001:db8::1' }, { name: 'IPv6', address: 'fd00:96::1', other: '192.0.2.1' }])('of a Service of $name alone', ({ address, other }) => {
    test('have no address of the other family', () => {
      expect(decide(service('a', { address, type: 'LoadBalancer', externalIPs: [other], loadBalancerIPs: [other] }))).toMatchObject([{ data: {
        frontends: [{ address }], refusals: ['spec.externalIPs[0]', 'status.loadBalancer.ingress[0].ip'].map((field) => ({ field, value: other, expected: expect.stringMatching(/^an IPv[46] address: the Service has no IPv[46] one$/) })),
      } }]);
    });
  });
  test('of a headless Service are none, its external addresses neither', () => {
    const headless = service('a', { externalIPs: ['192.0.2.1'] });
    expect(decide(headless.type === 'service.observed.v1' ? { ...headless, data: { ...headless.data, clusterIPs: [] } } : headless)).toMatchObject([{ data: { frontends: [], refusals: [{ field: 'spec.externalIPs[0]', expected: 'none: a headless Service has no frontends' }] } }]);
  });

  test('never belong to two Services and no id to two frontends, whatever comes; a batch decides what one by one decides', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const input = fc.oneof(fc.tuple(name, fc.constantFrom('10.96.0.1', '10.96.0.2')).map(([key, address]) => service(key, { address })), name.map(vanished));
    fc.assert(fc.property(fc.array(input, { maxLength: 30 }), (inputs) => {
      const draft = serviceDecider.initialState();
      expect(inputs.flatMap((each) => decideAll(serviceDecider, draft, [each]))).toEqual(decide(...inputs));
      const held = [...draft.compiledServices.values()].flatMap(({ frontends }) => frontends);
      expect(new Set(held.map(({ id }) => id)).size).toBe(held.length);
      expect(new Set(held.map(({ address }) => address)).size).toBe(held.length);
      const wanted = new Set([...draft.services.values()].flatMap(({ clusterIPs }) => clusterIPs));
      expect(new Set(held.map(({ address }) => address))).toEqual(wanted);
    }));
  });
});

describe('a health check', () => {
  const balanced = (name: string, address: string, healthCheckNodePort: number, nodePort?: number): SeineEvent => service(name, { address, type: 'LoadBalancer', nodePort, options: { externalLocal: true, healthCheckNodePort } });
  const asked = (...given: readonly SeineEvent[]): readonly string[] => decide(...given).flatMap((event) => (event.type === 'service.compiled.v1' ? [`${event.key} ${event.data.healthCheckNodePort ?? 'none'}, ${event.data.frontends.length} frontends, refused: ${event.data.refusals.map(({ field, value }) => `${field} ${value}`).join()}`] : []));
  const [a, b] = ['10.96.0.1', '10.96.0.2'] as const;
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'has a port of the nodes', given: [balanced('a', a, 31_000)], then: ['shop/a 31000, 1 frontends, refused: '] },
    { name: 'has no other Service\'s node port, until that one goes', given: [service('a', { address: a, type: 'NodePort', nodePort: 31_000 }), balanced('b', b, 31_000), vanished('a')], then: [
      'shop/a none, 2 frontends, refused: ', 'shop/b none, 1 frontends, refused: spec.healthCheckNodePort 31000', 'shop/b 31000, 1 frontends, refused: ',
    ] },
    { name: 'keeps its port from another Service\'s node port, until it goes', given: [balanced('a', a, 31_000), service('b', { address: b, type: 'NodePort', nodePort: 31_000 }), vanished('a')], then: [
      'shop/a 31000, 1 frontends, refused: ', 'shop/b none, 1 frontends, refused: spec.ports[0].nodePort 0.0.0.0/31000/TCP', 'shop/b none, 2 frontends, refused: ',
    ] },
    { name: 'leaves a node port of another protocol alone', given: [balanced('a', a, 31_000), service('b', { address: b, type: 'NodePort', nodePort: 31_000, protocol: 'UDP' })], then: ['shop/a 31000, 1 frontends, refused: ', 'shop/b none, 2 frontends, refused: '] },
    { name: 'has no port that another one has', given: [balanced('a', a, 31_000), balanced('b', b, 31_000), balanced('a', a, 31_001)], then: [
      'shop/a 31000, 1 frontends, refused: ', 'shop/b none, 1 frontends, refused: spec.healthCheckNodePort 31000', 'shop/a 31001, 1 frontends, refused: ', 'shop/b 31000, 1 frontends, refused: ',
    ] },
    { name: 'has no node port of its own Service', given: [balanced('a', a, 31_000, 31_000)], then: ['shop/a none, 2 frontends, refused: spec.healthCheckNodePort 31000'] },
    { name: 'of a Service of another proxy is that one\'s', given: [service('a', { address: a, type: 'LoadBalancer', options: { externalLocal: true, healthCheckNodePort: 31_000, labels: { 'service.kubernetes.io/service-proxy-name': 'other' } } })], then: ['shop/a none, 0 frontends, refused: '] },
    { name: 'becomes a node port, and the other way round', given: [balanced('a', a, 31_000), balanced('a', a, 31_001, 31_000), balanced('a', a, 31_000, 31_001)], then: [
      'shop/a 31000, 1 frontends, refused: ', 'shop/a 31001, 2 frontends, refused: ', 'shop/a 31000, 2 frontends, refused: ',
    ] },
    { name: 'has no port that the nodes translate sources to', given: [balanced('a', a, 61_000)], then: ['shop/a none, 1 frontends, refused: spec.healthCheckNodePort 61000'] },
  ])('$name', ({ given, then }) => { expect(asked(...given)).toEqual(then); });

  test('that a former build let share a node port leaves it with its id', () => {
    const draft = serviceDecider.initialState();
    const shared = (options: object): SeineEvent => service('b', { address: b, type: 'NodePort', nodePort: 31_000, options });
    const facts = [balanced('a', a, 31_000), shared({})];
    const compiled = (key: string, frontends: CompiledService['frontends'], options: Partial<CompiledService> = {}): SeineEvent => ({ type: 'service.compiled.v1', key, time, data: { frontends, refusals: [], ...options } });
    const frontend = (id: number, address: string, port: number, rest: object = {}): CompiledService['frontends'][number] => ({ id, address, port, protocol: 'TCP', portName: '', ...rest });
    const both = [
      compiled('shop/a', [frontend(1, a, 80)], { externalLocal: true, healthCheckNodePort: 31_000 }),
      compiled('shop/b', [frontend(2, b, 80), frontend(3, '0.0.0.0', 31_000, { kind: 'nodePort' })]),
    ];
    for (const event of [...facts, ...both]) serviceDecider.evolve(draft, event);
    decideAll(serviceDecider, draft, [vanished('a'), shared({ affinityS: 60 })]);
    expect(draft.compiledServices.get('shop/b')!.frontends.map(({ id }) => id)).toEqual([2, 3]);
  });
});

const conditions = (ready: boolean, serving: boolean, terminating: boolean): SeineEvent => ({
  type: 'endpointslice.observed.v1', key: 'shop/x', time,
  data: { uid: 'x', service: 'a', addressType: 'IPv4', endpoints: [{ addresses: ['10.244.1.2'], ready, serving, terminating }], ports: [{ name: '', port: 8080, protocol: 'TCP' }] },
});

describe('a backend', () => {
  test.each([
    { name: 'that is ready is active', given: conditions(true, true, false), then: 'active' },
    { name: 'that ends and still serves is terminating', given: conditions(false, true, true), then: 'terminating' },
    { name: 'that ends, of a Service that publishes addresses which are not ready, is active', given: conditions(true, false, true), then: 'active' },
    { name: 'that is not ready is quarantined', given: conditions(false, false, false), then: 'quarantined' },
    { name: 'that ends and serves no more is quarantined', given: conditions(false, false, true), then: 'quarantined' },
  ])('$name', ({ given, then }) => {
    const [decided] = decide(given);
    expect(decided?.type === 'backends.compiled.v2' && unpackBackends(decided.data).backends).toMatchObject([{ id: 1, state: then }]);
  });
});

describe('a rolling restart of 1,000 endpoints', () => {
  const SLICES = 10;
  const PODS = 100;
  const bytes = (events: readonly SeineEvent[]): number => events.reduce((sum, event) => sum + eventSizeBytes(event), 0);
  const PORTS = [{ name: 'http', port: 8080, protocol: 'TCP' }, { name: 'metrics', port: 9090, protocol: 'TCP' }, { name: 'grpc', port: 8443, protocol: 'TCP' }] as const;
  const rolling = (index: number, restarted: number, ports: number): SeineEvent => ({
    type: 'endpointslice.observed.v1', key: `shop/web-${index}`, time,
    data: {
      uid: `slice-${index}`, service: 'web', addressType: 'IPv4', ports: PORTS.slice(0, ports),
      endpoints: Array.from({ length: PODS }, (_, place) => {
        const life = place < restarted ? 1 : 0;
        return { addresses: [`10.${index + 20 * life}.1.${place + 1}`], ready: true, serving: true, terminating: false, nodeName: `worker-${place % 50}`, pod: `shop/web-6d9f7c${life}d8b-${index}x${place}` };
      }),
    },
  });
  test.each([1, 2, 3])('with %i ports writes at most three times the bytes of its changed slices', (ports) => {
    const draft = serviceDecider.initialState();
    const start = Array.from({ length: SLICES }, (_, index) => rolling(index, 0, ports));
    decideAll(serviceDecider, draft, start);
    const facts = Array.from({ length: SLICES }, (_, index) => [25, 50, 75, 100].map((restarted) => rolling(index, restarted, ports))).flat();
    const decisions = decideAll(serviceDecider, draft, facts);
    expect(decisions).toHaveLength(facts.length);
    expect(bytes([...facts, ...decisions]) / bytes(facts)).toBeLessThanOrEqual(3);
    expect(draft.backends.size).toBe(SLICES * PODS * ports);
  });
});

describe('backends', () => {
  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'keep their id while they move between slices', given: [slice('x', 'a', '10.244.1.2'), slice('y', 'a', '10.244.1.2'), sliceGone('x'), slice('y', 'a', '10.244.1.2', '10.244.1.3')], then: [
      'backends.compiled.v2 shop/x [1]', 'backends.compiled.v2 shop/y [1]', 'backends.removed.v1 shop/x', 'backends.compiled.v2 shop/y [1,2]',
    ] },
    { name: 'are given another id when they come back', given: [slice('x', 'a', '10.244.1.2'), sliceGone('x'), slice('x', 'a', '10.244.1.2')], then: ['backends.compiled.v2 shop/x [1]', 'backends.removed.v1 shop/x', 'backends.compiled.v2 shop/x [2]'] },
    { name: 'are listed once', given: [slice('x', 'a', '10.244.1.2', '10.244.1.2')], then: ['backends.compiled.v2 shop/x [1]'] },
    { name: 'belong to a Service', given: [slice('x', '', '10.244.1.2'), slice('y', 'a', '10.244.1.2'), slice('y', '', '10.244.1.2')], then: ['backends.compiled.v2 shop/y [1]', 'backends.removed.v1 shop/y'] },
    { name: 'of another Service have other ids', given: [slice('x', 'a', '10.244.1.2'), slice('x', 'b', '10.244.1.2'), slice('y', 'a', '10.244.1.2')], then: ['backends.compiled.v2 shop/x [1]', 'backends.compiled.v2 shop/x [2]', 'backends.compiled.v2 shop/y [3]'] },
  ])('$name', ({ given, then }) => { expect(backends(...given)).toEqual(then); });
});

describe('a host port', () => {
  type Port = Partial<PodData['ports'][number]>;
  const asks = (name: string, ports: readonly Port[], { nodeName = 'n1', addresses = [`10.244.1.${name.charCodeAt(0)}`] as readonly string[], uid = name, ...rest }: Partial<PodData> = {}): SeineEvent => ({
    type: 'pod.observed.v1', key: `shop/${name}`, time,
    data: { uid, nodeName, labels: {}, serviceAccount: 'default', hostNetwork: false, addresses: [...addresses], phase: 'running', ports: ports.map((port) => ({ port: 8080, protocol: 'TCP' as const, ...port })), ...rest },
  });
  const nodeAt = (name: string, ...addresses: readonly string[]): SeineEvent => ({ type: 'node.observed.v1', key: name, time, data: { uid: name, labels: {}, addresses: [...addresses] } });
  const attached = (name: string, uid: string, ...addresses: readonly string[]): SeineEvent => ({ type: 'endpoint.observed.v1', key: `shop/${name}`, time, data: { uid, node: 'n1', addresses: [...addresses], endpointId: 1, hostInterface: 'sn1', containerId: 'c' } });
  const detached = (name: string): SeineEvent => ({ type: 'endpoint.vanished.v1', key: `shop/${name}`, time, data: { uid: name, node: 'n1' } });
  const nodePort = (name: string, port: number, address = '10.96.0.9'): SeineEvent => service(name, { address, type: 'NodePort', nodePort: port });
  const [n1, n2] = [nodeAt('n1', '192.168.50.1'), nodeAt('n2', '192.168.50.2')];
  const told = (...given: readonly SeineEvent[]): readonly string[] => decide(...given).map((event) => {
    if (event.type !== 'hostports.compiled.v1') return `${event.type.split('.').slice(0, 2).join(' ')} ${event.key}`;
    const { node: on, ports, refusals } = event.data;
    return [`${event.key} on ${on}:`, ...ports.map(({ id, address, port, protocol, backend }) => `${id} ${address}/${port}/${protocol} → ${backend.id} ${backend.address}/${backend.port}`), ...refusals.map(({ message }) => `(${message})`)].join(' ');
  });
  const A = 'shop/a on n1: 1 192.168.50.1/4000/TCP → 1 10.244.1.97/8080';

  test.each<{ name: string; given: readonly SeineEvent[]; then: readonly string[] }>([
    { name: 'is answered at its node\'s address', given: [n1, n2, asks('a', [{ hostPort: 4000 }])], then: [A] },
    { name: 'waits for the node', given: [asks('a', [{ hostPort: 4000 }]), n2, n1], then: [A] },
    { name: 'waits for the pod\'s address', given: [n1, asks('a', [{ hostPort: 4000 }], { addresses: [] }), attached('a', 'a', '10.244.1.97')], then: [A] },
    { name: 'hears of the address from whoever speaks first', given: [n1, attached('a', 'a', '10.244.1.97'), asks('a', [{ hostPort: 4000 }], { addresses: [] })], then: [A] },
    { name: 'does not go to the address of a pod of that name before it', given: [n1, attached('a', 'former', '10.244.1.5'), asks('a', [{ hostPort: 4000 }])], then: [A] },
    { name: 'goes with the pod, and with its attachment, whatever is said of it after', given: [n1, asks('a', [{ hostPort: 4000 }]), detached('a'), asks('a', [{ hostPort: 4000 }], { labels: { b: 'c' } }), podGone('a')], then: [A, 'hostports removed shop/a'] },
    { name: 'of a pod that has finished is nobody\'s', given: [n1, asks('a', [{ hostPort: 4000 }]), asks('a', [{ hostPort: 4000 }], { phase: 'finished' })], then: [A, 'hostports removed shop/a'] },
    { name: 'of a host-network pod is the node\'s own business', given: [n1, asks('a', [{ hostPort: 4000 }], { hostNetwork: true })], then: [] },
    { name: 'moves with its node\'s address', given: [n1, asks('a', [{ hostPort: 4000 }]), nodeAt('n1', '192.168.50.9')], then: [A, 'shop/a on n1: 2 192.168.50.9/4000/TCP → 1 10.244.1.97/8080'] },
    { name: 'is answered in each family that both have', given: [nodeAt('n1', '192.168.50.1', 'fd00::1'), asks('a', [{ hostPort: 4000 }], { addresses: ['10.244.1.97', 'fd00:244::97'] }), asks('b', [{ hostPort: 4001 }])], then: [
      'shop/a on n1: 1 192.168.50.1/4000/TCP → 1 10.244.1.97/8080 2 fd00::1/4000/TCP → 2 fd00:244::97/8080', 'shop/b on n1: 3 192.168.50.1/4001/TCP → 3 10.244.1.98/8080',
    ] },
    { name: 'may be wanted at one address of the node', given: [nodeAt('n1', '192.168.50.1', 'fd00::1'), asks('a', [{ hostPort: 4000, hostIP: 'fd00::1' }], { addresses: ['10.244.1.97', 'fd00:244::97'] })], then: ['shop/a on n1: 1 fd00::1/4000/TCP → 1 fd00:244::97/8080'] },
    { name: 'at the unspecified address is wanted in that family alone', given: [nodeAt('n1', '192.168.50.1', 'fd00::1'), asks('a', [{ hostPort: 4000, hostIP: '0.0.0.0' }, { hostPort: 4001, hostIP: '::' }], { addresses: ['10.244.1.97', 'fd00:244::97'] })], then: ['shop/a on n1: 1 192.168.50.1/4000/TCP → 1 10.244.1.97/8080 2 fd00::1/4001/TCP → 2 fd00:244::97/8080'] },
    { name: 'is refused at an address that is not the node\'s', given: [n1, n2, asks('a', [{ hostPort: 4000, hostIP: '192.168.50.2' }, { hostPort: 4001, hostIP: '127.0.0.1' }])], then: [
      'shop/a on n1: (spec.containers[].ports[].hostIP: 192.168.50.2: expected an address of node n1: 192.168.50.1) (spec.containers[].ports[].hostIP: 127.0.0.1: expected an address of node n1: 192.168.50.1)',
    ] },
    { name: 'is refused at an address of a family that the pod lacks', given: [nodeAt('n1', '192.168.50.1', 'fd00::1'), asks('a', [{ hostPort: 4000, hostIP: 'fd00::1' }])], then: ['shop/a on n1: (spec.containers[].ports[].hostIP: fd00::1: expected an address of a family that the pod has: 10.244.1.97)'] },
    { name: 'goes to the port of the pod that it is for, two of them to one', given: [n1, asks('a', [{ hostPort: 4000, port: 80 }, { hostPort: 4001, port: 80 }, { hostPort: 4000, protocol: 'UDP', port: 53 }])], then: ['shop/a on n1: 1 192.168.50.1/4000/TCP → 1 10.244.1.97/80 2 192.168.50.1/4001/TCP → 1 10.244.1.97/80 3 192.168.50.1/4000/UDP → 2 10.244.1.97/53'] },
    { name: 'is refused where nodes translate sources', given: [n1, asks('a', [{ hostPort: 61_000 }])], then: ['shop/a on n1: (spec.containers[].ports[].hostPort: 61000: expected a port below 61000: from there on nodes translate sources)'] },
    { name: 'of SCTP is the pod\'s own port', given: [n1, asks('a', [{ hostPort: 8080, protocol: 'SCTP' }, { hostPort: 81, protocol: 'SCTP' }])], then: ['shop/a on n1: 1 192.168.50.1/8080/SCTP → 1 10.244.1.97/8080 (spec.containers[].ports[].hostPort: 81/SCTP: expected 8080: SCTP is translated by address only)'] },
    { name: 'belongs to one pod of its node, the next has it after it', given: [n1, asks('a', [{ hostPort: 4000 }]), asks('b', [{ hostPort: 4000 }]), podGone('a')], then: [
      A, 'shop/b on n1: (spec.containers[].ports[].hostPort: 192.168.50.1/4000/TCP: expected a port of the node that pod shop/a does not have)',
      'hostports removed shop/a', 'shop/b on n1: 2 192.168.50.1/4000/TCP → 2 10.244.1.98/8080',
    ] },
    { name: 'is there on each node', given: [n1, n2, asks('a', [{ hostPort: 4000 }]), asks('b', [{ hostPort: 4000 }], { nodeName: 'n2' })], then: [A, 'shop/b on n2: 2 192.168.50.2/4000/TCP → 2 10.244.1.98/8080'] },
    { name: 'gives way to a Service\'s node port, and comes back after it', given: [n1, asks('a', [{ hostPort: 4000 }]), nodePort('web', 4000), vanished('web')], then: [
      A, 'service compiled shop/web', 'shop/a on n1: (spec.containers[].ports[].hostPort: 192.168.50.1/4000/TCP: expected a port of the node that Service shop/web does not have)',
      'service removed shop/web', 'shop/a on n1: 4 192.168.50.1/4000/TCP → 2 10.244.1.97/8080',
    ] },
    { name: 'gives way to a balancer\'s health check', given: [n1, asks('a', [{ hostPort: 4000 }]), service('web', { type: 'LoadBalancer', options: { externalLocal: true, healthCheckNodePort: 4000 } })], then: [
      A, 'service compiled shop/web', 'shop/a on n1: (spec.containers[].ports[].hostPort: 192.168.50.1/4000/TCP: expected a port of the node that Service shop/web does not have)',
    ] },
    { name: 'stays beside a node port of another protocol', given: [n1, asks('a', [{ hostPort: 4000, protocol: 'UDP' }]), nodePort('web', 4000)], then: ['shop/a on n1: 1 192.168.50.1/4000/UDP → 1 10.244.1.97/8080', 'service compiled shop/web'] },
    { name: 'of one who goes is left to the pod that waits behind a node port as soon as that goes too', given: [n1, asks('a', [{ hostPort: 4000 }]), nodePort('web', 4000), podGone('a'), asks('b', [{ hostPort: 4000 }]), nodePort('web', 4001)], then: [
      A, 'service compiled shop/web', 'shop/a on n1: (spec.containers[].ports[].hostPort: 192.168.50.1/4000/TCP: expected a port of the node that Service shop/web does not have)', 'hostports removed shop/a',
      'shop/b on n1: (spec.containers[].ports[].hostPort: 192.168.50.1/4000/TCP: expected a port of the node that Service shop/web does not have)', 'service compiled shop/web', 'shop/b on n1: 5 192.168.50.1/4000/TCP → 2 10.244.1.98/8080',
    ] },
  ])('$name', ({ given, then }) => { expect(told(...given)).toEqual(then); });

  test('belongs to one, and no id to two, whatever comes; a batch decides what one by one decides, and in the end nothing is left', () => {
    const [name, port] = [fc.constantFrom('a', 'b', 'c'), fc.constantFrom(4000, 4001)];
    const input = fc.oneof(
      fc.tuple(name, port, fc.constantFrom('n1', 'n2')).map(([key, hostPort, nodeName]) => asks(key, [{ hostPort }], { nodeName })), name.map(podGone), name.map(detached),
      fc.tuple(name, port).map(([key, each]) => nodePort(key, each, `10.96.0.${key.charCodeAt(0)}`)), name.map(vanished),
      fc.constantFrom('192.168.50.1', '192.168.50.2').map((address) => nodeAt('n1', address)), fc.constant(n2),
    );
    fc.assert(fc.property(fc.array(input, { maxLength: 30 }), (inputs) => {
      const draft = serviceDecider.initialState();
      expect(inputs.flatMap((each) => decideAll(serviceDecider, draft, [each]))).toEqual(decide(...inputs));
      const [services, pods] = [[...draft.compiledServices.values()].flatMap(({ frontends }) => frontends), [...draft.hostPorts.compiled.values()].flatMap(({ ports }) => ports)];
      const ids = [...services, ...pods].map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(new Set(pods.map(({ address, port: taken }) => `${address}/${taken}`)).size).toBe(pods.length);
      const nodePorts = new Set(services.filter(({ kind }) => kind === 'nodePort').map((frontend) => frontend.port));
      expect(pods.filter((each) => nodePorts.has(each.port))).toEqual([]);
      decideAll(serviceDecider, draft, ['a', 'b', 'c'].flatMap((key) => [podGone(key), vanished(key)]));
      expect([draft.asking.size, draft.frontendOwner.size, draft.frontendIds.size, draft.idsTaken.size, draft.backends.size, draft.hostPorts.compiled.size, draft.keysAskedByPod.size]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    }));
  });
});
