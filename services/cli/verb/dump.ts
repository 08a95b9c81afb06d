/** `seine dump`: rows as they *are* in a node's kernel. */
import type { DumpReport } from '@seine/node';

import { askWriter, labNodesOf } from '../node-sockets.ts';
import { entriesText } from '../print/entries.ts';
import { structured } from '../print/structured.ts';
import { badInput, EXIT, readArgs, readOutput, type Verb } from './verb.ts';

const OPTIONS = { name: { type: 'string' }, node: { type: 'string' }, output: { type: 'string', short: 'o' } } as const;

export const dump: Verb = {
  name: 'dump',
  summary: "rows as they are in a node's kernel",
  usage: `
seine dump --node NODE [--name LAB] [-o json]

One entry for each entry of the maps that user space owns, without the node's own numbers: comparable with 'seine replay' byte for byte.
'seq' is the log sequence whose rows the kernel holds. Exit: 0, 2 bad input, 3 no lab.`,
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json', 'jsonl', 'yaml']);
    if (values.node === undefined) throw badInput('--node: nothing: expected the name of a node');
    const [node] = await labNodesOf(values.name ?? 'lab', values.node);
    const found = await askWriter<DumpReport>(values.name ?? 'lab', node!.name, 'dump');
    io.stdout(structured(output, found, found.entries) ?? `${entriesText(found.entries)}${found.entries.length} rows at #${found.seq}\n`);
    return EXIT.yes;
  },
};
