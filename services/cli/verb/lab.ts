/** `seine lab`: a cluster on this machine. */
import { spawn } from 'node:child_process';

import { isHostNetwork, resolveParty } from '@seine/lab';
import { startLab, stopLab, withLab } from '@seine/lab/client';
import { placesOf } from '@seine/lab/places';
import { knownLabs } from '@seine/lab/takedown';
import type { UnixClient } from '@seine/node';
import { objectKey, type KubeObject } from '@seine/objects';

import { readForLab, type Given } from '../manifests.ts';
import { structured } from '../print/structured.ts';
import { table } from '../print/table.ts';
import { badInput, EXIT, readArgs, readDuration, readInteger, readIpFamily, readOutput, readSettings, readXdp, unreachable, type Io, type Verb } from './verb.ts';

export interface Converged {
  readonly seq: number; readonly policySeq: number; readonly attached: number; readonly failed: readonly string[]; readonly ms: number; readonly warnings: readonly string[];
  readonly refused: readonly { readonly object: string; readonly messages: readonly string[] }[];
  /** Services of which a part is refused and the rest is served. */
  readonly refusedInPart: readonly { readonly object: string; readonly messages: readonly string[] }[]; readonly ignored: Readonly<Record<string, number>>;
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
  offload: { type: 'boolean' }, wait: { type: 'boolean' }, timeout: { type: 'string' }, all: { type: 'boolean' }, node: { type: 'string' }, output: { type: 'string', short: 'o' }, 'ct-size': { type: 'string' }, 'at-once': { type: 'string' }, 'ip-family': { type: 'string' }, xdp: { type: 'string' }, set: { type: 'string', multiple: true },
} as const;

/** Says what was refused, ignored and doubled; a refusal is exit 2, everything else applied. */
export const tellGiven = (io: Io, given: Given): number => {
  for (const warning of given.warnings) io.stderr(`warning: ${warning}\n`);
  for (const reason of given.uncertain) io.stderr(`uncertain: ${reason}\n`);
  for (const { object, refusals, source } of given.refused) {
    for (const { message } of refusals) io.stderr(`refused: ${object.kind} ${object.namespace === '' ? '' : `${object.namespace}/`}${object.name}${source === undefined ? '' : ` (${source.file}:${source.line})`}: ${message}\n`);
  }
  return given.refused.length > 0 ? EXIT.badInput : EXIT.yes;
};

export const tellConverged = (io: Io, converged: Converged): number => {
  for (const warning of converged.warnings) io.stderr(`warning: ${warning}\n`);
  for (const { object, messages } of converged.refused) for (const message of messages) io.stderr(`refused: ${object}: ${message}\n`);
  for (const { object, messages } of converged.refusedInPart) for (const message of messages) io.stderr(`refused in part: ${object}: ${message}\n`);
  for (const failure of converged.failed) io.stderr(`not attached: ${failure}\n`);
  const ignored = Object.entries(converged.ignored).map(([kind, count]) => `${count} ${kind}`).join(', ');
  if (ignored !== '') io.stderr(`ignored, as they say nothing about the network: ${ignored}\n`);
  return converged.failed.length > 0 ? EXIT.no : converged.refused.length > 0 ? EXIT.badInput : EXIT.yes;
};

const TELL_EVERY_MS = 1_000;

/** Patience: until Ctrl-C, and no longer than --timeout. */
const patienceOf = (io: Io, timeout: string | undefined): AbortSignal =>
  (timeout === undefined ? io.signal : AbortSignal.any([io.signal, AbortSignal.timeout(readDuration('--timeout', timeout))]));

/** An order that may take long: whoever watches hears each second what it waits for. @throws SEINE_PEER_UNREACHABLE when patience ends; the lab goes on */
const order = async <T>(io: Io, client: UnixClient, signal: AbortSignal, op: string, body: unknown): Promise<T> => {
  const leave = (): void => { client.close(); };
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  let told = '';
  const teller = !io.terminal ? undefined : setInterval(() => {
    client.call<{ readonly stage: string; readonly attached: number }>('progress').then(({ stage, attached }) => {
      const line = stage === '' ? '' : `  ${attached} pods attached; waiting for ${stage}\n`;
      if (line !== told) io.stderr(line);
      told = line;
    }, () => {}); // the order's own call says what is wrong
  }, TELL_EVERY_MS);
  try {
    return await client.call<T>(op, body);
  } catch (error) {
    if (signal.aborted) throw unreachable(`${op}: not waited for; the lab goes on with it (seine lab status)`);
    throw error;
  } finally {
    clearInterval(teller);
    signal.removeEventListener('abort', leave);
  }
};

