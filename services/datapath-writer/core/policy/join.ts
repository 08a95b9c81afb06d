/**
 * Policies × who is there → what each local subject's policy says of each kind of peer. Pure; depends on the last state only.
 */
import type { CompiledPolicy, Peer } from '@seine/events';
import { compareCodeUnits, RESERVED_IDENTITY } from '@seine/model';

import type { PlacedRule } from './decide.ts';
import { peerMatches, subjectMatches, type Party } from './peer.ts';
import { plainRow, rowOf, ruleName, type RowContent } from './row.ts';
import type { Bindings } from './variant.ts';

export type DirectionName = 'ingress' | 'egress';

/** A kind of peer that some address has: what the kernel's key can tell apart. */
export interface PeerKind extends Party {
  /** Class number, 0 = in no mentioned prefix (or a CIDR identity, whose prefix is its own). */
  readonly cidrClass: number;
  readonly variant: number;
  readonly bindings: Bindings;
}

/** Whose policy: endpoints of one identity and one variant, or the node itself. */
export interface Subject {
  readonly identity: number;
  readonly variant: number;
  readonly bindings: Bindings;
  readonly party: Party;
}

/** One direction of one subject, ready for rows. */
export interface SubjectPolicy {
  readonly subject: Subject;
  readonly direction: DirectionName;
  readonly enforced: boolean;
  readonly needsClass: boolean;
  readonly needsVariant: boolean;
  readonly peerDeny: boolean;
  /** Names the rules and nothing of who is there: peers come and go under one revision. */
  readonly content: string;
  readonly defaultRow: RowContent;
  readonly peers: readonly { readonly identity: number; readonly cidrClass: number; readonly variant: number; readonly row: RowContent }[];
}

/** The node's own processes reach its pods, whatever isolates them: kubelet's probes. Kubernetes says so; a deny rule still wins. */
const allowLocalhost: CompiledPolicy = {
  object: { kind: 'Seine', namespace: '', name: 'allow-localhost' }, uid: '', tier: 'normal', priority: 0,
  subject: { type: 'pods', namespaces: [], pods: [] }, isolates: { ingress: false, egress: false }, audit: false,
  rules: [{ direction: 'ingress', section: 'ingress', index: 0, action: 'allow', peers: [], ports: 'any' }],
};
const LOCALHOST_RULE: PlacedRule = { policy: allowLocalhost, rule: allowLocalhost.rules[0]!, order: Number.MAX_SAFE_INTEGER };

export const policyKey = ({ object }: CompiledPolicy): string => `${object.kind}/${object.namespace}/${object.name}`;

/** By name; policies of one object in the order in which it has them. */
export const selectingPolicies = (policies: Iterable<CompiledPolicy>, party: Party): readonly CompiledPolicy[] =>
  [...policies].filter(({ subject }) => subjectMatches(subject, party)).sort((a, b) => compareCodeUnits(policyKey(a), policyKey(b)) || (a.part ?? 0) - (b.part ?? 0));

/** All rules of one direction, in the order of attribution. */
export const placedRules = (selecting: readonly CompiledPolicy[], direction: DirectionName): readonly PlacedRule[] =>
  selecting.flatMap((policy) => policy.rules.filter((rule) => rule.direction === direction).map((rule) => ({ policy, rule })))
    .map((placed, order) => ({ ...placed, order }));

export const isolatingPolicies = (selecting: readonly CompiledPolicy[], direction: DirectionName): readonly CompiledPolicy[] =>
  selecting.filter((policy) => policy.isolates[direction]);

const ruleMeans = (placed: PlacedRule, party: Party): boolean => placed.rule.peers === 'any' || placed.rule.peers.some((peer) => peerMatches(peer, party));

/** The rules that mean this peer, the node's own processes included. */
export const rulesFor = (rules: readonly PlacedRule[], direction: DirectionName, party: Party): readonly PlacedRule[] => {
  const matching = rules.filter((placed) => ruleMeans(placed, party));
  return direction === 'ingress' && party.identity === RESERVED_IDENTITY.host ? [...matching, LOCALHOST_RULE] : matching;
};

const isCidr = (peer: Peer): boolean => peer.type === 'cidr' || (peer.type === 'group' && peer.members.some(isCidr));
const hasCidr = ({ rule }: PlacedRule): boolean => rule.peers !== 'any' && rule.peers.some(isCidr);
const hasName = ({ rule }: PlacedRule): boolean => rule.ports !== 'any' && rule.ports.some((port) => port.type === 'named');
const selectsPeersToDeny = ({ policy, rule }: PlacedRule): boolean => rule.peers !== 'any' && (rule.action === 'deny' || policy.tier === 'admin');

/** Matching is by identity and prefix: this remembers which rules mean which party while one subject is joined. */
export const subjectPolicy = (
  subject: Subject, direction: DirectionName, policies: Iterable<CompiledPolicy>, peers: readonly PeerKind[],
): SubjectPolicy => {
  const selecting = selectingPolicies(policies, subject.party);
  const rules = placedRules(selecting, direction);
  const isolatedBy = isolatingPolicies(selecting, direction);
  const plain = { subject, direction, needsClass: false, needsVariant: false, peerDeny: false, peers: [] };
  if (rules.length === 0 && isolatedBy.length === 0) {
    return { ...plain, enforced: false, content: 'open', defaultRow: plainRow({ verdict: 'allow', rule: undefined }) };
  }
  const needsClass = rules.some(hasCidr);
  const needsVariant = direction === 'egress' && rules.some(hasName);
  const bindingsAt = (peer: PeerKind): Bindings => (direction === 'ingress' ? subject.bindings : peer.bindings);
  const anyPeer = rules.filter(({ rule }) => rule.peers === 'any');
  const defaultRow = rowOf(anyPeer, isolatedBy, direction === 'ingress' ? subject.bindings : new Map());

  const rowsByRules = new Map<string, RowContent>();
  const found = new Map<string, SubjectPolicy['peers'][number]>();
  for (const peer of peers) {
    const cidrClass = needsClass ? peer.cidrClass : 0;
    const variant = needsVariant ? peer.variant : 0;
    const key = `${peer.identity}/${cidrClass}/${variant}`;
    if (found.has(key)) continue;
    const matching = rulesFor(rules, direction, peer);
    const rowKey = `${matching.map(({ order }) => order).join(',')}/${variant}`;
    const row = rowsByRules.get(rowKey) ?? rowOf(matching, isolatedBy, bindingsAt(peer));
    rowsByRules.set(rowKey, row);
    if (row.text !== defaultRow.text) found.set(key, { identity: peer.identity, cidrClass, variant, row });
  }
  return {
    ...plain, enforced: true, needsClass, needsVariant, peerDeny: rules.some(selectsPeersToDeny), defaultRow,
    content: JSON.stringify([isolatedBy.map((policy) => `${policyKey(policy)}${policy.audit ? ' audited' : ''}`), rules.map((placed) => [ruleName(placed), placed.policy.tier, placed.policy.priority, placed.policy.audit, placed.rule.action, placed.rule.peers, placed.rule.ports])]),
    peers: [...found.values()],
  };
};
