/** Why: which policies select a subject, which rules mean a peer and a port, and which nearly did. Pure. */
import type { CompiledPolicy, Peer } from '@seine/events';
import { NAMESPACE_LABEL, protocolName, selects, type Requirement } from '@seine/model';

import { decide, type Outcome, type PlacedRule } from './decide.ts';
import { isolatingPolicies, placedRules, rulesFor, selectingPolicies, type DirectionName, type PeerKind, type Subject } from './join.ts';
import { peerMatches } from './peer.ts';
import { portRanges, portsCover } from './row.ts';

export interface NearMiss {
  readonly rule: PlacedRule;
  /** Index in the rule's list of peers, or undefined for a rule of any peer. */
  readonly peer: number | undefined;
  readonly admits: string;
  readonly has: string;
  readonly what: string;
  /** 0 = would match; smaller is nearer. */
  readonly distance: number;
}

export interface Explanation {
  readonly direction: DirectionName;
  readonly selecting: readonly CompiledPolicy[];
  readonly isolatedBy: readonly CompiledPolicy[];
  readonly outcome: Outcome;
  readonly nearestMisses: readonly NearMiss[];
}

const MOST_MISSES = 3;

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

interface Gap { readonly distance: number; readonly what: string; readonly has: string }

/** What keeps these labels from a requirement. */
const requirementGap = (requirement: Requirement, labels: Readonly<Record<string, string>>, whose: string): Gap | undefined => {
  if (selects([requirement], labels)) return undefined;
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key]! : undefined;
  const has = value === undefined ? `no ${whose} k8s:${requirement.key}` : `k8s:${requirement.key}=${value}`;
  if (value === undefined) return { distance: 1, what: `one ${whose} is missing`, has };
  if (requirement.operator === 'In') return { distance: Math.min(...requirement.values.map((wanted) => textDistance(wanted, value))), what: `one ${whose} value differs`, has };
  return { distance: 0.9, what: `one ${whose} is excluded`, has };
};

const namespaceText = (peer: Extract<Peer, { readonly type: 'pods' }>): string =>
  (peer.namespaces === undefined ? `in namespace ${peer.namespace}` : peer.namespaces.length === 0 ? 'in any namespace' : `in namespaces with ${peer.namespaces.map(requirementText).join(', ')}`);

const labelText = (requirement: Requirement): string => requirementText(requirement).replace(/^(no )?k8s:(?=\w+:)/, '$1');
const listText = (texts: readonly string[], none: string): string => (texts.length === 0 ? none : texts.join(', '));

export const peerText = (peer: Peer): string => {
  switch (peer.type) {
    case 'pods': return `${listText(peer.pods.map(requirementText), 'any pod')}  ${namespaceText(peer)}`;
    case 'labels': return listText(peer.labels.map(labelText), 'everybody');
    case 'cidr': return `${peer.cidr}${peer.except.length === 0 ? '' : ` except ${peer.except.join(', ')}`}`;
    case 'entity': return `entity ${peer.entity}`;
    case 'nodes': return `nodes with ${listText(peer.labels.map(requirementText), 'any labels')}`;
    case 'name': return `DNS name ${peer.name}`;
    case 'group': return `${peer.ref.kind} ${peer.ref.namespace === undefined ? '' : `${peer.ref.namespace}/`}${peer.ref.name ?? `with ${listText((peer.ref.labels ?? []).map(requirementText), 'any labels')}`}`;
  }
};

interface PeerGap { readonly distance: number; readonly what: string; readonly has: string }

const gapOf = (gaps: readonly Gap[], namespace: string): PeerGap => {
  const labels = gaps.map(({ has }) => has).filter((has) => has !== '').join(', ');
  return { distance: gaps.reduce((sum, gap) => sum + 0.1 + gap.distance, 0), what: gaps.length === 1 ? gaps[0]!.what : `${gaps.length} things differ`, has: `${labels === '' ? 'its labels' : labels}  in namespace ${namespace}` };
};

