/** Manifests: text → objects with the places people would look at. YAML and JSON, several documents, Lists. Pure. */
import { POLICY_OBJECT_KINDS, type Refusal } from '@seine/events';
import { isMap, isScalar, isSeq, LineCounter, parseAllDocuments, type Document, type Node } from 'yaml';

import { isDnsLabel } from './names.ts';
import { isClusterScoped, type KubeObject, type RefusedObject } from './object.ts';
import { faults, isObject, member, type PlainObject } from './refusal.ts';

export const LARGEST_MANIFEST_BYTES = 16 * 1024 * 1024;
const MOST_ALIASES = 1000;
const LONGEST_NAME = 253;
const POLICY_KINDS: ReadonlySet<unknown> = new Set(POLICY_OBJECT_KINDS);

export interface Manifests { readonly objects: readonly KubeObject[]; readonly refused: readonly RefusedObject[] }

/** RFC 1123 with the odd colons and capitals that RBAC names have: only kinds that become facts are checked in full, later. */
const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.:]*[A-Za-z0-9])?$/;

export const SOURCE_ANNOTATION = 'seine.network/source';
export const LINES_ANNOTATION = 'seine.network/lines';

/** Where people wrote an object that a controller has written again: `policies.yaml:41`, and the lines of its rules. Shown, never opened. */
const placeFromAnnotations = (metadata: PlainObject): { readonly place?: { readonly file: string; readonly line: number }; readonly lines?: Readonly<Record<string, number>> } => {
  const annotations = member(metadata, 'annotations');
  if (!isObject(annotations)) return {};
  const source = /^(.{1,512}):([0-9]{1,9})$/.exec(String(member(annotations, SOURCE_ANNOTATION) ?? ''));
  const lines: Record<string, number> = {};
  for (const pair of String(member(annotations, LINES_ANNOTATION) ?? '').split(' ')) {
    const match = /^((?:specs\[[0-9]{1,4}\]\.)?(?:ingress|egress)(?:Deny)?\[[0-9]{1,4}\](?:\.(?:from|to)[A-Za-z]{0,16}\[[0-9]{1,4}\])?)=([0-9]{1,9})$/.exec(pair);
    if (match !== null) lines[match[1]!] = Number(match[2]);
  }
  return { ...(source === null ? {} : { place: { file: source[1]!, line: Number(source[2]) } }), ...(Object.keys(lines).length === 0 ? {} : { lines }) };
};

/** One raw object → KubeObject, or why not. */
export const toObject = (raw: unknown, place?: { readonly file: string; readonly line: number }, lines?: Readonly<Record<string, number>>): KubeObject | RefusedObject => {
  const found = faults();
  const object: PlainObject = isObject(raw) ? raw : {};
  if (!isObject(raw)) found.refuse('', raw, 'an object with apiVersion, kind and metadata');
  const metadataRaw = member(object, 'metadata');
  const metadata: PlainObject = isObject(metadataRaw) ? metadataRaw : {};
  const [apiVersion, kind] = ['apiVersion', 'kind'].map((name) => {
    const value = member(object, name);
    if (typeof value === 'string' && value !== '') return value;
    found.refuse(name, value, 'text');
    return '';
  }) as [string, string]; // holds: two names, two texts
  const nameRaw = member(metadata, 'name');
  const name = typeof nameRaw === 'string' ? nameRaw : '';
  if (!(name.length <= LONGEST_NAME && NAME.test(name))) found.refuse('metadata.name', nameRaw, 'a DNS name: at most 253 of [a-z0-9-.], beginning and ending with a letter or digit');
  const namespaceRaw = member(metadata, 'namespace') ?? undefined;
  if (namespaceRaw !== undefined && !(typeof namespaceRaw === 'string' && isDnsLabel(namespaceRaw))) {
    found.refuse('metadata.namespace', namespaceRaw, 'a DNS label: at most 63 of [a-z0-9-]');
  }
  const namespace = isClusterScoped(kind) ? '' : typeof namespaceRaw === 'string' ? namespaceRaw : 'default';
  const uidRaw = member(metadata, 'uid');
  const source = place === undefined ? {} : { source: place };
  if (found.refusals.length > 0) return { object: { kind: kind === '' ? 'unknown' : kind.slice(0, LONGEST_NAME), namespace: namespace.slice(0, LONGEST_NAME), name: name === '' ? 'unnamed' : name.slice(0, LONGEST_NAME) }, refusals: found.refusals, ...source };
  const told = placeFromAnnotations(metadata);
  return {
    apiVersion, kind, namespace, name, uid: typeof uidRaw === 'string' && uidRaw !== '' ? uidRaw : `${kind}/${namespace}/${name}`, raw: object,
    ...(place === undefined ? {} : { place }), ...(lines === undefined ? {} : { lines }), ...told,
  };
};

export const isRefused = (result: KubeObject | RefusedObject): result is RefusedObject => 'refusals' in result;

const SECTIONS = ['ingress', 'ingressDeny', 'egress', 'egressDeny'] as const;
/** A list of peers is called `from`, `to`, `fromEndpoints`, `toCIDRSet`, …; `toPorts` is none. */
const isPeersName = (name: unknown): name is string => typeof name === 'string' && /^(from|to)([A-Z][A-Za-z]*)?$/.test(name) && name !== 'toPorts';