const up: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  const name = values.name ?? 'lab';
  const output = readOutput(values.output, ['table', 'json', 'yaml']);
  const given = readForLab(values.file ?? [], values.recursive === true);
  const signal = patienceOf(io, values.timeout);
  const started = performance.now();
  const { client, existed } = await startLab(name, {
    ...(values.nodes === undefined ? {} : { nodes: readInteger('--nodes', values.nodes, { min: 1, max: 20 }) }), ...(values['no-repair'] === true ? { repair: false } : {}),
    ...(values.offload === true ? { offload: true } : {}), ...(values['at-once'] === undefined ? {} : { atOnce: readInteger('--at-once', values['at-once'], { min: 1, max: 64 }) }),
    ...(values.xdp === undefined ? {} : { xdp: readXdp(values.xdp) }),
    ...(values.set === undefined ? {} : { settings: JSON.stringify(readSettings(values.set)) }),
    ...(values['ip-family'] === undefined ? {} : { ipFamily: readIpFamily(values['ip-family']) }), ...(values['ct-size'] === undefined ? {} : { ctSize: readInteger('--ct-size', values['ct-size'], { min: 1024, max: 1_048_576 }) }),
  }, {}, { signal, ...(io.terminal ? { tell: (step: string) => { io.stderr(`  ${step}\n`); } } : {}) });
  if (existed) io.stderr(`lab ${name} was up already; applying to it\n`);
  const refusedHere = tellGiven(io, given);
  const converged = await order<Converged>(io, client, signal, 'apply', { objects: given.objects }).finally(() => { client.close(); });
  const told = tellConverged(io, converged);
  const report = { name, seq: converged.seq, attached: converged.attached, failed: converged.failed, refused: converged.refused, refusedInPart: converged.refusedInPart, ms: Math.round(performance.now() - started) };
  io.stdout(structured(output, report) ?? `lab ${name} is up: ${converged.attached} pods attached, ${given.objects.filter(({ kind }) => kind.endsWith('NetworkPolicy')).length} policies, log and nodes at #${converged.seq} (${(report.ms / 1000).toFixed(1)} s)\n`);
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
  const found = await withLab(values.name ?? 'lab', (client) => client.call<LabStatus>('status', { reach: true }));
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
  const given = readForLab(values.file, values.recursive === true);
  const refusedHere = tellGiven(io, given);
  const converged = await withLab(values.name ?? 'lab', (client) => order<Converged>(io, client, patienceOf(io, values.timeout), 'apply', { objects: given.objects }));
  const told = tellConverged(io, converged);
  io.stdout(structured(output, converged) ?? `applied: log and nodes at #${converged.seq}, ${converged.attached} pods attached (${converged.ms} ms)\n`);
  return Math.max(refusedHere, told);
};

const remove: Verb['run'] = async (args, io) => {
  const { values } = readArgs(args, OPTIONS);
  if (values.file === undefined) throw badInput('-f: nothing: expected a file, a folder or -');
  const output = readOutput(values.output, ['table', 'json', 'yaml']);
  const given = readForLab(values.file, values.recursive === true);
  const converged = await withLab(values.name ?? 'lab', (client) =>
    order<Converged & { readonly missing: readonly string[] }>(io, client, patienceOf(io, values.timeout), 'delete', { keys: given.objects.map(objectKey) }));
  const told = tellConverged(io, converged);
  for (const key of converged.missing) io.stderr(`not there: ${key}\n`);
  const count = given.objects.length - converged.missing.length;
  io.stdout(structured(output, converged) ?? `deleted ${count} object${count === 1 ? '' : 's'}: log and nodes at #${converged.seq}, ${converged.attached} pods attached (${converged.ms} ms)\n`);
  return told;
};

const set: Verb['run'] = async (args, io) => {
  const { values, positionals } = readArgs(args, OPTIONS);
  if (positionals.length === 0) throw badInput('expected: seine lab set NAME=VALUE…');
  const output = readOutput(values.output, ['table', 'json', 'yaml']);
  const settings = readSettings(positionals);
  const converged = await withLab(values.name ?? 'lab', (client) => order<Converged>(io, client, patienceOf(io, values.timeout), 'set', { settings }));
  io.stdout(structured(output, converged) ?? `set ${positionals.join(' ')}: log and nodes at #${converged.seq} (${converged.ms} ms)\n`);
  return tellConverged(io, converged);
};

