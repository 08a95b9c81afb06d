/** The whole answer of `seine why`: the verdict, the rule or the near misses, every policy that selects either side, how it came about. Pure. */
import type { CompiledPolicy, CompiledRule } from '@seine/events';
import { matchColumns, nearMisses, partyFinder, peerColumns, peerIndex, ruleName, type DirectionName, type NodeState, type PlacedRule } from '@seine/datapath-writer';
import type { PolicyRef, RuleRef } from '@seine/node';
import { objectKey, policyPartKey, type KubeObject } from '@seine/objects';

import type { Probe } from './probes.ts';
import type { HistoryEntry, Said, Trace } from './trace.ts';
import { endsOf, labelsAt, refOf, sidesOf, verdictOf, type Side } from './verdict.ts';

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

export interface WhyReport {
  readonly verdict: 'allow' | 'deny' | 'redirect' | 'audit';
  readonly direction: DirectionName | null;
  readonly reason: { readonly code: number; readonly name: string } | null;
  readonly from: WhySide; readonly to: WhySide; readonly port: number | null; readonly protocol: string;
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

/** @throws SEINE_INPUT_INVALID for a name that nobody has */
export const explainWhy = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: Probe, at: Moment, { trace, traceToHead, seen = null, applied = null }: Beside = {}): WhyReport => {
  const verdict = verdictOf(state, objects, probe);
  const ends = endsOf(state, objects, probe);
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
    port: probe.protocol === 'ICMP' ? null : probe.port ?? null, protocol: probe.protocol, decidedBy: named,
    anyOf: deciding === undefined ? [] : by.map((placed) => decidingOf(placed, deciding, otherName, state, trace)), isolatedBy: verdict.isolatedBy,
    withheld: by.filter(({ rule }) => rule.action === 'withheld').flatMap(({ policy }) => policy.withheld ?? []),
    overruled: deciding === undefined ? [] : deciding.outcome.overruled.map((placed) => refOf(placed, state, peerIndex(placed.rule, deciding.other))),
    nearestMisses: verdict.got !== 'deny' || deciding === undefined || verdict.reason?.code !== 133 ? [] :
      nearMisses(deciding, deciding.asked, otherName).map(({ rule, peer, admits, has, what, distance }) => ({ rule: refOf(rule, state, peer), admits: admits.join('  '), has: has.join('  '), what, distance, columns: { admits, has } })),
    selecting: { egress: selectingOf(sides.egress, state), ingress: selectingOf(sides.ingress, state) },
    ways: { egress: saidAt('egress'), ingress: egressDenies ? null : saidAt('ingress') },
    history: trace?.entries() ?? [],
    today: today === undefined || today === said ? null : { verdict: today, because: traceToHead?.entries().findLast(({ seq, flipped }) => seq > at.seq && flipped) ?? traceToHead?.entries().findLast(({ seq }) => seq > at.seq) ?? null },
    notes: ends.untranslated ? [`${probe.to} has no port ${probe.port ?? ''}/${probe.protocol}: nobody translates it, it leaves for ${ends.destination} as it is`] : [],
    seen, asOf: { seq: at.seq, time: at.storedMs === 0 ? null : new Date(at.storedMs).toISOString(), node: verdict.node, head: at.head, applied },
  };
};

const isNamed = (placed: PlacedRule, { kind, namespace, name, section, index }: RuleRef): boolean => ruleName(placed) === `${kind}/${namespace}/${name} ${section}[${index}]`;
