/**
 * The policy lane, written by the policy-compiler: one event per policy object, parsed, validated, scoped, tiers and ports
 * normalised, rules numbered. Everything optional has been resolved; "empty" and "absent" differ by construction:
 * `peers: 'any'` is an absent or empty list of a NetworkPolicy rule, `peers: []` matches nobody.
 */
import Type from 'typebox';

import { defineEvent, type DeepReadonly, type EventOfEach } from './event.ts';
import { ObjectRef, Refusal, SelectorSchema, SourcePlace, ChangedBy } from './words.ts';

/**
 * Who a peer (or the subject) is. One of these, by `type`:
 * pods: Kubernetes selectors over plain keys; `namespace` is one namespace by name, `namespaces` a selector over namespace labels (empty = all); exactly one of them.
 */
export const PodsPeer = Type.Object({
  type: Type.Literal('pods'),
  namespace: Type.Optional(Type.String()),
  namespaces: Type.Optional(SelectorSchema),
  pods: SelectorSchema,
});
/** labels: Cilium selectors over a whole security label set, of pods and of reserved identities; every key has its source in front: `k8s:app`, `any:app`, `reserved:host`. */
export const LabelsPeer = Type.Object({ type: Type.Literal('labels'), labels: SelectorSchema });
/**
 * cidr: the address lies inside `cidr` and in none of `except`. Kubernetes means every address, pods and nodes included; Cilium not those
 * of the kinds in `not`, whose addresses are known by who they are.
 */
export const CidrPeer = Type.Object({
  type: Type.Literal('cidr'), cidr: Type.String(), except: Type.Array(Type.String()),
  not: Type.Optional(Type.Array(Type.Union([Type.Literal('pods'), Type.Literal('nodes')]))),
});
/** entity: a word of Cilium for a group of identities. `all` is no entity here but `peers: 'any'`. */
export const EntityPeer = Type.Object({
  type: Type.Literal('entity'),
  entity: Type.Union([
    Type.Literal('world'), Type.Literal('world-ipv4'), Type.Literal('world-ipv6'), Type.Literal('cluster'), Type.Literal('cluster-mesh'), Type.Literal('host'), Type.Literal('init'),
    Type.Literal('ingress'), Type.Literal('unmanaged'), Type.Literal('remote-node'), Type.Literal('health'), Type.Literal('none'), Type.Literal('kube-apiserver'), Type.Literal('all'),
  ]),
});
/** nodes: by node labels, plain keys; as a subject: the node itself (host policy). */
export const NodesPeer = Type.Object({ type: Type.Literal('nodes'), labels: SelectorSchema });
/** name: a DNS name or pattern; nobody until there is a proxy that learns its addresses. */
export const NamePeer = Type.Object({ type: Type.Literal('name'), name: Type.String() });
/** group: what another object says, as it is now. `ref` names it, `members` is what the policy-compiler found; none: nobody. */
export const GroupPeer = Type.Object({
  type: Type.Literal('group'),
  ref: Type.Object({
    kind: Type.Union([Type.Literal('CiliumCIDRGroup'), Type.Literal('Service')]),
    /** of a Service; absent: every namespace */
    namespace: Type.Optional(Type.String()),
    /** exactly one of `name` and `labels` (a selector over the objects' labels, plain keys) */
    name: Type.Optional(Type.String()),
    labels: Type.Optional(SelectorSchema),
    /** of a CiliumCIDRGroup: taken from each of its prefixes */
    except: Type.Optional(Type.Array(Type.String())),
    /** of addresses: of a CiliumCIDRGroup, and of a Service without a selector */
    not: CidrPeer.properties.not,
  }),
  members: Type.Array(Type.Union([PodsPeer, LabelsPeer, CidrPeer])),
});
export const Peer = Type.Union([PodsPeer, LabelsPeer, CidrPeer, EntityPeer, NodesPeer, NamePeer, GroupPeer]);
export const Subject = Type.Union([PodsPeer, LabelsPeer, NodesPeer]);

/**
 * One port item. `range` is inclusive, host order; protocol is the IANA number (0 = every protocol with `from` 0, `to` 65535). ICMP (1) and
 * ICMPv6 (58): type << 8 | code. Protocols without ports: 0 to 65535. `named` resolves on the destination pod's container ports of that protocol.
 */
export const PortRange = Type.Object({ type: Type.Literal('range'), protocol: Type.Integer(), from: Type.Integer(), to: Type.Integer() });
export const NamedPort = Type.Object({ type: Type.Literal('named'), protocol: Type.Integer(), name: Type.String() });
export const PortItem = Type.Union([PortRange, NamedPort]);

