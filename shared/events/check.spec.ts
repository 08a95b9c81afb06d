import { readFileSync } from 'node:fs';

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Compile } from 'typebox/compile';

import { compileCheck } from './check.ts';
import { EVENT_DEFINITIONS, FORMER_DEFINITIONS } from './definitions.ts';
import { CommitEnvelope } from './envelope-definitions.ts';
import { DOORS } from './generated/doors.ts';
import { outdated, plainSchema } from './generate-docs.ts';
import { WRITER_EVENTS } from './writer-definitions.ts';

const golden = (type: string): { readonly data: unknown } =>
  JSON.parse(readFileSync(new URL(`golden/${type}.json`, import.meta.url), 'utf8')) as ReturnType<typeof golden>;

const ODD = [undefined, null, 0, -1, 1.5, 65536, 1e20, '', 'any', 'TCP', true, [], {}, ['x'], { type: 'pods' }];

type Json = unknown;
/** Replaces, removes or adds one member somewhere inside, led by `choices`. */
const mutate = (value: Json, choices: readonly number[], odd: Json): Json => {
  const [choice, ...rest] = choices;
  if (choice === undefined || typeof value !== 'object' || value === null) return odd;
  if (Array.isArray(value)) {
    if (value.length === 0) return [odd];
    return value.with(choice % value.length, mutate(value[choice % value.length], rest, odd));
  }
  const keys = Object.keys(value);
  const key = keys[choice % (keys.length + 1)];
  if (key === undefined) return { ...value, unknownMember: odd };
  const member = (value as Readonly<Record<string, Json>>)[key];
  if (odd === undefined) {
    const { [key]: _, ...others } = value as Readonly<Record<string, Json>>;
    return others;
  }
  return { ...value, [key]: mutate(member, rest, odd) };
};

const CASES = [
  ...[...EVENT_DEFINITIONS, ...FORMER_DEFINITIONS, ...WRITER_EVENTS].map(({ type, data }) => ({ type: type as string, schema: data as object, example: golden(type).data })),
  {
    type: 'a commit', schema: CommitEnvelope as object,
    example: { log: 'l', lane: 'fact', laneSeq: 1, epoch: 0, prev: 'a'.repeat(64), seen: 0, writer: 'w', events: [golden('pod.observed.v1')] },
  },
];

test.each(CASES)('the check of $type says the same as TypeBox about damaged examples', ({ schema, example }) => {
  const ours = compileCheck(plainSchema(schema));
  const theirs = Compile(schema);
  expect(ours(example)).toBeUndefined();
  expect(theirs.Check(example)).toBe(true);
  fc.assert(fc.property(fc.array(fc.nat(20), { maxLength: 6 }), fc.constantFrom(...ODD), (choices, odd) => {
    const value = mutate(example, choices, odd);
    expect({ value, fits: ours(value) === undefined }).toEqual({ value, fits: theirs.Check(value) });
  }), { numRuns: 300 });
});

test.each([
  { name: 'names the place and the bound', type: 'pod.observed.v1', change: { ports: [{ port: 70000, protocol: 'TCP' }] }, says: '.ports[0].port is 70000, at most 65535 was expected' },
  { name: 'names a missing member', type: 'pod.observed.v1', change: { uid: undefined }, says: '.uid is absent, a text was expected' },
  { name: 'names the choices', type: 'pod.observed.v1', change: { phase: 'dead' }, says: '.phase is "dead", one of "pending", "running", "finished" was expected' },
  { name: 'names the key of a map', type: 'namespace.observed.v1', change: { labels: { a: 7 } }, says: '.labels["a"] is 7, a text was expected' },
])('$name', ({ type, change, says }) => {
  const door = DOORS.find((found) => found.type === type)!;
  expect(compileCheck(door.data)({ ...golden(type).data as object, ...change })).toBe(says);
});

test('docs/events.md and the doors are what the definitions say', () => {
  expect(outdated()).toEqual([]);
});

test('a schema keyword that the check does not know is refused', () => {
  expect(() => plainSchema({ type: 'string', format: 'date-time' })).toThrow(expect.objectContaining({ code: 'SEINE_SCHEMA_UNSUPPORTED' }));
});
