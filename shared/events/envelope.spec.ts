import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import {
  EVENT_BYTES_MAX, NO_PREVIOUS, eventSizeBytes, parseCommit, serialiseCommit, type CommitHeader, type SeineEvent,
} from './index.ts';

const HEADER: CommitHeader = { log: 'l', lane: 'fact', laneSeq: 7, epoch: 2, prev: NO_PREVIOUS, seen: 5, writer: 'w' };
const TIME = '2026-01-01T00:00:00.123Z';
const namespace = (key: string, labels: Record<string, string> = {}): SeineEvent => ({ type: 'namespace.observed.v1', key, time: TIME, data: { uid: 'u', labels } });
const text = (events: readonly SeineEvent[], header = HEADER): string => Buffer.from(serialiseCommit(header, events)).toString();
const parseText = (json: string) => parseCommit(Buffer.from(json));

describe('a commit', () => {
  test('is CloudEvents 1.0 in a fixed order of members', () => {
    expect(text([{ ...namespace('shop', { a: 'b' }), traceparent: '00-1-2-01' }])).toBe(
      `{"log":"l","lane":"fact","laneSeq":7,"epoch":2,"prev":"${NO_PREVIOUS}","seen":5,"writer":"w","events":[{"specversion":"1.0","id":"7.0","source":"/seine/l/fact",`
      + `"type":"seine.fact.namespace.observed.v1","subject":"namespace/shop","time":"${TIME}","traceparent":"00-1-2-01","data":{"uid":"u","labels":{"a":"b"}}}]}`,
    );
  });

  test('reads as it was written, whatever the keys and values hold', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' })), (key, labels) => {
      const event = namespace(key, labels);
      const { __proto__: _, ...plain } = labels;
      if (Object.hasOwn(labels, '__proto__')) expect(parseCommit(serialiseCommit(HEADER, [event])).events[0]!.data).toEqual({ uid: 'u', labels: plain });
      else expect(parseCommit(serialiseCommit(HEADER, [event]))).toEqual({ ...HEADER, events: [event] });
    }));
  });

  test('keeps members of data that this build does not know', () => {
    const stored = text([namespace('shop')]).replace('"uid":"u"', '"uid":"u","later":{"x":1}');
    expect(parseText(stored).events[0]!.data).toEqual({ uid: 'u', later: { x: 1 }, labels: {} });
  });

  test.each([
    { name: 'plainly', key: '__proto__' },
    { name: 'escaped', key: '\\u005f_proto\\u005F_' },
  ])('drops a member that would change a prototype, written $name', ({ key }) => {
    const labels = parseText(text([namespace('shop')]).replace('"labels":{}', `"labels":{"${key}":"x","a":"b"}`)).events[0]!.data as { labels: object };
    expect(Object.keys(labels.labels)).toEqual(['a']);
    expect(Object.getPrototypeOf(Object.assign({}, labels.labels))).toBe(Object.prototype);
  });

  test.each([
    { name: 'what is no JSON', json: '{"log":', code: 'SEINE_COMMIT_MALFORMED' },
    { name: 'another shape', json: '{"log":"l"}', code: 'SEINE_COMMIT_MALFORMED' },
    { name: 'a time that is none', json: text([namespace('a')]).replace(TIME, 'yesterday'), code: 'SEINE_COMMIT_MALFORMED' },
    { name: 'an unknown type', json: text([namespace('a')]).replace('observed.v1', 'observed.v2'), code: 'SEINE_EVENT_UNKNOWN' },
    { name: 'a type of another lane', json: text([namespace('a')]).replace('seine.fact.namespace', 'seine.policy.namespace'), code: 'SEINE_EVENT_UNKNOWN' },
    { name: 'a type that is a member of every object', json: text([namespace('a')]).replace('namespace.observed.v1', 'constructor'), code: 'SEINE_EVENT_UNKNOWN' },
    { name: 'a subject of another kind', json: text([namespace('a')]).replace('"namespace/a"', '"pod/a"'), code: 'SEINE_EVENT_MALFORMED' },
    { name: 'data of another shape', json: text([namespace('a')]).replace('"uid":"u"', '"uid":7'), code: 'SEINE_EVENT_MALFORMED' },
  ])('refuses $name', ({ json, code }) => {
    expect(() => parseText(json)).toThrow(expect.objectContaining({ code }));
  });

  test('refuses more than 512 events', () => {
    expect(() => serialiseCommit(HEADER, Array.from({ length: 513 }, (_, index) => namespace(`n${index}`)))).toThrow(expect.objectContaining({ code: 'SEINE_COMMIT_TOO_LARGE' }));
  });

  test.each([
    { name: 'ASCII', character: 'x' },
    { name: 'characters of several bytes', character: '☃' },
  ])('refuses an event beyond its bound in bytes, of $name', ({ character }) => {
    const large = namespace('large', { a: character.repeat(Math.ceil(EVENT_BYTES_MAX / Buffer.byteLength(character))) });
    expect(() => serialiseCommit(HEADER, [large])).toThrow(expect.objectContaining({ code: 'SEINE_FACT_TOO_LARGE' }));
  });

  test('takes no more bytes for an event than were announced', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' })), (key, labels) => {
      const event = namespace(key, labels);
      const stored = serialiseCommit({ ...HEADER, log: 'x'.repeat(36), laneSeq: Number.MAX_SAFE_INTEGER }, [event]).length - serialiseCommit({ ...HEADER, log: 'x'.repeat(36), laneSeq: Number.MAX_SAFE_INTEGER }, []).length;
      expect(stored).toBeLessThanOrEqual(eventSizeBytes(event));
    }));
  });
});
