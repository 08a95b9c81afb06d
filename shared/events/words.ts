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
