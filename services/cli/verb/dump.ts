/** `seine dump`: rows as they *are* in a node's kernel. */
import type { DumpReport } from '@seine/node';

import { askWriter, labNodesOf } from '../node-sockets.ts';
import { entriesText } from '../print/entries.ts';
import { structured } from '../print/structured.ts';
import { badInput, EXIT, readArgs, readOutput, type Verb } from './verb.ts';

const OPTIONS = { name: { type: 'string' }, node: { type: 'string' }, raw: { type: 'boolean' }, output: { type: 'string', short: 'o' } } as const;

export const dump: Verb = {
  name: 'dump',
  summary: "rows as they are in a node's kernel",
  usage: `
seine dump --node NODE [--raw] [--name LAB] [-o json]

One entry for each entry of the maps that user space owns, without the node's own numbers: comparable with 'seine replay' byte for byte.
--raw: the rows as decoded and no more, with the node's own numbers (revisions, rows, rules, classes, interface indexes) and echoes:
for reading beside bpftool, and comparable with no replay and no other node.
'seq' is the log sequence whose rows the kernel holds.
Exit: 0, 2 bad input, 3 no lab.`,
  examples: [
    ['seine dump --node n2', 'what the kernel holds'],
    ['seine dump --node n2 -o json > is.json', 'compare: seine replay --node n2 -o json'],
    ['seine dump --node n2 --raw', "with the node's own numbers, beside bpftool"],
  ],
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json', 'jsonl', 'yaml']);
    if (values.node === undefined) throw badInput('--node: nothing: expected the name of a node');
    const [node] = await labNodesOf(values.name ?? 'lab', values.node);
    const found = await askWriter<DumpReport>(values.name ?? 'lab', node!.name, 'dump', { raw: values.raw === true });
    io.stdout(structured(output, found, found.entries) ?? `${entriesText(found.entries)}${found.entries.length} rows at #${found.seq}\n`);
    return EXIT.yes;
  },
};
