/** `seine verify`: does the kernel hold exactly what the log says? */
import type { NodeVerify } from '@seine/node';

import { askWriter, labNodesOf } from '../node-sockets.ts';
import { structured } from '../print/structured.ts';
import { EXIT, readArgs, readOutput, type Verb } from './verb.ts';

const OPTIONS = { name: { type: 'string' }, node: { type: 'string' }, output: { type: 'string', short: 'o' } } as const;

export const verifyText = (nodes: readonly NodeVerify[]): string => {
  const bad = nodes.filter(({ differences, programs }) => differences.length + programs.length > 0);
  if (bad.length === 0) {
    const at = [...new Set(nodes.map(({ seq }) => `#${seq}`))].join(', ');
    return `${nodes.map(({ node, rows }) => `${node} ${rows} rows`).join(', ')}: the kernel holds exactly what the log says at ${at}.\n`;
  }
  return bad.flatMap(({ node, differences, programs }) => [
    ...differences.map(({ kind, map, key, want, have, event }) =>
      `${node}  ${kind}  ${map}  ${key}\n      want  ${want ?? 'nothing'}\n      have  ${have ?? 'nothing'}\n${event === null ? '' : `      put there by  #${event.seq} ${event.type} ${event.subject}\n`}`),
    ...programs.map(({ hook, want, have }) => `${node}  attachment  ${hook}: want ${want}, have ${have}\n`),
  ]).join('');
};

export const verify: Verb = {
  name: 'verify',
  summary: 'does the kernel hold exactly what the log says',
  usage: `
seine verify [--node NODE] [--name LAB] [-o json]

Compares every row of every node's maps, and every attachment, with what the log says; each difference names map, key, kind and the event
that put the row there.
Exit: 0 equal, 1 there is a difference, 3 no lab.`,
  examples: [
    ['seine verify', 'every node'],
    ['seine verify --node n2 -o json', 'one node, each difference with its event'],
  ],
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json', 'yaml']);
    const lab = values.name ?? 'lab';
    const nodes = await Promise.all((await labNodesOf(lab, values.node)).map(({ name }) => askWriter<NodeVerify>(lab, name, 'verify')));
    io.stdout(structured(output, { nodes }) ?? verifyText(nodes));
    return nodes.every(({ differences, programs }) => differences.length + programs.length === 0) ? EXIT.yes : EXIT.no;
  },
};
