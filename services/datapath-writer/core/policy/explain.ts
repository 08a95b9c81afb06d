/** Why: which policies select a subject, which rules and peers mean the other side and a port, and which nearly did. Pure. */
import type { CompiledPolicy, CompiledRule, Peer } from '@seine/events';
import { familyOf, NAMESPACE_LABEL, PROTOCOL, protocolName, selects, type Requirement } from '@seine/model';

import { decide, type Outcome, type PlacedRule } from './decide.ts';
import { isolatingPolicies, placedRules, rulesFor, selectingPolicies, type DirectionName } from './join.ts';
import { peerMatches, type Party } from './peer.ts';
import { portRanges, portsCover } from './row.ts';
import type { Bindings } from './variant.ts';

/** One direction of one packet. */
export interface Asked {
  readonly subject: { readonly party: Party; readonly bindings: Bindings };
  readonly direction: DirectionName;
  readonly policies: Iterable<CompiledPolicy>;
  readonly peer: Party & { readonly bindings: Bindings };
  readonly protocol: number;
  /** Host order; ICMP: type << 8 | code. */
  readonly port: number;
}

export interface Judgement {
  readonly direction: DirectionName;
  readonly selecting: readonly CompiledPolicy[];
  readonly isolatedBy: readonly CompiledPolicy[];
  readonly rules: readonly PlacedRule[];
  readonly covers: (placed: PlacedRule) => boolean;
  readonly outcome: Outcome;
}

export interface NearMiss {
  readonly rule: PlacedRule;
  /** Index in the rule's list of peers, or undefined for a rule of any peer. */
  readonly peer: number | undefined;
  /** What the rule admits and what the other side is, in columns that belong together. */
  readonly admits: readonly string[];
  readonly has: readonly string[];
  readonly what: string;
  /** 0 = would match; smaller is nearer. */
  readonly distance: number;
}

const MOST_MISSES = 3;

/** Who decides, and among what: the same `decide` as every row. */
export const judge = ({ subject, direction, policies, peer, protocol, port }: Asked): Judgement => {
  const selecting = selectingPolicies(policies, subject.party);
  const rules = placedRules(selecting, direction);
  const isolatedBy = isolatingPolicies(selecting, direction);
  const bindings = direction === 'ingress' ? subject.bindings : peer.bindings;
  const covers = (placed: PlacedRule): boolean => portsCover(portRanges(placed.rule.ports, bindings), protocol, { port, length: 16 });
  return { direction, selecting, isolatedBy, rules, covers, outcome: decide(rulesFor(rules, direction, peer).filter(covers), isolatedBy) };
};

/** Index of the rule's first peer that means this party; undefined: it means anybody, or nobody of its list. */
export const peerIndex = ({ peers }: CompiledRule, party: Party): number | undefined => {
  const index = peers === 'any' ? -1 : peers.findIndex((peer) => peerMatches(peer, party));
  return index < 0 ? undefined : index;
};

/** `from[1]`, `toCIDRSet[0]`: the member of the rule that a peer was written in. */
export const peerField = (rule: CompiledRule, index: number): string => rule.peerFields?.[index] ?? `${rule.direction === 'ingress' ? 'from' : 'to'}[${index}]`;

/** The policies behind a denial that no rule decided: those that isolate; for a packet that only audit policies would deny, the audited among them. */
export const isolators = ({ outcome, isolatedBy }: Pick<Judgement, 'outcome' | 'isolatedBy'>): readonly CompiledPolicy[] => {
  if (outcome.by.length > 0) return [];
  return outcome.verdict === 'default-deny' ? isolatedBy.filter(({ audit }) => !audit) : outcome.verdict === 'audit' ? isolatedBy.filter(({ audit }) => audit) : [];
};

/** 0..1: how far two texts are from each other. */
const textDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]! / Math.max(a.length, b.length, 1);
};

export const requirementText = (requirement: Requirement): string => {
  switch (requirement.operator) {
    case 'In': return requirement.values.length === 1 ? `k8s:${requirement.key}=${requirement.values[0]}` : `k8s:${requirement.key} in (${requirement.values.join(', ')})`;
    case 'NotIn': return `k8s:${requirement.key} not in (${requirement.values.join(', ')})`;
    case 'Exists': return `k8s:${requirement.key}`;
    case 'DoesNotExist': return `no k8s:${requirement.key}`;
  }
};

const listText = (texts: readonly string[], none: string): string => (texts.length === 0 ? none : texts.join(', '));

