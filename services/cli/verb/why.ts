/** `seine why`: the verdict, the rule or the near misses, every policy that selects either side, and the moment. */
import type { CompiledPolicy } from '@seine/events';
import type { Explanation, NearMiss, NodeState, PlacedRule } from '@seine/datapath-writer';
import { labNodes } from '@seine/lab';

import { foldUntil, openHistory } from '../history.ts';
import { readManifests } from '../manifests.ts';
import { parseMoment } from '../moment.ts';
import { objectsOfState } from '../objects-of-state.ts';
import { structured } from '../print/structured.ts';
import { probeOfWords, type Probe } from '../probes.ts';
import { endsOf, explainProbe, labelsAt, ruleRef, verdictOf, type RuleRef, type Verdict } from '../verdict.ts';
import { whole } from '../whole.ts';
import { badInput, EXIT, readArgs, readOutput, type Verb } from './verb.ts';
import type { KubeObject } from '@seine/objects';

const OPTIONS = {
  name: { type: 'string' }, file: { type: 'string', short: 'f', multiple: true }, recursive: { type: 'boolean', short: 'R' }, at: { type: 'string' }, log: { type: 'string' }, expect: { type: 'string' }, output: { type: 'string', short: 'o' },
} as const;

interface PolicyRef { readonly kind: string; readonly namespace: string; readonly name: string; readonly rules: number; readonly seq: number | null }
interface Side { readonly name: string; readonly identity: number; readonly labels: readonly string[]; readonly node: string | null; readonly address: string }
export interface WhyReport {
  readonly verdict: 'allow' | 'deny' | 'redirect' | 'audit';
  readonly direction: string | null;
  readonly reason: { readonly code: number; readonly name: string } | null;
  readonly from: Side; readonly to: Side; readonly port: number | null; readonly protocol: string;
  readonly decidedBy: RuleRef | null;
  readonly overruled: readonly RuleRef[];
  readonly nearestMisses: readonly { readonly rule: RuleRef; readonly admits: string; readonly has: string; readonly what: string; readonly distance: number }[];
  readonly selecting: { readonly egress: readonly PolicyRef[]; readonly ingress: readonly PolicyRef[] };
  readonly history: readonly { readonly seq: number; readonly time: string | null; readonly subject: string; readonly summary: string; readonly manager: string | null }[];
  readonly asOf: { readonly seq: number; readonly time: string | null; readonly node: string; readonly head: number };
  /** Of a snapshot: why the cluster may answer otherwise. */
  readonly uncertain?: readonly string[];
}

const placedRef = (placed: PlacedRule, state: Readonly<NodeState>, peer: number | null): RuleRef | null =>
  ruleRef(`${placed.policy.object.kind}/${placed.policy.object.namespace}/${placed.policy.object.name} ${placed.rule.section}[${placed.rule.index}]`, state, peer);

const policyRefs = (explanation: Explanation | undefined, state: Readonly<NodeState>): readonly PolicyRef[] => (explanation?.selecting ?? []).map((policy: CompiledPolicy) => ({
  ...policy.object, rules: policy.rules.filter(({ direction }) => direction === explanation!.direction).length, seq: state.origins.get(`policy ${policy.object.kind}/${policy.object.namespace}/${policy.object.name}`)?.seq ?? null,
}));

export const explainWhy = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: Probe, at: { readonly seq: number; readonly storedMs: number; readonly head: number }): WhyReport => {
  const verdict: Verdict = verdictOf(state, objects, probe);
  const ends = endsOf(state, objects, probe);
  const { egress, ingress } = explainProbe(state, probe, ends, { from: verdict.from.name, to: verdict.to.name });
  const deciding = verdict.direction === 'egress' ? egress : ingress;
  const misses: readonly NearMiss[] = verdict.got === 'deny' ? deciding?.nearestMisses ?? [] : [];
  const side = (name: string, address: string): Side => ({ name, address, ...labelsAt(state, address), node: state.addresses.get(address)?.node ?? null });
  const pods = [ends.sourceAddress, ends.destination].flatMap((address) => state.addresses.get(address)?.pod ?? []);
  const subjects = [
    ...pods.map((pod) => ['pod', pod] as const),
    ...[...new Set([...(egress?.selecting ?? []), ...(ingress?.selecting ?? [])])].map((policy) => ['policy', `${policy.object.kind}/${policy.object.namespace}/${policy.object.name}`] as const),
  ];
  return {
    verdict: verdict.got === 'allow' && verdict.audit ? 'audit' : verdict.got, direction: verdict.direction, reason: verdict.reason,
    from: side(verdict.from.name, ends.sourceAddress), to: side(verdict.to.name, ends.destination),
    port: probe.protocol === 'ICMP' ? null : probe.port ?? null, protocol: probe.protocol, decidedBy: verdict.rule,
    overruled: (deciding?.outcome.overruled ?? []).flatMap((placed) => placedRef(placed, state, null) ?? []),
    nearestMisses: misses.flatMap(({ rule, peer, admits, has, what, distance }) => { const ref = placedRef(rule, state, peer ?? null); return ref === null ? [] : [{ rule: ref, admits, has, what, distance }]; }),
    selecting: { egress: policyRefs(egress, state), ingress: policyRefs(ingress, state) },
    history: subjects.flatMap(([noun, key]) => {
      const origin = state.origins.get(`${noun} ${key}`);
      const manager = noun === 'policy' ? state.policies.get(key)?.changedBy?.manager ?? null : state.pods.get(key)?.changedBy?.manager ?? null;
      return origin === undefined ? [] : [{ seq: origin.seq, time: null, subject: origin.subject, summary: `${key} ${origin.type.split('.')[1]}`, manager }];
    }).sort((a, b) => a.seq - b.seq),
    asOf: { seq: at.seq, time: at.storedMs === 0 ? null : new Date(at.storedMs).toISOString(), node: verdict.node, head: at.head },
  };
};

