/** `seine why`: the verdict, the rule or the near misses, every policy that selects either side, how it came about, and the moment. */
import { LANES } from '@seine/events';
import { labNodes } from '@seine/lab';
import { withLab } from '@seine/lab/client';
import type { Flow } from '@seine/node';

import { foldUntil, openHistory, type History } from '../history.ts';
import { readManifests } from '../manifests.ts';
import { parseMoment, type Moment } from '../moment.ts';
import { askObserver, labNodesOf } from '../node-sockets.ts';
import { objectsOfState } from '../objects-of-state.ts';
import { structured } from '../print/structured.ts';
import { whyText } from '../print/why.ts';
import { probeOfWords, type Probe } from '../probes.ts';
import { createTrace, type Trace } from '../trace.ts';
import { endsOf } from '../verdict.ts';
import { whole } from '../whole.ts';
import { explainWhy, type WhyReport } from '../why.ts';
import { badInput, EXIT, readArgs, readFamily, readOutput, type Verb } from './verb.ts';

const OPTIONS = {
  name: { type: 'string' }, file: { type: 'string', short: 'f', multiple: true }, recursive: { type: 'boolean', short: 'R' }, at: { type: 'string' }, log: { type: 'string' }, expect: { type: 'string' }, family: { type: 'string' }, output: { type: 'string', short: 'o' },
} as const;

const SEEN_MINUTES = 5;
const FLOW_OF = { allow: 'FORWARDED', redirect: 'FORWARDED', deny: 'DROPPED', audit: 'AUDIT' } as const satisfies Record<WhyReport['verdict'], Flow['verdict']>;

/** Recorded flows of the two ends with this verdict. */
const seenInLab = async (lab: string, { verdict, direction, from, to, port, protocol }: WhyReport): Promise<WhyReport['seen']> => {
  const since = new Date(Date.now() - SEEN_MINUTES * 60_000).toISOString();
  const filter = { verdict: FLOW_OF[verdict], ...(from.node === null ? {} : { fromPod: from.name }), ...(to.node === null ? {} : { toPod: to.name }) };
  const flows = (await Promise.all((await labNodesOf(lab)).map(({ name }) => askObserver<{ readonly flows: readonly Flow[] }>(lab, name, 'flows', { since, filter })))).flatMap((answer) => answer.flows);
  /* A Service's port is not the backend's: every flow of the two counts then. */
  const wanted = flows.filter((flow) => (flow.protocol === protocol || (protocol === 'ICMP' && flow.protocol === 'ICMPV6')) && (port === null || to.asked.startsWith('svc:') || flow.destination.port === port) && (direction === null || flow.direction === direction) && (from.node !== null || flow.source.address === from.address))
    .sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
  const last = wanted.at(-1);
  return { verdict: FLOW_OF[verdict], count: wanted.length, minutes: SEEN_MINUTES, last: last === undefined ? null : { time: last.time, node: last.node } };
};

const appliedInLab = async (lab: string, node: string, seq: number): Promise<string | null> => {
  const times = await withLab(lab, (client) => client.call<readonly { readonly node: string; readonly timeMs: number }[]>('applied', { seq }));
  const found = times.find((each) => each.node === node);
  return found === undefined ? null : new Date(found.timeMs).toISOString();
};

/** The log is read twice: to know who the ends are, then with them in hand. */
export const whyInLog = async (history: History, probe: Probe, until: Moment | undefined, lab: string | undefined): Promise<WhyReport> => {
  const past = await foldUntil(history, until);
  const objects = objectsOfState(past.state, past.observedServices);
  const ends = endsOf(past.state, objects, probe);
  const trace = createTrace(ends, probe.protocol);
  const traceToHead: Trace | undefined = past.seq < past.head ? createTrace(ends, probe.protocol) : undefined;
  for await (const commit of history.read({ lanes: LANES, ...(traceToHead === undefined ? { until: past.seq } : {}) })) {
    if (commit.seq <= past.seq) trace.take(commit);
    traceToHead?.take(commit);
  }
  const report = explainWhy(past.state, objects, probe, past, { trace, ...(traceToHead === undefined ? {} : { traceToHead }) });
  if (lab === undefined) return report;
  const [seen, applied] = await Promise.all([until === undefined ? seenInLab(lab, report) : null, appliedInLab(lab, report.asOf.node, report.asOf.seq)]);
  return { ...report, seen, asOf: { ...report.asOf, applied } };
};

export const why: Verb = {
  name: 'why',
  summary: 'why a packet is allowed or denied, now or at a moment',
  usage: `
seine why FROM TO [PORT[/PROTOCOL]] [--family 4|6] [--at MOMENT] [--name LAB | --log FILE | -f FILE|DIR… [-R]] [--expect allow|deny] [-o json|yaml]

The source is the lab, an exported log (--log), or manifests alone (-f). MOMENT: '#142', 03:12, 2026-11-21T03:12, -7d.
FROM, TO: ns/pod, ns/deployment (its first pod), svc:ns/name, node:NAME, external, or an address. Without a port: an ICMP echo.

Exit: 0 answered, whatever the verdict; with --expect 1 if it is the other; 2 unknown name, bad port, a moment before the log; 3 no lab.`,
  examples: [
    ['seine why shop/carts shop/carts-db 27017', 'now, in the lab'],
    ["seine why shop/carts shop/carts-db 27017 --at '#142'", 'then, and what it would be today'],
    ['seine why prod/web prod/db 5432 --at 03:12 --log prod.seinelog', 'in the night, from a file'],
    ['seine why -f policies/ -R web/api web/db 5432 --expect allow', 'in a pipeline: exit 1 if denied'],
  ],
  run: async (args, io) => {
    const { values, positionals } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json', 'yaml']);
    if (values.expect !== undefined && values.expect !== 'allow' && values.expect !== 'deny') throw badInput(`--expect ${values.expect}: expected allow or deny`);
    const probe = probeOfWords(positionals, readFamily(values.family));
    let report: WhyReport;
    if (values.file !== undefined) {
      if (values.at !== undefined) throw badInput('--at with -f: expected a lab or --log FILE: manifests have no past');
      const { objects, uncertain } = readManifests(values.file, values.recursive === true);
      for (const reason of uncertain) io.stderr(`uncertain: ${reason}\n`);
      const cluster = whole(objects, labNodes(2));
      report = { ...explainWhy(cluster.state, cluster.objects, probe, { seq: cluster.events.length, storedMs: 0, head: cluster.events.length }), uncertain };
    } else {
      const lab = values.log === undefined ? values.name ?? 'lab' : undefined;
      const history = await openHistory({ log: values.log, name: lab ?? '' });
      report = await whyInLog(history, probe, values.at === undefined ? undefined : parseMoment(values.at, Date.now()), lab);
      await history.close();
    }
    io.stdout(structured(output, report) ?? whyText(report));
    if (values.expect === undefined) return EXIT.yes;
    return (report.verdict === 'deny' ? 'deny' : 'allow') === values.expect ? EXIT.yes : EXIT.no;
  },
};