/** Keys of Cilium's selectors have their source in front already; of the namespace people say `in namespace`. */
const labelText = (requirement: Requirement): string => requirementText(requirement).replace(/^(no )?k8s:(?=\w+:)/, '$1');
const isNamespaceLabel = ({ key }: Requirement): boolean => /^(k8s|any):/.test(key) && key.slice(4) === NAMESPACE_LABEL;
const inNamespaces = (requirement: Requirement): string =>
  (requirement.operator === 'In' ? `in namespace ${requirement.values.join(' or ')}` : requirement.operator === 'NotIn' ? `not in namespace ${requirement.values.join(' or ')}` : '');

/** What a peer admits, in columns: labels, then where. */
export const peerColumns = (peer: Peer): readonly string[] => {
  switch (peer.type) {
    case 'pods': return [
      listText(peer.pods.map(requirementText), 'any pod'),
      peer.namespaces === undefined ? `in namespace ${peer.namespace}` : peer.namespaces.length === 0 ? 'in any namespace' : `in namespaces with ${peer.namespaces.map(requirementText).join(', ')}`,
    ];
    case 'labels': {
      const [where, labels] = [peer.labels.filter(isNamespaceLabel), peer.labels.filter((requirement) => !isNamespaceLabel(requirement))];
      return [listText(labels.map(labelText), where.length === 0 ? 'everybody' : 'any pod'), ...where.map(inNamespaces).filter((text) => text !== '')];
    }
    case 'cidr': {
      const holes = peer.except.filter((hole) => familyOf(hole) === familyOf(peer.cidr)); // a block of all IPv6 was never one of IPv4
      return [`${peer.cidr}${holes.length === 0 ? '' : ` except ${holes.join(', ')}`}`];
    }
    case 'entity': return [`entity ${peer.entity}`];
    case 'nodes': return [`nodes with ${listText(peer.labels.map(requirementText), 'any labels')}`];
    case 'name': return [`DNS name ${peer.name}`];
    case 'group': return [`${peer.ref.kind} ${peer.ref.namespace === undefined ? '' : `${peer.ref.namespace}/`}${peer.ref.name ?? `with ${listText((peer.ref.labels ?? []).map(requirementText), 'any labels')}`}`];
  }
};

interface Gap { readonly distance: number; readonly what: string; readonly has: readonly string[] }

const valueOf = (labels: Readonly<Record<string, string>>, key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined);
const hasText = (labels: Readonly<Record<string, string>>, key: string): string => { const value = valueOf(labels, key); return value === undefined ? `no k8s:${key}` : `k8s:${key}=${value}`; };

/** How far these labels are from a requirement; 0 = they meet it. */
const requirementDistance = (requirement: Requirement, labels: Readonly<Record<string, string>>): number => {
  if (selects([requirement], labels)) return 0;
  const value = valueOf(labels, requirement.key);
  if (value === undefined) return 1;
  return requirement.operator === 'In' ? Math.min(...requirement.values.map((wanted) => textDistance(wanted, value))) : 0.9;
};

interface Part { readonly distance: number; readonly what: string }

const labelParts = (requirements: readonly Requirement[], labels: Readonly<Record<string, string>>, whose: string): readonly Part[] => requirements.flatMap((requirement) => {
  const distance = requirementDistance(requirement, labels);
  if (distance === 0) return [];
  const what = valueOf(labels, requirement.key) === undefined ? 'is missing' : requirement.operator === 'In' ? 'value differs' : 'is excluded';
  return [{ distance, what: `one ${whose} ${what}` }];
});

const joined = (parts: readonly Part[], has: readonly string[]): Gap => ({
  distance: parts.reduce((sum, { distance }) => sum + 0.1 + distance, 0), what: parts.length === 1 ? parts[0]!.what : `${parts.length} things differ`, has,
});

const NO_POD = { distance: 4, what: 'it is no pod' } as const;

