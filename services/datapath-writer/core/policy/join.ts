/** Which policies mean a subject, and which of their rules mean a peer. Pure; depends on the last state only. */
import type { CompiledPolicy } from '@seine/events';
import { compareCodeUnits, RESERVED_IDENTITY } from '@seine/model';

import type { PlacedRule } from './decide.ts';
import { peerMatches, subjectMatches, type Party } from './peer.ts';
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

/** The node's own processes reach its pods, whatever isolates them: kubelet's probes. Kubernetes says so; a deny rule still wins. */
const allowLocalhost: CompiledPolicy = {
  object: { kind: 'Seine', namespace: '', name: 'allow-localhost' }, uid: '', tier: 'normal', priority: 0,
  subject: { type: 'pods', namespaces: [], pods: [] }, isolates: { ingress: false, egress: false }, audit: false,
  rules: [{ direction: 'ingress', section: 'ingress', index: 0, action: 'allow', peers: [], ports: 'any' }],
};
export const LOCALHOST_RULE: PlacedRule = { policy: allowLocalhost, rule: allowLocalhost.rules[0]!, order: Number.MAX_SAFE_INTEGER };

export const policyKey = ({ object }: CompiledPolicy): string => `${object.kind}/${object.namespace}/${object.name}`;

/** By name; policies of one object in the order in which it has them. */
export const inOrder = (policies: Iterable<CompiledPolicy>): readonly CompiledPolicy[] =>
  [...policies].sort((a, b) => compareCodeUnits(policyKey(a), policyKey(b)) || (a.part ?? 0) - (b.part ?? 0));

export const selectingPolicies = (policies: Iterable<CompiledPolicy>, party: Party): readonly CompiledPolicy[] =>
  inOrder([...policies].filter(({ subject }) => subjectMatches(subject, party)));

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
