import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createFakeLog, systemClock } from '@seine/bus';
import { createRegistry } from '@seine/role';
import { eventually } from '@seine/testkit';

import { folderSource } from './folder.ts';
import { serveWatcher, WATCHER_METRICS } from './watcher.ts';

const silent = (): void => {};
const LOG = { debug: silent, info: silent, warn: silent, error: silent, fatal: silent };
const namespace = (name: string): string => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`;

describe('a watcher that comes back under its name', () => {
  let folder: string;
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'seine-watched-')); });
  afterEach(() => { rmSync(folder, { recursive: true }); });

  test('says only what changed while it was away, what is gone too', async () => {
    const log = createFakeLog({ clock: systemClock });
    const reader = log.connect('reader');
    const namespaces = async (): Promise<readonly string[]> => {
      const found: string[] = [];
      for await (const { events } of reader.read({ lanes: ['fact'] })) for (const { type, key } of events) if (type.startsWith('namespace.')) found.push(`${type} ${key}`);
      return found;
    };
    const runUntil = async (count: number): Promise<readonly string[]> => {
      const stop = new AbortController();
      const ended = serveWatcher({
        bus: log.connect('watcher'), openSource: () => folderSource(folder), settings: {}, instance: 'watcher', log: LOG, metrics: createRegistry('watcher').define(WATCHER_METRICS), now: () => new Date(0),
      }, stop.signal, silent);
      const found = await eventually(async () => { const all = await namespaces(); return all.length >= count ? all : undefined; });
      stop.abort();
      await ended;
      return found;
    };
    writeFileSync(join(folder, 'a.yaml'), namespace('a'));
    writeFileSync(join(folder, 'b.yaml'), namespace('b'));
    await runUntil(2);
    rmSync(join(folder, 'a.yaml'));
    writeFileSync(join(folder, 'c.yaml'), namespace('c'));
    expect(await runUntil(4)).toEqual(['namespace.observed.v1 a', 'namespace.observed.v1 b', 'namespace.vanished.v1 a', 'namespace.observed.v1 c']);
  });
});
