/** `seine lab`: a cluster on this machine. */
import { spawn } from 'node:child_process';

import { connectLab, startLab, stopLab } from '@seine/lab/client';
import { placesOf } from '@seine/lab/places';
import { knownLabs } from '@seine/lab/takedown';
import type { KubeObject } from '@seine/objects';

import { readManifests, type Given } from '../manifests.ts';
import { structured } from '../print/structured.ts';
import { table } from '../print/table.ts';
import { badInput, EXIT, readArgs, readDuration, readInteger, readOutput, readSettings, type Io, type Verb } from './verb.ts';

export interface Converged {
  readonly seq: number; readonly policySeq: number; readonly attached: number; readonly failed: readonly string[]; readonly ms: number; readonly warnings: readonly string[];
  readonly refused: readonly { readonly object: string; readonly messages: readonly string[] }[]; readonly ignored: Readonly<Record<string, number>>;
}
interface LabStatus {
  readonly name: string; readonly head: number;
  readonly nodes: readonly { readonly name: string; readonly netns: string; readonly seq: number | null }[];
  readonly roles: readonly { readonly name: string; readonly node: string | null; readonly pid: number | null; readonly rssBytes: number; readonly ready: boolean }[];
  readonly pods: { readonly total: number; readonly ready: number };
  readonly services: { readonly total: number; readonly reachable: number | null };
}

const OPTIONS = {
  name: { type: 'string' }, file: { type: 'string', short: 'f', multiple: true }, recursive: { type: 'boolean', short: 'R' }, nodes: { type: 'string' }, 'no-repair': { type: 'boolean' },
  offload: { type: 'boolean' }, wait: { type: 'boolean' }, timeout: { type: 'string' }, all: { type: 'boolean' }, node: { type: 'string' }, output: { type: 'string', short: 'o' }, 'ct-size': { type: 'string' }, 'at-once': { type: 'string' }, set: { type: 'string', multiple: true },
} as const;

/** Says what was refused, ignored and doubled; a refusal is exit 2, everything else applied. */
export const tellGiven = (io: Io, given: Given): number => {
  for (const warning of given.warnings) io.stderr(`warning: ${warning}\n`);
  for (const { object, refusals, source } of given.refused) {
    for (const { message } of refusals) io.stderr(`refused: ${object.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}${source === undefined ? '' : ` (${source.file}:${source.line})`}: ${message}\n`);
  }
  return given.refused.length > 0 ? EXIT.badInput : EXIT.yes;
};

export const tellConverged = (io: Io, converged: Converged): number => {
  for (const warning of converged.warnings) io.stderr(`warning: ${warning}\n`);
  for (const { object, messages } of converged.refused) for (const message of messages) io.stderr(`refused: ${object}: ${message}\n`);
  for (const failure of converged.failed) io.stderr(`not attached: ${failure}\n`);
  const ignored = Object.entries(converged.ignored).map(([kind, count]) => `${count} ${kind}`).join(', ');
  if (ignored !== '') io.stderr(`ignored, as they say nothing about the network: ${ignored}\n`);
  return converged.failed.length > 0 ? EXIT.no : converged.refused.length > 0 ? EXIT.badInput : EXIT.yes;
};

const count = (objects: readonly KubeObject[], kind: string): number => objects.filter((object) => object.kind === kind).length;

