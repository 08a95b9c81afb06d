/** `seine probe`: what the verdicts *are*, by real packets in a lab. */
import { nodesNamed, seatNodes } from '@seine/lab';
import { startLab, stopLab, withLab } from '@seine/lab/client';
import type { PolicyRef, RuleRef, UnixClient } from '@seine/node';

import { probeTable } from '../print/probes.ts';
import { structured } from '../print/structured.ts';
import { badCaseResult, badProbeResult, isBadProbe, probeOfWords, readCases, readProbes, rejections, type Case, type Probe, type Rejection } from '../probes.ts';
import { badInput, EXIT, readArgs, readFamily, readInteger, readOutput, type Verb } from './verb.ts';
import type { Converged } from './lab.ts';

export interface ProbeResult {
  readonly from: string; readonly to: string; readonly protocol?: string; readonly port?: number; readonly want?: 'allow' | 'deny'; readonly got: 'allow' | 'deny' | 'error'; readonly ok: boolean;
  readonly direction: string | null; readonly reason: { readonly code: number; readonly name: string } | null;
  readonly rule: RuleRef | null; readonly isolatedBy: readonly PolicyRef[]; readonly audit: boolean;
  readonly connected: boolean | null; readonly unexplained: boolean; readonly message?: string; readonly evidence: Readonly<Record<string, unknown>>;
}
export interface ProbeReport { readonly probes: readonly ProbeResult[]; readonly total: number; readonly ok: number; readonly mismatched: number; readonly unexplained: number; readonly ms: number }

const OPTIONS = {
  probes: { type: 'string' }, batch: { type: 'string' }, name: { type: 'string' }, nodes: { type: 'string' }, family: { type: 'string' }, output: { type: 'string', short: 'o' },
} as const;

/** Most nodes that a batch's own lab gets by itself: each is three processes. */
const MOST_NODES = 6;

/** What both engines say alike stands beside the probe; what only packets can tell is evidence. */
const asCase = ({ connected, unexplained, message, ...result }: ProbeResult, { from, to }: Probe, nameOf: (labNode: string) => string) => ({
  ...result, from, to, rule: result.rule === null ? null : { ...result.rule, seq: null }, connected: null, ...(result.got === 'error' ? { message } : {}),
  evidence: { ...result.evidence, node: nameOf(String(result.evidence['node'])), connected, unexplained, ...(result.got === 'error' || message === undefined ? {} : { message }) },
});

const rejectionsOf = (refused: Converged['refused']): readonly Rejection[] => refused.flatMap(({ object, messages }): readonly Rejection[] => {
  const [kind, namespace, ...rest] = object.split('/') as [string, string, ...string[]]; // the key of a refusal
  return messages.map((message) => {
    const [field, value, expected] = message.split(': ') as [string, string | undefined, string | undefined]; // field: value: expectation
    return { kind, namespace, name: rest.join('/'), field, value: value ?? '', expected: expected?.replace(/^expected /, '') ?? message, message };
  });
});

/** One case, in a lab that holds nothing else. */
const tryCase = async (client: UnixClient, labNodes: readonly string[], { name, objects, refused, probes }: Case) => {
  const seated = seatNodes(objects, labNodes);
  const converged = await client.call<Converged>('apply', { objects: seated.objects, replace: true });
  const asked = probes.filter((each): each is Probe => !isBadProbe(each));
  const report = await client.call<ProbeReport>('probe', { probes: asked.map((each) => ({ ...each, from: seated.party(each.from), to: seated.party(each.to) })) });
  const resultOf = new Map(asked.map((each, index) => [each, report.probes[index]!])); // one for each that was asked
  return {
    name, pass: report.mismatched === 0 && converged.failed.length === 0 && asked.length === probes.length,
    probes: probes.map((each) => (isBadProbe(each) ? badProbeResult(each, 'kernel') : asCase(resultOf.get(each)!, each, seated.nameOf))),
    rejected: [...rejections(refused), ...rejectionsOf(converged.refused), ...rejectionsOf(converged.refusedInPart)], ...(converged.failed.length === 0 ? {} : { failed: converged.failed }),
  };
};

