/**
 * What the Kubernetes suites ask of whoever serves Services, each behaviour as a row: the lab's objects, real connections from pods (at the socket and
 * packet by packet), from nodes' own processes and from outside, in both families. docs/conformance.md says which test of theirs a row stands for.
 */
import { readFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { eventually } from '@seine/testkit';

import { json, ROOT, seine, type Endpoint } from './lab.ts';
import { ask, askingOn, datagram, externalOf, FAMILIES, give, nodeOf, run, serversOf, urlOf, type Answer, type Family, type Place } from './traffic.ts';

const LAB = 'e2econform';
const EXTERNAL = externalOf(LAB);
const NODES = { n1: { 4: '192.168.50.1', 6: 'fd00:192:168:50::1' }, n2: { 4: '192.168.50.2', 6: 'fd00:192:168:50::2' } } as const;
type Node = keyof typeof NODES;
const CLIENTS = { 4: '203.0.113.', 6: '2001:db8:113::' } as const;
const FAMILY_NAMES = { 4: 'IPv4', 6: 'IPv6' } as const;
const [WEB, WEB_TOO, UDP] = [8080, 8081, 5300] as const;
/** So often that one of two backends is missed once in 16 million times. */
const OFTEN = 24;

const NAMESPACE = 'shop';
const pod = (name: string, node: Node, labels: object, spec: object = {}, ports: readonly object[] = [{ name: 'http', containerPort: WEB }, { containerPort: WEB_TOO }, { containerPort: UDP, protocol: 'UDP' }, { containerPort: UDP }]) =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: NAMESPACE, labels }, spec: { nodeName: node, containers: [{ name: 'c', image: 'x', ports }], ...spec } });
const [near, far] = [pod('near', 'n1', { app: 'web', at: 'n1' }), pod('far', 'n2', { app: 'web', at: 'n2' })];
const PODS = [near, far, pod('client', 'n1', { app: 'client' }), pod('agent', 'n1', { app: 'agent' }, { hostNetwork: true }, [{ containerPort: 9500 }]), ...(['n1', 'n2'] as const).map((node) =>
  ({ apiVersion: 'v1', kind: 'Node', metadata: { name: node, labels: { 'topology.kubernetes.io/zone': `zone-${node}` } } }))];

