/** `-f FILE|DIR|-` and `-R`: manifests from disk or standard input, with what was refused in them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { mergeObjects, parseManifests, WORKLOAD_KINDS, type KubeObject, type RefusedObject } from '@seine/objects';

import { gapsOf, isSnapshot, uncertainties } from './snapshot/file.ts';
import { inLab } from './snapshot/in-lab.ts';
import { badInput } from './verb/verb.ts';

const MANIFEST = /\.(ya?ml|json)$/;

export interface Given {
  readonly objects: readonly KubeObject[];
  readonly refused: readonly RefusedObject[];
  readonly warnings: readonly string[];
  /** Why the cluster that a snapshot was taken of may answer otherwise, a sentence each. */
  readonly uncertain: readonly string[];
}

const filesOf = (path: string, recursive: boolean): readonly string[] => {
  let stat;
  try { stat = statSync(path); } catch { throw badInput(`-f ${path}: no such file or folder`); }
  if (!stat.isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true, recursive }).filter((entry) => entry.isFile() && MANIFEST.test(entry.name) && !NOT_MANIFESTS.has(entry.name))
    .map((entry) => join(entry.parentPath, entry.name)).sort();
};

/** Files of an example that are no manifests: probes, and the fix that is applied later. */
const NOT_MANIFESTS: ReadonlySet<string> = new Set(['probes.json', 'fix.yaml', 'kustomization.yaml', 'kustomization.yml', 'package.json', 'index.json']);

const readAll = (paths: readonly string[], recursive: boolean): Given & { readonly snapshots: readonly KubeObject[] } => {
  const parsed = paths.flatMap((path) => (path === '-' ? [parseManifests(readFileSync(0, 'utf8'), 'standard input')] : filesOf(path, recursive).map((file) => parseManifests(readFileSync(file, 'utf8'), file))));
  const all = parsed.flatMap((each) => each.objects);
  const { objects, warnings } = mergeObjects(all.filter((object) => !isSnapshot(object)));
  const snapshots = all.filter(isSnapshot);
  return { objects, refused: parsed.flatMap((each) => each.refused), warnings: warnings, snapshots, uncertain: snapshots.flatMap((snapshot) => uncertainties(gapsOf(snapshot))) };
};

export const readManifests = (paths: readonly string[], recursive: boolean): Given => {
  const { snapshots: _, ...given } = readAll(paths, recursive);
  return given;
};

/** For the lab, which runs a snapshot's pods on nodes of its own. */
export const readForLab = (paths: readonly string[], recursive: boolean): Given => {
  const { snapshots, ...given } = readAll(paths, recursive);
  if (snapshots.length === 0) return given;
  const { objects, warning } = inLab(given.objects);
  return { ...given, objects, warnings: [...given.warnings, warning] };
};

const runsPods = ({ objects }: Given): boolean => objects.some(({ kind }) => kind === 'Pod' || WORKLOAD_KINDS.has(kind));

/** Manifests without pods over those that have some, such as a snapshot: their objects are added or replace others. undefined: they are a cluster of their own. */
export const laidOver = (base: Given, over: Given): Given | undefined => {
  if (runsPods(over) || !runsPods(base)) return undefined;
  return { ...over, objects: mergeObjects([...base.objects, ...over.objects]).objects, uncertain: [...base.uncertain, ...over.uncertain] };
};
