/** The whole way without time: manifests in, events and a node's rows out, step by step, as the running roles would decide them. Pure. */
import {
  canonicalEntries, emptyNodeState, emptyTables, endpointsOfLog, evolveNode, healthChecks, hostInterfaceName, nodeRows, rowsByMap,
} from '@seine/datapath-writer';
import { decideAll, type Decider, type FactEvent, type SeineEvent } from '@seine/events';
import { identityDecider } from '@seine/identity-allocator';
import { ipamDecider, parsePools } from '@seine/ipam';
import { assignAddresses, expand, isHostNetwork, labNodes, nodeOf, podAddress, podAddresses, POD_CIDRS, withEndpointSlices } from '@seine/lab';
import type { IpFamily } from '@seine/model';
import type { KubeObject, Settings } from '@seine/objects';
import { policyDecider } from '@seine/policy-compiler';
import { serviceDecider } from '@seine/service-compiler';
import { diffFacts, emptyKnown, evolveKnown } from '@seine/watcher';

const TIME = '2026-01-01T00:00:00.000Z';

const host = <State>(decider: Decider<State>) => {
  const draft = decider.initialState();
  return (facts: readonly SeineEvent[]): readonly SeineEvent[] => decideAll(decider, draft, facts);
};

/** What is there for Services. */
const SERVICE_MAPS: ReadonlySet<string> = new Set(['sn_frontend_02', 'sn_slot_02', 'sn_backend_01', 'sn_srange_01', 'sn_direct_01', 'sn_self_01']);
const MOST_SLOTS = 16;
const slotSetOf = (row: string): string | undefined => /^slot {2}(slots=\S+) /.exec(row)?.[1];
/** A set of many slots (Maglev's) in one line: how many of them each backend has. */
const rolledUp = (rows: readonly string[]): readonly string[] => [...Map.groupBy(rows, (row) => slotSetOf(row) ?? row)].flatMap(([set, members]) => {
  if (members.length <= MOST_SLOTS) return members;
  const shares = Map.groupBy(members, (row) => row.slice(row.indexOf('value=')));
  return [`slot  ${set} ${members.length} slots  →  ${[...shares].map(([backend, slots]) => `${slots.length} × ${backend}`).sort().join(', ')}`];
});

export const openCluster = (nodeCount: number, families: readonly IpFamily[] = [4]) => {
  const nodes = labNodes(nodeCount, families);
  const known = emptyKnown();
  const deciders = [host(identityDecider), host(ipamDecider(parsePools(families.map((family) => POD_CIDRS[family]).join()))), host(policyDecider()), host(serviceDecider)];
  const state = emptyNodeState();
  let seq = 0;

  /** What the nodes would have reported. */
  const endpointFacts = (objects: readonly KubeObject[]): readonly FactEvent[] => {
    const attached = objects.filter((object) => object.kind === 'Pod' && !isHostNetwork(object) && nodeOf(object) !== undefined && podAddress(object) !== undefined);
    const facts: FactEvent[] = attached.map((pod, index) => {
      const key = `${pod.namespace}/${pod.name}`;
      return { type: 'endpoint.observed.v1', key, time: TIME, data: { uid: pod.uid, node: nodeOf(pod)!, addresses: [...podAddresses(pod)], endpointId: index + 1, hostInterface: hostInterfaceName(key, pod.uid), containerId: key } };
    });
    const here = new Set(facts.map(({ key }) => key));
    const gone = [...known.facts.values()].flatMap((fact): readonly FactEvent[] => (fact.type === 'endpoint.observed.v1' && !here.has(fact.key) ? [{ type: 'endpoint.vanished.v1', key: fact.key, time: TIME, data: { uid: fact.data.uid, node: fact.data.node } }] : []));
    return [...gone, ...facts.filter((fact) => JSON.stringify(known.facts.get(`endpoint/${fact.key}`)?.data) !== JSON.stringify(fact.data))];
  };

  return {
    /** @returns the events of this step, in order */
    apply: (given: readonly KubeObject[], settings: Settings = {}): readonly SeineEvent[] => {
      const objects = withEndpointSlices(assignAddresses(expand(given, nodes).objects, nodes));
      const seen = diffFacts(known, { objects, refused: [], settings }, TIME, () => '');
      for (const fact of seen) evolveKnown(known, fact);
      const reported = endpointFacts(objects);
      for (const fact of reported) evolveKnown(known, fact);
      const facts = [...seen, ...reported];
      const events = [...facts, ...deciders.flatMap((decide) => decide(facts))];
      for (const event of events) evolveNode(state, event, ++seq);
      return events;
    },
    /** What a balancer outside is told, by the node's port. */
    health: (node: string): readonly string[] => [...healthChecks(state, node)].map(([port, { namespace, name, localEndpoints }]) => `${port}  ${namespace}/${name}  ${localEndpoints}`),
    /** Rows of a node in words; the fixed tables of shapes and of the node's own addresses are left out, unless it is asked for what is there for Services. */
    rows: (node: string, servicesAlone = false): readonly string[] => {
      const tables = emptyTables();
      const interfaces: string[] = [];
      const indexOf = (name: string): number => (interfaces.includes(name) ? interfaces.indexOf(name) + 1 : interfaces.push(name));
      const { rows } = nodeRows(node, state, endpointsOfLog(node, state, indexOf), tables);
      return rolledUp(canonicalEntries(rowsByMap(rows), { tables, interfaceName: (index) => interfaces[index - 1] })
        .filter(({ map }) => (servicesAlone ? SERVICE_MAPS.has(map) : map !== 'sn_shape_01' && map !== 'sn_self_01')).map(({ map, key, value }) => `${map.replace(/^sn_|_\d\d$/g, '')}  ${key}  →  ${value}`));
    },
  };
};
