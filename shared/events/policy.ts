/**
 * The policy lane, written by the policy-compiler: one event per policy object, parsed, validated, scoped, tiers and ports
 * normalised, rules numbered. Everything optional has been resolved; "empty" and "absent" differ by construction:
 * `peers: 'any'` is an absent or empty list of a NetworkPolicy rule, `peers: []` matches nobody.
 */
import Type from 'typebox';

import { defineEvent, type DeepReadonly, type EventOfEach } from './event.ts';
import { ObjectRef, Refusal, SelectorSchema, SourcePlace, ChangedBy } from './words.ts';

/**
 * Who a peer (or the subject) is. Selectors are over plain Kubernetes keys.
 * pods: `namespace` is one namespace by name, `namespaces` a selector over namespace labels (empty = all); exactly one of them.
 * cidr: the address lies inside `cidr` and in none of `except`, pods and nodes included.
 */
export const PodsPeer = Type.Object({
  type: Type.Literal('pods'),
  namespace: Type.Optional(Type.String()),
  namespaces: Type.Optional(SelectorSchema),
  pods: SelectorSchema,
});
export const CidrPeer = Type.Object({ type: Type.Literal('cidr'), cidr: Type.String(), except: Type.Array(Type.String()) });
export const Peer = Type.Union([PodsPeer, CidrPeer]);

/**
 * One port item. `range` is inclusive, host order; protocol is the IANA number (6, 17, 132; 0 = every protocol with `from` 0, `to` 65535).
 * `named` resolves on the destination pod's container ports of that protocol.
 */
export const PortRange = Type.Object({ type: Type.Literal('range'), protocol: Type.Integer(), from: Type.Integer(), to: Type.Integer() });
export const NamedPort = Type.Object({ type: Type.Literal('named'), protocol: Type.Integer(), name: Type.String() });
export const PortItem = Type.Union([PortRange, NamedPort]);

export const CompiledRule = Type.Object({
  direction: Type.Union([Type.Literal('ingress'), Type.Literal('egress')]),
  /** The list of the object it came from, and its index there: `ingress[2]`. */
  section: Type.String(),
  index: Type.Integer(),
  action: Type.Union([Type.Literal('allow'), Type.Literal('deny'), Type.Literal('pass')]),
  /** The position of a peer here is its index in the object's list. */
  peers: Type.Union([Type.Literal('any'), Type.Array(Peer)]),
  ports: Type.Union([Type.Literal('any'), Type.Array(PortItem)]),
  line: Type.Optional(Type.Integer()),
  /** Line of each peer, same order as `peers`. */
  peerLines: Type.Optional(Type.Array(Type.Integer())),
});

export const CompiledPolicy = Type.Object({
  object: ObjectRef,
  uid: Type.String(),
  tier: Type.Union([Type.Literal('admin'), Type.Literal('normal'), Type.Literal('baseline')]),
  /** Within admin and baseline: lower goes first. 0 in normal. */
  priority: Type.Integer(),
  subject: PodsPeer,
  isolates: Type.Object({ ingress: Type.Boolean(), egress: Type.Boolean() }),
  audit: Type.Boolean(),
  rules: Type.Array(CompiledRule),
  source: Type.Optional(SourcePlace),
  changedBy: Type.Optional(ChangedBy),
});

export const policyCompiled = defineEvent({
  lane: 'policy', type: 'policy.compiled.v1', key: '<kind>/<namespace>/<name>', summary: 'A policy object, compiled.', data: CompiledPolicy,
});
export const policyRefused = defineEvent({
  lane: 'policy', type: 'policy.refused.v1', key: '<kind>/<namespace>/<name>',
  summary: 'A policy that cannot be enforced, why, and what stands for it meanwhile: isolation and deny rules, no allow rules.',
  data: Type.Object({ object: ObjectRef, refusals: Type.Array(Refusal), standing: Type.Optional(CompiledPolicy) }),
});
export const policyRemoved = defineEvent({
  lane: 'policy', type: 'policy.removed.v1', key: '<kind>/<namespace>/<name>', summary: 'The policy object is gone.',
  data: Type.Object({ object: ObjectRef }), gone: true,
});

export const POLICY_EVENTS = [policyCompiled, policyRefused, policyRemoved] as const;
export type PolicyEvent = EventOfEach<(typeof POLICY_EVENTS)[number]>;
export type CompiledPolicy = DeepReadonly<Type.Static<typeof CompiledPolicy>>;
export type CompiledRule = DeepReadonly<Type.Static<typeof CompiledRule>>;
export type Peer = DeepReadonly<Type.Static<typeof Peer>>;
export type PodsPeer = DeepReadonly<Type.Static<typeof PodsPeer>>;
export type CidrPeer = DeepReadonly<Type.Static<typeof CidrPeer>>;
export type PortItem = DeepReadonly<Type.Static<typeof PortItem>>;
