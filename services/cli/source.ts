/** Where a state comes from, for every verb that asks about the whole of it: a lab, a log file, or manifests. */
import { decideAll, LANES, POLICY_OBJECT_KINDS, type FactEvent, type SeineEvent } from '@seine/events';
import { evolveNode, type NodeState } from '@seine/datapath-writer';
import { labNodes } from '@seine/lab';
import { refOf, type KubeObject, type RefusedObject } from '@seine/objects';
import { policyDecider } from '@seine/policy-compiler';
import { emptyKnown, evolveKnown, toFact, type Known } from '@seine/watcher';

import { foldUntil, openHistory, type History } from './history.ts';
import { readManifests, type Given } from './manifests.ts';
import { parseMoment, type Moment } from './moment.ts';
import { rejections, type Rejection } from './probes.ts';
import { badInput, readSettings, type Io } from './verb/verb.ts';
import { whole } from './whole.ts';

export const SOURCE_OPTIONS = {
  name: { type: 'string' }, file: { type: 'string', short: 'f', multiple: true }, recursive: { type: 'boolean', short: 'R' }, at: { type: 'string' }, log: { type: 'string' }, set: { type: 'string', multiple: true },
} as const;

export interface Source {
  readonly name?: string | undefined; readonly file?: readonly string[] | undefined; readonly recursive?: boolean | undefined; readonly at?: string | undefined; readonly log?: string | undefined; readonly set?: readonly string[] | undefined;
}

export interface Sourced {
  readonly state: NodeState;
  /** null: manifests have no log. */
  readonly seq: number | null;
  readonly refused: readonly Rejection[];
  /** Of a snapshot: why the cluster may answer otherwise. */
  readonly uncertain: readonly string[];
}

const rejectionsOf = (refused: readonly Extract<FactEvent, { readonly type: 'object.refused.v1' }>[]): readonly Rejection[] =>
  refused.flatMap(({ data }) => data.refusals.map(({ field, value, expected, message }) => ({ ...data.object, field, value, expected, message })));

/** Says what cannot be judged as it stands; what is left is judged. */
export const tellRefused = (io: Io, { refused, uncertain }: Pick<Sourced, 'refused' | 'uncertain'>): void => {
  for (const reason of uncertain) io.stderr(`uncertain: ${reason}\n`);
  for (const { kind, namespace, name, message } of refused) io.stderr(`refused: ${kind} ${namespace === '' ? '' : `${namespace}/`}${name}: ${message}\n`);
};

/** The cluster that manifests describe. */
export const stateOfManifests = ({ objects, refused, warnings, uncertain }: Given, settings: readonly string[] | undefined, io: Io): Sourced => {
  for (const warning of warnings) io.stderr(`warning: ${warning}\n`);
  const cluster = whole(objects, labNodes(2), [], readSettings(settings));
  const all = new Map([...rejections(refused), ...rejectionsOf(cluster.refused)].map((each) => [JSON.stringify(each), each]));
  return { state: cluster.state, seq: null, refused: [...all.values()], uncertain };
};

/** Nothing here asks a clock. */
const TIME = '1970-01-01T00:00:00.000Z';
const POLICY_KINDS: ReadonlySet<string> = new Set(['CiliumCIDRGroup', ...POLICY_OBJECT_KINDS]);

/** A log's state with policies laid over it, as the policy-compiler would have it: workloads are as they run. */
export const stateWithPolicies = (known: Known, state: Readonly<NodeState>, given: Given): Pick<Sourced, 'state' | 'refused'> & { readonly ignored: readonly KubeObject[] } => {
  const facts = new Map<string, FactEvent>(known.facts);
  const refused: RefusedObject[] = [...given.refused];
  for (const object of given.objects.filter(({ kind }) => POLICY_KINDS.has(kind))) {
    const made = toFact(object, TIME);
    if (made === undefined) continue;
    if ('refusals' in made) refused.push({ object: refOf(object), refusals: made.refusals });
    else facts.set(`${made.fact.type.slice(0, made.fact.type.indexOf('.'))}/${made.fact.key}`, made.fact);
  }
  const decider = policyDecider();
  const decided: readonly SeineEvent[] = decideAll(decider, decider.initialState(), [...facts.values()]);
  const draft: NodeState = { ...state, policies: new Map(), refusedPolicies: new Map(), origins: new Map(state.origins) };
  for (const event of decided) evolveNode(draft, event, 0);
  return { state: draft, refused: rejections(refused), ignored: given.objects.filter(({ kind }) => !POLICY_KINDS.has(kind)) };
};

export const stateOfLog = async (history: History, until: Moment | undefined): Promise<Sourced> => {
  const { state, seq, refusedObjects } = await foldUntil(history, until);
  return { state, seq, refused: rejections([...refusedObjects.values()]), uncertain: [] };
};

/** Every object of the log at a sequence, as its watcher knew it. */
export const knownAt = async (history: History, seq: number): Promise<Known> => {
  const known = emptyKnown();
  for await (const { events } of history.read({ lanes: LANES, until: seq })) for (const event of events) evolveKnown(known, event);
  return known;
};

/** Opens the log that `--name` or `--log` means, for as long as `use` takes. */
export const withHistory = async <T>({ name = 'lab', log }: Pick<Source, 'name' | 'log'>, use: (history: History) => Promise<T>): Promise<T> => {
  const history = await openHistory({ log, name });
  try { return await use(history); } finally { await history.close(); }
};

/** The one state that a verb's options mean; what cannot be judged is said. */
export const stateOf = async (source: Source, io: Io): Promise<Sourced> => {
  if (source.file === undefined) {
    if (source.set !== undefined) throw badInput('--set: expected -f: a log has the settings that its cluster had');
    return withHistory(source, (history) => stateOfLog(history, source.at === undefined ? undefined : parseMoment(source.at, Date.now())));
  }
  if (source.at !== undefined || source.log !== undefined) throw badInput('-f with --at or --log: expected one source');
  const found = stateOfManifests(readManifests(source.file, source.recursive === true), source.set, io);
  tellRefused(io, found);
  return found;
};