/** Lines of a policy's rules and peers, of each of its specs: what `why` points at. */
const ruleLines = (document: Document, counter: LineCounter, prefix: readonly (string | number)[]): Readonly<Record<string, number>> => {
  const lines: Record<string, number> = {};
  const note = (path: string, node: unknown): void => {
    const start = (node as Node | undefined)?.range?.[0];
    if (start !== undefined) lines[path] = counter.linePos(start).line;
  };
  const noteRule = (path: string, rule: unknown): void => {
    note(path, rule);
    if (!isMap(rule)) return;
    for (const { key, value } of rule.items) {
      const name = isScalar(key) ? key.value : key;
      if (isPeersName(name) && isSeq(value)) value.items.forEach((peer, at) => { note(`${path}.${name}[${at}]`, peer); });
    }
  };
  const noteSpec = (path: string, spec: unknown): void => {
    if (!isMap(spec)) return;
    for (const section of SECTIONS) {
      const rules = spec.get(section, true);
      if (isSeq(rules)) rules.items.forEach((rule, index) => { noteRule(`${path}${section}[${index}]`, rule); });
    }
  };
  noteSpec('', document.getIn([...prefix, 'spec'], true));
  const specs = document.getIn([...prefix, 'specs'], true);
  if (isSeq(specs)) specs.items.forEach((spec, index) => { noteSpec(`specs[${index}].`, spec); });
  return lines;
};

const unreadable = (file: string, line: number, refusal: Refusal): RefusedObject => ({ object: { kind: 'manifest', namespace: '', name: file }, refusals: [refusal], source: { file, line } });

/** What `kubectl get -o json` gives: a List of objects, of one kind or of several. Undefined: it is none. */
export const itemsOfList = (raw: unknown): readonly unknown[] | undefined => {
  const [kind, items] = isObject(raw) ? [member(raw, 'kind'), member(raw, 'items')] : [];
  return typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items) ? items as readonly unknown[] : undefined; // Array.isArray says any[]
};

/** @param file how people know the text: shown, never opened */
export const parseManifests = (text: string, file: string): Manifests => {
  const objects: KubeObject[] = [];
  const refused: RefusedObject[] = [];
  if (text.length > LARGEST_MANIFEST_BYTES) {
    const message = `${file}: ${text.length} bytes: expected at most ${LARGEST_MANIFEST_BYTES}`;
    return { objects, refused: [unreadable(file, 1, { field: '', value: `${text.length} bytes`, expected: `at most ${LARGEST_MANIFEST_BYTES} bytes`, message })] };
  }
  const counter = new LineCounter();
  for (const document of parseAllDocuments(text, { lineCounter: counter, prettyErrors: false })) {
    const error = document.errors[0];
    const startLine = counter.linePos((document.contents as Node | null)?.range?.[0] ?? document.range[0]).line;
    if (error !== undefined) {
      const { line } = counter.linePos(error.pos[0]);
      refused.push(unreadable(file, line, { field: '', value: `line ${line}`, expected: 'YAML', message: `${file}:${line}: ${error.message}` }));
      continue;
    }
    let raw: unknown;
    try {
      raw = document.toJS({ maxAliasCount: MOST_ALIASES });
    } catch (cause) {
      refused.push(unreadable(file, startLine, { field: '', value: 'aliases', expected: `at most ${MOST_ALIASES}`, message: `${file}:${startLine}: ${(cause as Error).message}` }));
      continue;
    }
    if (raw === null || raw === undefined) continue;
    const listed = itemsOfList(raw);
    const items: readonly { readonly raw: unknown; readonly path: readonly (string | number)[] }[] = listed?.map((item, index) => ({ raw: item, path: ['items', index] })) ?? [{ raw, path: [] }];
    for (const { raw: item, path } of items) {
      const node = path.length === 0 ? document.contents : document.getIn(path, true);
      const place = { file, line: counter.linePos((node as Node | null)?.range?.[0] ?? 0).line };
      const result = toObject(item, place, isObject(item) && POLICY_KINDS.has(item['kind']) ? ruleLines(document, counter, path) : undefined);
      if (isRefused(result)) refused.push(result);
      else objects.push(result);
    }
  }
  return { objects, refused };
};

export interface Merged { readonly objects: readonly KubeObject[]; readonly warnings: readonly string[] }

const placeText = ({ place }: KubeObject): string => (place === undefined ? 'an unnamed place' : `${place.file}:${place.line}`);

/** An object that comes twice: the later wins, with a warning that names both places. */
export const mergeObjects = (all: readonly KubeObject[]): Merged => {
  const byKey = new Map<string, KubeObject>();
  const warnings: string[] = [];
  for (const object of all) {
    const key = `${object.kind}/${object.namespace}/${object.name}`;
    const earlier = byKey.get(key);
    if (earlier !== undefined) warnings.push(`${key} stands twice: ${placeText(object)} replaces ${placeText(earlier)}`);
    byKey.delete(key);
    byKey.set(key, object);
  }
  return { objects: [...byKey.values()], warnings };
};
