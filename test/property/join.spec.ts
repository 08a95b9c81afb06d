/**
 * The node's mind takes events one by one; `nodeRows` takes a whole state. Whatever happens, in whatever order, both end with the same rows,
 * and the changes that the mind tells lead a kernel there.
 */
import { describe, expect, test } from '@jest/globals';

import {
  canonicalEntries, createNodeJoin, emptyNodeState, emptyTables, endpointsOfLog, evolveNode, MAP_CAPACITY, nodeRoutes, type Capacity, type NodeJoin, type NodeState, type Tables,
} from '@seine/datapath-writer';
import { packBackends, type CompiledPolicy, type SeineEvent } from '@seine/events';
import { FOLDED_MAPS } from '@seine/layout';
import type { LocalEndpoint } from '@seine/node';
import { unkindly } from '@seine/testkit';

import { randomOf } from '../oracle/mutate.mjs';
import { caseOf, KINDS, type Random } from './generate.ts';
import { clusterOf } from './judge.ts';

const NODE = 'n1';
const TIME = '1970-01-01T00:00:00.000Z';
const SEEDS = Array.from({ length: 12 }, (_, index) => 700 + index);
const STEPS = 70;

const event = <E extends SeineEvent>(type: E['type'], key: string, data: E['data']): SeineEvent => ({ type, key, time: TIME, data }) as SeineEvent; // type and data are of one event
const nounOf = ({ type }: SeineEvent): string => type.slice(0, type.indexOf('.'));
const aggregateOf = (each: SeineEvent): string => `${nounOf(each)}/${each.key}`;

/** Its aggregate is gone. */
const GONE: Readonly<Record<string, (each: SeineEvent) => SeineEvent>> = {
  pod: ({ key }) => event('pod.vanished.v1', key, { uid: '' }), node: ({ key }) => event('node.vanished.v1', key, { uid: '' }), endpoint: ({ key }) => event('endpoint.vanished.v1', key, { uid: '', node: '' }),
  identity: ({ key }) => event('identity.freed.v1', key, { identity: Number(key) }), podidentity: ({ key }) => event('podidentity.removed.v1', key, { uid: '' }), address: ({ key }) => event('address.unbound.v1', key, {}),
  podcidr: ({ key }) => event('podcidr.released.v1', key, { node: key }), policy: ({ key }) => event('policy.removed.v1', key, { object: { kind: '', namespace: '', name: '' } }),
  service: ({ key }) => event('service.removed.v1', key, {} as never), backends: ({ key }) => event('backends.removed.v1', key, {} as never), // what they hold is not read
};

const backend = (id: number, address: string) => ({ id, address, port: 6443, protocol: 'TCP', portName: 'https', state: 'active', node: 'n2' } as const);
const oddPolicy = (name: string, rules: CompiledPolicy['rules']): SeineEvent => event('policy.compiled.v1', `CiliumNetworkPolicy/shop/${name}`, {
  object: { kind: 'CiliumNetworkPolicy', namespace: 'shop', name }, uid: name, tier: 'normal', priority: 0, audit: false, isolates: { ingress: true, egress: true }, subject: { type: 'pods', namespace: 'shop', pods: [] }, rules,
});
const oddRule = { section: 'odd', index: 0, action: 'allow', ports: 'any' } as const;

/** What generated clusters have seldom: a second family, an address of which two speak, a pod outside its node's block, API servers that move, names for any peer. */
const ODD: readonly SeineEvent[] = [
  event('node.observed.v1', 'n2', { uid: 'n2', labels: { zone: 'b' }, addresses: ['192.168.50.2', 'fd00:50::2'] }),
  event('node.observed.v1', 'n9', { uid: 'n9', labels: { pool: 'gpu' }, addresses: ['192.168.50.2', '10.244.1.11'] }),
  event('node.observed.v1', NODE, { uid: NODE, labels: { pool: 'gpu' }, addresses: ['192.168.50.1', '192.168.50.100'] }),
  event('podcidr.assigned.v1', 'n2', { node: 'n2', cidrs: ['10.244.2.0/24', 'fd00:10:244:2::/64'] }),
  event('podcidr.assigned.v1', 'n9', { node: 'n9', cidrs: ['203.0.113.0/24'] }),
  event('address.bound.v1', 'fd00:10:244:2::2', { identity: 257, node: 'n2', pod: 'shop/web-1', uid: 'u' }),
  event('address.bound.v1', '10.99.0.9', { identity: 256, node: 'n2', pod: 'shop/web-1', uid: 'u' }),
  event('address.bound.v1', '10.244.1.10', { identity: 258, node: 'n3', pod: 'pay/db-1', uid: 'u' }),
  event('backends.compiled.v2', 'default/odd', packBackends({ service: 'default/kubernetes', backends: [backend(901, '192.168.50.2'), backend(902, '192.168.50.100')] })),
  event('backends.compiled.v2', 'default/odd', packBackends({ service: 'default/kubernetes', backends: [backend(901, '192.168.50.1'), backend(903, '198.51.100.9')] })),
  event('backends.compiled.v2', 'default/odd', packBackends({ service: 'shop/other', backends: [backend(901, '192.168.50.1')] })),
  oddPolicy('api', [{ ...oddRule, direction: 'egress', peers: [{ type: 'entity', entity: 'kube-apiserver' }] }, { ...oddRule, direction: 'ingress', peers: [{ type: 'labels', labels: [{ key: 'any:kube-apiserver', operator: 'In', values: ['', 'x'] }] }] }]),
  oddPolicy('names', [{ ...oddRule, direction: 'egress', peers: 'any', ports: [{ type: 'named', protocol: 6, name: 'http' }] }]),
  oddPolicy('nodes', [{ ...oddRule, direction: 'egress', peers: [{ type: 'nodes', labels: [{ key: 'pool', operator: 'In', values: ['gpu'] }] }] }]),
];

