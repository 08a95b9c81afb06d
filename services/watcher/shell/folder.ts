/** A folder of manifests, watched: told again whenever something in it changed, and on a slow beat in case the kernel forgot to say so. */
import { watch } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { mergeObjects, parseManifests, type KubeObject, type RefusedObject } from '@seine/objects';

const MANIFEST = /\.(ya?ml|json)$/;
const SLOW_BEAT_MS = 2_000;
const SETTLE_MS = 10;

export interface FolderContent { readonly objects: readonly KubeObject[]; readonly refused: readonly RefusedObject[]; readonly warnings: readonly string[] }

/** Files in name order; one that vanishes while it is read is not there. */
export const readFolder = async (folder: string): Promise<FolderContent> => {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && MANIFEST.test(entry.name) && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name)).sort();
  const texts = await Promise.all(names.map(async (name) => ({ name: relative(folder, name), text: await readFile(name, 'utf8').catch(() => '') })));
  const parsed = texts.map(({ name, text }) => parseManifests(text, name));
  const { objects, warnings } = mergeObjects(parsed.flatMap((each) => each.objects));
  return { objects, refused: parsed.flatMap((each) => each.refused), warnings };
};

/** Yields once at the start, then after every change (changes that come together are one). Ends with the signal. */
export async function* folderChanges(folder: string, signal: AbortSignal): AsyncGenerator<{ readonly dirty: true }> {
  let wake: () => void = () => {};
  /* The kernel's own watch of the folder is exact; the recursive one is built on top and may miss a file that was replaced. */
  for (const watcher of [watch(folder, { signal }), watch(folder, { recursive: true, signal })]) {
    watcher.on('change', () => { wake(); });
    watcher.on('error', () => { wake(); });
  }
  while (!signal.aborted) {
    yield { dirty: true };
    await new Promise<void>((resolve) => {
      const beat = setTimeout(resolve, SLOW_BEAT_MS);
      wake = () => { clearTimeout(beat); setTimeout(resolve, SETTLE_MS); };
      signal.addEventListener('abort', () => { clearTimeout(beat); resolve(); }, { once: true });
    });
  }
}