/** Its addresses, and its node port (30,000 and more), follow from its number. */
interface Made { readonly object: object; readonly address: Readonly<Record<Family, string>>; readonly nodePort: number; readonly name: string }
const HTTP = { name: 'http', port: 80, targetPort: 'http' } as const;
const service = (name: string, number: number, spec: Readonly<Record<string, unknown>> = {}, { labels = {}, status = {}, ports = [HTTP] as readonly object[] } = {}): Made => {
  const address = { 4: `10.96.1.${number}`, 6: `fd00:10:96::1${number}` } as const;
  const placed = spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer';
  return {
    name, address, nodePort: 30_100 + number,
    object: {
      apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: NAMESPACE, labels }, status,
      spec: { ...(spec['type'] === 'ExternalName' ? {} : { clusterIPs: [address[4], address[6]], ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack' }), selector: { app: 'web' }, ports: placed ? ports.map((port) => ({ nodePort: 30_100 + number, ...port })) : ports, ...spec },
    },
  };
};
interface Condition { readonly ready: boolean; readonly serving: boolean; readonly terminating: boolean }
const READY = { ready: true, serving: true, terminating: false } as const;
const NOT_READY = { ready: false, serving: false, terminating: false } as const;
const ENDING = { ready: false, serving: true, terminating: true } as const;
const ENDED = { ready: false, serving: false, terminating: true } as const;

describe('Services, as the Kubernetes suites know them', () => {
  let endpoints: readonly (Endpoint & { readonly addresses: readonly string[] })[];
  const endpointOf = (name: string) => endpoints.find(({ pod: key }) => key === `${NAMESPACE}/${name}`)!;
  const addressOf = (name: string, family: Family): string => endpointOf(name).addresses.find((address) => address.includes(':') === (family === 6))!;
  const inPod = (name: string): Place => ({ netns: endpointOf(name).podNetns, cgroup: nodeOf(LAB, endpointOf(name).node).cgroup! });
  const unseen = ({ netns }: Place): Place => ({ netns });
  /** A client that is translated at the socket, and one that is packet by packet. */
  const pods = (name = 'client'): readonly Place[] => [inPod(name), unseen(inPod(name))];

  const apply = (...objects: readonly object[]): Promise<void> => give(LAB, 'apply', objects);
  const remove = (...objects: readonly object[]): Promise<void> => give(LAB, 'delete', objects);
  const withServices = async (made: readonly Made[], work: () => Promise<void>, others: readonly object[] = []): Promise<void> => {
    await apply(...others, ...made.map(({ object }) => object));
    await work();
    await remove(...others, ...made.map(({ object }) => object));
  };
  /** A slice of a Service for each family: who is in it, in which condition. */
  const slices = (of: string, members: Readonly<Record<string, Condition>>, { name = of, ports = [{ name: 'http', port: WEB }] as readonly object[], hints = {} as Readonly<Record<string, object>> } = {}): readonly object[] => FAMILIES.map((family) => ({
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `${name}-${family}`, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': of } }, addressType: FAMILY_NAMES[family], ports,
    endpoints: Object.entries(members).map(([member, conditions]) => ({ addresses: [addressOf(member, family)], nodeName: endpointOf(member).node, conditions, targetRef: { kind: 'Pod', name: member }, ...(hints[member] === undefined ? {} : { hints: hints[member] }) })),
  }));

  const outside = (number = 7): Readonly<Record<Family, readonly string[]>> => ({ 4: ['--interface', `${CLIENTS[4]}${number}`], 6: ['--interface', `${CLIENTS[6]}${number}`] });
  /** Who answers, from each kind of client and in each family: all the same sets. */
  const expectServers = async (clients: readonly Place[], urls: (family: Family) => readonly string[], wanted: readonly string[], times = wanted.length > 1 ? OFTEN : 2): Promise<void> => {
    const asked = FAMILIES.flatMap((family) => clients.flatMap((place) => urls(family).map(async (url) => ({ from: `${place.netns}${place.cgroup === undefined ? ', packet by packet' : ''}`, url, servers: await serversOf(times, () => ask(place, url), wanted.length > 1 ? wanted.length : undefined) }))));
    for (const { from, url, servers } of await Promise.all(asked)) expect({ from, url, servers }).toEqual({ from, url, servers: wanted });
  };
  const [BOTH, NEAR, FAR] = [['shop/far', 'shop/near'], ['shop/near'], ['shop/far']] as const;
  const REFUSED = ['refused'] as const;
  const clusterIP = ({ address }: Made, port = 80) => (family: Family): readonly string[] => [urlOf(address[family], port)];
  /** Where there is no frontend, what is there besides decides: a timeout, a refusal, never an answer. */
  const notServed = async ({ address }: Made, port = 80): Promise<void> => {
    const answers = await Promise.all(FAMILIES.flatMap((family) => pods().map((place) => ask(place, urlOf(address[family], port)))));
    expect(answers.filter(({ code }) => code === 0)).toEqual([]);
  };
  const nodePorts = ({ nodePort }: Made, ...nodes: readonly Node[]) => (family: Family): readonly string[] => (nodes.length === 0 ? ['n1', 'n2'] as const : nodes).map((node) => urlOf(NODES[node][family], nodePort));

  /** Twelve clients of their own address each, and whom each of them is served by. */
  const TWELVE = Array.from({ length: 12 }, (_, index) => index + 20);
  const servedBy = (family: Family, url: string): Promise<readonly string[]> => Promise.all(TWELVE.map(async (number) => (await ask(EXTERNAL, url, ...outside(number)[family])).server));
  const AFFINITY = { sessionAffinity: 'ClientIP' } as const;

  beforeAll(async () => {
    expect(await seine('lab', 'up', '--name', LAB)).toMatchObject({ code: 0 });
    await apply(...PODS);
    endpoints = await json('get', 'endpoints', '--name', LAB);
  }, 90_000);
  afterAll(async () => { await seine('lab', 'down', '--name', LAB); }, 60_000);

  const kept = async (made: Made, url: (family: Family) => string): Promise<void> => {
    for (const place of pods()) {
      for (const family of FAMILIES) expect(await serversOf(OFTEN / 2, () => ask(place, url(family)))).toEqual([expect.stringMatching(/^shop\/(near|far)$/)]);
    }
    for (const family of FAMILIES) {
      const outer = urlOf(NODES.n1[family], made.nodePort);
      const first = await servedBy(family, outer);
      expect(new Set(first).size).toBe(2);
      expect([await servedBy(family, outer), await servedBy(family, outer)]).toEqual([first, first]);
    }
  };
  const spread = async (made: Made): Promise<void> => {
    await expectServers(pods(), clusterIP(made), BOTH);
    await expectServers([EXTERNAL], nodePorts(made), BOTH);
  };

  const ROWS: readonly { readonly name: string; readonly run: () => Promise<void> }[] = [
    { name: 'a Service is served by the pods that its selector means at that time, and by nobody when they are gone', run: async () => {
      const made = service('basic', 10, { selector: { basic: 'yes' } });
      const labelled = (object: typeof near, more: object) => ({ ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...more } } });
      await withServices([made], async () => {
        await expectServers(pods(), clusterIP(made), REFUSED);
        await apply(labelled(near, { basic: 'yes' }));
        await expectServers(pods(), clusterIP(made), NEAR);
        await apply(labelled(far, { basic: 'yes' }));
        await expectServers(pods(), clusterIP(made), BOTH);
        await apply(near);
        await expectServers(pods(), clusterIP(made), FAR);
        await apply(far);
        await expectServers(pods(), clusterIP(made), REFUSED);
      });
    } },
    { name: 'each port of a Service has backends of its own, and ports come and go', run: async () => {
      const two = [{ name: 'a', port: 80, targetPort: WEB }, { name: 'b', port: 81, targetPort: WEB_TOO }];
      const made = service('ports', 11, {}, { ports: two });
      await withServices([made], async () => {
        await expectServers(pods(), clusterIP(made), BOTH);
        await expectServers(pods(), clusterIP(made, 81), BOTH);
        await apply(service('ports', 11, {}, { ports: two.slice(1) }).object);
        await expectServers(pods(), clusterIP(made, 81), BOTH);
        await notServed(made, 80);
      });
    } },
    { name: 'a node port is served on every node: to pods, to nodes\' own processes, and from outside', run: async () => {
      const made = service('nodeport', 12, { type: 'NodePort' });
      await withServices([made], () => expectServers([...pods(), nodeOf(LAB, 'n1'), nodeOf(LAB, 'n2'), EXTERNAL], nodePorts(made), BOTH));
    } },
    { name: 'a node\'s own processes are served at the ClusterIP', run: async () => {
      const made = service('fromnodes', 13);
      await withServices([made], () => expectServers([nodeOf(LAB, 'n1'), nodeOf(LAB, 'n2')], clusterIP(made), BOTH));
    } },
    { name: 'one port in two protocols is two frontends, at the ClusterIP and at the node port', run: async () => {
      const made = service('twoprotocols', 14, { type: 'NodePort' }, { ports: [{ name: 'tcp', port: 80, targetPort: WEB }, { name: 'udp', port: 80, targetPort: UDP, protocol: 'UDP' }] });
      await withServices([made], async () => {
        await expectServers(pods(), clusterIP(made), BOTH);
        for (const family of FAMILIES) {
          for (const place of pods()) expect(await datagram(place, made.address[family], 80)).toMatch(/^shop\/(near|far)$/);
          for (const node of ['n1', 'n2'] as const) expect(await datagram(EXTERNAL, NODES[node][family], made.nodePort)).toMatch(/^shop\/(near|far)$/);
        }
      });
    } },
    { name: 'clients of a Service with affinity stay where they are, at the ClusterIP and at node ports, and are spread when it is switched off', run: async () => {
      const made = service('sticky', 15, { type: 'NodePort', ...AFFINITY });
      await withServices([made], async () => {
        await kept(made, (family) => urlOf(made.address[family]));
        await apply(service('sticky', 15, { type: 'NodePort' }).object);
        await spread(made);
        await apply(made.object);
        await kept(made, (family) => urlOf(made.address[family]));
      });
    } },
    { name: 'clients are drawn anew once they were silent for as long as their affinity lasts', run: async () => {
      const made = service('brief', 16, { type: 'NodePort', ...AFFINITY, sessionAffinityConfig: { clientIP: { timeoutSeconds: 1 } } });
      await withServices([made], async () => {
        for (const url of [(family: Family) => urlOf(NODES.n2[family], made.nodePort), (family: Family) => urlOf(made.address[family])]) {
          const first = await Promise.all(FAMILIES.map((family) => servedBy(family, url(family))));
          await new Promise((resolve) => { setTimeout(resolve, 2_500); }); // the silence itself: two ticks of the programs' clock
          const second = await Promise.all(FAMILIES.map((family) => servedBy(family, url(family))));
          for (const [index] of FAMILIES.entries()) expect(second[index]).not.toEqual(first[index]);
        }
      });
    } },
    { name: 'datagrams of a client stay where they are, too', run: async () => {
      const made = service('stickyudp', 17, { type: 'NodePort', ...AFFINITY }, { ports: [{ name: 'udp', port: 80, targetPort: UDP, protocol: 'UDP' }] });
      await withServices([made], async () => {
        for (const family of FAMILIES) {
          for (const place of pods()) expect(new Set(await Promise.all(Array.from({ length: 8 }, () => datagram(place, made.address[family], 80)))).size).toBe(1);
          const each = (): Promise<readonly string[]> => Promise.all(TWELVE.map((number) => datagram(EXTERNAL, NODES.n1[family], made.nodePort, { from: `${CLIENTS[family]}${number}` })));
          const first = await each();
          expect([...new Set(first)].sort()).toEqual(BOTH);
          expect(await each()).toEqual(first);
        }
      });
    } },
    { name: 'a Service becomes ExternalName, ClusterIP, NodePort and back, and is served as what it is', run: async () => {
      const [named, cluster, node] = [service('changing', 18, { type: 'ExternalName', externalName: 'example.org' }), service('changing', 18), service('changing', 18, { type: 'NodePort' })];
      const unserved = (): Promise<void> => expectServers([EXTERNAL], nodePorts(node), REFUSED);
      await withServices([named], async () => {
        await unserved();
        await apply(cluster.object);
        await expectServers(pods(), clusterIP(cluster), BOTH);
        await unserved();
        await apply(node.object);
        await expectServers(pods(), clusterIP(cluster), BOTH);
        await expectServers([EXTERNAL], nodePorts(node), BOTH);
        await apply(cluster.object);
        await unserved();
        await apply(named.object);
        await unserved();
        await notServed(cluster);
        await apply(node.object);
        await expectServers([EXTERNAL], nodePorts(node), BOTH);
      });
    } },
    { name: 'Services come and go beside each other, and one that is made again is served again', run: async () => {
      const [first, second] = [service('one', 19), service('two', 20)];
      await apply(first.object, second.object);
      await expectServers(pods(), clusterIP(first), BOTH);
      await remove(first.object);
      await expectServers(pods(), clusterIP(second), BOTH);
      await notServed(first);
      await apply(first.object);
      await expectServers(pods(), clusterIP(first), BOTH);
      await remove(first.object, second.object);
    } },
    { name: 'ports and addresses in several EndpointSlices are one Service\'s', run: async () => {
      const made = service('sliced', 21, { selector: undefined }, { ports: [{ name: 'a', port: 80 }, { name: 'b', port: 81 }] });
      const own = [
        ...slices('sliced', { near: READY }, { name: 'sliced-x', ports: [{ name: 'a', port: WEB }] }), ...slices('sliced', { far: READY }, { name: 'sliced-y', ports: [{ name: 'a', port: WEB_TOO }] }),
        ...slices('sliced', { far: READY }, { name: 'sliced-z', ports: [{ name: 'b', port: WEB_TOO }] }),
      ];
      await withServices([made], async () => {
        await expectServers(pods(), clusterIP(made), BOTH);
        await expectServers(pods(), clusterIP(made, 81), FAR);
      }, own);
    } },
    { name: 'a backend sees the address of the pod that asks its ClusterIP, on its node and on another', run: async () => {
      const made = service('seen', 22);
      await withServices([made], async () => {
        for (const family of FAMILIES) {
          for (const place of pods()) {
            const answers: readonly Answer[] = await Promise.all(Array.from({ length: OFTEN }, () => ask(place, urlOf(made.address[family]))));
            expect([...new Set(answers.map(({ client, server }) => `${server} saw ${client}`))].sort()).toEqual(BOTH.map((server) => `${server} saw ${addressOf('client', family)}`));
          }
        }
      });
    } },
    { name: 'a pod reaches itself through its Service', run: async () => {
      const made = service('itself', 23, { selector: { at: 'n1' } });
      await withServices([made], () => expectServers(pods('near'), clusterIP(made), NEAR));
    } },
    { name: 'an external address that is no node\'s is served to pods and to who comes by a route', run: async () => {
      const addresses = { 4: '192.0.2.124', 6: '2001:db8:2::124' } as const;
      const made = service('external', 24, { externalIPs: [addresses[4], addresses[6]] });
      await withServices([made], async () => {
        for (const [family, length] of [[4, 32], [6, 128]] as const) expect(await run(EXTERNAL, 'ip', `-${family}`, 'route', 'replace', `${addresses[family]}/${length}`, 'via', NODES.n2[family])).toMatchObject({ code: 0 });
        await expectServers([...pods(), EXTERNAL], (family) => [urlOf(addresses[family])], BOTH);
      });
    } },
    { name: 'who is not ready or ends is served to nobody, unless its Service publishes such addresses', run: async () => {
      const made = service('unready', 25, { type: 'NodePort', selector: undefined });
      await withServices([made], async () => {
        for (const [condition, wanted] of [[NOT_READY, REFUSED], [ENDED, REFUSED], [{ ...NOT_READY, ready: true }, NEAR], [{ ...ENDED, ready: true }, NEAR]] as const) {
          await apply(...slices('unready', { near: condition }));
          await expectServers(pods(), clusterIP(made), wanted);
          await expectServers([EXTERNAL], nodePorts(made), wanted);
        }
        await remove(...slices('unready', { near: READY }));
      });
    } },
    { name: 'who ends and still serves is asked while nobody is ready', run: async () => {
      const made = service('ending', 26, { type: 'NodePort', selector: undefined });
      await withServices([made], async () => {
        for (const [far2, wanted] of [[READY, FAR], [ENDING, BOTH], [NOT_READY, NEAR]] as const) {
          await apply(...slices('ending', { near: ENDING, far: far2 }));
          await expectServers(pods(), clusterIP(made), wanted);
          await expectServers([EXTERNAL], nodePorts(made), wanted);
        }
        await remove(...slices('ending', { near: READY }));
      });
    } },
    { name: 'the internal policy Local keeps pods and nodes\' processes to their own node, hosts\' pods too', run: async () => {
      const [made, host] = [service('inside', 27, { internalTrafficPolicy: 'Local' }), service('insidehost', 28, { internalTrafficPolicy: 'Local', selector: { app: 'agent' } }, { ports: [{ name: 'a', port: 80, targetPort: 9500 }] })];
      await withServices([made, host], async () => {
        await expectServers([...pods('client'), nodeOf(LAB, 'n1')], clusterIP(made), NEAR);
        await expectServers([...pods('far'), nodeOf(LAB, 'n2')], clusterIP(made), FAR);
        await expectServers([...pods('client'), nodeOf(LAB, 'n1')], clusterIP(host), ['shop/agent']);
        await expectServers([...pods('far'), nodeOf(LAB, 'n2')], clusterIP(host), REFUSED);
      });
    } },
    { name: 'under Local policies a node\'s own ending pods serve while it has no other', run: async () => {
      const made = service('endinghere', 29, { type: 'NodePort', selector: undefined, internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' });
      await withServices([made], async () => {
        await apply(...slices('endinghere', { near: ENDING, far: READY }));
        await expectServers(pods('client'), clusterIP(made), NEAR);
        await expectServers(pods('far'), clusterIP(made), FAR);
        await expectServers([EXTERNAL], nodePorts(made, 'n1'), NEAR);
        await expectServers([EXTERNAL], nodePorts(made, 'n2'), FAR);
        await remove(...slices('endinghere', { near: READY }));
      });
    } },
    { name: 'the external policy Local keeps the client\'s address and asks the node\'s own; with Cluster every node answers again', run: async () => {
      const [local, cluster] = [service('outer', 30, { type: 'NodePort', externalTrafficPolicy: 'Local', selector: { at: 'n1' } }), service('outer', 30, { type: 'NodePort', selector: { at: 'n1' } })];
      await withServices([local], async () => {
        for (const family of FAMILIES) expect(await ask(EXTERNAL, urlOf(NODES.n1[family], local.nodePort), ...outside()[family])).toMatchObject({ code: 0, server: 'shop/near', client: `${CLIENTS[family]}7` });
        await expectServers([EXTERNAL], nodePorts(local, 'n2'), REFUSED);
        await expectServers([...pods('far'), nodeOf(LAB, 'n2')], nodePorts(local, 'n1', 'n2'), NEAR);
        await apply(cluster.object);
        await expectServers([EXTERNAL], nodePorts(local), NEAR);
      });
    } },
    { name: 'the health-check port of a balancer fails where a node has ending pods alone', run: async () => {
      const made = service('balanced', 31, { type: 'LoadBalancer', selector: undefined, externalTrafficPolicy: 'Local', healthCheckNodePort: 31_131 });
      const statusOf = async (node: Node): Promise<string> => (await run(EXTERNAL, 'curl', '-s', '-o', '/dev/null', '--max-time', '2', '-w', '%{http_code}', urlOf(NODES[node][4], 31_131))).out;
      await withServices([made], async () => {
        await apply(...slices('balanced', { near: READY, far: ENDING }));
        await eventually(async () => await statusOf('n1') === '200' && await statusOf('n2') === '503');
        await apply(...slices('balanced', { near: ENDING, far: READY }));
        await eventually(async () => await statusOf('n1') === '503' && await statusOf('n2') === '200');
        await remove(...slices('balanced', { near: READY }));
      });
    } },
    { name: 'datagrams of one port go to the next backend when theirs goes, and to the first that comes', run: async () => {
      const made = service('cycling', 32, { type: 'NodePort', selector: undefined }, { ports: [{ name: 'udp', port: 80, targetPort: UDP, protocol: 'UDP' }] });
      const members = (all: Readonly<Record<string, Condition>>): readonly object[] => slices('cycling', all, { ports: [{ name: 'udp', port: UDP, protocol: 'UDP' }] });
      await withServices([made], async () => {
        await apply(...members({ near: NOT_READY }));
        const clients = FAMILIES.flatMap((family) => [...pods().map((place) => askingOn(place, made.address[family], 80)), askingOn(EXTERNAL, NODES.n1[family], made.nodePort), askingOn(EXTERNAL, NODES.n2[family], made.nodePort)]);
        const allAt = (name: string): Promise<unknown> => eventually(() => clients.every((client) => client.last() === `shop/${name}`), 15_000);
        await apply(...members({ near: READY }));
        await allAt('near');
        await apply(...members({ far: READY }));
        await allAt('far');
        await apply(...members({ near: READY, far: NOT_READY }));
        await apply(...members({ near: READY }));
        await allAt('near');
        for (const client of clients) client.stop();
        await remove(...members({ near: READY }));
      });
    } },
    { name: 'large requests and large datagrams come whole', run: async () => {
      const made = service('large', 33, { type: 'NodePort' }, { ports: [{ name: 'tcp', port: 80, targetPort: WEB }, { name: 'udp', port: 80, targetPort: UDP, protocol: 'UDP' }] });
      await withServices([made], async () => {
        for (const family of FAMILIES) {
          const places = [...pods().map((place) => [place, made.address[family], 80] as const), ...(['n1', 'n2'] as const).map((node) => [EXTERNAL, NODES[node][family], made.nodePort] as const)];
          for (const [place, address, port] of places) {
            expect((await ask(place, urlOf(address, port, `/${'x'.repeat(7_000)}`))).bytes).toBeGreaterThan(7_000);
            expect(await datagram(place, address, port, { bytes: 4_000 })).toBe('4000');
          }
        }
      });
    } },
    { name: 'a node draws the backends of its zone where their slices say so', run: async () => {
      const made = service('zoned', 34, { selector: undefined, trafficDistribution: 'PreferSameZone' });
      const hints = { near: { forZones: [{ name: 'zone-n1' }] }, far: { forZones: [{ name: 'zone-n2' }] } };
      await withServices([made], async () => {
        await apply(...slices('zoned', { near: READY, far: READY }, { hints }));
        await expectServers(pods('client'), clusterIP(made), NEAR);
        await expectServers(pods('far'), clusterIP(made), FAR);
        await apply(...slices('zoned', { near: READY, far: READY }));
        await expectServers(pods('client'), clusterIP(made), BOTH);
        await remove(...slices('zoned', { near: READY }));
      });
    } },
    { name: 'a Service that is labelled as another proxy\'s, or as headless, is not served', run: async () => {
      const labels = [{ 'service.kubernetes.io/service-proxy-name': 'other' }, { 'service.kubernetes.io/headless': '' }] as const;
      const made = service('others', 35, { type: 'NodePort' });
      for (const label of labels) {
        const other = service('others', 35, { type: 'NodePort' }, { labels: label });
        await withServices([other], async () => {
          await expectServers([EXTERNAL], nodePorts(other), REFUSED);
          await notServed(other);
          await apply(made.object);
          await expectServers([...pods(), EXTERNAL], nodePorts(made), BOTH);
        });
      }
    } },
  ];

  test.each(ROWS)('$name', ({ run: row }) => row(), 60_000);

  test('nothing is left of them, and nothing differs from the log', async () => {
    expect(await json('get', 'frontends', '--name', LAB)).toEqual([]);
    expect((await seine('verify', '--name', LAB)).code).toBe(0);
  });

  test('docs/conformance.md names each of them', () => {
    const text = readFileSync(`${ROOT}docs/conformance.md`, 'utf8');
    expect(ROWS.map(({ name }) => name).filter((name) => !text.includes(`| ${name} |`))).toEqual([]);
  });
});
