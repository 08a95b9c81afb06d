/**
 * READ THIS FIRST: Seine in one pure function.
 *
 *   objects ──► facts ──► decisions ──► a node's state ──► rows ──► verdict
 *
 * The running system does the same in eight processes, with a log between them and a kernel at the end. Every step below is the very code
 * that those processes run; what is missing here is only time, and the network.
 */
import { decideAll, type Decider, type FactEvent, type SeineEvent } from '@seine/events';
import { identityDecider } from '@seine/identity-allocator';
import { ipamDecider, parsePools } from '@seine/ipam';
import { assignAddresses, expand, familiesOf, isHostNetwork, nodeAddress, nodeOf, podAddress, podAddresses, POD_CIDRS, withEndpointSlices, type LabNode } from '@seine/lab';
import { hostInterfaceName, emptyNodeState, evolveNode, type NodeState } from '@seine/datapath-writer';
import type { KubeObject, RefusedObject, Settings } from '@seine/objects';
import { policyDecider } from '@seine/policy-compiler';
import { serviceDecider } from '@seine/service-compiler';
import { diffFacts, emptyKnown } from '@seine/watcher';

import { verdictOf, type Verdict, type VerdictProbe } from './verdict.ts';

export interface Whole {
  /** What an API server would hold: workloads expanded, pods scheduled and addressed, Services with their slices. */
  readonly objects: readonly KubeObject[];
  readonly events: readonly SeineEvent[];
  readonly state: NodeState;
  readonly refused: readonly Extract<FactEvent, { readonly type: 'object.refused.v1' }>[];
  /** Services, and pods with host ports, of which a part is refused and the rest is served. */
  readonly refusedInPart: readonly RefusedObject[];
  readonly ignored: Readonly<Record<string, number>>;
  readonly verdict: (probe: VerdictProbe) => Verdict;
}

/** Nothing here asks a clock: every event of a whole has the same time. */
const TIME = '1970-01-01T00:00:00.000Z';

/** The nodes' reports, as the watcher would admit them: who is attached where. */
const endpointFacts = (objects: readonly KubeObject[]): readonly FactEvent[] => objects
  .filter((object) => object.kind === 'Pod' && !isHostNetwork(object) && nodeOf(object) !== undefined && podAddress(object) !== undefined)
  .map((pod, index): FactEvent => {
    const key = `${pod.namespace}/${pod.name}`;
    return {
      type: 'endpoint.observed.v1', key, time: TIME,
      data: { uid: pod.uid, node: nodeOf(pod)!, addresses: [...podAddresses(pod)], endpointId: (index % 65_535) + 1, hostInterface: hostInterfaceName(key, pod.uid), containerId: key },
    };
  });

const refOf = (kind: 'Service' | 'Pod', key: string): RefusedObject['object'] => ({ kind, namespace: key.slice(0, key.indexOf('/')), name: key.slice(key.indexOf('/') + 1) });

const decide = <State>(decider: Decider<State>, facts: readonly SeineEvent[]): readonly SeineEvent[] => decideAll(decider, decider.initialState(), facts);

/** Objects that bring nodes with addresses are a cluster of their own; the lab's nodes have no place in it. */
const bringsNodes = (given: readonly KubeObject[]): boolean => given.some((object) => object.kind === 'Node' && nodeAddress(object) !== undefined);

export const whole = (given: readonly KubeObject[], labNodes: readonly LabNode[], refusedBefore: readonly RefusedObject[] = [], settings: Settings = {}): Whole => {
  const nodes = bringsNodes(given) ? [] : labNodes;
  const expanded = expand(given, nodes);
  const addressed = assignAddresses(expanded.objects, nodes);
  const objects = withEndpointSlices(addressed);
  const families = familiesOf(objects);

  const facts = [...diffFacts(emptyKnown(), { objects, refused: refusedBefore, settings }, TIME, () => ''), ...endpointFacts(objects)];
  const pools = parsePools(families.map((family) => POD_CIDRS[family]).join());
  const decisions = [
    ...decide(identityDecider, facts), ...decide(ipamDecider(pools), facts), ...decide(policyDecider(), facts), ...decide(serviceDecider, facts),
  ];
  const events = [...facts, ...decisions];
  const state = emptyNodeState();
  events.forEach((event, index) => { evolveNode(state, event, index + 1); });
  return {
    objects, events, state, ignored: expanded.ignored,
    refused: facts.filter((fact) => fact.type === 'object.refused.v1'),
    refusedInPart: ([['Service', state.services], ['Pod', state.hostPorts]] as const)
      .flatMap(([kind, decided]) => [...decided].flatMap(([key, { refusals }]) => (refusals.length > 0 ? [{ object: refOf(kind, key), refusals }] : []))),
    verdict: (probe) => verdictOf(state, objects, probe),
  };
};
