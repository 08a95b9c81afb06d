/** Why: which policies select a subject, which rules mean a peer and a port, and which nearly did. Pure. */
import type { CompiledPolicy, Peer } from '@seine/events';
import { protocolName, selects, type Requirement } from '@seine/model';

import { decide, type Outcome, type PlacedRule } from './decide.ts';
import { isolatingPolicies, placedRules, rulesFor, selectingPolicies, type DirectionName, type PeerKind, type Subject } from './join.ts';
import { peerMatches, type IdentityView } from './peer.ts';
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

export const peerText = (peer: Peer): string => {
  if (peer.type === 'cidr') return `${peer.cidr}${peer.except.length === 0 ? '' : ` except ${peer.except.join(', ')}`}`;
  return `${peer.pods.length === 0 ? 'any pod' : peer.pods.map(requirementText).join(', ')}  ${namespaceText(peer)}`;
};

const peerGap = (peer: Peer, party: PeerKind, partyText: string): { readonly distance: number; readonly what: string; readonly has: string } | undefined => {
  if (peerMatches(peer, party)) return undefined;
  if (peer.type === 'cidr') return { distance: 2, what: 'the address is outside', has: partyText };
  const { view } = party;
  if (view === undefined) return { distance: 4, what: 'it is no pod', has: partyText };
  const gaps: Gap[] = [];
  for (const requirement of peer.pods) { const gap = requirementGap(requirement, view.podLabels, 'label'); if (gap !== undefined) gaps.push(gap); }
  for (const requirement of peer.namespaces ?? []) { const gap = requirementGap(requirement, view.namespaceLabels, 'namespace label'); if (gap !== undefined) gaps.push(gap); }
  if (peer.namespace !== undefined && peer.namespace !== view.namespace) gaps.push({ distance: 1, what: 'another namespace', has: '' });
  const distance = gaps.reduce((sum, gap) => sum + 0.1 + gap.distance, 0);
  const labels = gaps.map(({ has }) => has).filter((has) => has !== '').join(', ');
  return { distance, what: gaps.length === 1 ? gaps[0]!.what : `${gaps.length} things differ`, has: `${labels === '' ? 'its labels' : labels}  in namespace ${view.namespace}` };
};

const portText = (placed: PlacedRule): string => (placed.rule.ports === 'any' ? 'any port' : placed.rule.ports.map((port) =>
  (port.type === 'named' ? `${port.name}/${protocolName(port.protocol)}` : port.from === 0 && port.to === 65535 ? `any ${protocolName(port.protocol)} port` :
    `${port.from === port.to ? port.from : `${port.from}-${port.to}`}/${protocolName(port.protocol)}`)).join(', '));

export interface Asked {
  readonly subject: Subject;
  readonly view: IdentityView;
  readonly direction: DirectionName;
  readonly policies: Iterable<CompiledPolicy>;
  readonly peer: PeerKind;
  /** How people know the peer: shown where it has no labels. */
  readonly peerName: string;
  readonly protocol: number;
  /** Host order; ICMP: type << 8 | code. */
  readonly port: number;
}

export const explain = ({ subject, view, direction, policies, peer, peerName, protocol, port }: Asked): Explanation => {
  const selecting = selectingPolicies(policies, view);
  const rules = placedRules(selecting, direction);
  const isolatedBy = isolatingPolicies(selecting, direction);
  const bindings = direction === 'ingress' ? subject.bindings : peer.bindings;
  const covers = (placed: PlacedRule): boolean => portsCover(portRanges(placed.rule.ports, bindings), protocol, { port, length: 16 });
  const matching = rulesFor(rules, direction, peer).filter(covers);
  const outcome = decide(matching, isolatedBy);
  const misses: NearMiss[] = [];
  if (outcome.verdict === 'default-deny') {
    for (const placed of rules) {
      if (placed.rule.action !== 'allow') continue;
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

