/** `seine wait`: until the nodes have applied a sequence. */
import type { NodeStatus } from '@seine/node';

import { isSeineError } from '@seine/model';

import { askWriter, labNodesOf } from '../node-sockets.ts';
import { badInput, EXIT, readArgs, readDuration, readInteger, type Verb } from './verb.ts';

const OPTIONS = { name: { type: 'string' }, seq: { type: 'string' }, node: { type: 'string' }, timeout: { type: 'string' } } as const;

export const wait: Verb = {
  name: 'wait',
  summary: 'until the nodes have applied a sequence',
  usage: `
seine wait --seq N [--node NODE] [--timeout 30s] [--name LAB]

Exit: 0 applied, 1 time is up (says where each node is), 2 bad input, 3 no lab.`,
  examples: [
    ['seine wait --seq 142', 'every node'],
    ['seine wait --seq 142 --node n2 --timeout 5s', 'one node'],
  ],
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    if (values.seq === undefined) throw badInput("--seq: nothing: expected a sequence such as 142 or '#142'");
    const seq = readInteger('--seq', values.seq.replace('#', ''), { min: 0, max: Number.MAX_SAFE_INTEGER });
    const timeoutMs = readDuration('--timeout', values.timeout ?? '30s');
    const lab = values.name ?? 'lab';
    const results = await Promise.all((await labNodesOf(lab, values.node)).map(async ({ name }) => {
      try {
        const { seq: at } = await askWriter<NodeStatus>(lab, name, 'wait', { seq, timeoutMs });
        return { text: `${name} at #${at}`, ok: true };
      } catch (error) {
        if (!isSeineError(error, 'SEINE_WAIT_TIMEOUT')) throw error;
        return { text: error.message, ok: false };
      }
    }));
    for (const { text } of results) io.stdout(`${text}\n`);
    return results.every(({ ok }) => ok) ? EXIT.yes : EXIT.no;
  },
};