const peerGap = (peer: Peer, party: PeerKind, partyText: string): PeerGap | undefined => {
  if (peerMatches(peer, party)) return undefined;
  const { view } = party;
  switch (peer.type) {
    case 'pods': {
      if (view === undefined) return { distance: 4, what: 'it is no pod', has: partyText };
      const gaps: Gap[] = [];
      for (const requirement of peer.pods) { const gap = requirementGap(requirement, view.podLabels, 'label'); if (gap !== undefined) gaps.push(gap); }
      for (const requirement of peer.namespaces ?? []) { const gap = requirementGap(requirement, view.namespaceLabels, 'namespace label'); if (gap !== undefined) gaps.push(gap); }
      if (peer.namespace !== undefined && peer.namespace !== view.namespace) gaps.push({ distance: 1, what: 'another namespace', has: '' });
      return gapOf(gaps, view.namespace);
    }
    case 'labels': {
      if (view === undefined) return { distance: 4, what: 'it is no pod', has: partyText };
      const gaps = peer.labels.flatMap((requirement): readonly Gap[] => {
        const key = requirement.key.replace(/^(k8s|any):/, '');
        const gap = requirementGap({ ...requirement, key }, view.labels, 'label');
        return gap === undefined ? [] : [key === NAMESPACE_LABEL ? { distance: 1, what: 'another namespace', has: '' } : gap];
      });
      return gapOf(gaps, view.namespace);
    }
    case 'cidr': return { distance: 2, what: 'the address is outside', has: partyText };
    case 'group': {
      const nearest = peer.members.map((member) => peerGap(member, party, partyText)).filter((gap) => gap !== undefined).sort((a, b) => a.distance - b.distance)[0];
      return nearest ?? { distance: 3, what: 'it has no members', has: partyText };
    }
    case 'name': return { distance: 3, what: 'DNS names are not learned here', has: partyText };
    case 'nodes': return party.nodeLabels === undefined ? { distance: 4, what: 'it is no node', has: partyText } :
      { distance: 1, what: 'the labels of the node differ', has: listText(Object.entries(party.nodeLabels).map(([key, value]) => `${key}=${value}`), partyText) };
    case 'entity': return { distance: 3, what: `it is not ${peer.entity}`, has: partyText };
  }
};

const portText = (placed: PlacedRule): string => (placed.rule.ports === 'any' ? 'any port' : placed.rule.ports.map((port) =>
  (port.type === 'named' ? `${port.name}/${protocolName(port.protocol)}` : port.from === 0 && port.to === 65535 ? `any ${protocolName(port.protocol)} port` :
    `${port.from === port.to ? port.from : `${port.from}-${port.to}`}/${protocolName(port.protocol)}`)).join(', '));

export interface Asked {
  readonly subject: Subject;
  readonly direction: DirectionName;
  readonly policies: Iterable<CompiledPolicy>;
  readonly peer: PeerKind;
  /** How people know the peer: shown where it has no labels. */
  readonly peerName: string;
  readonly protocol: number;
  /** Host order; ICMP: type << 8 | code. */
  readonly port: number;
}

export const explain = ({ subject, direction, policies, peer, peerName, protocol, port }: Asked): Explanation => {
  const selecting = selectingPolicies(policies, subject.party);
  const rules = placedRules(selecting, direction);
  const isolatedBy = isolatingPolicies(selecting, direction);
  const bindings = direction === 'ingress' ? subject.bindings : peer.bindings;
  const covers = (placed: PlacedRule): boolean => portsCover(portRanges(placed.rule.ports, bindings), protocol, { port, length: 16 });
  const matching = rulesFor(rules, direction, peer).filter(covers);
  const outcome = decide(matching, isolatedBy);
  const misses: NearMiss[] = [];
  if (outcome.verdict === 'default-deny') {
    for (const placed of rules) {
      if (placed.rule.action !== 'allow' || placed.policy.tier !== 'normal') continue;
      const portGap = covers(placed) ? 0 : 0.6;
      const portNote = portGap === 0 ? '' : `  on ${portText(placed)}`;
      const asked = portGap === 0 ? '' : `  on ${port}/${protocolName(protocol)}`;
      if (placed.rule.peers === 'any') {
        misses.push({ rule: placed, peer: undefined, admits: `anybody${portNote}`, has: `${peerName}${asked}`, what: 'the port differs', distance: portGap });
        continue;
      }
      placed.rule.peers.forEach((candidate, index) => {
        const gap = peerGap(candidate, peer, peerName);
        const what = gap === undefined ? 'the port differs' : portGap === 0 ? gap.what : `${gap.what}, and the port`;
        misses.push({ rule: placed, peer: index, admits: `${peerText(candidate)}${portNote}`, has: `${gap?.has ?? peerName}${asked}`, what, distance: (gap?.distance ?? 0) + portGap });
      });
    }
  }
  return { direction, selecting, isolatedBy, outcome, nearestMisses: misses.sort((a, b) => a.distance - b.distance || a.rule.order - b.rule.order).slice(0, MOST_MISSES) };
};

