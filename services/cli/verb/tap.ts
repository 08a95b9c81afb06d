/** `seine tap`: the raw bus, decoded, for integrators. */
import { labBus } from '../history.ts';
import { badInput, EXIT, readArgs, type Verb } from './verb.ts';

const OPTIONS = { name: { type: 'string' } } as const;

export const tap: Verb = {
  name: 'tap',
  summary: 'messages of a bus subject, decoded',
  usage: `
seine tap SUBJECT [--name LAB]

For instance: seine.node.*.*.flows, seine.node.*.*.applied, seine.tick.>, seine.live.>. One JSON line a message, until Ctrl-C.
Exit: 0, 2 bad input, 3 no lab.`,
  examples: [
    ["seine tap 'seine.node.*.*.flows'", 'flows, as the observers tell them'],
    ["seine tap 'seine.node.*.*.applied'", 'what each node has applied'],
    ["seine tap 'seine.tick.>'", 'how far each role is'],
  ],
  run: async (args, io) => {
    const { values, positionals } = readArgs(args, OPTIONS);
    const subject = positionals[0];
    if (subject === undefined || !/^seine(\.[A-Za-z0-9_=-]+|\.\*)*(\.>)?$/.test(subject)) throw badInput(`${subject ?? 'nothing'}: expected a subject that begins with seine., such as seine.node.*.*.flows`);
    const bus = await labBus(values.name ?? 'lab');
    for await (const { subject: heard, message } of bus.subscribe(subject, io.signal)) io.stdout(`${JSON.stringify({ subject: heard, message })}\n`);
    await bus.close();
    return EXIT.yes;
  },
};
