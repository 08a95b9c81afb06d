/**
 * Facts of every kind, delivered unkindly to every decider and to the node's fold: the rows are those of the last facts, whatever was before and
 * however they came. Numbers that depend on order (identities) are read as what they stand for.
 */
import { describe, expect, test } from '@jest/globals';

import { foldNode, replayNode, type NodeState } from '@seine/datapath-writer';
import { decideAll, EVENT_CATALOGUE, type SeineEvent } from '@seine/events';
import { identityDecider } from '@seine/identity-allocator';
import { ipamDecider, parsePools } from '@seine/ipam';
import { IP_FAMILIES, POD_CIDRS } from '@seine/lab';
import type { IpFamily } from '@seine/model';
import { isRefused, toObject, type KubeObject } from '@seine/objects';
import { policyDecider } from '@seine/policy-compiler';
import { serviceDecider } from '@seine/service-compiler';
import { unkindly } from '@seine/testkit';

import { openCluster } from '../golden/engine.ts';
import { randomOf } from '../oracle/mutate.mjs';
import { inBothFamilies } from './families.ts';
import { caseOf, type PropertyCase } from './generate.ts';

const SEED = 21;
const NODES = ['n1', 'n2'] as const;
const LANE_OF: ReadonlyMap<string, string> = new Map(EVENT_CATALOGUE.map(({ type, lane }) => [type, lane]));
const keyOf = ({ type, key }: SeineEvent): string => `${type.split('.')[0]}/${key}`;

const objectsOf = ({ objects }: PropertyCase): readonly KubeObject[] => objects.map((raw) => toObject(raw)).filter((each): each is KubeObject => !isRefused(each));

/** Facts of a cluster that became one after the other of these. */
const history = (families: readonly IpFamily[], ...cases: readonly PropertyCase[]): readonly SeineEvent[] => {
  const cluster = openCluster(0, families);
  return cases.flatMap((each) => cluster.apply(objectsOf(each), each.settings)).filter(({ type }) => LANE_OF.get(type) === 'fact');
};

/** Maps of Services number their frontends and backends in the order in which they were seen: other tests are about those. */
const OF_POLICY = /^sn_(subject|peer|row|class|ipcache|ipprefix|endpoint)_/;

const rowsOf = (state: NodeState): readonly string[] => {
  const labelsOf = (number: string): string => state.identities.get(Number(number))?.join(' ') ?? number;
  return NODES.flatMap((node) => replayNode(node, state, 1).dump.entries.filter(({ map }) => OF_POLICY.test(map)).map(({ map, key, value }) => `${node} ${map} ${key} → ${value}`
    .replaceAll(/identity=(\d{3,5})\b/g, (_, number: string) => `identity=<${labelsOf(number)}>`).replaceAll(/revision=(\d+)\//g, (_, number: string) => `revision=<${labelsOf(number)}>/`))).sort();
};

const decisionsOf = (facts: readonly SeineEvent[], families: readonly IpFamily[]): readonly SeineEvent[] => {
  const by = <State>(decider: Parameters<typeof decideAll<State>>[0]): readonly SeineEvent[] => decideAll(decider, decider.initialState(), facts);
  return [...by(identityDecider), ...by(ipamDecider(parsePools(families.map((family) => POD_CIDRS[family]).join()))), ...by(policyDecider()), ...by(serviceDecider)];
};
const folded = (events: readonly SeineEvent[]): NodeState => foldNode(events.map((event, index) => ({ seq: index + 1, events: [event] })));

/** Another order between keys; of one key its own. */
const shuffled = (seed: number, events: readonly SeineEvent[]): readonly SeineEvent[] => {
  const random = randomOf(seed);
  const queues = [...Map.groupBy(events, keyOf).values()].map((queue) => [...queue]);
  return Array.from({ length: events.length }, () => {
    const open = queues.filter((queue) => queue.length > 0);
    return random.pick(open).shift()!; // an open one
  });
};

const ways = (seed: number, events: readonly SeineEvent[]): Readonly<Record<string, readonly SeineEvent[]>> => ({ ...unkindly(events, keyOf), shuffled: shuffled(seed, events), shuffledTwice: shuffled(seed, [...events, ...events]) });

const HISTORIES = Array.from({ length: 12 }, (_, index) => {
  const families = index % 2 === 0 ? IP_FAMILIES.ipv4 : IP_FAMILIES.dual;
  const cases = [0, 1, 2].map((step) => caseOf(SEED, index * 3 + step)).map((made) => (families.length === 1 ? made : inBothFamilies(made).made));
  return { index, families, facts: history(families, ...cases), last: history(families, cases.at(-1)!) }; // three
});

test('facts of every kind are told, settings too, and that things are gone', () => {
  const told = new Set(HISTORIES.flatMap(({ facts }) => facts.map(({ type }) => type)));
  const nouns = ['namespace', 'node', 'pod', 'service', 'endpointslice', 'endpoint', 'ciliumcidrgroup', 'networkpolicy', 'ciliumnetworkpolicy', 'ciliumclusterwidenetworkpolicy', 'clusternetworkpolicy', 'setting', 'kind'];
  expect(nouns.filter((noun) => ![...told].some((type) => type.startsWith(`${noun}.`)))).toEqual([]);
  expect(['pod', 'endpoint', 'endpointslice', 'networkpolicy', 'ciliumnetworkpolicy', 'ciliumclusterwidenetworkpolicy', 'clusternetworkpolicy'].filter((noun) => ![...told].some((type) => type.startsWith(`${noun}.vanished`)))).toEqual([]);
});

describe.each(HISTORIES)('cluster $index that became another, and another', ({ index, families, facts, last }) => {
  const want = rowsOf(folded([...last, ...decisionsOf(last, families)]));

  test.each(Object.keys(ways(0, [])))('facts delivered %s to the deciders', (way) => {
    const delivered = ways(index, facts)[way]!; // the keys are the same
    expect(rowsOf(folded([...delivered, ...decisionsOf(delivered, families)]))).toEqual(want);
  });

  test.each(Object.keys(ways(0, [])))('facts and decisions delivered %s to the node', (way) => {
    expect(rowsOf(folded(ways(index, [...facts, ...decisionsOf(facts, families)])[way]!))).toEqual(want); // the keys are the same
  });
});