/** What the other side is, beside a peer of a rule: the columns of `peerColumns`, and how far it is from them. */
const peerGap = (peer: Peer, party: Party, name: string): Gap => {
  const { view } = party;
  switch (peer.type) {
    case 'pods': {
      if (view === undefined) return { ...NO_POD, has: [name] };
      const elsewhere = peer.namespace !== undefined && peer.namespace !== view.namespace;
      const namespaceLabels = (peer.namespaces ?? []).map(({ key }) => hasText(view.namespaceLabels, key));
      return joined(
        [...labelParts(peer.pods, view.podLabels, 'label'), ...labelParts(peer.namespaces ?? [], view.namespaceLabels, 'namespace label'), ...(elsewhere ? [{ distance: 1, what: 'another namespace' }] : [])],
        [listText(peer.pods.map(({ key }) => hasText(view.podLabels, key)), name), `in namespace ${view.namespace}${namespaceLabels.length === 0 ? '' : ` with ${namespaceLabels.join(', ')}`}`],
      );
    }
    case 'labels': {
      if (view === undefined) return { ...NO_POD, has: [name] };
      const plain = peer.labels.filter((requirement) => !isNamespaceLabel(requirement)).map((requirement) => ({ ...requirement, key: requirement.key.replace(/^(k8s|any):/, '') }));
      const elsewhere = peer.labels.filter(isNamespaceLabel).some((requirement) => !selects([{ ...requirement, key: NAMESPACE_LABEL }], view.labels));
      return joined(
        [...labelParts(plain, view.labels, 'label'), ...(elsewhere ? [{ distance: 1, what: 'another namespace' }] : [])],
        [listText(plain.map(({ key }) => hasText(view.labels, key)), name), `in namespace ${view.namespace}`],
      );
    }
    case 'cidr': return { distance: 2, what: 'the address is outside', has: [name] };
    case 'group': {
      const nearest = peer.members.map((member) => peerGap(member, party, name)).sort((a, b) => a.distance - b.distance)[0];
      return nearest ?? { distance: 3, what: 'it has no members', has: [name] };
    }
    case 'name': return { distance: 3, what: 'DNS names are not learned here', has: [name] };
    case 'nodes': return party.nodeLabels === undefined ? { distance: 4, what: 'it is no node', has: [name] } :
      { distance: 1, what: 'the labels of the node differ', has: [listText(Object.entries(party.nodeLabels).map(([key, value]) => `${key}=${value}`), name)] };
    case 'entity': return { distance: 3, what: `it is not ${peer.entity}`, has: [name] };
  }
};

/** What the other side is, in the words of the peer that means it. */
export const matchColumns = (peer: Peer, party: Party, name: string): readonly string[] => peerGap(peer, party, name).has;

const ICMP_PROTOCOLS: ReadonlySet<number> = new Set([PROTOCOL.ICMP, PROTOCOL.ICMPV6]);

/** `80/TCP`, `8000-8999/UDP`, `any TCP port`; `ICMP 8/0`, `ICMP type 3` where every code of a type is meant. */
export const rangeText = (protocol: number, from: number, to: number): string => {
  const name = protocolName(protocol);
  if (ICMP_PROTOCOLS.has(protocol)) return from === 0 && to === 65535 ? `any ${name}` : from === to ? `${name} ${from >> 8}/${from & 0xff}` : `${name} type ${from >> 8}`;
  return from === 0 && to === 65535 ? `any ${name} port` : `${from === to ? from : `${from}-${to}`}/${name}`;
};

const portText = ({ ports }: CompiledRule): string => (ports === 'any' ? 'any port' : ports.map((port) =>
  (port.type === 'named' ? `${port.name}/${protocolName(port.protocol)}` : rangeText(port.protocol, port.from, port.to))).join(', '));

/** Added to the distance of a rule whose ports do not cover what was asked. */
const PORT_DISTANCE = 0.6;

/**
 * The rules that nearly let it through, nearest first; none where it was not denied for want of a rule.
 * @param peerName how people know the other side: shown where it has no labels
 */
export const nearMisses = ({ outcome, rules, covers }: Judgement, { peer, protocol, port }: Asked, peerName: string): readonly NearMiss[] => {
  if (outcome.verdict !== 'default-deny') return [];
  return rules.flatMap((placed): readonly NearMiss[] => {
    const { rule, policy } = placed;
    if (rule.action !== 'allow' || policy.tier !== 'normal' || policy.audit) return [];
    const portFits = covers(placed);
    const [wanted, asked, added] = portFits ? [[], [], 0] : [[`on ${portText(rule)}`], [`on ${rangeText(protocol, port, port)}`], PORT_DISTANCE];
    if (rule.peers === 'any') return [{ rule: placed, peer: undefined, admits: ['anybody', ...wanted], has: [peerName, ...asked], what: 'the port differs', distance: added }];
    return rule.peers.map((candidate, index) => {
      const means = peerMatches(candidate, peer);
      const gap = peerGap(candidate, peer, peerName);
      return {
        rule: placed, peer: index, admits: [...peerColumns(candidate), ...wanted], has: [...gap.has, ...asked],
        what: means ? 'the port differs' : portFits ? gap.what : `${gap.what}, and the port`, distance: (means ? 0 : gap.distance) + added,
      };
    });
  }).sort((a, b) => a.distance - b.distance || a.rule.order - b.rule.order || (a.peer ?? 0) - (b.peer ?? 0)).slice(0, MOST_MISSES);
};
