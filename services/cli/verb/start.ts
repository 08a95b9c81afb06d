/** `npm start`: the first minute. A cluster, a shop with a mistake in its policies, why it is one, the fix applied live, the proof. */
import { release } from 'node:os';
import { join } from 'node:path';

import { allFlowsSubjects } from '@seine/bus';
import { startLab, stopLab } from '@seine/lab/client';
import { PROJECT } from '@seine/lab/places';
import type { Flow, LocalEndpoint, NodeVerify } from '@seine/node';

import { labBus } from '../history.ts';
import { readForLab, readManifests, type Given } from '../manifests.ts';
import { askWriter, labNodesOf } from '../node-sockets.ts';
import { probeTable } from '../print/probes.ts';
import { table } from '../print/table.ts';
import { whyText } from '../print/why.ts';
import { readProbes, type Probe } from '../probes.ts';
import type { WhyReport } from '../why.ts';
import { flowText } from './observe.ts';
import { tellConverged, tellGiven, type Converged } from './lab.ts';
import type { ProbeReport } from './probe.ts';
import { EXIT, readArgs, readOutput, type Io, type Verb } from './verb.ts';
import { verifyText } from './verify.ts';
import { whyInLog } from './why.ts';

const OPTIONS = {
  file: { type: 'string', short: 'f', multiple: true }, recursive: { type: 'boolean', short: 'R' }, probes: { type: 'string' }, exit: { type: 'boolean' }, name: { type: 'string' }, output: { type: 'string', short: 'o' },
} as const;

const SHOP = join(PROJECT, 'infra/examples/shop');
const NODES = 2;
const COLUMN = 74;

const step = (name: string, text: string, ms?: number): string => {
  const head = `  ${name.padEnd(9)} ${text} `;
  return `${ms === undefined ? head.trimEnd() : `${head.padEnd(COLUMN, '.')} ${(ms / 1000).toFixed(1)} s`}\n`;
};

const countOf = (given: Given, kind: string): number => given.objects.filter((object) => object.kind === kind).length;

const whyOf = async (lab: string, probe: Probe): Promise<WhyReport> => {
  const bus = await labBus(lab);
  const report = await whyInLog(bus, probe, undefined, lab);
  await bus.close();
  return report;
};

interface Enforcement { readonly factSeq: number | null; readonly compiledSeq: number; readonly nodes: readonly { readonly node: string; readonly ms: number; readonly rows: number }[] }

/** Nodes without a row to write enforce it too: they have no such pod. */
const enforcedText = ({ nodes }: Enforcement): string => nodes.filter(({ rows }) => rows > 0).map(({ node, ms, rows }) => `${node} enforces it ${ms} ms later, ${rows} map entries written`).join(', ') || 'no node has such a pod';

const verifyAll = async (lab: string): Promise<readonly NodeVerify[]> => Promise.all((await labNodesOf(lab)).map(({ name }) => askWriter<NodeVerify>(lab, name, 'verify')));

const followDrops = async (lab: string, io: Io): Promise<void> => {
  const bus = await labBus(lab);
  for await (const { message } of bus.subscribe(allFlowsSubjects(bus.cluster), io.signal)) {
    for (const flow of (message as { readonly flows: readonly Flow[] }).flows) if (flow.verdict === 'DROPPED') io.stdout(` ${flowText(flow)}\n`);
  }
  await bus.close();
};

/** @param before the log's sequence before the fix; undefined: a person's own manifests */
const hints = (lab: string, before: number | undefined): string => {
  const asked = before === undefined ? [
    ['seine matrix -A', 'who reaches whom, and by which rule'],
    ['seine why NAMESPACE/WORKLOAD NAMESPACE/WORKLOAD PORT', 'why, or why not'],
  ] : [
    ['seine matrix -n shop', 'who reaches whom, and by which rule'],
    [`seine why shop/carts shop/carts-db 27017 --at '#${before}'`, 'why it was denied before the fix'],
  ];
  const lines = [
    ['seine observe -f --verdict dropped', 'watch drops, with reason and rule'], ...asked,
    ['seine lab kill loader --node n2', 'traffic goes on; look: seine status'],
    ['seine replay --node n2', 'the maps of n2 as the log says'],
    ['npm start -- -f YOUR-MANIFESTS -R', 'your own policies, judged the same way'],
  ];
  return `
The lab stays up; Ctrl-C takes it down. In another terminal, in this folder:
  export PATH="$PWD/node_modules/.bin:$PATH"
${table(lines.map(([command = '', what = '']) => [`  ${command}`, ` ${what}`]))}${lab === 'lab' ? '' : `  (each with --name ${lab})\n`}
`;
};

