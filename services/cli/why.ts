/** The whole answer of `seine why`: the verdict, the rule or the near misses, every policy that selects either side, how it came about. Pure. */
import type { CompiledPolicy, CompiledRule } from '@seine/events';
import { matchColumns, nearMisses, partyFinder, peerColumns, peerIndex, ruleName, type DirectionName, type NodeState, type PlacedRule } from '@seine/datapath-writer';
import type { PolicyRef, RuleRef } from '@seine/node';
import { objectKey, policyPartKey, type KubeObject } from '@seine/objects';

import { absenceText, type Draw } from './draw.ts';
import type { Probe } from './probes.ts';
import type { HistoryEntry, Said, Trace } from './trace.ts';
import { allEndsOf, labelsAt, refOf, sidesOf, verdictOfEnds, type Ends, type Side } from './verdict.ts';

export interface WhySide {
  readonly name: string;
  /** As it was asked for: a workload, a Service. */
  readonly asked: string;
  readonly identity: number; readonly labels: readonly string[]; readonly node: string | null; readonly address: string;
}
export interface SelectingPolicy extends PolicyRef { readonly isolates: boolean; readonly rules: number; readonly audit: boolean; readonly file: string | null; readonly line: number | null; readonly seq: number | null }
/** `columns` hold the texts in the parts that people compare. */
export interface WhyMiss { readonly rule: RuleRef; readonly admits: string; readonly has: string; readonly what: string; readonly distance: number; readonly columns: { readonly admits: readonly string[]; readonly has: readonly string[] } }
/** One rule that decided, what it says of the other side, what that side has, and since when it has the newest of the labels that count. */
export interface Deciding { readonly rule: RuleRef; readonly matches: string; readonly has: string; readonly since: number | null; readonly columns: { readonly matches: readonly string[]; readonly has: readonly string[] } }

/** A backend of the Service that was asked: what would become of the packet, or why it is not drawn. */
export interface WhyBackend {
  readonly id: number; readonly address: string; readonly port: number; readonly pod: string | null; readonly node: string | null; readonly state: string;
  /** Of all draws, 0 to 1. */
  readonly share: number;
  readonly verdict: Said | null; readonly direction: DirectionName | null; readonly reason: WhyReport['reason'];
  /** null: it can be drawn. */
  readonly out: string | null;
}
export interface WhyService {
  /** Of a host port the pod. */
  readonly service: string; readonly id: number; readonly address: string; readonly port: number; readonly protocol: string; readonly kind: string;
  /** The node that translates, and from where the packet comes to it. */
  readonly node: string; readonly from: Draw['scope'];
  readonly trafficPolicy: 'Cluster' | 'Local'; readonly set: Draw['set']; readonly algorithm: 'random' | 'maglev'; readonly affinityS: number | null; readonly sourceRanges: readonly string[] | null;
  readonly backends: readonly WhyBackend[];
}

export interface WhyReport {
  readonly verdict: 'allow' | 'deny' | 'redirect' | 'audit';
  readonly direction: DirectionName | null;
  readonly reason: { readonly code: number; readonly name: string } | null;
  readonly from: WhySide; readonly to: WhySide; readonly port: number | null; readonly protocol: string;
  /** What was asked is a frontend of a Service; the report is about the first backend that can be drawn. */
  readonly service: WhyService | null;
  /** The rule that the kernel names. */
  readonly decidedBy: RuleRef | null;
  /** Every rule that would have sufficed, the named one first. */
  readonly anyOf: readonly Deciding[];
  /** Whose isolation denied it, where no rule did. */
  readonly isolatedBy: readonly PolicyRef[];
  /** What of the deciding policies cannot be enforced here, where that is why. */
  readonly withheld: readonly string[];
  readonly overruled: readonly RuleRef[];
  readonly nearestMisses: readonly WhyMiss[];
  readonly selecting: { readonly egress: readonly SelectingPolicy[]; readonly ingress: readonly SelectingPolicy[] };
  /** What each direction says by itself; null: nobody judges it, or the packet does not come so far. */
  readonly ways: { readonly egress: Said | null; readonly ingress: Said | null };
  readonly history: readonly HistoryEntry[];
  /** The verdict at the log's head, where the moment lies before it and it is another one by now. */
  readonly today: { readonly verdict: Said | null; readonly because: HistoryEntry | null } | null;
  /** Recorded flows of these two in the last minutes, where the lab has them. */
  readonly seen: { readonly verdict: 'FORWARDED' | 'DROPPED' | 'AUDIT'; readonly count: number; readonly minutes: number; readonly last: { readonly time: string; readonly node: string } | null } | null;
  readonly asOf: { readonly seq: number; readonly time: string | null; readonly node: string; readonly head: number; /** when that node had it in its kernel, RFC 3339 */ readonly applied: string | null };
  /** What else a person should know. */
  readonly notes: readonly string[];
  /** Of a snapshot: why the cluster may answer otherwise. */
  readonly uncertain?: readonly string[];
}

