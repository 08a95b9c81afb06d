import { readFileSync, readdirSync } from 'node:fs';

import { expect, test } from '@jest/globals';

import { EVENT_CATALOGUE, parseCommit, serialiseCommit, type Lane } from './index.ts';

/** Examples of former types, as they are read. */
const FORMER: Readonly<Record<string, unknown>> = {
  'backends.compiled.v1': {
    service: 'shop/carts', ports: [{ name: 'http', port: 80, protocol: 'TCP' }], endpoints: [{ address: '10.244.1.7', ids: [401], node: 'n1.example.org', pod: 'shop/carts-6d9f7c-x2k4p' }],
  },
};

const FOLDER = new URL('golden/', import.meta.url);
const read = (file: string): { readonly type: string; readonly id: string; readonly source: string } =>
  JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as ReturnType<typeof read>;

test('there is one golden example of every type, and of no other', () => {
  expect(readdirSync(FOLDER).sort()).toEqual(EVENT_CATALOGUE.map(({ type }) => `${type}.json`).sort());
});

test.each(EVENT_CATALOGUE)('$type reads as it was stored and is stored again as it was, or as what it is called now', ({ type, now }) => {
  const stored = read(`${type}.json`);
  const [, lane, ...name] = stored.type.split('.');
  expect(name.join('.')).toBe(type);
  const log = stored.source.split('/')[2]!;
  const header = { log, lane: lane as Lane, laneSeq: 42, epoch: 3, prev: 'a'.repeat(64), seen: 7, writer: 'golden' };
  const commit = parseCommit(Buffer.from(JSON.stringify({ ...header, events: [stored] })));
  const again = JSON.parse(Buffer.from(serialiseCommit(header, commit.events)).toString()) as { events: unknown[] };
  expect(again.events).toEqual([now === undefined ? stored : { ...stored, type: `seine.${lane}.${now}`, data: FORMER[type] }]);
});
