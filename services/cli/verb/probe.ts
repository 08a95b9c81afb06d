/** `seine probe`: what the verdicts *are*, by real packets in a lab. */
import { connectLab, startLab, stopLab } from '@seine/lab/client';

import { probeTable } from '../print/probes.ts';
import { structured } from '../print/structured.ts';
import { probeOfWords, readCases, readProbes, rejections, type Rejection } from '../probes.ts';
import { badInput, EXIT, readArgs, readInteger, readOutput, type Verb } from './verb.ts';
import type { Converged } from './lab.ts';

export interface ProbeResult {
  readonly from: string; readonly to: string; readonly protocol?: string; readonly port?: number; readonly want?: 'allow' | 'deny'; readonly got: 'allow' | 'deny' | 'error'; readonly ok: boolean;
  readonly direction: string | null; readonly reason: { readonly code: number; readonly name: string } | null;
  readonly rule: { readonly kind: string; readonly namespace: string; readonly name: string; readonly section: string; readonly index: number } | null;
  readonly connected: boolean | null; readonly unexplained: boolean; readonly message?: string; readonly evidence: Readonly<Record<string, unknown>>;
}
export interface ProbeReport { readonly probes: readonly ProbeResult[]; readonly total: number; readonly ok: number; readonly mismatched: number; readonly unexplained: number; readonly ms: number }

const OPTIONS = {
  probes: { type: 'string' }, batch: { type: 'string' }, name: { type: 'string' }, nodes: { type: 'string' }, output: { type: 'string', short: 'o' },
} as const;

/** A lab of its own for a batch, unless one of that name is up. */
const batch = async (path: string, lab: string | undefined, nodes: number, tell: (line: unknown) => void): Promise<number> => {
  const cases = readCases(path);
  const name = lab ?? 'probe';
  const { client, existed } = await startLab(name, { nodes, repair: true, offload: false });
  let different = 0;
  try {
    for (const { name: caseName, objects, refused, probes } of cases) {
      const converged = await client.call<Converged>('apply', { objects, replace: true });
      const report = await client.call<ProbeReport>('probe', { probes });
      const refusedByWatcher = converged.refused.flatMap(({ object, messages }): readonly Rejection[] => {
        const [kind, namespace, ...rest] = object.split('/') as [string, string, ...string[]]; // the key of a refusal
        return messages.map((message) => {
          const [field, value, expected] = message.split(': ') as [string, string | undefined, string | undefined]; // field: value: expectation
          return { kind, namespace, name: rest.join('/'), field, value: value ?? '', expected: expected?.replace(/^expected /, '') ?? message, message };
        });
      });
      const pass = report.mismatched === 0 && converged.failed.length === 0;
      if (!pass) different += 1;
      tell({ name: caseName, pass, probes: report.probes, rejected: [...rejections(refused), ...refusedByWatcher], ...(converged.failed.length === 0 ? {} : { failed: converged.failed }) });
    }
  } finally {
    client.close();
    if (!existed) await stopLab(name);
  }
  return different === 0 ? EXIT.yes : EXIT.no;
};

export const probe: Verb = {
  name: 'probe',
  summary: 'what the verdicts are: real packets in a lab',
  usage: `
seine probe FROM TO [PORT[/PROTOCOL]] [--name LAB] [-o json]
seine probe --probes FILE.json [--name LAB] [-o json]
seine probe --batch FILE.jsonl [--name LAB] [--nodes N]

FROM, TO: ns/pod, ns/deployment (its first pod), svc:ns/name, node:NAME, external, or an address. Without a port: an ICMP echo.
allow: the packet arrived, counted by a packet socket in the destination's namespace. deny: nothing arrived; with a drop sample it is explained.
--batch: one case a line {"name","objects":[…],"probes":[…]} → one result a line; the lab is reused, and taken down if it was not there.
Exit: 0 all as wanted, 1 a probe differs, 2 bad input, 3 no lab.`,
  run: async (args, io) => {
    const { values, positionals } = readArgs(args, OPTIONS);
    if (values.batch !== undefined) return batch(values.batch, values.name, readInteger('--nodes', values.nodes ?? '2', { min: 1, max: 20 }), (line) => { io.stdout(`${JSON.stringify(line)}\n`); });
    const output = readOutput(values.output, ['table', 'json', 'jsonl', 'yaml']);
    if (values.probes === undefined && positionals.length === 0) throw badInput('nothing to probe: expected FROM TO PORT, --probes FILE or --batch FILE');
    const probes = values.probes === undefined ? [probeOfWords(positionals)] : readProbes(values.probes);
    const client = await connectLab(values.name ?? 'lab');
    const report = await client.call<ProbeReport>('probe', { probes });
    client.close();
    io.stdout(structured(output, report, report.probes) ?? `${probeTable(report.probes)}${report.ok} of ${report.total} as needed${report.unexplained > 0 ? `, ${report.unexplained} unexplained` : ''} (${report.ms} ms)\n`);
    const failed = report.probes.find(({ got }) => got === 'error');
    if (failed !== undefined && values.probes === undefined) { io.stderr(`${failed.message}\n`); return EXIT.badInput; }
    return report.mismatched === 0 ? EXIT.yes : EXIT.no;
  },
};

