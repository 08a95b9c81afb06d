/** `seine check`: what the verdicts *would* be. No kernel, no lab, no root. */
import { IP_FAMILIES, labNodes, type LabNode } from '@seine/lab';
import { formatEnd, SeineError } from '@seine/model';
import type { KubeObject, RefusedObject } from '@seine/objects';

import { readManifests } from '../manifests.ts';
import { probeTable } from '../print/probes.ts';
import { structured } from '../print/structured.ts';
import { badCaseResult, badProbeResult, isBadProbe, probeOfWords, readCases, readProbes, rejections, type BadProbe, type Probe, type Rejection } from '../probes.ts';
import { whole, type Whole } from '../whole.ts';
import { badInput, EXIT, readArgs, readFamily, readIpFamily, readInteger, readOutput, readSettings, type Verb } from './verb.ts';

const OPTIONS = {
  file: { type: 'string', short: 'f', multiple: true }, recursive: { type: 'boolean', short: 'R' }, probes: { type: 'string' }, batch: { type: 'string' }, nodes: { type: 'string' }, set: { type: 'string', multiple: true }, family: { type: 'string' }, 'ip-family': { type: 'string' }, output: { type: 'string', short: 'o' },
} as const;

const judge = (probe: Probe, cluster: Whole) => {
  const evidence = { engine: 'compiler', sent: 0, arrived: 0, replied: 0, drops: 0, source: '', destination: '', node: '', seq: 0 } as const;
  try {
    const verdict = cluster.verdict(probe);
    return {
      ...probe, got: verdict.got, ok: probe.want === undefined || (probe.want === verdict.got && verdict.split === undefined), direction: verdict.direction, reason: verdict.reason,
      /* On paper there is no log whose sequence would mean something. */
      rule: verdict.rule === null ? null : { ...verdict.rule, seq: null }, isolatedBy: verdict.isolatedBy, audit: verdict.audit, connected: null,
      ...(verdict.split === undefined ? {} : { split: verdict.split }),
      evidence: { ...evidence, source: formatEnd(verdict.from.address, 0), destination: formatEnd(verdict.destination, probe.protocol === 'ICMP' ? 0 : verdict.destinationPort), node: verdict.node, seq: cluster.events.length },
    };
  } catch (error) {
    if (!(error instanceof SeineError)) throw error;
    return { ...probe, got: 'error' as const, ok: false, direction: null, reason: null, rule: null, isolatedBy: [], audit: false, connected: null, message: error.message, evidence };
  }
};

const report = (probes: readonly (Probe | BadProbe)[], cluster: Whole) => {
  const started = performance.now();
  const results = probes.map((probe) => (isBadProbe(probe) ? badProbeResult(probe, 'compiler') : judge(probe, cluster)));
  return { probes: results, total: results.length, ok: results.filter(({ ok }) => ok).length, mismatched: results.filter(({ ok }) => !ok).length, unexplained: 0, ms: Math.round(performance.now() - started) };
};

const rejected = (cluster: Whole, refused: readonly RefusedObject[]): readonly Rejection[] => {
  const all = [...rejections(refused), ...cluster.refused.flatMap(({ data }) => data.refusals.map(({ field, value, expected, message }) => ({ ...data.object, field, value, expected, message })))];
  const seen = new Set<string>();
  return all.filter((each) => { const key = JSON.stringify(each); if (seen.has(key)) return false; seen.add(key); return true; });
};

/** Of a case: also what of a Service is refused although the rest of it is served. */
const rejectedOrPart = (cluster: Whole, refused: readonly RefusedObject[]): readonly Rejection[] => [...rejected(cluster, refused), ...rejections(cluster.refusedInPart)];

/** A case brings its own Nodes; where it brings none it has the lab's two. */
const nodesOf = (objects: readonly KubeObject[], fallback: readonly LabNode[]): readonly LabNode[] => (objects.some(({ kind }) => kind === 'Node') ? [] : fallback);

