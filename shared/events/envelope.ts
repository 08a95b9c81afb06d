/**
 * The door between stored bytes and events: CloudEvents 1.0 structured JSON inside a commit. Checked per type on the way in and
 * on the way out; unknown members of `data` stay, unknown types and wrong shapes are refused. Pure.
 */
import { SeineError } from '@seine/model';
import type { Static } from 'typebox';

import { compileCheck, type Check } from './check.ts';
import type { SeineEvent } from './definitions.ts';
import type { CloudEvent, CommitEnvelope } from './envelope-definitions.ts';
import type { Lane } from './event.ts';
import { DOORS, ENVELOPE_DOOR } from './generated/doors.ts';
import { COMMIT_BYTES_MAX, COMMIT_EVENTS_MAX, EVENT_BYTES_MAX } from './limits.ts';
import { upcast } from './upcast.ts';

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

const DOOR_OF = new Map(DOORS.map((door) => [door.type, door]));
type Door = (typeof DOORS)[number];

const checks = new Map<string, Check>();
/** Compiles on first use: a role pays for the types that it meets. */
const checkOf = ({ type, data }: Door): Check => {
  const known = checks.get(type);
  if (known !== undefined) return known;
  const check = compileCheck(data);
  checks.set(type, check);
  return check;
};
const checkEnvelope = compileCheck(ENVELOPE_DOOR);

/** `pod.observed.v1` → `pod` */
const kindOf = (type: string): string => type.slice(0, type.indexOf('.'));

/** Which lane may hold this type; undefined for the terms of writers, which every lane holds. */
const doorOf = (lane: Lane, type: string): Door => {
  const door = DOOR_OF.get(type);
  if (door === undefined || (door.lane !== '*' && door.lane !== lane)) {
    throw new SeineError('SEINE_EVENT_UNKNOWN',
      `the ${lane} lane holds an event of type ${JSON.stringify(type)}, which this build does not know; update this role before its writers`, { lane, type });
  }
  return door;
};

const checkData = (lane: Lane, event: { readonly type: string; readonly key: string; readonly data: unknown }): void => {
  const wrong = checkOf(doorOf(lane, event.type))(event.data);
  if (wrong === undefined) return;
  throw new SeineError('SEINE_EVENT_MALFORMED', `${event.type} ${JSON.stringify(event.key)}: data${wrong}`, { lane, type: event.type, key: event.key });
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
  let value: unknown;
  try {
    value = parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  } catch (cause) {
    throw new SeineError('SEINE_COMMIT_MALFORMED', `a commit of ${bytes.length} bytes is not JSON`, {}, { cause });
  }
  const wrong = checkEnvelope(value);
  if (wrong !== undefined) throw new SeineError('SEINE_COMMIT_MALFORMED', `a commit: it${wrong}`);
  return value as Static<typeof CommitEnvelope>; // checked one line above
};

const parseEvent = (lane: Lane, stored: Static<typeof CloudEvent>): SeineEvent => {
  const prefix = `seine.${lane}.`;
  const type = stored.type.startsWith(prefix) ? stored.type.slice(prefix.length) : stored.type;
  doorOf(lane, type);
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
  return upcast(event) as SeineEvent; // the door of `type` has checked `data`
};

/** @throws SEINE_COMMIT_MALFORMED, SEINE_EVENT_UNKNOWN, SEINE_EVENT_MALFORMED */
export const parseCommit = (bytes: Uint8Array): ParsedCommit => {
  const { events, ...header } = parseEnvelope(bytes);
  return { ...header, events: events.map((event) => parseEvent(header.lane, event)) };
};

/** Only what a chain check needs; the events are not looked at. */
export const parseCommitHeader = (bytes: Uint8Array): CommitHeader & { readonly events: readonly { readonly type: string }[] } => parseEnvelope(bytes);
