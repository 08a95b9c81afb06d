/** Schemas that several events share. */
import Type from 'typebox';

export const LabelMap = Type.Record(Type.String(), Type.String());
export const ProtocolText = Type.Union([Type.Literal('TCP'), Type.Literal('UDP'), Type.Literal('SCTP')]);
export const PortNumber = Type.Integer({ minimum: 1, maximum: 65535 });

/** Where an object was written, for people: absent when it came from an API server. */
export const SourcePlace = Type.Object({ file: Type.String(), line: Type.Integer() });

/** Who changed an object last, from managedFields. */
export const ChangedBy = Type.Object({ manager: Type.String(), operation: Type.String(), time: Type.String() });

/** One refused member: what, with which value, what was expected. */
export const Refusal = Type.Object({
  field: Type.String(),
  value: Type.String(),
  expected: Type.String(),
  message: Type.String(),
});
export type Refusal = Type.Static<typeof Refusal>;

export const ObjectRef = Type.Object({ kind: Type.String(), namespace: Type.String(), name: Type.String() });
export type ObjectRef = Type.Static<typeof ObjectRef>;

/** One requirement of a label selector in normal form; see @seine/model selector. */
export const RequirementSchema = Type.Union([
  Type.Object({ key: Type.String(), operator: Type.Union([Type.Literal('In'), Type.Literal('NotIn')]), values: Type.Array(Type.String()) }),
  Type.Object({ key: Type.String(), operator: Type.Union([Type.Literal('Exists'), Type.Literal('DoesNotExist')]) }),
]);
export const SelectorSchema = Type.Array(RequirementSchema);

/** How a Service's clients are spread over its backends; absent members are Kubernetes' defaults. */
export const ServiceOptions = {
  /** externalTrafficPolicy Local: who comes from outside meets the backends of the node that it came to. */
  externalLocal: Type.Optional(Type.Boolean()),
  /** internalTrafficPolicy Local: clients of the ClusterIP meet the backends of their own node. */
  internalLocal: Type.Optional(Type.Boolean()),
  /** With externalLocal: where a node answers whether it has backends. */
  healthCheckNodePort: Type.Optional(PortNumber),
  /** loadBalancerSourceRanges: CIDRs that may use the load balancer's addresses; absent: all. */
  sourceRanges: Type.Optional(Type.Array(Type.String())),
  /** Session affinity ClientIP: seconds since a client's last connection for which it keeps its backend. */
  affinityS: Type.Optional(Type.Integer({ minimum: 1, maximum: 86400 })),
  /** The annotation `seine.network/load-balancing: maglev`: backends by a consistent hash of the client's address and port. */
  maglev: Type.Optional(Type.Boolean()),
  /** The annotation `service.cilium.io/forwarding-mode`: whether pods on other nodes than the one asked answer who comes from outside themselves. Absent: as the cluster's setting has it. */
  forwarding: Type.Optional(Type.Union([Type.Literal('dsr'), Type.Literal('snat')])),
} as const;