/** A lab of its own for a batch, unless one of that name is up. */
const batch = async (path: string, lab: string | undefined, nodes: number | undefined, tell: (line: unknown) => void): Promise<number> => {
  const cases = readCases(path);
  const name = lab ?? 'probe';
  const most = cases.reduce((sum, each) => Math.max(sum, 'error' in each ? 0 : nodesNamed(each.objects).length), 2);
  const { client, existed } = await startLab(name, nodes === undefined ? {} : { nodes }, { nodes: Math.min(most, MOST_NODES) });
  let different = 0;
  let bad = 0;
  try {
    const labNodes = (await client.call<readonly { readonly name: string }[]>('nodes')).map((node) => node.name);
    for (const each of cases) {
      if ('error' in each) {
        bad += 1;
        tell(badCaseResult(each));
        continue;
      }
      bad += each.probes.filter(isBadProbe).length;
      const found = await tryCase(client, labNodes, each);
      if (!found.pass) different += 1;
      tell(found);
    }
  } finally {
    client.close();
    if (!existed) await stopLab(name);
  }
  return bad > 0 ? EXIT.badInput : different === 0 ? EXIT.yes : EXIT.no;
};

export const probe: Verb = {
  name: 'probe',
  summary: 'what the verdicts are: real packets in a lab',
  usage: `
seine probe FROM TO [PORT[/PROTOCOL]] [--family 4|6] [--name LAB] [-o json]
seine probe --probes FILE.json [--name LAB] [-o json]
seine probe --batch FILE.jsonl [--name LAB] [--nodes N]

FROM, TO: ns/pod, ns/deployment (its first pod), svc:ns/name, node:NAME, external, or an address. Without a port: an ICMP echo. --family: the first of the lab's unless an address says it.
allow: the packet arrived, counted by a packet socket in the destination's namespace. deny: nothing arrived; with a drop sample it is explained.
--batch: one case a line {"name","objects":[…],"probes":[…]} → one result a line; the lab is reused, and taken down if it was not there.
Exit: 0 all as wanted, 1 a probe differs, 2 bad input, 3 no lab.`,
  examples: [
    ['seine probe shop/orders svc:shop/payment 80', 'one SYN, counted where it arrives'],
    ['seine probe external shop/front-end icmp', 'an ICMP echo'],
    ['seine probe --probes infra/examples/shop/probes.json', 'a table of them'],
    ['seine probe --batch cases.jsonl --nodes 2', 'each case in a lab of its own'],
  ],
  run: async (args, io) => {
    const { values, positionals } = readArgs(args, OPTIONS);
    if (values.batch !== undefined) return batch(values.batch, values.name, values.nodes === undefined ? undefined : readInteger('--nodes', values.nodes, { min: 1, max: 20 }), (line) => { io.stdout(`${JSON.stringify(line)}\n`); });
    const output = readOutput(values.output, ['table', 'json', 'jsonl', 'yaml']);
    if (values.probes === undefined && positionals.length === 0) throw badInput('nothing to probe: expected FROM TO PORT, --probes FILE or --batch FILE');
    const probes = values.probes === undefined ? [probeOfWords(positionals, readFamily(values.family))] : readProbes(values.probes);
    const report = await withLab(values.name ?? 'lab', (client) => client.call<ProbeReport>('probe', { probes }));
    io.stdout(structured(output, report, report.probes) ?? `${probeTable(report.probes)}${report.ok} of ${report.total} as needed${report.unexplained > 0 ? `, ${report.unexplained} unexplained` : ''} (${report.ms} ms)\n`);
    const failed = report.probes.find(({ got }) => got === 'error');
    if (failed !== undefined && values.probes === undefined) throw badInput(failed.message ?? 'not tried');
    return report.mismatched === 0 ? EXIT.yes : EXIT.no;
  },
};

