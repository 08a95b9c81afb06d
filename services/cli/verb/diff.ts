/** `seine diff`: which cells of the matrix a change flips. */
import { diffOf, type Flip, type MatrixDiff } from '../diff.ts';
import { laidOver, readManifests } from '../manifests.ts';
import { parseMoment } from '../moment.ts';
import { decisionText, namesText } from '../print/matrix.ts';
import { structured } from '../print/structured.ts';
import { table } from '../print/table.ts';
import { knownAt, SOURCE_OPTIONS, stateOfLog, stateOfManifests, stateWithPolicies, tellRefused, withHistory, type Source, type Sourced } from '../source.ts';
import { badInput, EXIT, readArgs, readFamily, readOutput, type Io, type Verb } from './verb.ts';

const OPTIONS = {
  ...SOURCE_OPTIONS, from: { type: 'string' }, to: { type: 'string' }, namespace: { type: 'string', short: 'n' }, family: { type: 'string' }, quiet: { type: 'boolean', short: 'q' }, output: { type: 'string', short: 'o' },
} as const;

interface Sides { readonly before: Sourced; readonly after: Sourced }

const shout = (verdict: string): string => verdict.toUpperCase();

const flipLine = ({ from, to, port, protocol, before, after }: Flip, namespace: string | null, wide: boolean): readonly string[] => [
  namesText(from), namesText(to), `${port}/${protocol}`, before.verdict, shout(after.verdict), decisionText(after, namespace), ...(wide ? [decisionText(before, namespace)] : []),
];

const sumText = ({ opened, closed, compared }: MatrixDiff): string =>
  (opened + closed === 0 ? `No cell of ${compared} flips.\n` : `${opened + closed} of ${compared} cells flip: ${opened} opened, ${closed} closed.\n`);

export const diffText = (found: MatrixDiff, namespace: string | null, wide: boolean): string => [
  sumText(found),
  found.flips.length === 0 ? '' : `\n${table([['FROM', 'TO', 'PORT', 'BEFORE', 'AFTER', 'DECIDED BY', ...(wide ? ['BEFORE BY'] : [])], ...found.flips.map((flip) => flipLine(flip, namespace, wide))]).replace(/^(?=.)/gm, '  ')}`,
  found.added.length === 0 ? '' : `\n  only after: ${namesText(found.added)}\n`, found.removed.length === 0 ? '' : `\n  only before: ${namesText(found.removed)}\n`,
].join('');

const sidesOf = async (values: Source & { readonly from?: string | undefined; readonly to?: string | undefined }, io: Io): Promise<Sides> => {
  const { file, from, to, at } = values;
  const moment = (text: string | undefined) => (text === undefined ? undefined : parseMoment(text, Date.now()));
  if (from !== undefined || to !== undefined) {
    if (file !== undefined || at !== undefined) throw badInput('--from and --to: expected no -f and no --at beside them');
    if (from === undefined) throw badInput('--to: expected --from MOMENT too');
    return withHistory(values, async (history) => ({ before: await stateOfLog(history, moment(from)), after: await stateOfLog(history, moment(to)) }));
  }
  if (file === undefined || file.length > 2) throw badInput('expected -f OLD -f NEW, -f NEW (over a lab or --log FILE), or --from MOMENT [--to MOMENT]');
  const read = (path: string): ReturnType<typeof readManifests> => readManifests([path], values.recursive === true);
  const [one, two] = file as readonly [string, string | undefined]; // one or two, as just checked
  if (two !== undefined) {
    if (values.log !== undefined || at !== undefined) throw badInput('-f OLD -f NEW with --log or --at: expected one source');
    const [old, given] = [read(one), read(two)];
    const laid = laidOver(old, given);
    if (laid !== undefined) io.stderr(`${two} has no pods: its ${given.objects.length} object${given.objects.length === 1 ? ' is' : 's are'} laid over those of ${one}\n`);
    return { before: stateOfManifests(old, values.set, io), after: stateOfManifests(laid ?? given, values.set, io) };
  }
  return withHistory(values, async (history) => {
    const before = await stateOfLog(history, moment(at));
    const given = read(one);
    const { state, refused, ignored } = stateWithPolicies(await knownAt(history, before.seq ?? 0), before.state, given);
    const kinds = [...new Set(ignored.map(({ kind }) => kind))].sort();
    if (ignored.length > 0) io.stderr(`not laid over a cluster that runs: ${ignored.length} objects that are no policies (${kinds.join(', ')})\n`);
    return { before, after: { state, seq: null, refused, uncertain: given.uncertain } };
  });
};

export const diff: Verb = {
  name: 'diff',
  summary: 'which cells of the matrix a change flips, for pull requests',
  usage: `
seine diff -f OLD -f NEW [-R] [-n NAMESPACE] [--family 4|6] [--set NAME=VALUE] [--quiet] [-o table|wide|json|jsonl|yaml]
seine diff -f NEW [-R] [--at MOMENT] [--name LAB | --log FILE] …
seine diff --from MOMENT [--to MOMENT] [--name LAB | --log FILE] …

Two sets of manifests; NEW's policies laid over the cluster as it is (or was); or what changed between two moments.
OLD, NEW: a file, a folder, or - (standard input). A cell is a workload, a workload and a port; it flips when what was denied gets through, or
the other way. Workloads that only one side has are named, not compared. What is refused in NEW is said. A NEW without any pods is
laid over OLD: policies over a snapshot.
Exit: 0 nothing flips, 1 a cell flips, 2 bad input, or nothing flips but something in NEW is refused, 3 no lab.`,
  examples: [
    ['git show main:policies.yaml | seine diff -f - -f policies.yaml', 'what a pull request flips'],
    ['seine diff -f before/ -f after/ -R -n shop -o json', 'two folders, one namespace'],
    ['seine diff -f policies.yaml --quiet', 'over the lab: exit 1 when anything flips'],
    ["seine diff --from '#142'", 'what has changed since'],
  ],
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    const output = readOutput(values.output);
    const { before, after }: Sides = await sidesOf(values, io);
    tellRefused(io, after);
    const found = diffOf(before.state, after.state, { namespace: values.namespace, family: readFamily(values.family) });
    if (values.quiet !== true) io.stdout(structured(output, { ...found, refused: after.refused, uncertain: after.uncertain }, found.flips) ?? diffText(found, values.namespace ?? null, output === 'wide'));
    if (found.flips.length > 0) return EXIT.no;
    return after.refused.length > 0 ? EXIT.badInput : EXIT.yes;
  },
};