export const start: Verb = {
  name: 'start',
  summary: 'the first minute: a lab, an example, its verdicts (npm start)',
  usage: `
npm start [-- --exit] [-- -f FILE|DIR… [-R] [--probes FILE]] [-- -o json]

Brings up a two-node lab with the shop (or with your manifests), shows its verdicts by real packets, explains the one that is not what the
shop needs, applies the fix, proves that the kernel holds what the log says; stays up until Ctrl-C, or ends with --exit.
Exit: with --exit 0 when the shop showed exactly its one mistake, the fix mended it, and verify found no difference; else 1.`,
  examples: [
    ['npm start', 'the shop, with a mistake in its policies; Ctrl-C takes it down'],
    ['npm start -- --exit', 'the same, then everything is taken down'],
    ['npm start -- -f manifests/ -R --probes probes.json', 'your own, judged the same way'],
    ['npm start -- --exit -o json', 'one report for machines'],
  ],
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json']);
    const people = output === 'table';
    const say = (text: string): void => { if (people) io.stdout(text); };
    const lab = values.name ?? 'lab';
    const own = values.file !== undefined;
    const given = readForLab(values.file ?? [SHOP], values.recursive === true);
    const probes = values.probes !== undefined ? readProbes(values.probes) : own ? [] : readProbes(join(SHOP, 'probes.json'));

    say(`\nSeine 0.1.0 - container networking with a memory            Node ${process.versions.node}, kernel ${release().split('.').slice(0, 2).join('.')}, BTF, cgroup2: ok\n\n`);
    await stopLab(lab);
    const startedMs = performance.now();
    const { client, times } = await startLab(lab, { nodes: NODES });
    const upMs = performance.now() - startedMs;
    const wires = (times['wires'] ?? 0) + (times['broker'] ?? 0);
    say(step('lab', 'nodes n1 n2, an external host, nats-server', wires));
    say(step('roles', 'watcher identity-allocator ipam policy-compiler service-compiler'));
    say(step('', 'on each node: datapath-writer loader observer', upMs - wires));
    const refused = tellGiven(io, given);
    const converged = await client.call<Converged>('apply', { objects: given.objects });
    const told = tellConverged(io, converged);
    const perNode = await client.call<readonly { readonly node: string; readonly endpoints: readonly LocalEndpoint[] }[]>('pods');
    say(step('apply', `${own ? values.file!.join(' ') : 'infra/examples/shop'}: ${countOf(given, 'Deployment')} Deployments, ${countOf(given, 'Service')} Services, ${countOf(given, 'NetworkPolicy')} NetworkPolicies`));
    say(step('', `${converged.attached} pods attached (${perNode.map(({ node, endpoints }) => `${node} ${endpoints.length}`).join(', ')}); log and nodes at #${converged.seq}`, converged.ms));

    const before = await client.call<ProbeReport>('probe', { probes });
    let ok = refused === EXIT.yes && told === EXIT.yes && before.unexplained === 0;
    const wrong = before.probes.filter((probe) => !probe.ok);
    if (probes.length > 0) say(`\n${own ? 'Your probes' : 'What the shop needs'}, tried with real packets under ${own ? 'your' : 'its own'} policies:\n\n${probeTable(before.probes).replace(/^(?=.)/gm, '  ').trimEnd()}\n  ${before.ok} of ${before.total} as needed.\n`);

    let why: WhyReport | null = null;
    let after: ProbeReport | null = null;
    if (!own) {
      const mistake = probes.find(({ from, to }) => from === 'shop/carts' && to === 'shop/carts-db')!;
      ok &&= wrong.length === 1 && wrong[0]?.from === mistake.from && wrong[0].to === mistake.to && wrong[0].got === 'deny';
      why = await whyOf(lab, mistake);
      say(`\n$ seine why shop/carts shop/carts-db 27017\n${whyText(why).replace(/^(?=.)/gm, '  ').trimEnd()}\n`);
      await client.call<Converged>('apply', { objects: readManifests([join(SHOP, 'fix.yaml')], false).objects });
      const way = await client.call<Enforcement | null>('enforcement', { policy: 'shop/carts-db-access' });
      say('\nApplying infra/examples/shop/fix.yaml (cart -> carts, one word):\n');
      if (way !== null) say(`  #${way.factSeq} policy shop/carts-db-access changed -> #${way.compiledSeq} compiled -> ${enforcedText(way)}\n`);
      after = await client.call<ProbeReport>('probe', { probes });
      ok &&= after.mismatched === 0 && after.unexplained === 0;
      say(`  ${after.ok} of ${after.total} as needed.\n`);
    }
    const nodes = await verifyAll(lab);
    ok &&= nodes.every(({ differences, programs }) => differences.length + programs.length === 0);
    say(`\n$ seine verify\n  ${verifyText(nodes).trimEnd()}\n`);
    client.close();

    if (!people) io.stdout(`${JSON.stringify({ setup: { node: process.versions.node, kernel: release() }, lab: { name: lab, times, attached: converged.attached, seq: converged.seq }, before, why, after, verify: { nodes } }, undefined, 2)}\n`);
    if (values.exit === true) {
      await stopLab(lab);
      return ok ? EXIT.yes : EXIT.no;
    }
    say(hints(lab, own ? undefined : converged.seq));
    if (!io.signal.aborted) await followDrops(lab, io);
    await stopLab(lab);
    say('\nthe lab is down\n');
    return EXIT.yes;
  },
};