/** A moment of a log; `storedMs` 0: manifests, which have no time. */
export interface Moment { readonly seq: number; readonly storedMs: number; readonly head: number }

/** What others can add to the state: the past, flows, and the node's own time. */
export interface Beside { readonly trace?: Trace; readonly traceToHead?: Trace; readonly seen?: WhyReport['seen']; readonly applied?: string | null }

const SAID = { allow: 'allow', open: 'allow', deny: 'deny', 'default-deny': 'deny', audit: 'audit' } as const satisfies Record<Side['outcome']['verdict'], Said>;

const rulesIn = (policy: CompiledPolicy, direction: DirectionName): number => policy.rules.filter((rule) => rule.direction === direction).length;

/** Of an object that holds several policies: one line for each. */
const selectingOf = (side: Side | undefined, state: Readonly<NodeState>): readonly SelectingPolicy[] => (side?.selecting ?? [])
  .filter((policy) => policy.isolates[side!.direction] || rulesIn(policy, side!.direction) > 0) // a side that is undefined has no policies
  .map((policy) => ({
    ...policy.object, isolates: policy.isolates[side!.direction], rules: rulesIn(policy, side!.direction), audit: policy.audit, file: policy.source?.file ?? null, line: policy.source?.line ?? null,
    seq: state.origins.get(`policy ${policyPartKey(objectKey(policy.object), policy.part ?? 0)}`)?.seq ?? null,
  }));

/** Plain keys of the labels that a peer looks at. */
const keysOf = (rule: CompiledRule, index: number): readonly string[] => {
  const peer = rule.peers === 'any' ? undefined : rule.peers[index];
  return peer?.type === 'pods' ? peer.pods.map(({ key }) => key) : peer?.type === 'labels' ? peer.labels.map(({ key }) => key.slice(key.indexOf(':') + 1)) : [];
};

const decidingOf = (placed: PlacedRule, side: Side, name: string, state: Readonly<NodeState>, trace: Trace | undefined): Deciding => {
  const { rule } = placed;
  const index = peerIndex(rule, side.other);
  const peer = index === undefined || rule.peers === 'any' ? undefined : rule.peers[index];
  const times = index === undefined || side.other.pod === undefined ? [] : keysOf(rule, index).flatMap((key) => trace?.labelSince(side.other.pod!, key) ?? []); // a pod, as just asked
  const columns = peer === undefined ? { matches: ['anybody'], has: [name] } : { matches: peerColumns(peer), has: matchColumns(peer, side.other, name) };
  return { rule: refOf(placed, state, index), matches: columns.matches.join('  '), has: columns.has.join('  '), since: times.length === 0 ? null : Math.max(...times), columns };
};

const sideName = (asked: string, pod: string | undefined, resolved: string): string => pod ?? (resolved === '' ? asked : resolved);

const serviceOf = (state: Readonly<NodeState>, draw: Draw, all: readonly Ends[], protocol: string): WhyService => {
  const { service, frontend: { id, address, port, kind = 'clusterIP' }, node, scope, local, set, maglev, affinityS = null, sourceRanges = null } = draw;
  const endsAt = new Map(draw.refusal === undefined ? all.map((ends) => [`${ends.destination}/${ends.destinationPort}`, ends]) : []);
  return {
    service, id, address, port, protocol, kind, node, from: scope, trafficPolicy: local ? 'Local' : 'Cluster', set, algorithm: maglev ? 'maglev' : 'random', affinityS, sourceRanges,
    backends: draw.backends.map(({ backend, share, absence }): WhyBackend => {
      const ends = absence === undefined ? endsAt.get(`${backend.address}/${backend.port}`) : undefined;
      const verdict = ends === undefined ? undefined : verdictOfEnds(state, ends, protocol);
      return {
        id: backend.id, address: backend.address, port: backend.port, pod: backend.pod ?? null, node: backend.node ?? null, state: backend.state, share,
        verdict: verdict === undefined ? null : verdict.got === 'allow' && verdict.audit ? 'audit' : verdict.got, direction: verdict?.direction ?? null, reason: verdict?.reason ?? null,
        out: absence === undefined ? null : absenceText(absence, draw),
      };
    }),
  };
};

/** Frontends at a node's own address: that node is asked. */
const AT_NODES: ReadonlySet<string> = new Set(['nodePort', 'hostPort']);