export const CompiledRule = Type.Object({
  direction: Type.Union([Type.Literal('ingress'), Type.Literal('egress')]),
  /** The list of the object it came from, and its index there: `ingress[2]`, `egressDeny[0]`, `specs[1].ingress[0]`. */
  section: Type.String(),
  index: Type.Integer(),
  /** withheld: would allow, but on a condition that cannot be enforced here (L7, TLS, authentication): it stands like a default deny of its own traffic, allow rules win. */
  action: Type.Union([Type.Literal('allow'), Type.Literal('deny'), Type.Literal('pass'), Type.Literal('withheld')]),
  peers: Type.Union([Type.Literal('any'), Type.Array(Peer)]),
  ports: Type.Union([Type.Literal('any'), Type.Array(PortItem)]),
  line: Type.Optional(Type.Integer()),
  /** Member of the rule that each peer came from, same order as `peers`: `fromEndpoints[0]`. Absent: `from[i]` or `to[i]`. */
  peerFields: Type.Optional(Type.Array(Type.String())),
  /** Line of each peer, same order as `peers`. */
  peerLines: Type.Optional(Type.Array(Type.Integer())),
});

export const CompiledPolicy = Type.Object({
  object: ObjectRef,
  /** Of an object that holds several policies (`specs`): which, from 0. */
  part: Type.Optional(Type.Integer({ minimum: 0 })),
  uid: Type.String(),
  tier: Type.Union([Type.Literal('admin'), Type.Literal('normal'), Type.Literal('baseline')]),
  /** Within admin and baseline: lower goes first. 0 in normal. */
  priority: Type.Integer(),
  subject: Subject,
  isolates: Type.Object({ ingress: Type.Boolean(), egress: Type.Boolean() }),
  audit: Type.Boolean(),
  rules: Type.Array(CompiledRule),
  /** Free text for flows that the policy decides. */
  log: Type.Optional(Type.String()),
  /** What of the object is not enforceable here: `spec.ingress[0].toPorts[0].rules.http: …`. */
  withheld: Type.Optional(Type.Array(Type.String())),
  source: Type.Optional(SourcePlace),
  changedBy: Type.Optional(ChangedBy),
});

export const policyCompiled = defineEvent({
  lane: 'policy', type: 'policy.compiled.v1', key: '<kind>/<namespace>/<name>[/<n>]', summary: 'A policy object, compiled; the n-th of its `specs`, from 1, is a policy of its own.', data: CompiledPolicy,
});
export const policyRefused = defineEvent({
  lane: 'policy', type: 'policy.refused.v1', key: '<kind>/<namespace>/<name>[/<n>]',
  summary: 'A policy that cannot be enforced, why, and what stands for it meanwhile: isolation and deny rules, no allow rules.',
  data: Type.Object({ object: ObjectRef, refusals: Type.Array(Refusal), standing: Type.Optional(CompiledPolicy) }),
});
export const policyRemoved = defineEvent({
  lane: 'policy', type: 'policy.removed.v1', key: '<kind>/<namespace>/<name>[/<n>]', summary: 'The policy object is gone.',
  data: Type.Object({ object: ObjectRef }), gone: true,
});

/** A node that has seen the facts alone knows nothing of what they mean: until this it keeps its endpoints closed. */
export const policykindCompiled = defineEvent({
  lane: 'policy', type: 'policykind.compiled.v1', key: '<kind>', summary: 'Whatever a kind holds that was listed is in the policies of this lane; written once, after the last of them.', data: Type.Object({ kind: Type.String() }),
});

export const POLICY_EVENTS = [policyCompiled, policyRefused, policyRemoved, policykindCompiled] as const;
export type PolicyEvent = EventOfEach<(typeof POLICY_EVENTS)[number]>;
export type CompiledPolicy = DeepReadonly<Type.Static<typeof CompiledPolicy>>;
export type CompiledRule = DeepReadonly<Type.Static<typeof CompiledRule>>;
export type Peer = DeepReadonly<Type.Static<typeof Peer>>;
export type PodsPeer = DeepReadonly<Type.Static<typeof PodsPeer>>;
export type LabelsPeer = DeepReadonly<Type.Static<typeof LabelsPeer>>;
export type CidrPeer = DeepReadonly<Type.Static<typeof CidrPeer>>;
export type EntityPeer = DeepReadonly<Type.Static<typeof EntityPeer>>;
export type NodesPeer = DeepReadonly<Type.Static<typeof NodesPeer>>;
export type GroupPeer = DeepReadonly<Type.Static<typeof GroupPeer>>;
export type PolicySubject = DeepReadonly<Type.Static<typeof Subject>>;
export type PortItem = DeepReadonly<Type.Static<typeof PortItem>>;