export const check: Verb = {
  name: 'check',
  summary: 'what would the verdicts be: manifests and probes, no kernel',
  usage: `
seine check -f FILE|DIR|-… [-R] FROM TO [PORT[/PROTOCOL]] [--family 4|6] [-o json]
seine check -f FILE|DIR|-… [-R] --probes FILE.json [-o json]
seine check -f FILE|DIR|-… [-R]               only says what is refused
seine check --batch FILE.jsonl                one case a line → one result a line; what is none has got:"error" and keeps no other from being judged

--ip-family: dual, ipv4 or ipv6: what the cluster's nodes and pods have, where the manifests bring no nodes (dual).
--set: a setting of the cluster, policy-enforcement-mode=default|always|never or policy-cidr-match-mode=nodes,pods;
  enable-ipv4-masquerade, enable-ipv6-masquerade and bpf-lb-mode change no verdict

The same parser, compiler and rows as the running system, and the kernel's look-up in TypeScript.
Exit: 0 all as wanted, 1 a probe differs, 2 bad input or something refused.`,
  examples: [
    ['seine check -f infra/examples/shop --probes infra/examples/shop/probes.json', 'exit 1: one probe differs'],
    ['seine check -f manifests/ -R', 'what is refused, and why'],
    ['seine check -f policies.yaml web/api web/db 5432', 'one question'],
    ['seine check --batch cases.jsonl', 'tables of cases, thousands a minute'],
  ],
  run: async (args, io) => {
    const { values, positionals } = readArgs(args, OPTIONS);
    const nodes = labNodes(readInteger('--nodes', values.nodes ?? '2', { min: 1, max: 1000 }), IP_FAMILIES[readIpFamily(values['ip-family'] ?? 'dual')]);
    const settings = readSettings(values.set);
    if (values.batch !== undefined) {
      let different = 0;
      let bad = 0;
      for (const each of readCases(values.batch)) {
        if ('error' in each) {
          bad += 1;
          io.stdout(`${JSON.stringify(badCaseResult(each))}\n`);
          continue;
        }
        const { name, objects, refused, probes } = each;
        bad += probes.filter(isBadProbe).length;
        const cluster = whole(objects, nodesOf(objects, nodes), [], settings);
        const found = report(probes, cluster);
        if (found.mismatched > 0) different += 1;
        io.stdout(`${JSON.stringify({ name, pass: found.mismatched === 0, probes: found.probes, rejected: rejectedOrPart(cluster, refused) })}\n`);
      }
      return bad > 0 ? EXIT.badInput : different === 0 ? EXIT.yes : EXIT.no;
    }
    const output = readOutput(values.output, ['table', 'json', 'jsonl', 'yaml']);
    if (values.file === undefined) throw badInput('-f: nothing: expected manifests to judge');
    const given = readManifests(values.file, values.recursive === true);
    const probes = values.probes !== undefined ? readProbes(values.probes) : positionals.length > 0 ? [probeOfWords(positionals, readFamily(values.family))] : [];
    const cluster = whole(given.objects, nodes, [], settings);
    const refusals = rejected(cluster, given.refused);
    for (const warning of given.warnings) io.stderr(`warning: ${warning}\n`);
    for (const reason of given.uncertain) io.stderr(`uncertain: ${reason}\n`);
    for (const { kind, namespace, name, message } of refusals) io.stderr(`refused: ${kind} ${namespace === '' ? '' : `${namespace}/`}${name}: ${message}\n`);
    const inPart = rejections(cluster.refusedInPart);
    for (const { kind, namespace, name, message } of inPart) io.stderr(`refused in part: ${kind} ${namespace}/${name}: ${message}\n`);
    const found = report(probes, cluster);
    io.stdout(structured(output, { ...found, rejected: refusals, refusedInPart: inPart, uncertain: given.uncertain }, found.probes) ?? (probes.length === 0 ?
      `${given.objects.length} objects, ${refusals.length === 0 ? 'nothing refused' : `${refusals.length} refusals`}\n` : `${probeTable(found.probes)}${found.ok} of ${found.total} as needed (${found.ms} ms)\n`));
    const failed = found.probes.find(({ got }) => got === 'error');
    if (failed !== undefined && 'message' in failed && values.probes === undefined) throw badInput(failed.message ?? 'not tried');
    if (refusals.length > 0) return EXIT.badInput;
    return found.mismatched === 0 ? EXIT.yes : EXIT.no;
  },
};
