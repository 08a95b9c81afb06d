/** `seine status`: is everybody there, and how far. */
import { withLab } from '@seine/lab/client';
import type { NodeStatus } from '@seine/node';

import { askWriter, labNodesOf } from '../node-sockets.ts';
import { structured } from '../print/structured.ts';
import { table } from '../print/table.ts';
import { EXIT, readArgs, readDuration, readOutput, type Io, type Verb } from './verb.ts';

const OPTIONS = { name: { type: 'string' }, wait: { type: 'boolean' }, timeout: { type: 'string' }, output: { type: 'string', short: 'o' } } as const;

interface RoleStatus { readonly name: string; readonly node: string | null; readonly pid: number | null; readonly ready: boolean; readonly starts: number; readonly rssBytes: number }

const look = async (lab: string) => {
  const nodes = await Promise.all((await labNodesOf(lab)).map(async ({ name }) => askWriter<NodeStatus>(lab, name, 'status').catch(() => ({ node: name, seq: null, complete: null, inSync: false, trusted: false, endpoints: null, repairs: null, pid: null }))));
  const { roles, head } = await withLab(lab, (client) => client.call<{ readonly roles: readonly RoleStatus[]; readonly head: number }>('status', { reach: false }));
  return { lab, head, nodes, roles, ok: roles.every(({ ready }) => ready) && nodes.every(({ inSync, trusted, seq }) => inSync && trusted && (seq ?? 0) >= head) };
};

const print = (found: Awaited<ReturnType<typeof look>>): string => [
  `log at #${found.head}: ${found.ok ? 'everybody is there' : 'not everybody is there'}\n`,
  table([['NODE', 'AT', 'IN SYNC', 'TRUSTED', 'ENDPOINTS', 'REPAIRS'], ...found.nodes.map((node) => [node.node, `#${node.seq ?? '?'}`, node.inSync ? 'yes' : 'NO', node.trusted ? 'yes' : 'NO', String(node.endpoints ?? '?'), String(node.repairs ?? '?')])]),
  table([['ROLE', 'NODE', 'PID', 'STARTS', 'RSS', 'READY'], ...found.roles.map((role) => [role.name, role.node ?? '-', String(role.pid ?? '-'), String(role.starts), `${Math.round(role.rssBytes / 1_048_576)} MB`, role.ready ? 'yes' : 'NO'])]),
].join('');

const waitUntil = async (lab: string, timeoutMs: number, io: Io): Promise<Awaited<ReturnType<typeof look>>> => {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await look(lab);
    if (found.ok || Date.now() > end || io.signal.aborted) return found;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
};

export const status: Verb = {
  name: 'status',
  summary: 'is everybody there, and how far',
  usage: `
seine status [--wait] [--timeout 30s] [--name LAB] [-o json]

Exit: 0 every role ready and every node at the log's head, 1 not (with --wait: not in time), 3 no lab.`,
  examples: [
    ['seine status', 'who is there, how far each node is'],
    ['seine status --wait --timeout 60s', 'until everybody is there'],
  ],
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json', 'yaml']);
    const found = await waitUntil(values.name ?? 'lab', values.wait === true ? readDuration('--timeout', values.timeout ?? '30s') : 0, io);
    io.stdout(structured(output, found) ?? print(found));
    return found.ok ? EXIT.yes : EXIT.no;
  },
};
