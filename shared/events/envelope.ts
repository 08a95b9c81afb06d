/**
 * The door between stored bytes and events: CloudEvents 1.0 structured JSON inside a commit. Checked per type on the way in and
 * on the way out; unknown members of `data` stay, unknown types and wrong shapes are refused. Pure.
 */
import { SeineError } from '@seine/model';
import Type, { type Static, type TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';

import { EVENT_DEFINITIONS, type SeineEvent } from './definitions.ts';
import { LANES, type Lane } from './event.ts';
import { WRITER_EVENTS } from './writer.ts';

export const COMMIT_EVENTS_MAX = 512;
export const COMMIT_BYTES_MAX = 512 * 1024;
/** Of one event's envelope and data. Larger facts are refused visibly, never truncated. */
export const EVENT_BYTES_MAX = 64 * 1024;

/** `prev` of a lane's first commit. */
export const NO_PREVIOUS = '0'.repeat(64);

const CloudEvent = Type.Object({
  specversion: Type.Literal('1.0'),
  id: Type.String({ minLength: 1 }),
  source: Type.String({ minLength: 1 }),
  type: Type.String(),
  subject: Type.String(),
  time: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)$' }),
  traceparent: Type.Optional(Type.String()),
  data: Type.Object({}),
});

const CommitEnvelope = Type.Object({
  log: Type.String({ minLength: 1 }),
  lane: Type.Union(LANES.map((lane) => Type.Literal(lane))),
  laneSeq: Type.Integer({ minimum: 1 }),
  epoch: Type.Integer({ minimum: 0 }),
  prev: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  seen: Type.Integer({ minimum: 0 }),
  writer: Type.String(),
  events: Type.Array(CloudEvent, { maxItems: COMMIT_EVENTS_MAX }),
});

/** What a commit says of itself; its hash, sequence and time of storing are the broker's. */
export interface CommitHeader {
  readonly log: string;
  readonly lane: Lane;
  readonly laneSeq: number;
  readonly epoch: number;
  /** SHA-256 of the stored bytes of the lane's previous commit, lower-case hex; NO_PREVIOUS before the first. */
  readonly prev: string;
  readonly seen: number;
  readonly writer: string;
}
export interface ParsedCommit extends CommitHeader { readonly events: readonly SeineEvent[] }

interface Door { readonly lane: Lane | undefined; readonly data: TSchema; check: Validator | undefined }

const DOORS: ReadonlyMap<string, Door> = new Map<string, Door>([
  ...EVENT_DEFINITIONS.map(({ type, lane, data }): [string, Door] => [type, { lane, data, check: undefined }]),
  ...WRITER_EVENTS.map(({ type, data }): [string, Door] => [type, { lane: undefined, data, check: undefined }]),
]);

let commitCheck: Validator<{}, typeof CommitEnvelope> | undefined;

/** Compiles on first use: a role pays for the types that it meets. */
const checkOf = (door: Door): Validator => (door.check ??= Compile(door.data));

/** `pod.observed.v1` → `pod` */
const kindOf = (type: string): string => type.slice(0, type.indexOf('.'));

/** Which lane may hold this type; undefined for the terms of writers, which every lane holds. */
const doorOf = (lane: Lane, type: string): Door => {
  const door = DOORS.get(type);
  if (door === undefined || (door.lane !== undefined && door.lane !== lane)) {
    throw new SeineError('SEINE_EVENT_UNKNOWN',
      `the ${lane} lane holds an event of type ${JSON.stringify(type)}, which this build does not know; update this role before its writers`, { lane, type });
  }
  return door;
};

/** The first thing that is wrong, as a sentence: `/ports/0/port must be <= 65535`. */
const firstError = (check: Validator, value: unknown): string => {
  const error = check.Errors(value)[0];
  return error === undefined ? 'has a wrong shape' : `${error.instancePath === '' ? 'it' : error.instancePath} ${error.message}`;
};

const checkData = (lane: Lane, event: { readonly type: string; readonly key: string; readonly data: unknown }): void => {
  const check = checkOf(doorOf(lane, event.type));
  if (check.Check(event.data)) return;
  throw new SeineError('SEINE_EVENT_MALFORMED',
    `data of ${event.type} ${JSON.stringify(event.key)}: ${firstError(check, event.data)}`, { lane, type: event.type, key: event.key });
};

/** The event's envelope; members in a fixed order, so that equal events are equal bytes. */
const cloudEventText = (header: CommitHeader, event: SeineEvent, index: number): string => {
  checkData(header.lane, event);
  const text = JSON.stringify({
    specversion: '1.0',
    id: `${header.laneSeq}.${index}`,
    source: `/seine/${header.log}/${header.lane}`,
    type: `seine.${header.lane}.${event.type}`,
    subject: `${kindOf(event.type)}/${event.key}`,
    time: event.time,
    traceparent: event.traceparent,
    data: event.data,
  });
  assertEventFits(event, text.length < EVENT_BYTES_MAX / 3 ? text.length : Buffer.byteLength(text));
  return text;
};

