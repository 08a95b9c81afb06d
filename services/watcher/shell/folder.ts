/** A folder of manifests, watched: told again whenever something in it changed, and on a slow beat in case the kernel forgot to say so. */
import { watch } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

import { mergeObjects, parseManifests, type RefusedObject } from '@seine/objects';

import type { News, Source } from './source.ts';

const MANIFEST = /\.(ya?ml|json)$/;
const SLOW_BEAT_MS = 2_000;
const SETTLE_MS = 10;

/** A file that is empty and this young is being written. */
const BEING_WRITTEN_MS = 1_000;

const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

const unreadable = (name: string, message: string): RefusedObject =>
  ({ object: { kind: 'manifest', namespace: '', name }, refusals: [{ field: '', value: name, expected: 'a file that can be read', message: `${name}: ${message}` }], source: { file: name, line: 1 } });

/** A file that cannot be read is refused, so that what it held stays in force; one that vanishes while it is read is not there. */
const readManifest = async (folder: string, path: string): Promise<Pick<News, 'objects' | 'refused'>> => {
  const name = relative(folder, path);
  try {
    const text = await readFile(path, 'utf8');
    if (text === '' && Date.now() - (await stat(path)).mtimeMs < BEING_WRITTEN_MS) return { objects: [], refused: [unreadable(name, 'it is being written')] };
    return parseManifests(text, name);
  } catch (error) {
    return { objects: [], refused: isGone(error) ? [] : [unreadable(name, String(error))] };
  }
};

const isHidden = (path: string): boolean => path.split(sep).some((part) => part.startsWith('.'));

interface Manifests { readonly paths: readonly string[]; /** links that lead out of the folder, or nowhere */ readonly stray: readonly string[] }

/** Files in name order. A link inside the folder is what it leads to: Kubernetes mounts a ConfigMap as links into a hidden folder, so that all of it changes at once. */
const manifestsOf = async (folder: string): Promise<Manifests> => {
  const home = await realpath(folder);
  const entries = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(({ name }) => MANIFEST.test(name))
    .map((entry) => ({ entry, path: join(entry.parentPath, entry.name) })).filter(({ path }) => !isHidden(relative(folder, path)));
  const [paths, stray]: [string[], string[]] = [[], []];
  for (const { entry, path } of entries) {
    if (entry.isFile()) { paths.push(path); continue; }
    if (!entry.isSymbolicLink()) continue;
    const target = await realpath(path).catch(() => undefined);
    if (target === undefined || !target.startsWith(`${home}${sep}`)) stray.push(path);
    else if ((await stat(target)).isFile()) paths.push(path);
  }
  return { paths: paths.sort(), stray: stray.sort() };
};

export const readFolder = async (folder: string): Promise<News> => {
  const { paths, stray } = await manifestsOf(folder);
  const parsed = await Promise.all(paths.map((path) => readManifest(folder, path)));
  const { objects, warnings } = mergeObjects(parsed.flatMap((each) => each.objects));
  return { objects, refused: [...parsed.flatMap((each) => each.refused), ...stray.map((path) => unreadable(relative(folder, path), 'a link that does not lead to a file of this folder'))], warnings };
};

/** Yields once at the start, then after every change (changes that come together are one). Ends with the signal. */
export async function* folderChanges(folder: string, signal: AbortSignal): AsyncGenerator<void> {
  let wake: () => void = () => {};
  /* The kernel's own watch of the folder is exact; the recursive one is built on top and may miss a file that was replaced. */
  for (const watcher of [watch(folder, { signal }), watch(folder, { recursive: true, signal })]) {
    watcher.on('change', () => { wake(); });
    watcher.on('error', () => { wake(); });
  }
  while (!signal.aborted) {
    yield;
    await new Promise<void>((resolve) => {
      const beat = setTimeout(resolve, SLOW_BEAT_MS);
      wake = () => { clearTimeout(beat); setTimeout(resolve, SETTLE_MS); };
      signal.addEventListener('abort', () => { clearTimeout(beat); resolve(); }, { once: true });
    });
  }
}

export const folderSource = (folder: string): Source => {
  let dirty = true;
  return {
    run: async (signal, changed) => { for await (const _ of folderChanges(folder, signal)) { dirty = true; changed(); } },
    take: async () => {
      if (!dirty) return undefined;
      dirty = false;
      return readFolder(folder);
    },
  };
};
