/** The table's rows as cases: objects and questions, the twins with their ranges of ports. Pure but for the reading of manifests. */
import { readFileSync } from 'node:fs';

import { parseManifests, type KubeObject } from '@seine/objects';

import { ROWS, type Row } from './rows.ts';
import { overV6, type Ask } from './scenario.ts';

const HERE = new URL('./', import.meta.url).pathname;

export interface AcceptanceCase { readonly row: Row; readonly name: string; readonly twin: boolean; readonly objects: readonly KubeObject[]; readonly asks: readonly Ask[] }

const manifest = (path: string): readonly KubeObject[] => {
  const { objects, refused } = parseManifests(readFileSync(`${HERE}${path}`, 'utf8'), `test/acceptance/${path}`);
  if (refused.length > 0) throw new Error(`${path}: ${refused.flatMap(({ refusals }) => refusals.map(({ message }) => message)).join('; ')}`);
  return objects;
};

/** Ranges of one prefix each, as a port-range twin has them. */
const RANGES: ReadonlyMap<number, { readonly port: number; readonly endPort: number }> = new Map([[8080, { port: 4096, endPort: 8191 }], [80, { port: 64, endPort: 127 }]]);

/** The same value with each of those ports widened to its range; a port stays text where it was text. */
const widened = (value: unknown): unknown => {
  if (Array.isArray(value)) return (value as readonly unknown[]).map(widened); // Array.isArray says any[]
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, widened(member)]));
  const range = RANGES.get(Number(members['port']));
  return range === undefined ? members : { ...members, port: typeof members['port'] === 'string' ? String(range.port) : range.port, endPort: range.endPort };
};

const SUFFIX = '-port-range';
const twinOf = (object: KubeObject): KubeObject => {
  const name = `${object.name}${SUFFIX}`;
  const { metadata, spec, ...rest } = object.raw;
  return { ...object, name, uid: `${object.uid}${SUFFIX}`, raw: { ...rest, metadata: { ...(metadata as object), name }, spec: widened(spec) } }; // a parsed object has metadata
};

export const fixture = (): readonly KubeObject[] => manifest('fixture.yaml');

export const acceptanceCases = (): readonly AcceptanceCase[] => ROWS.flatMap((row): readonly AcceptanceCase[] => {
  const objects = row.manifests.flatMap((name) => manifest(`policies/${name}.yaml`));
  const v4 = [...row.asks, ...row.beyond ?? []];
  const asks = [...v4, ...v4.map(overV6)];
  return [
    { row, name: row.name, twin: false, objects, asks },
    ...(row.twin === true ? [{ row, name: `${row.name}${SUFFIX}`, twin: true, asks, objects: objects.map((object) => (object.name === row.name ? twinOf(object) : object)) }] : []),
  ];
});
