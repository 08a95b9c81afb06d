import { readFileSync, readdirSync } from 'node:fs';

import { expect, test } from '@jest/globals';

import { EVENT_CATALOGUE, parseCommit, serialiseCommit, type Lane } from './index.ts';

const FOLDER = new URL('golden/', import.meta.url);
const read = (file: string): { readonly type: string; readonly id: string; readonly source: string } =>
  JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as ReturnType<typeof read>;

test('there is one golden example of every type, and of no other', () => {
  expect(readdirSync(FOLDER).sort()).toEqual(EVENT_CATALOGUE.map(({ type }) => `${type}.json`).sort());
});

test.each(EVENT_CATALOGUE)('$type reads as it was stored and is stored again as it was', ({ type }) => {
  const stored = read(`${type}.json`);
  const [, lane, ...name] = stored.type.split('.');
  expect(name.join('.')).toBe(type);
  const log = stored.source.split('/')[2]!;
  const header = { log, lane: lane as Lane, laneSeq: 42, epoch: 3, prev: 'a'.repeat(64), seen: 7, writer: 'golden' };
  const commit = parseCommit(Buffer.from(JSON.stringify({ ...header, events: [stored] })));
  const again = JSON.parse(Buffer.from(serialiseCommit(header, commit.events)).toString()) as { events: unknown[] };
  expect(again.events).toEqual([stored]);
});
