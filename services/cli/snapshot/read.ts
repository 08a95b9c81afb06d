/** Everything that a snapshot reads of a cluster, kind by kind. */
import { JUDGED_KINDS, keep, listAll, messageOf, NAMES_ONLY, pathOf, type Get, type JudgedKind, type KindSource, type Listed } from '@seine/kube';
import { isObject, member, type PlainObject } from '@seine/objects';

import { badInput, unreachable } from '../verb/verb.ts';
import type { SnapshotFile, Unjudged, Unread } from './file.ts';
import { familyOf, isPolicyResource, POLICY_GROUPS, UNJUDGED_KINDS } from './unjudged.ts';

/** One line of the report. */
export interface KindReport { readonly kind: string; readonly apiVersion: string; readonly state: 'listed' | 'absent' | 'unread' | 'not judged'; readonly objects: number; readonly pages: number; readonly resourceVersion: string; readonly message: string }
export interface Reading { readonly file: SnapshotFile; readonly kinds: readonly KindReport[] }

type Progress = (kind: string, objects: number) => void;
interface Found { readonly apiVersion: string; readonly listed: Listed }

const nameOf = (item: unknown): string => {
  const metadata = isObject(item) ? member(item, 'metadata') : undefined;
  const [name, namespace] = isObject(metadata) ? [member(metadata, 'name'), member(metadata, 'namespace')] : [undefined, undefined];
  return typeof namespace === 'string' && namespace !== '' ? `${namespace}/${String(name)}` : String(name);
};

interface Served { readonly apiVersion: string; readonly kind: string; readonly plural: string; readonly namespaced: boolean }

/** What a server says that it serves; asked once for each group and version. */
interface Discovery {
  readonly versionsOf: (group: string) => Promise<readonly string[]>;
  /** undefined: it does not say. */
  readonly resourcesOf: (apiVersion: string) => Promise<readonly Served[] | undefined>;
}

const discoveryOf = (get: Get): Discovery => {
  const known = new Map<string, Promise<readonly Served[] | undefined>>();
  const list = (value: unknown): readonly PlainObject[] => (Array.isArray(value) ? (value as readonly unknown[]).filter(isObject) : []); // Array.isArray says any[]
  const ask = async (apiVersion: string): Promise<readonly Served[] | undefined> => {
    const { status, body } = await get(`/apis/${apiVersion}`, { patience: 'short' });
    if (status === 404) return [];
    const resources = isObject(body) ? member(body, 'resources') : undefined;
    if (status !== 200 || !Array.isArray(resources)) return undefined;
    return list(resources).flatMap((resource) => {
      const [plural, kind] = [member(resource, 'name'), member(resource, 'kind')];
      return typeof plural === 'string' && /^[a-z]+$/.test(plural) && typeof kind === 'string' ? [{ apiVersion, kind, plural, namespaced: member(resource, 'namespaced') === true }] : [];
    });
  };
  return {
    versionsOf: async (group) => {
      const { body } = await get(`/apis/${group}`, { patience: 'short' });
      return list(isObject(body) ? member(body, 'versions') : undefined).map((entry) => member(entry, 'version')).filter((version): version is string => typeof version === 'string' && /^v[0-9][a-z0-9]*$/.test(version));
    },
    resourcesOf: (apiVersion) => {
      const asked = known.get(apiVersion) ?? ask(apiVersion);
      known.set(apiVersion, asked);
      return asked;
    },
  };
};

/** Rights are checked before routes: who may not list what is not there hears 403, too. */
const isServed = async ({ resourcesOf }: Discovery, apiVersion: string, plural: string): Promise<boolean> =>
  !apiVersion.includes('/') || (await resourcesOf(apiVersion))?.some((resource) => resource.plural === plural) !== false;

interface Source { readonly get: Get; readonly discovery: Discovery; readonly namespaces: readonly string[]; readonly progress: Progress }

/** The list of the first of its versions that is served, over all wanted namespaces. */
const read = async ({ get, discovery, namespaces, progress }: Source, source: KindSource, take: (apiVersion: string, item: unknown) => unknown, options: Parameters<Get>[1] = {}): Promise<Found> => {
  let unread: Found | undefined;
  for (const apiVersion of source.apiVersions) {
    const items: unknown[] = [];
    let pages = 0;
    let last: Listed | undefined;
    for (const namespace of source.namespaced && namespaces.length > 0 ? namespaces : [undefined]) {
      last = await listAll(get, pathOf(apiVersion, source.plural, namespace), (item) => take(apiVersion, item), (count) => { progress(source.kind, items.length + count); }, options);
      if (last.state !== 'listed') break;
      items.push(...last.items);
      pages += last.pages;
    }
    if (last?.state === 'listed') return { apiVersion, listed: { ...last, items, pages } };
    if (last?.state === 'unread' && await isServed(discovery, apiVersion, source.plural)) unread ??= { apiVersion, listed: last };
  }
  return unread ?? { apiVersion: source.apiVersions[0]!, listed: { state: 'absent' } };
};

