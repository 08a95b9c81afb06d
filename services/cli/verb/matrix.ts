/** `seine matrix`: who reaches whom. */
import { matrixOf } from '../matrix.ts';
import { cellsText, matrixHead, matrixText } from '../print/matrix.ts';
import { structured } from '../print/structured.ts';
import { SOURCE_OPTIONS, stateOf } from '../source.ts';
import { badInput, EXIT, readArgs, readFamily, readOutput, type Verb } from './verb.ts';

const OPTIONS = { ...SOURCE_OPTIONS, namespace: { type: 'string', short: 'n' }, 'all-namespaces': { type: 'boolean', short: 'A' }, family: { type: 'string' }, output: { type: 'string', short: 'o' } } as const;

export const matrix: Verb = {
  name: 'matrix',
  summary: 'who reaches whom: every workload, every port, the deciding rule',
  usage: `
seine matrix -n NAMESPACE | -A [--at MOMENT] [--name LAB | --log FILE | -f FILE|DIR|-… [-R] [--set NAME=VALUE]] [--family 4|6] [-o table|wide|json|jsonl|yaml]

Rows are workloads, grouped by identity, and the world outside (each prefix that a policy mentions apart); columns are the ports that their
containers and Services name. With -n: who reaches the workloads of that namespace, from everywhere; where a policy there judges egress, also
who of them reaches the world (443/TCP stands for it). A node always reaches its own pods, and is not shown. --family: the cluster's first unless given. -o wide: one line for each cell.

Exit: 0, 2 bad input (no such namespace), 3 no lab.`,
  examples: [
    ['seine matrix -n shop', "the lab's"],
    ['seine matrix -n shop -f manifests/ -R -o json', 'of manifests alone'],
    ['seine matrix -A --log prod.seinelog --at 03:12 -o wide', 'one line for each cell'],
    ['seine matrix -n shop -f prod.yaml', 'of a snapshot: seine snapshot -O prod.yaml'],
  ],
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    const output = readOutput(values.output);
    if (values.namespace !== undefined && values['all-namespaces'] === true) throw badInput('-n with -A: expected one of the two');
    if (values.namespace === undefined && values['all-namespaces'] !== true) throw badInput('expected -n NAMESPACE, or -A for every namespace');
    const { state, seq, uncertain, refused } = await stateOf(values, io);
    const namespaces = [...new Set([...state.pods.keys()].map((pod) => pod.slice(0, pod.indexOf('/'))))].sort();
    if (values.namespace !== undefined && !namespaces.includes(values.namespace)) throw badInput(`-n ${values.namespace}: no pod is there: expected one of ${namespaces.slice(0, 20).join(', ')}`);
    const found = matrixOf(state, { namespace: values.namespace, family: readFamily(values.family) });
    const moment = seq === null ? '' : ` at #${seq}`;
    io.stdout(output === 'wide' ? `${matrixHead(found, moment)}${cellsText(found.cells)}` : structured(output, { seq, ...found, refused, uncertain }, found.cells) ?? matrixText(found, moment));
    return EXIT.yes;
  },
};
