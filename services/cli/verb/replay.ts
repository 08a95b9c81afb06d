/** `seine replay`: rows as they *should be*, from the log alone. */
import { canonicalEntries, emptyTables, endpointsOfLog, nodeRows, rowsByMap } from '@seine/datapath-writer';
import type { DumpReport } from '@seine/node';

import { foldUntil, openHistory } from '../history.ts';
import { parseMoment } from '../moment.ts';
import { entriesText } from '../print/entries.ts';
import { structured } from '../print/structured.ts';
import { badInput, EXIT, readArgs, readOutput, type Verb } from './verb.ts';

const OPTIONS = { name: { type: 'string' }, node: { type: 'string' }, until: { type: 'string' }, log: { type: 'string' }, output: { type: 'string', short: 'o' } } as const;

export const replay: Verb = {
  name: 'replay',
  summary: 'rows as they should be, from the log alone',
  usage: `
seine replay --node NODE [--until MOMENT] [--name LAB | --log FILE] [-o json]

Folds the log up to MOMENT ('#142', 03:12, -7d; default: its head) and prints the rows of that node's maps, as 'seine dump' does.
Exit: 0, 2 bad input or a moment outside the log, 3 no lab.`,
  examples: [
    ["seine replay --node n2 --until '#142'", 'the maps of n2 as they were'],
    ['seine replay --node n2 --log prod.seinelog -o json', 'from a file, elsewhere'],
  ],
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json', 'jsonl', 'yaml']);
    if (values.node === undefined) throw badInput('--node: nothing: expected the name of a node');
    const history = await openHistory({ log: values.log, name: values.name ?? 'lab' });
    const { state, seq } = await foldUntil(history, values.until === undefined ? undefined : parseMoment(values.until, Date.now()));
    await history.close();
    if (!state.nodes.has(values.node)) throw badInput(`--node ${values.node}: expected one of ${[...state.nodes.keys()].join(', ')}`);
    const tables = emptyTables();
    const interfaces = new Map<string, number>();
    const indexOf = (name: string): number => { const index = interfaces.get(name) ?? interfaces.size + 1; interfaces.set(name, index); return index; };
    const { rows } = nodeRows(values.node, state, endpointsOfLog(values.node, state, indexOf), tables);
    const names = new Map([...interfaces].map(([name, index]) => [index, name]));
    const entries = canonicalEntries(rowsByMap(rows), { tables, interfaceName: (index) => names.get(index) });
    const report: DumpReport = { node: values.node, seq, entries };
    io.stdout(structured(output, report, entries) ?? `${entriesText(entries)}${entries.length} rows at #${seq}\n`);
    return EXIT.yes;
  },
};
