/** The file of a snapshot: manifests in a fixed order, headed by one document that says what is not in it. Pure. */
import { JUDGED_KINDS } from '@seine/kube';
import { isObject, member, type KubeObject, type PlainObject } from '@seine/objects';
import { stringify } from 'yaml';

export interface Unread { readonly kind: string; readonly apiVersion: string; readonly why: string }
export interface Unjudged { readonly kind: string; readonly apiVersion: string; readonly decides: boolean; readonly names: readonly string[] }
export interface SnapshotFile {
  readonly context: string;
  /** None: all of them. */
  readonly namespaces: readonly string[];
  readonly objects: readonly PlainObject[];
  /** Judged kinds that the server does not serve: there are none. */
  readonly absent: readonly string[];
  readonly unread: readonly Unread[];
  readonly notJudged: readonly Unjudged[];
}

const API_VERSION = 'snapshot.seine.network/v1';
const KIND = 'Snapshot';
const MOST_NAMES = 5;

export const isSnapshot = ({ apiVersion, kind }: KubeObject): boolean => apiVersion === API_VERSION && kind === KIND;

const listed = (names: readonly string[]): string => `${names.slice(0, MOST_NAMES).join(', ')}${names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : ''}`;

type Gaps = Pick<SnapshotFile, 'namespaces' | 'unread' | 'notJudged'>;

/** Why a verdict from this snapshot may differ from the cluster's, a sentence each. */
export const uncertainties = ({ namespaces, unread, notJudged }: Gaps): readonly string[] => [
  ...unread.map(({ kind, apiVersion, why }) => `${kind} of ${apiVersion} could not be listed (${why}): ${JUDGED_KINDS.find((judged) => judged.kind === kind && judged.apiVersions.includes(apiVersion))?.unknown ?? 'whether one decides is not known'}`),
  ...notJudged.filter(({ decides }) => decides).map(({ kind, apiVersion, names }) => `${names.length} ${kind} of ${apiVersion} not judged (${listed(names)}): where one applies the cluster may answer otherwise`),
  ...(namespaces.length === 0 ? [] : [`only ${namespaces.length === 1 ? 'namespace' : 'namespaces'} ${namespaces.join(', ')}: pods and policies of others are not known`]),
];

const countsOf = (objects: readonly PlainObject[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const { kind } of objects) counts[String(kind)] = (counts[String(kind)] ?? 0) + 1;
  return counts;
};

/** A context may be called anything; an object may not. */
const nameOf = (context: string): string => context.replace(/[^A-Za-z0-9.-]+/g, '-').replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '').slice(0, 200) || 'cluster';

const YAML = { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' } as const;

/** The same cluster gives the same bytes. */
export const snapshotText = ({ context, namespaces, objects, absent, unread, notJudged }: SnapshotFile): string => {
  const head = {
    apiVersion: API_VERSION, kind: KIND, metadata: { name: nameOf(context) },
    spec: { context, ...(namespaces.length === 0 ? {} : { namespaces }), objects: countsOf(objects), ...(absent.length === 0 ? {} : { absent }), ...(unread.length === 0 ? {} : { unread }), ...(notJudged.length === 0 ? {} : { notJudged }) },
  };
  return [
    '# What `seine snapshot` read from a cluster, for `seine check|why|matrix|diff -f`. Not for kubectl apply.\n',
    '# Left in the cluster: Secrets, ConfigMaps, images, commands, environment, volumes, annotations but a few, status but addresses and phases.\n',
    ...[head, ...objects].map((object) => `---\n${stringify(object, YAML)}`),
  ].join('');
};

const texts = (value: unknown): readonly string[] => (Array.isArray(value) ? (value as readonly unknown[]).filter((item) => typeof item === 'string') : []); // Array.isArray says any[]
const records = (value: unknown): readonly PlainObject[] => (Array.isArray(value) ? (value as readonly unknown[]).filter(isObject) : []); // Array.isArray says any[]

/** What a snapshot's head says is missing. A member of the wrong shape says nothing. */
export const gapsOf = (snapshot: KubeObject): Gaps => {
  const given = member(snapshot.raw, 'spec');
  const spec: PlainObject = isObject(given) ? given : {};
  const text = (record: PlainObject, name: string): string => String(member(record, name) ?? '');
  return {
    namespaces: texts(member(spec, 'namespaces')),
    unread: records(member(spec, 'unread')).map((entry) => ({ kind: text(entry, 'kind'), apiVersion: text(entry, 'apiVersion'), why: text(entry, 'why') })),
    notJudged: records(member(spec, 'notJudged')).map((entry) => ({ kind: text(entry, 'kind'), apiVersion: text(entry, 'apiVersion'), decides: member(entry, 'decides') === true, names: texts(member(entry, 'names')) })),
  };
};
