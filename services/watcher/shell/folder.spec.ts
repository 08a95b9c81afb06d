import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { folderChanges, readFolder } from './folder.ts';

const namespace = (name: string): string => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`;

describe('a folder of manifests', () => {
  let folder: string;
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'seine-folder-')); });
  afterEach(() => { rmSync(folder, { recursive: true }); });

  test('is read whole, in name order, the later of two winning', async () => {
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'b.yaml'), namespace('b'));
    writeFileSync(join(folder, 'sub', 'a.yaml'), namespace('a'));
    writeFileSync(join(folder, '.hidden.yaml'), namespace('hidden'));
    writeFileSync(join(folder, 'c.yaml'), namespace('b'));
    const { objects, warnings } = await readFolder(folder);
    expect(objects.map(({ name }) => name).sort()).toEqual(['a', 'b']);
    expect(warnings).toEqual(['Namespace//b stands twice: c.yaml:1 replaces b.yaml:1']);
  });

  test('tells of a file that is replaced by rename, again and again', async () => {
    const stop = new AbortController();
    const changes = folderChanges(folder, stop.signal);
    await changes.next();
    for (let round = 0; round < 5; round += 1) {
      const changed = changes.next();
      writeFileSync(join(folder, '.new'), namespace(`n${round}`));
      const startedMs = performance.now();
      renameSync(join(folder, '.new'), join(folder, 'objects.yaml'));
      await changed;
      expect(performance.now() - startedMs).toBeLessThan(1_500);
    }
    stop.abort();
  });
});
