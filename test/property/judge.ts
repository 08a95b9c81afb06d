/** A random case judged by everything that runs in Seine but time and kernel; and a disagreement made as small as it can be. */
import { isRefused, parsePolicyObject, toObject, type KubeObject } from '@seine/objects';

import { whole, type Whole } from '../../services/cli/whole.ts';
import { denialOf, naive, triedDenials, type Asked } from '../oracle/naive.mjs';
import { KINDS, type Given, type Kind, type PropertyCase } from './generate.ts';

/** A cluster, a question, and what the texts of the APIs answer. */
export interface Kept extends Given { readonly name: string; readonly probe: Asked; readonly want: 'allow' | 'deny' }
export interface Disagreement extends Kept { readonly got: string }

export const clusterOf = ({ objects, settings }: Given): Whole => {
  const read = objects.map((raw) => toObject(raw));
  return whole(read.filter((each): each is KubeObject => !isRefused(each)), [], read.filter(isRefused), settings);
};

/** Kinds that have a parser. */
export const spokenKinds = (): readonly Kind[] => KINDS.filter((kind) => {
  const parsed = parsePolicyObject({ kind, namespace: kind === 'NetworkPolicy' || kind === 'CiliumNetworkPolicy' ? 'shop' : '', name: 'p', uid: 'u', spec: {} });
  return parsed.ok || !parsed.refusals.some(({ message }) => message.includes('is not supported yet'));
});

/** What is refused must not be in a case: both sides would read another cluster. */
export const refusals = ({ refused }: Whole): readonly string[] => refused.flatMap(({ key, data }) => data.refusals.map(({ message }) => `${key}: ${message}`));

/** What is said of a probe: where and by which reason it is denied, or where it passes under trial. */
export interface Said { readonly got: 'allow' | 'deny'; readonly direction: string | null; readonly code: number | undefined; readonly audited: boolean }

/** Which backend a Service takes is not said, and the texts are read for IPv4: of the rest only the verdict is compared. */
const isReadWhole = ({ from, to }: Asked): boolean => !to.startsWith('svc:') && ![from, to].some((name) => name.split(':').length > 2);

/**
 * How it differs from what is wanted; undefined where it does not. What is denied must be denied in the right direction by 181 or 133; what passes is
 * told as a trial exactly where one would deny it.
 */
export const wrongAbout = ({ got, direction, code, audited }: Said, { objects, settings }: Given, probe: Asked, want: string): string | undefined => {
  if (got !== want) return got;
  if (!isReadWhole(probe)) return undefined;
  if (got === 'deny') {
    const denial = denialOf(objects, probe, settings);
    return denial === undefined || (denial.direction === direction && denial.code === code) ? undefined : `${got} at ${direction} by ${code}, not at ${denial.direction} by ${denial.code}`;
  }
  const { surely, perhaps } = triedDenials(objects, probe, settings);
  if (audited && ![...surely, ...perhaps].some((each) => each === direction)) return `${got}, told as a trial that would deny at ${direction}`;
  return !audited && surely.length > 0 ? `${got}, and no word of the trial that would deny at ${surely.join(' and ')}` : undefined;
};

/** What `check` says, and how it is wrong. */
export const differs = (cluster: Whole, given: Given, probe: Asked, want: string): string | undefined => {
  const { got, audit, direction, reason } = cluster.verdict(probe);
  return wrongAbout({ got, direction, code: reason?.code, audited: audit }, given, probe, want);
};

export const judged = ({ name, objects, settings, probes }: PropertyCase): { readonly cluster: Whole; readonly refused: readonly string[]; readonly disagreements: readonly Disagreement[] } => {
  const cluster = clusterOf({ objects, settings });
  const disagreements = probes.flatMap(({ want, ...probe }): readonly Disagreement[] => {
    const got = differs(cluster, { objects, settings }, probe, want);
    return got === undefined ? [] : [{ name, objects, settings, probe, want, got }];
  });
  return { cluster, refused: refusals(cluster), disagreements };
};

/** Everything that one step smaller than a value can be: one item or member less, at any depth. */
const smaller = function* smaller(value: unknown): Generator<unknown> {
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) yield value.toSpliced(index, 1);
    for (let index = 0; index < value.length; index += 1) for (const item of smaller(value[index])) yield value.with(index, item);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      const { [name]: _gone, ...rest } = value as Readonly<Record<string, unknown>>;
      yield rest;
      for (const each of smaller(member)) yield { ...value, [name]: each };
    }
  }
};

/** One object or setting less, or a policy that says less. Pods and nodes stay what they are: who is where must not become a guess. */
const smallerClusters = function* smallerClusters({ objects, settings }: Given): Generator<Given> {
  for (let index = 0; index < objects.length; index += 1) yield { objects: objects.toSpliced(index, 1), settings };
  for (const less of smaller(settings)) yield { objects, settings: less as Given['settings'] }; // a member less
  for (const [index, object] of objects.entries()) {
    if (!(KINDS as readonly string[]).includes(object.kind)) continue;
    for (const part of ['spec', 'specs']) for (const less of smaller(object[part])) yield { objects: objects.with(index, { ...object, [part]: less }), settings };
  }
};

type Difference = Pick<Disagreement, 'want' | 'got'>;
/** Is something of Seine still wrong about this probe, and how. */
export type Differently = (given: Given, probe: Asked) => Difference | undefined;

const difference: Differently = (given, probe) => {
  try {
    const want = naive(given.objects, probe, given);
    if (want === undefined) return undefined;
    const cluster = clusterOf(given);
    if (cluster.refused.length > 0) return undefined;
    const got = differs(cluster, given, probe, want);
    return got === undefined ? undefined : { want, got };
  } catch {
    /* What is left is no cluster. */
    return undefined;
  }
};

export const shrunk = (found: Disagreement, differently: Differently = difference): Disagreement => {
  let best = found;
  for (let again = true; again;) {
    again = false;
    for (const given of smallerClusters(best)) {
      const still = differently(given, best.probe);
      if (still?.want !== best.want || still.got !== best.got) continue;
      best = { ...best, ...given };
      again = true;
      break;
    }
  }
  return best;
};