/** The Namespaces that `-n` names, one by one: a person of one namespace may seldom list all. */
const readNamespaces = async (get: Get, { kind }: JudgedKind, namespaces: readonly string[], take: (apiVersion: string, item: unknown) => unknown): Promise<Found> => {
  const items: unknown[] = [];
  for (const name of namespaces) {
    const answer = await get(`/api/v1/namespaces/${name}`);
    if (answer.status === 404) throw badInput(`-n ${name}: no such namespace in the cluster`);
    if (answer.status !== 200) return { apiVersion: 'v1', listed: { state: 'unread', status: answer.status, why: messageOf(answer) } };
    if (!isObject(answer.body)) throw unreachable(`GET /api/v1/namespaces/${name}: expected a ${kind} of a Kubernetes API server`);
    items.push(take('v1', answer.body));
  }
  return { apiVersion: 'v1', listed: { state: 'listed', items, pages: items.length, resourceVersion: '' } };
};

const byPlace = (a: PlainObject, b: PlainObject): number => { const [left, right] = [nameOf(a), nameOf(b)]; return left < right ? -1 : left > right ? 1 : 0; };

/**
 * @param namespaces of namespaced kinds; none: all
 * @throws SEINE_PEER_UNREACHABLE when a list breaks off, or when nothing may be read at all
 */
export const readCluster = async (get: Get, { context, namespaces, progress }: { readonly context: string; readonly namespaces: readonly string[]; readonly progress: Progress }): Promise<Reading> => {
  const discovery = discoveryOf(get);
  const from: Source = { get, discovery, namespaces, progress };
  const kinds: KindReport[] = [];
  const objects: PlainObject[] = [];
  const absent: string[] = [];
  const unread: Unread[] = [];
  const notJudged: Unjudged[] = [];
  const covered = new Set<string>();
  const cover = (apiVersion: string, plural: string): void => { covered.add(`${familyOf(apiVersion)}/${plural}`); };
  const say = (found: Found, kind: string, state: KindReport['state']): void => {
    const { apiVersion, listed } = found;
    kinds.push({
      kind, apiVersion, state, objects: listed.state === 'listed' ? listed.items.length : 0, pages: listed.state === 'listed' ? listed.pages : 0, resourceVersion: listed.state === 'listed' ? listed.resourceVersion : '',
      message: listed.state === 'unread' ? listed.why : '',
    });
  };

  for (const judged of JUDGED_KINDS) {
    const take = (apiVersion: string, item: unknown): unknown => keep(apiVersion, judged.kind, judged.kept, item);
    const found = judged.kind === 'Namespace' && namespaces.length > 0 ? await readNamespaces(get, judged, namespaces, take) : await read(from, judged, take);
    switch (found.listed.state) {
      case 'listed': objects.push(...(found.listed.items as readonly PlainObject[]).toSorted(byPlace)); cover(found.apiVersion, judged.plural); say(found, judged.kind, 'listed'); break; // `keep` made them
      case 'absent': absent.push(judged.kind); say(found, judged.kind, 'absent'); break;
      default:
        if (found.listed.status >= 500) throw unreachable(`${judged.kind}: ${found.listed.why}: expected a list`);
        unread.push({ kind: judged.kind, apiVersion: found.apiVersion, why: found.listed.why });
        cover(found.apiVersion, judged.plural);
        say(found, judged.kind, 'unread');
    }
  }
  if (kinds.every(({ state }) => state !== 'listed')) throw unreachable(`nothing could be read: ${kinds.find(({ message }) => message !== '')?.message ?? 'no kind is served: expected a Kubernetes API server'}`);

  const count = async (source: KindSource, decides: boolean): Promise<void> => {
    const found = await read(from, source, (_, item) => nameOf(item), { accept: NAMES_ONLY, patience: 'short' });
    if (found.listed.state === 'absent') return;
    cover(found.apiVersion, source.plural);
    if (found.listed.state === 'unread') { if (decides) unread.push({ kind: source.kind, apiVersion: found.apiVersion, why: found.listed.why }); say(found, source.kind, 'unread'); return; }
    if (found.listed.items.length > 0) notJudged.push({ kind: source.kind, apiVersion: found.apiVersion, decides, names: (found.listed.items as readonly string[]).toSorted() }); // `nameOf` made them
    say(found, source.kind, 'not judged');
  };
  for (const source of UNJUDGED_KINDS) await count(source, source.decides);
  /* Kinds and versions that nobody here has heard of may decide as well. */
  for (const group of POLICY_GROUPS) {
    for (const version of await discovery.versionsOf(group)) for (const served of await discovery.resourcesOf(`${group}/${version}`) ?? []) {
      if (covered.has(`${familyOf(served.apiVersion)}/${served.plural}`) || !isPolicyResource(served.plural)) continue;
      await count({ ...served, apiVersions: [served.apiVersion] }, !served.plural.startsWith('staged'));
    }
  }
  return { kinds, file: { context, namespaces, objects, absent, unread, notJudged } };
};
