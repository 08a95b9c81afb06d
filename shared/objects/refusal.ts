/** Collects what is wrong with an object: every fault, each with field, value and expectation. Pure. */
import type { Refusal } from '@seine/events';

const LONGEST = 120;

const LONGEST_FIELD = 256;

const clipped = (text: string, longest: number): string => (text.length > longest ? `${text.slice(0, longest)}…` : text);

const shown = (value: unknown): string => {
  const text = value === undefined ? 'nothing' : JSON.stringify(value) ?? typeof value;
  return clipped(text, LONGEST);
};

export interface Faults {
  readonly refusals: readonly Refusal[];
  readonly refuse: (field: string, value: unknown, expected: string) => void;
}

export const faults = (): Faults => {
  const refusals: Refusal[] = [];
  return {
    refusals,
    refuse: (path, value, expected) => {
      const field = clipped(path, LONGEST_FIELD);
      refusals.push({ field, value: shown(value), expected, message: `${field}: ${shown(value)}: expected ${expected}` });
    },
  };
};

export type PlainObject = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is PlainObject => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A member of a stranger's object: never one of its prototype. */
export const member = (object: PlainObject, name: string): unknown => (Object.hasOwn(object, name) ? object[name] : undefined);

/** An object, or {} with a fault. `undefined` and `null` are absent: {} without one. */
export const objectAt = (found: Faults, field: string, value: unknown): PlainObject => {
  if (value === undefined || value === null) return {};
  if (isObject(value)) return value;
  found.refuse(field, value, 'an object');
  return {};
};

/** A list, or undefined when absent or (with a fault) no list. */
export const listAt = (found: Faults, field: string, value: unknown): readonly unknown[] | undefined => {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return value as readonly unknown[]; // Array.isArray says any[]
  found.refuse(field, value, 'a list');
  return undefined;
};

const editDistance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
};

/** Refuses members that the schema does not know. */
export const onlyMembers = (found: Faults, field: string, object: PlainObject, known: readonly string[]): void => {
  for (const name of Object.keys(object)) {
    if (known.includes(name)) continue;
    const near = known.find((candidate) => Math.abs(candidate.length - name.length) <= 2 && editDistance(candidate.toLowerCase(), name.toLowerCase()) <= 2);
    found.refuse(field === '' ? name : `${field}.${name}`, object[name], near === undefined ? `no such field; known are ${known.join(', ')}` : `no such field; did you mean ${near}?`);
  }
};
