/** `seine observe`: flows, live and past. */
import { allFlowsSubjects } from '@seine/bus';
import type { Flow, FlowParty } from '@seine/node';

import { labBus } from '../history.ts';
import { askObserver, labNodesOf } from '../node-sockets.ts';
import { badInput, EXIT, readArgs, readDuration, readInteger, readOutput, type Verb } from './verb.ts';

const OPTIONS = {
  name: { type: 'string' }, node: { type: 'string' }, verdict: { type: 'string' }, pod: { type: 'string' }, 'from-pod': { type: 'string' }, 'to-pod': { type: 'string' }, from: { type: 'string' }, to: { type: 'string' },
  'traffic-direction': { type: 'string' }, port: { type: 'string' }, protocol: { type: 'string' }, since: { type: 'string' }, last: { type: 'string' }, follow: { type: 'boolean', short: 'f' }, output: { type: 'string', short: 'o' },
} as const;

/** `shop/carts` means the pod of that name and the pods of that workload. */
const isPod = ({ pod, address }: FlowParty, wanted: string): boolean => address === wanted || pod === wanted || (pod?.startsWith(`${wanted}-`) ?? false);

export const partyText = ({ pod, address, port, labels }: FlowParty, withPort: boolean): string => {
  const reserved = labels.find((label) => label.startsWith('reserved:'))?.slice(9);
  return `${pod ?? (reserved === undefined ? address : `${address} (${reserved})`)}${withPort ? `:${port}` : ''}`;
};

/** `NetworkPolicy/shop/x ingress[0].from[1]` */
const decidedText = ({ rule, peerField }: Flow): string | undefined => (rule === null ? undefined : `${rule}${peerField === null ? '' : `.${peerField}`}`);

const saidText = (flow: Flow): string => {
  const { verdict, reason, isolatedBy } = flow;
  const rule = decidedText(flow);
  const isolated = isolatedBy.length === 0 ? '' : `, isolated by ${isolatedBy.join(', ')}`;
  if (verdict === 'AUDIT') return `would be denied: ${rule ?? `no rule allows it${isolated}`}`;
  if (reason === null) return rule ?? '';
  if (reason.code === 133) return `no rule allows it (133)${rule === undefined ? isolated : `, withheld: ${rule}`}`;
  return `${reason.name} (${reason.code})${rule === undefined ? '' : `, ${rule}`}`;
};

export const flowText = (flow: Flow): string => {
  const { time, node, source, destination, protocol, verdict, direction, icmp, policy_log } = flow;
  const what = icmp === null ? protocol : `${protocol} ${icmp.type}/${icmp.code}`;
  const log = policy_log.length === 0 ? '' : `  log "${policy_log.join('", "')}"`;
  return `${time.slice(11, 23)} ${node} ${partyText(source, false)} -> ${partyText(destination, icmp === null)} ${what}  ${verdict} ${direction ?? ''}  ${saidText(flow)}${log}`.trimEnd();
};

export const observe: Verb = {
  name: 'observe',
  summary: 'flows, live and past: who talked to whom, and what was said',
  usage: `
seine observe [-f] [--verdict forwarded|dropped|audit] [--pod P] [--from-pod P] [--to-pod P] [--port N] [--protocol TCP|UDP|SCTP|ICMP] [--traffic-direction ingress|egress] [--node NODE] [--since 5m] [--last N] [--name LAB] [-o json|jsonl]

P: ns/pod, ns/deployment or an address. Without -f: the last 20 (or --last, --since). -f goes on until Ctrl-C.
Exit: 0, 2 bad input, 3 no lab.`,
  examples: [
    ['seine observe -f --verdict dropped', 'drops as they happen, with reason and rule'],
    ['seine observe --pod shop/carts --since 5m', 'who talked with it'],
    ['seine observe --to-pod shop/carts-db --port 27017 -o jsonl', 'for machines, labels and peers included'],
  ],
  run: async (args, io) => {
    const { values } = readArgs(args, OPTIONS);
    const output = readOutput(values.output, ['table', 'json', 'jsonl']);
    const lab = values.name ?? 'lab';
    const verdict = values.verdict?.toUpperCase();
    if (verdict !== undefined && !['FORWARDED', 'DROPPED', 'AUDIT'].includes(verdict)) throw badInput(`--verdict ${values.verdict}: expected forwarded, dropped or audit`);
    const direction = values['traffic-direction'];
    if (direction !== undefined && direction !== 'ingress' && direction !== 'egress') throw badInput(`--traffic-direction ${direction}: expected ingress or egress`);
    const port = values.port === undefined ? undefined : readInteger('--port', values.port, { min: 1, max: 65535 });
    const last = values.last === undefined ? (values.since === undefined ? 20 : 65_536) : readInteger('--last', values.last, { min: 0, max: 65_536 });
    const since = values.since === undefined ? 0 : Date.now() - readDuration('--since', values.since);
    const [from, to] = [values['from-pod'] ?? values.from, values['to-pod'] ?? values.to];
    const wanted = (flow: Flow): boolean => (verdict === undefined || flow.verdict === verdict) && (values.node === undefined || flow.node === values.node) &&
      (direction === undefined || flow.direction === direction) && (port === undefined || flow.destination.port === port) && (values.protocol === undefined || flow.protocol === values.protocol.toUpperCase()) &&
      (from === undefined || isPod(flow.source, from)) && (to === undefined || isPod(flow.destination, to)) &&
      (values.pod === undefined || isPod(flow.source, values.pod) || isPod(flow.destination, values.pod));
    const print = (flow: Flow): void => { io.stdout(`${output === 'table' ? flowText(flow) : JSON.stringify(flow)}\n`); };

    const nodes = await labNodesOf(lab, values.node);
    const past = (await Promise.all(nodes.map(({ name }) => askObserver<{ readonly flows: readonly Flow[] }>(lab, name, 'flows')))).flatMap(({ flows }) => flows)
      .filter((flow) => Date.parse(flow.time) >= since && wanted(flow)).sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
    const shown = values.follow === true && values.last === undefined && values.since === undefined ? [] : last === 0 ? [] : past.slice(-last);
    if (output === 'json') io.stdout(`${JSON.stringify(shown, undefined, 2)}\n`);
    else shown.forEach(print);
    if (values.follow !== true) return EXIT.yes;
    const bus = await labBus(lab);
    for await (const { message } of bus.subscribe(allFlowsSubjects(bus.cluster), io.signal)) {
      for (const flow of (message as { readonly flows: readonly Flow[] }).flows) if (wanted(flow)) print(flow);
    }
    await bus.close();
    return EXIT.yes;
  },
};