const place = (ref: RuleRef): string => (ref.file === null ? '' : `${ref.file.replace(/^.*\//, '')}:${ref.line ?? '?'}`);
const refText = (ref: RuleRef): string => `${ref.kind} ${ref.namespace}/${ref.name} ${ref.section}[${ref.index}]${ref.peer === null ? '' : `.${ref.section.startsWith('ingress') ? 'from' : 'to'}[${ref.peer}]`}`;

const directionLine = (direction: 'egress' | 'ingress', name: string, report: WhyReport): string => {
  const selecting = report.selecting[direction];
  const denied = report.verdict === 'deny' && report.direction === direction;
  const who = `  ${direction.padEnd(7)} of ${name}`;
  const pod = direction === 'egress' ? report.from.node !== null : report.to.node !== null;
  if (!pod) return `${who}   not judged: it is no pod\n`;
  if (report.verdict === 'deny' && report.direction === 'egress' && direction === 'ingress') return `${who}   not reached\n`;
  if (selecting.length === 0) return `${who}   allowed   no policy selects it for ${direction}\n`;
  const rules = selecting.reduce((sum, { rules: count }) => sum + count, 0);
  return `${who}   ${denied ? 'denied ' : 'allowed'}   selected by ${selecting.length} ${selecting.length === 1 ? 'policy' : 'policies'}, ${rules} ${rules === 1 ? 'rule' : 'rules'}: ${selecting.map((policy) => `${policy.namespace}/${policy.name}`).join(', ')}\n`;
};

export const whyText = (report: WhyReport): string => {
  const shown = { allow: 'ALLOWED', deny: 'DENIED', audit: 'ALLOWED (audited)', redirect: 'REDIRECTED' }[report.verdict];
  const side = ({ name, identity, node }: Side): string => `${name} (identity ${identity}${node === null ? '' : `, ${node}`})`;
  const port = report.protocol === 'ICMP' ? 'ICMP' : `${report.port}/${report.protocol}`;
  const lines = [`${shown}  ${side(report.from)}  ->  ${side(report.to)}  ${port}\n`];
  if (report.reason !== null) lines.push(`        at ${report.direction} of ${report.direction === 'egress' ? report.from.name : report.to.name}: drop reason ${report.reason.code}, ${report.reason.code === 133 ? 'no rule allows it' : report.reason.name}\n`);
  lines.push('\n', directionLine('egress', report.from.name, report), directionLine('ingress', report.to.name, report));
  if (report.decidedBy !== null) {
    lines.push(`\n  Decided by   ${refText(report.decidedBy)}   ${place(report.decidedBy)}\n`);
    for (const overruled of report.overruled) lines.push(`  Overruled    ${refText(overruled)}   ${place(overruled)}\n`);
  }
  if (report.nearestMisses.length > 0) {
    lines.push('\n  Nearest misses\n');
    for (const { rule, admits, has, what } of report.nearestMisses) {
      lines.push(`    ${refText(rule)}   ${place(rule)}\n      admits   ${admits}\n      client   ${has}${' '.repeat(Math.max(3, admits.length - has.length + 3))}${what}\n`);
    }
  }
  if (report.history.length > 0) lines.push(`\n  Since\n${report.history.map(({ seq, summary, manager }) => `    #${seq}  ${summary}${manager === null ? '' : `, field manager ${manager}`}\n`).join('')}`);
  lines.push(`\n  As of  #${report.asOf.seq}${report.asOf.time === null ? '' : `, ${report.asOf.time}`}${report.asOf.node === '' ? '' : `, node ${report.asOf.node}`} (the log's head is #${report.asOf.head})\n`);
  return lines.join('');
};

export const why: Verb = {
  name: 'why',
  summary: 'why a packet is allowed or denied, now or at a moment',
  usage: `
seine why FROM TO [PORT[/PROTOCOL]] [--at MOMENT] [--name LAB | --log FILE | -f FILE|DIR… [-R]] [--expect allow|deny] [-o json]

The source is the lab, an exported log (--log), or manifests alone (-f). MOMENT: '#142', 03:12, 2026-11-21T03:12, -7d.
Exit: 0 answered, whatever the verdict; with --expect 1 if it is the other; 2 unknown name, bad port, a moment before the log.`,
  run: async (args, io) => {
    const { values, positionals } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json', 'yaml']);
    if (values.expect !== undefined && values.expect !== 'allow' && values.expect !== 'deny') throw badInput(`--expect ${values.expect}: expected allow or deny`);
    const probe = probeOfWords(positionals);
    let report: WhyReport;
    if (values.file !== undefined) {
      const { objects, uncertain } = readManifests(values.file, values.recursive === true);
      for (const reason of uncertain) io.stderr(`uncertain: ${reason}\n`);
      const cluster = whole(objects, labNodes(2));
      report = { ...explainWhy(cluster.state, cluster.objects, probe, { seq: cluster.events.length, storedMs: 0, head: cluster.events.length }), uncertain };
    } else {
      const history = await openHistory({ log: values.log, name: values.name ?? 'lab' });
      const past = await foldUntil(history, values.at === undefined ? undefined : parseMoment(values.at, Date.now()));
      await history.close();
      report = explainWhy(past.state, objectsOfState(past.state), probe, past);
    }
    io.stdout(structured(output, report) ?? whyText(report));
    if (values.expect === undefined) return EXIT.yes;
    return (report.verdict === 'deny' ? 'deny' : 'allow') === values.expect ? EXIT.yes : EXIT.no;
  },
};
