/**
 * Services where checksums and segments are the devices' work, and where they are nobody's: pods' and wires' offloads on and off, over one node and two, from pods
 * (packet by packet) and from outside, in both families. What was translated wrongly is dropped by whoever looks at a sum; who has offloads does not look.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { json, seine, type Endpoint } from './lab.ts';
import { ask, datagram, externalOf, FAMILIES, give, nodeOf, run, urlOf, type Family, type Place } from './traffic.ts';

const LAB = 'e2eoffload';
const EXTERNAL = externalOf(LAB);
const N1 = { 4: '192.168.50.1', 6: 'fd00:192:168:50::1' } as const;
const FEATURES = ['tx', 'rx', 'tso', 'gso', 'gro'] as const;
const [LONG_PATH, LONG_DATAGRAM] = [7_000, 4_000] as const; // five segments, three fragments

const pod = (name: string, node: string): object => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop', labels: { name } },
  spec: { nodeName: node, containers: [{ name: 'c', image: 'x', ports: [{ containerPort: 8080 }, { containerPort: 5300, protocol: 'UDP' }] }] },
});
interface Served { readonly backend: string; readonly address: Readonly<Record<Family, string>>; readonly nodePort: number }
const [near, far]: readonly [Served, Served] = [{ backend: 'near', address: { 4: '10.96.2.1', 6: 'fd00:10:96::201' }, nodePort: 30_201 }, { backend: 'far', address: { 4: '10.96.2.2', 6: 'fd00:10:96::202' }, nodePort: 30_202 }];
const NOBODY: Served = { backend: 'nobody', address: { 4: '10.96.2.3', 6: 'fd00:10:96::203' }, nodePort: 30_203 };
const service = ({ backend, address, nodePort }: Served): object => ({
  apiVersion: 'v1', kind: 'Service', metadata: { name: backend, namespace: 'shop' },
  spec: {
    type: 'NodePort', clusterIPs: [address[4], address[6]], ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack', selector: { name: backend },
    ports: [{ name: 'tcp', port: 80, targetPort: 8080, nodePort }, { name: 'udp', port: 80, targetPort: 5300, protocol: 'UDP', nodePort }],
  },
});

describe('Services with and without offloads', () => {
  let endpoints: readonly Endpoint[];
  const client = (): Place => ({ netns: endpoints.find(({ pod: key }) => key === 'shop/client')!.podNetns });
  /** Both ends of what pods and nodes are wired by. */
  const podEnds = (): readonly (readonly [Place, string])[] => endpoints.flatMap(({ podNetns, nodeNetns, hostInterface }) => [[{ netns: podNetns }, 'eth0'], [{ netns: nodeNetns }, hostInterface]] as const);
  const wireEnds = (): readonly (readonly [Place, string])[] => [
    ...[EXTERNAL, { netns: nodeOf(LAB, 'n1').netns }, { netns: nodeOf(LAB, 'n2').netns }].map((place) => [place, 'eth0'] as const),
    ...['w-ext', 'w-n1', 'w-n2'].map((port) => [{ netns: `seine-${LAB}-hub` }, port] as const),
  ];
  const offloads = async (ends: readonly (readonly [Place, string])[], state: 'on' | 'off'): Promise<void> => {
    for (const [place, device] of ends) {
      expect(await run(place, 'ethtool', '-K', device, ...FEATURES.flatMap((feature) => [feature, state]))).toMatchObject({ code: 0 });
      const { out } = await run(place, 'ethtool', '-k', device);
      for (const feature of ['tx-checksumming', 'rx-checksumming', 'tcp-segmentation-offload', 'generic-segmentation-offload', 'generic-receive-offload']) expect(out).toMatch(new RegExp(`^${feature}: ${state}`, 'm'));
    }
  };

  beforeAll(async () => {
    expect(await seine('lab', 'up', '--name', LAB)).toMatchObject({ code: 0 });
    await give(LAB, 'apply', [pod('client', 'n1'), pod('near', 'n1'), pod('far', 'n2'), service(near), service(far), service(NOBODY)]);
    endpoints = await json('get', 'endpoints', '--name', LAB);
  }, 90_000);
  afterAll(async () => { await seine('lab', 'down', '--name', LAB); }, 60_000);

  describe.each([
    { pods: 'on', wires: 'off' }, { pods: 'off', wires: 'off' }, { pods: 'on', wires: 'on' }, { pods: 'off', wires: 'on' },
  ] as const)('pods\' offloads $pods, the wires\' $wires', ({ pods, wires }) => {
    beforeAll(async () => {
      await offloads(podEnds(), pods);
      await offloads(wireEnds(), wires);
    });
    const WAYS = [
      { way: 'a pod\'s ClusterIP, on its node', from: client, served: near, to: 'clusterIP' }, { way: 'a pod\'s ClusterIP, on another node', from: client, served: far, to: 'clusterIP' },
      { way: 'a node port from outside, on that node', from: () => EXTERNAL, served: near, to: 'nodePort' }, { way: 'a node port from outside, on another node', from: () => EXTERNAL, served: far, to: 'nodePort' },
    ] as const;
    test.each(WAYS.flatMap((way) => FAMILIES.map((family) => ({ ...way, family }))))('$way, over IPv$family: streams and datagrams, short and long', async ({ from, served, to, family }) => {
      const [address, port] = to === 'clusterIP' ? [served.address[family], 80] : [N1[family], served.nodePort];
      const place = from();
      const [short, long, name, fragments] = await Promise.all([
        ask(place, urlOf(address, port)), ask(place, urlOf(address, port, `/${'x'.repeat(LONG_PATH)}`)), datagram(place, address, port), datagram(place, address, port, { bytes: LONG_DATAGRAM }),
      ]);
      expect([short, long, name, fragments]).toEqual([
        expect.objectContaining({ code: 0, server: `shop/${served.backend}` }), expect.objectContaining({ code: 0, bytes: `shop/${served.backend} GET /\n`.length + LONG_PATH }), `shop/${served.backend}`, String(LONG_DATAGRAM),
      ]);
    }, 20_000);
    test.each(FAMILIES)('a datagram that nobody serves is refused, whole, over IPv%i', async (family) => {
      for (const place of [client(), EXTERNAL]) expect(await datagram(place, NOBODY.address[family], 80, { connected: true })).toBe('ECONNREFUSED');
    }, 20_000);
  });

  test.each(FAMILIES)('a datagram whose sum nobody has finished is refused by a node whose device finishes none, over IPv%i', async (family) => {
    await offloads(wireEnds(), 'on');
    await offloads([[{ netns: nodeOf(LAB, 'n1').netns }, 'eth0']], 'off');
    expect(await datagram(EXTERNAL, NOBODY.address[family], 80, { connected: true })).toBe('ECONNREFUSED');
  }, 20_000);
});
