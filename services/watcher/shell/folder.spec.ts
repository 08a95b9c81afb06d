import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
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

  test('refuses a file that is being written, until it has been empty for a while; folders are no manifests, nor are links to them', async () => {
    writeFileSync(join(folder, 'a.yaml'), '');
    mkdirSync(join(folder, 'c'));
    symlinkSync('c', join(folder, 'link.yaml'));
    mkdirSync(join(folder, 'b.yaml'));
    expect((await readFolder(folder)).refused.map(({ object }) => object)).toEqual([{ kind: 'manifest', namespace: '', name: 'a.yaml' }]);
    utimesSync(join(folder, 'a.yaml'), 0, 0);
    expect(await readFolder(folder)).toEqual({ objects: [], refused: [], warnings: [] });
  });

  test('reads a mounted ConfigMap through its links, once, and as a whole when it changes', async () => {
    for (const version of ['1', '2']) {
      mkdirSync(join(folder, `..v${version}`));
      writeFileSync(join(folder, `..v${version}`, 'a.yaml'), namespace(`n${version}`));
    }
    symlinkSync('..v1', join(folder, '..data'));
    symlinkSync('..data/a.yaml', join(folder, 'a.yaml'));
    const names = async (): Promise<unknown> => { const { objects, refused, warnings } = await readFolder(folder); return { names: objects.map(({ name }) => name), places: objects.map(({ place }) => place?.file), refused, warnings }; };
    expect(await names()).toEqual({ names: ['n1'], places: ['a.yaml'], refused: [], warnings: [] });
    const stop = new AbortController();
    const changes = folderChanges(folder, stop.signal);
    await changes.next();
    const changed = changes.next();
    symlinkSync('..v2', join(folder, '..new'));
    renameSync(join(folder, '..new'), join(folder, '..data'));
    await changed;
    expect(await names()).toMatchObject({ names: ['n2'] });
    stop.abort();
  });

  test.each([
    { name: 'out of the folder', target: '/etc/hostname' }, { name: 'nowhere', target: 'gone.yaml' },
  ])('refuses a link that leads $name, so that nothing vanishes meanwhile', async ({ target }) => {
    symlinkSync(target, join(folder, 'link.yaml'));
    expect((await readFolder(folder)).refused.map(({ object, refusals }) => [object.name, refusals[0]!.message])).toEqual([['link.yaml', 'link.yaml: a link that does not lead to a file of this folder']]);
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