const eventsOf = (seed: number, index: number): readonly SeineEvent[] => clusterOf(caseOf(seed, index, { kinds: [...KINDS] })).events;

/** Interface indexes that stay with their names, and names for what a dump shows. */
const interfaces: string[] = [];
const indexOf = (name: string): number => (interfaces.includes(name) ? interfaces.indexOf(name) + 1 : interfaces.push(name));

const told = (join: Pick<NodeJoin, 'rows' | 'full'>, tables: Tables): readonly string[] => [
  ...canonicalEntries(join.rows, { tables, interfaceName: (index) => interfaces[index - 1] }).map(({ map, key, value }) => `${map} ${key} → ${value}`),
  ...join.full().map((full) => `full ${JSON.stringify(full)}`),
];
const fromScratch = (state: NodeState, local: readonly LocalEndpoint[], capacity: Capacity): readonly string[] => {
  const tables = emptyTables();
  const join = createNodeJoin(NODE, state, tables, capacity);
  join.update(local);
  return told(join, tables);
};

/** A mind with a kernel that obeys its changes. */
const mind = (capacity: Capacity = MAP_CAPACITY) => {
  const state = emptyNodeState();
  const tables = emptyTables();
  const join = createNodeJoin(NODE, state, tables, capacity);
  const kernel = new Map(FOLDED_MAPS.map((map) => [map, new Map<string, string>()]));
  let routes = nodeRoutes(NODE, state);
  let seq = 0;
  const local = (): readonly LocalEndpoint[] => endpointsOfLog(NODE, state, indexOf);
  return {
    state, local,
    take: (each: SeineEvent): void => { evolveNode(state, each, ++seq); join.note(each); },
    update: (endpoints: readonly LocalEndpoint[]): void => {
      const changed = join.update(endpoints);
      const wanted = nodeRoutes(NODE, state);
      if (!changed.routes) expect(wanted).toEqual(routes);
      routes = wanted;
      for (const [map, changes] of join.changes()) for (const { key, former, now } of changes) {
        const held = kernel.get(map as typeof FOLDED_MAPS[number])!; // changes are of folded maps
        expect(held.get(key)).toBe(former === undefined ? undefined : JSON.stringify(former.value));
        if (now === undefined) held.delete(key);
        else held.set(key, JSON.stringify(now.value));
      }
      for (const map of FOLDED_MAPS) expect({ map, rows: kernel.get(map) }).toEqual({ map, rows: new Map([...join.rows.get(map)!].map(([key, { value }]) => [key, JSON.stringify(value)])) });
      join.settle();
    },
    rows: () => told(join, tables),
    scratch: (endpoints: readonly LocalEndpoint[]) => fromScratch(state, endpoints, capacity),
    numbers: () => Object.values(tables).flatMap(({ textOf }) => [...textOf.values()]),
  };
};

/** Any event of three clusters that share their names, or the end of something. */
const anyEvent = (random: Random, pool: readonly SeineEvent[], happened: readonly SeineEvent[]): SeineEvent => {
  if (random.chance(0.3) && happened.length > 0) {
    const ended = random.pick(happened);
    const gone = GONE[nounOf(ended)];
    if (gone !== undefined) return gone(ended);
  }
  return random.pick(random.chance(0.2) ? ODD : pool);
};

describe('a mind that takes one event after the other', () => {
  test.each(SEEDS)('ends with the rows of the state, whatever happens (seed %i)', (seed) => {
    const random = randomOf(seed);
    const start = eventsOf(seed, 0);
    const pool = [...start, ...eventsOf(seed, 1), ...eventsOf(seed, 2)];
    const capacity = random.chance(0.3) ? { peers: 4 + random.below(30), rows: 4 + random.below(30) } : MAP_CAPACITY;
    const subject = mind(capacity);
    if (random.chance(0.7)) for (const each of start) subject.take(each);
    const happened: SeineEvent[] = [...start];
    for (let step = 0; step < STEPS; step += 1) {
      for (let batch = 1 + random.below(4); batch > 0; batch -= 1) {
        const each = anyEvent(random, pool, happened);
        happened.push(each);
        subject.take(each);
      }
      const local = subject.local().filter(() => !random.chance(0.1));
      subject.update(local);
      expect({ step, rows: subject.rows() }).toEqual({ step, rows: subject.scratch(local) });
    }
  });

  test.each([3])('ends with the same rows however unkindly it is told (seed %i)', (seed) => {
    const events = [...eventsOf(seed, 0), ...ODD];
    const kind = mind();
    for (const each of events) kind.take(each);
    const local = kind.local();
    kind.update(local);
    for (const [delivery, delivered] of Object.entries(unkindly(events, aggregateOf))) {
      const subject = mind();
      for (const each of delivered) { subject.take(each); subject.update(subject.local()); }
      expect({ delivery, rows: subject.rows() }).toEqual({ delivery, rows: kind.rows() });
    }
  });

  test('keeps no number and no row of what is gone', () => {
    const subject = mind();
    const events = [...eventsOf(9, 0), ...ODD];
    for (const each of events) subject.take(each);
    subject.update(subject.local());
    expect(['sn_subject_01', 'sn_peer_01', 'sn_endpoint_01', 'sn_class_01', 'sn_frontend_02'].filter((map) => !subject.rows().some((row) => row.startsWith(map)))).toEqual([]);
    for (const each of events) { const gone = GONE[nounOf(each)]; if (gone !== undefined) subject.take(gone(each)); }
    subject.update([]);
    expect(subject.rows().filter((row) => !/^sn_(shape|self)_01/.test(row))).toEqual([]);
    expect(subject.numbers()).toEqual([]);
  });
});