const execIn: Verb['run'] = async (args, io) => {
  const dashes = args.indexOf('--');
  const { values, positionals } = readArgs(dashes < 0 ? args : args.slice(0, dashes), OPTIONS);
  const command = dashes < 0 ? [] : args.slice(dashes + 1);
  const pod = positionals[0];
  if (pod === undefined || command.length === 0) throw badInput('expected: seine lab exec POD -- COMMAND …');
  const party = resolveParty(pod, await withLab(values.name ?? 'lab', (client) => client.call<readonly KubeObject[]>('objects')));
  const places = placesOf(values.name ?? 'lab');
  if (party.type === 'service') throw badInput(`${pod}: expected a pod, node:NAME or external: nothing runs in a Service`);
  const node = party.type === 'pod' ? party.node : party.type === 'node' ? party.name.slice('node:'.length) : undefined;
  const netns = `/run/netns/${party.type === 'pod' && !isHostNetwork(party.pod) ? places.podNetns(party.pod.namespace, party.pod.name) : node === undefined ? places.external : places.nodeNetns(node)}`;
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
  const { killed } = await withLab(values.name ?? 'lab', (client) => client.call<{ readonly killed: number }>('kill', { role, ...(values.node === undefined ? {} : { node: values.node }) }));
  if (killed === 0) { throw badInput(`${role}${values.node === undefined ? '' : ` on ${values.node}`}: no such process in the lab`); }
  io.stdout(`killed ${killed} ${role}${values.node === undefined ? '' : ` on ${values.node}`} (SIGKILL); it comes back by itself\n`);
  return EXIT.yes;
};

const VERBS: Readonly<Record<string, Verb['run']>> = { up, down, status, apply, delete: remove, set, exec: execIn, kill };

export const lab: Verb = {
  name: 'lab',
  summary: 'a cluster on this machine: up, down, status, apply, delete, set, exec, kill',
  usage: `
seine lab up [-f FILE|DIR|-]… [-R] [--nodes N] [--name LAB] [--wait] [--timeout 60s] [-o table|json|yaml] [--no-repair] [--offload] [--ct-size N] [--at-once N] [--ip-family dual|ipv4|ipv6] [--xdp off|auto|native|generic] [--set NAME=VALUE]…
seine lab apply -f FILE|DIR|-… [-R] [--name LAB] [--timeout 60s] [-o …]
seine lab delete -f FILE|DIR|-… [-R] [--name LAB] [--timeout 60s] [-o …]
seine lab set NAME=VALUE… [--name LAB] [--timeout 60s] [-o …]
seine lab status [--name LAB] [-o table|json|yaml]
seine lab exec POD|node:N|external [--name LAB] -- COMMAND…
seine lab kill ROLE [--node N] [--name LAB]
seine lab down [--name LAB | --all]

A cluster of network namespaces: real BPF, real packets, every process of Seine for real. LAB is 'lab' unless named; several may be up.
up returns when every pod is attached and every node enforces (--wait is the default); so do apply and delete. Ctrl-C, or the end of
--timeout, takes a lab down that was not up yet; one that is up goes on with what it was told. down takes everything of a lab away, also
after a kill -9 of anything; --all of every lab.
--no-repair, for trying what happens: drift is reported, not repaired, and the tc filters at pods stand alone (no TCX links, nothing at
uplinks: no policy of nodes, no NodePort). --offload: wires keep their checksum and segmentation offloads (for benchmarks).
--ct-size: entries of each conntrack map. --at-once: pods attached at the same time. --ip-family: what nodes and pods have (dual). --xdp: SEINE_XDP of the nodes (off).
--set, set: a setting of the cluster, of a new lab or of one that is up (seine check --help names them).
Exit: 0 done (delete: what was not there is named), 1 not all attached, 2 bad input (what was good is applied), 3 no such lab or not in time.`,
  examples: [
    ['seine lab up -f infra/examples/shop', 'two nodes, the shop, its policies'],
    ['seine lab up --name mine --nodes 3 -f manifests/ -R', 'your own, beside it'],
    ['seine lab apply -f infra/examples/shop/fix.yaml', 'as kubectl apply would'],
    ['seine lab kill loader --node n2', 'SIGKILL; traffic goes on: seine status'],
    ['seine lab exec node:n1 -- ip route', "in a node's, a pod's or the outside's namespace"],
    ['seine lab down --all', 'nothing of any lab is left'],
  ],
  run: async (args, io) => {
    const [name, ...rest] = args;
    const run = name !== undefined && Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
    if (run === undefined) throw badInput(`lab${name === undefined ? '' : ` ${name}`}: expected one of ${Object.keys(VERBS).join(', ')}`);
    return run(rest, io);
  },
};