const up: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  const name = values.name ?? 'lab';
  const output = readOutput(values.output, ['table', 'json', 'yaml']);
  const given = readManifests(values.file ?? [], values.recursive === true);
  const started = performance.now();
  const { client, existed } = await startLab(name, {
    ...(values.nodes === undefined ? {} : { nodes: readInteger('--nodes', values.nodes, { min: 1, max: 20 }) }), ...(values['no-repair'] === true ? { repair: false } : {}),
    ...(values.offload === true ? { offload: true } : {}), ...(values['at-once'] === undefined ? {} : { atOnce: readInteger('--at-once', values['at-once'], { min: 1, max: 64 }) }),
    ...(values.set === undefined ? {} : { settings: JSON.stringify(readSettings(values.set)) }),
    ...(values['ct-size'] === undefined ? {} : { ctSize: readInteger('--ct-size', values['ct-size'], { min: 1024, max: 1_048_576 }) }),
  });
  if (existed) io.stderr(`lab ${name} was up already; applying to it\n`);
  const refusedHere = tellGiven(io, given);
  const converged = await client.call<Converged>('apply', { objects: given.objects });
  const told = tellConverged(io, converged);
  client.close();
  const report = { name, seq: converged.seq, attached: converged.attached, failed: converged.failed, refused: converged.refused, ms: Math.round(performance.now() - started) };
  io.stdout(structured(output, report) ?? `lab ${name} is up: ${converged.attached} pods attached, ${count(given.objects, 'NetworkPolicy')} NetworkPolicies, log and nodes at #${converged.seq} (${(report.ms / 1000).toFixed(1)} s)\n`);
  return Math.max(refusedHere, told);
};

const down: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  const names = values.all === true ? knownLabs() : [values.name ?? 'lab'];
  for (const name of names) {
    await stopLab(name);
    io.stdout(`lab ${name} is down\n`);
  }
  return EXIT.yes;
};

const status: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  const output = readOutput(values.output, ['table', 'json', 'yaml']);
  const client = await connectLab(values.name ?? 'lab');
  const found = await client.call<LabStatus>('status', { reach: true });
  client.close();
  io.stdout(structured(output, found) ?? [
    `lab ${found.name}: log at #${found.head}, pods ${found.pods.ready} of ${found.pods.total} ready, services ${found.services.reachable} of ${found.services.total} reachable\n`,
    table([['NODE', 'NAMESPACE', 'AT'], ...found.nodes.map((node) => [node.name, node.netns, `#${node.seq ?? '?'}`])]),
    table([['ROLE', 'NODE', 'PID', 'RSS', 'READY'], ...found.roles.map((role) => [role.name, role.node ?? '-', String(role.pid ?? '-'), `${Math.round(role.rssBytes / 1048576)} MB`, role.ready ? 'yes' : 'NO'])]),
  ].join(''));
  return found.roles.every(({ ready }) => ready) && found.pods.ready === found.pods.total ? EXIT.yes : EXIT.no;
};

const apply: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  if (values.file === undefined) throw badInput('-f: nothing: expected a file, a folder or -');
  const output = readOutput(values.output, ['table', 'json', 'yaml']);
  const given = readManifests(values.file, values.recursive === true);
  const client = await connectLab(values.name ?? 'lab');
  const refusedHere = tellGiven(io, given);
  const converged = await client.call<Converged>('apply', { objects: given.objects });
  client.close();
  const told = tellConverged(io, converged);
  io.stdout(structured(output, converged) ?? `applied: log and nodes at #${converged.seq}, ${converged.attached} pods attached (${converged.ms} ms)\n`);
  return Math.max(refusedHere, told);
};

const remove: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  if (values.file === undefined) throw badInput('-f: nothing: expected a file, a folder or -');
  const given = readManifests(values.file, values.recursive === true);
  const client = await connectLab(values.name ?? 'lab');
  const converged = await client.call<Converged>('delete', { keys: given.objects.map(({ kind, namespace, name }) => `${kind}/${namespace}/${name}`) });
  client.close();
  const told = tellConverged(io, converged);
  io.stdout(`deleted: log and nodes at #${converged.seq}, ${converged.attached} pods attached (${converged.ms} ms)\n`);
  return told;
};