const assertEventFits = (event: SeineEvent, sizeBytes: number): void => {
  if (sizeBytes <= EVENT_BYTES_MAX) return;
  throw new SeineError('SEINE_FACT_TOO_LARGE',
    `${event.type} ${JSON.stringify(event.key)} has ${sizeBytes} bytes, at most ${EVENT_BYTES_MAX} fit into one event; split or shorten the object`,
    { type: event.type, key: event.key, sizeBytes });
};

/** Refuses at once what could not be stored. @throws SEINE_EVENT_UNKNOWN, SEINE_EVENT_MALFORMED, SEINE_FACT_TOO_LARGE */
export const assertEvent = (lane: Lane, event: SeineEvent): void => {
  checkData(lane, event);
  assertEventFits(event, eventSizeBytes(event));
};

/** Bytes that this event takes in a commit; a writer asks before it commits, to refuse a too large fact visibly. */
export const eventSizeBytes = (event: SeineEvent): number => 512 + Buffer.byteLength(JSON.stringify(event));

/**
 * @returns the bytes to store
 * @throws SEINE_EVENT_UNKNOWN, SEINE_EVENT_MALFORMED, SEINE_FACT_TOO_LARGE, SEINE_COMMIT_TOO_LARGE
 */
export const serialiseCommit = (header: CommitHeader, events: readonly SeineEvent[]): Uint8Array => {
  const { log, lane, laneSeq, epoch, prev, seen, writer } = header;
  const head = JSON.stringify({ log, lane, laneSeq, epoch, prev, seen, writer });
  const texts = events.map((event, index) => cloudEventText(header, event, index));
  const bytes = Buffer.from(`${head.slice(0, -1)},"events":[${texts.join(',')}]}`);
  if (events.length > COMMIT_EVENTS_MAX || bytes.length > COMMIT_BYTES_MAX) {
    throw new SeineError('SEINE_COMMIT_TOO_LARGE',
      `a commit of ${events.length} events and ${bytes.length} bytes; at most ${COMMIT_EVENTS_MAX} and ${COMMIT_BYTES_MAX}`, { lane });
  }
  return bytes;
};

/** A member of this name would change the prototype of whatever it is assigned to. */
const withoutProto = (key: string, value: unknown): unknown => (key === '__proto__' ? undefined : value);

/** The reviver is slow, so it runs only where the text could hold such a name, plainly or escaped. */
const parseJson = (text: string): unknown => {
  const suspicious = text.includes('__proto__') || /\\u005f/i.test(text);
  return suspicious ? JSON.parse(text, withoutProto) : JSON.parse(text);
};

const parseEnvelope = (bytes: Uint8Array): Static<typeof CommitEnvelope> => {
  commitCheck ??= Compile(CommitEnvelope) as Validator<{}, typeof CommitEnvelope>;
  let value: unknown;
  try {
    value = parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (cause) {
    throw new SeineError('SEINE_COMMIT_MALFORMED', `a commit of ${bytes.length} bytes is not JSON`, {}, { cause });
  }
  if (!commitCheck.Check(value)) {
    throw new SeineError('SEINE_COMMIT_MALFORMED', `a commit: ${firstError(commitCheck as Validator, value)}`);
  }
  return value;
};

const parseEvent = (lane: Lane, stored: Static<typeof CloudEvent>): SeineEvent => {
  const prefix = `seine.${lane}.`;
  if (!stored.type.startsWith(prefix)) doorOf(lane, stored.type);
  const type = stored.type.slice(prefix.length);
  const kind = `${kindOf(type)}/`;
  if (!stored.subject.startsWith(kind)) {
    throw new SeineError('SEINE_EVENT_MALFORMED', `subject of ${stored.type}: ${JSON.stringify(stored.subject)} does not begin with ${kind}`);
  }
  const event = {
    type,
    key: stored.subject.slice(kind.length),
    time: stored.time,
    ...(stored.traceparent === undefined ? {} : { traceparent: stored.traceparent }),
    data: stored.data,
  };
  checkData(lane, event);
  return event as SeineEvent; // the door of `type` has checked `data`
};

/** @throws SEINE_COMMIT_MALFORMED, SEINE_EVENT_UNKNOWN, SEINE_EVENT_MALFORMED */
export const parseCommit = (bytes: Uint8Array): ParsedCommit => {
  const { events, ...header } = parseEnvelope(bytes);
  return { ...header, events: events.map((event) => parseEvent(header.lane, event)) };
};

/** Only what a chain check needs; the events are not looked at. */
export const parseCommitHeader = (bytes: Uint8Array): CommitHeader & { readonly events: readonly { readonly type: string }[] } => parseEnvelope(bytes);