const notesOf = (ends: Ends, service: WhyService | null, { to, port, protocol }: Probe): readonly string[] => {
  const [denied, drawn] = [service?.backends.filter(({ verdict }) => verdict === 'deny').length ?? 0, service?.backends.filter(({ out }) => out === null).length ?? 0];
  return [
    ...(ends.untranslated ? [`${to} has no port ${port ?? ''}/${protocol} for this client: nobody translates it, it leaves for ${ends.destination} as it is`] : []),
    ...(denied > 0 && denied < drawn ? [`${denied} of the ${drawn} backends that can be drawn are denied: this is about the first`] : []),
    ...(service?.from === 'outside' && !AT_NODES.has(service.kind) ? [`judged as if it came by ${service.node}: a router outside decides which node is asked`] : []),
  ];
};

/** @throws SEINE_INPUT_INVALID for a name that nobody has */
export const explainWhy = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: Probe, at: Moment, { trace, traceToHead, seen = null, applied = null }: Beside = {}): WhyReport => {
  const all = allEndsOf(state, objects, probe);
  const [ends] = all;
  const verdict = verdictOfEnds(state, ends, probe.protocol);
  const service = ends.draw === undefined ? null : serviceOf(state, ends.draw, all, probe.protocol);
  const sides = sidesOf(state, partyFinder(state), ends, probe.protocol);
  const deciding = verdict.direction === null ? undefined : sides[verdict.direction];
  const name = { from: sideName(probe.from, ends.sourcePod, ends.from.name), to: sideName(probe.to, ends.destinationPod, ends.to.name) };
  const otherName = verdict.direction === 'egress' ? name.to : name.from;
  const whySide = (asked: string, own: string, address: string): WhySide => ({ name: own, asked, address, ...labelsAt(state, address), node: state.addresses.get(address)?.node ?? null });
  const named = verdict.rule;
  const by = named === null || deciding === undefined ? [] : [...deciding.outcome.by].sort((a, b) => Number(isNamed(b, named)) - Number(isNamed(a, named)));
  /* What a side denies before any rule is asked, it denies. */
  const saidAt = (direction: DirectionName): Said | null => (sides[direction] === undefined ? null : verdict.got === 'deny' && verdict.direction === direction ? 'deny' : SAID[sides[direction].outcome.verdict]);
  const egressDenies = verdict.got === 'deny' && verdict.direction === 'egress';
  const today = traceToHead === undefined ? undefined : traceToHead.verdict() ?? null;
  const said: Said = verdict.got === 'allow' && verdict.audit ? 'audit' : verdict.got;
  return {
    verdict: said, direction: verdict.direction, reason: verdict.reason,
    from: whySide(probe.from, name.from, ends.sourceAddress), to: whySide(probe.to, name.to, ends.destination),
    port: probe.protocol === 'ICMP' ? null : probe.port ?? null, protocol: probe.protocol, service, decidedBy: named,
    anyOf: deciding === undefined ? [] : by.map((placed) => decidingOf(placed, deciding, otherName, state, trace)), isolatedBy: verdict.isolatedBy,
    withheld: by.filter(({ rule }) => rule.action === 'withheld').flatMap(({ policy }) => policy.withheld ?? []),
    overruled: deciding === undefined ? [] : deciding.outcome.overruled.map((placed) => refOf(placed, state, peerIndex(placed.rule, deciding.other))),
    nearestMisses: verdict.got !== 'deny' || deciding === undefined || verdict.reason?.code !== 133 ? [] :
      nearMisses(deciding, deciding.asked, otherName).map(({ rule, peer, admits, has, what, distance }) => ({ rule: refOf(rule, state, peer), admits: admits.join('  '), has: has.join('  '), what, distance, columns: { admits, has } })),
    selecting: { egress: selectingOf(sides.egress, state), ingress: selectingOf(sides.ingress, state) },
    ways: { egress: saidAt('egress'), ingress: egressDenies ? null : saidAt('ingress') },
    history: trace?.entries() ?? [],
    today: today === undefined || today === said ? null : { verdict: today, because: traceToHead?.entries().findLast(({ seq, flipped }) => seq > at.seq && flipped) ?? traceToHead?.entries().findLast(({ seq }) => seq > at.seq) ?? null },
    notes: notesOf(ends, service, probe),
    seen, asOf: { seq: at.seq, time: at.storedMs === 0 ? null : new Date(at.storedMs).toISOString(), node: verdict.node, head: at.head, applied },
  };
};

const isNamed = (placed: PlacedRule, { kind, namespace, name, section, index }: RuleRef): boolean => ruleName(placed) === `${kind}/${namespace}/${name} ${section}[${index}]`;