const execIn: Verb['run'] = async (args, io) => {
  const dashes = args.indexOf('--');
  const { values, positionals } = readArgs(dashes < 0 ? args : args.slice(0, dashes), OPTIONS);
  const command = dashes < 0 ? [] : args.slice(dashes + 1);
  const pod = positionals[0];
  if (pod === undefined || command.length === 0) throw badInput('expected: seine lab exec POD -- COMMAND …');
  const name = values.name ?? 'lab';
  const client = await connectLab(name);
  const places = placesOf(name);
  const found = await client.call<readonly { readonly node: string; readonly endpoints: readonly { readonly pod: string; readonly netns: string }[] }[]>('pods');
  client.close();
  const at = found.flatMap(({ node, endpoints }) => endpoints.map((endpoint) => ({ node, ...endpoint }))).find((endpoint) => endpoint.pod === pod || endpoint.pod.startsWith(`${pod}-`));
  const node = pod.startsWith('node:') ? pod.slice(5) : at?.node;
  const netns = pod.startsWith('node:') ? `/run/netns/${places.nodeNetns(pod.slice(5))}` : pod === 'external' ? `/run/netns/${places.external}` : at?.netns;
  if (netns === undefined) throw badInput(`${pod}: no such pod in lab ${name}`);
  /* The command enters the node's cgroup before it opens a socket, or Services would not be translated for it. */
  const enter = node === undefined ? '' : `echo $$ > ${places.nodeCgroup(node)}/cgroup.procs && `;
  const child = spawn('sh', ['-c', `${enter}exec nsenter --net="$0" -- "$@"`, netns, ...command], { stdio: 'inherit' });
  return new Promise((resolve) => {
    child.once('exit', (code) => { resolve(code ?? EXIT.no); });
    child.once('error', (error) => { io.stderr(`${error.message}\n`); resolve(EXIT.unreachable); });
  });
};

const kill: Verb['run'] = async (args, io) => {
  const { values, positionals } = readArgs(args, OPTIONS);
  const role = positionals[0];
  if (role === undefined) throw badInput('expected: seine lab kill ROLE [--node NODE]');
  const client = await connectLab(values.name ?? 'lab');
  const { killed } = await client.call<{ readonly killed: number }>('kill', { role, ...(values.node === undefined ? {} : { node: values.node }) });
  if (killed === 0) { client.close(); throw badInput(`${role}${values.node === undefined ? '' : ` on ${values.node}`}: no such process in the lab`); }
  io.stdout(`killed ${killed} ${role}${values.node === undefined ? '' : ` on ${values.node}`} (SIGKILL); it comes back by itself\n`);
  client.close();
  return EXIT.yes;
};

const VERBS: Readonly<Record<string, Verb['run']>> = { up, down, status, apply, delete: remove, exec: execIn, kill };

export const lab: Verb = {
  name: 'lab',
  summary: 'a cluster on this machine: up, down, status, apply, delete, exec, kill',
  usage: `
seine lab up [-f FILE|DIR|-]… [-R] [--nodes N] [--name LAB] [--no-repair] [--offload] [--ct-size N] [--at-once N] [--set NAME=VALUE]… [--wait]
seine lab down [--name LAB | --all]           seine lab status [-o json]
seine lab apply -f …                          seine lab delete -f …
seine lab exec POD|node:N|external -- CMD     seine lab kill ROLE [--node N]

A cluster of network namespaces: real BPF, real packets, every process of Seine for real. LAB is 'lab' unless named.
up returns when every pod is attached and every node enforces (--wait is the default). --no-repair, for trying what happens: drift is
reported, not repaired, and the tc filters at pods stand alone (no TCX links, nothing at uplinks: no policy of nodes, no NodePort). --at-once: pods attached at the same time.
--set: a setting of the cluster (seine check --help names them).
Exit: 0 done, 1 not all attached, 2 bad input (what was good is applied), 3 no such lab or not in time.`,
  run: async (args, io) => {
    const [name, ...rest] = args;
    const run = name !== undefined && Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
    if (run === undefined) throw badInput(`lab ${name ?? ''}: expected one of ${Object.keys(VERBS).join(', ')}`);
    const dashes = rest.indexOf('--timeout');
    if (dashes >= 0 && rest[dashes + 1] !== undefined) readDuration('--timeout', rest[dashes + 1]!);
    return run(rest, io);
  },
};
