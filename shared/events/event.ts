/**
 * How one event type is declared: a TypeBox schema of its data, its lane, and how its key reads.
 * This folder is the only place where an event is defined; docs/events.md is generated from it.
 */
import type { Static, TSchema } from 'typebox';

export const LANES = ['fact', 'identity', 'ipam', 'policy', 'service', 'audit'] as const;
export type Lane = (typeof LANES)[number];

export interface EventDefinition<Type extends string = string, Data extends TSchema = TSchema> {
  readonly lane: Lane;
  /** `<noun>.<past participle>.v<n>` */
  readonly type: Type;
  /** How the aggregate's key reads, for documents: `<namespace>/<name>`. */
  readonly key: string;
  readonly summary: string;
  readonly data: Data;
  /** True: the aggregate is gone after this event; a checkpoint leaves it out. */
  readonly gone?: boolean;
  /** Of a former type: what it is read as, and written as now. */
  readonly now?: string;
}

/** Event data is shared by every projection: nobody writes into it. */
export type DeepReadonly<T> = T extends readonly (infer Item)[] ? readonly DeepReadonly<Item>[] : T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

/** One event as cores see it: the envelope's routing members and the parsed data. Whole state of one aggregate. */
export interface EventOf<Definition extends EventDefinition> {
  readonly type: Definition['type'];
  readonly key: string;
  /** RFC 3339, the source's clock. */
  readonly time: string;
  /** W3C trace context of the change that caused this event. */
  readonly traceparent?: string;
  readonly data: DeepReadonly<Static<Definition['data']>>;
}

/** One event of any of these definitions: a union that narrows by `type`. */
export type EventOfEach<Definition extends EventDefinition> = Definition extends EventDefinition ? EventOf<Definition> : never;

export const defineEvent = <const Type extends string, Data extends TSchema>(
  definition: EventDefinition<Type, Data>,
): EventDefinition<Type, Data> => definition;
