/** `seine get`: objects as Seine sees them. */
import type { LoadedMap, LocalEndpoint } from '@seine/node';
import type { NodeState } from '@seine/datapath-writer';
import { placesOf } from '@seine/lab/places';

import { foldUntil, openHistory } from '../history.ts';
import { parseMoment } from '../moment.ts';
import { askWriter, labNodesOf } from '../node-sockets.ts';
import { structured } from '../print/structured.ts';
import { table } from '../print/table.ts';
import { badInput, EXIT, readArgs, readOutput, type Verb } from './verb.ts';

const OPTIONS = {
  name: { type: 'string' }, node: { type: 'string' }, namespace: { type: 'string', short: 'n' }, 'all-namespaces': { type: 'boolean', short: 'A' }, at: { type: 'string' }, log: { type: 'string' }, output: { type: 'string', short: 'o' },
} as const;

type Item = Readonly<Record<string, unknown>>;
interface Source { readonly lab: string; readonly node: string | undefined; readonly past: () => Promise<NodeState> }
interface Kind { readonly columns: readonly string[]; readonly wide: readonly string[]; readonly items: (source: Source) => Promise<readonly Item[]> }

const KINDS: Readonly<Record<string, Kind>> = {
  endpoints: {
    columns: ['pod', 'node', 'address', 'identity', 'hostInterface'], wide: ['workload', 'nodeNetns', 'podNetns'],
    items: async ({ lab, node, past }) => {
      const state = await past();
      const places = placesOf(lab);
      const netns = new Map((await Promise.all((await labNodesOf(lab, node)).map(({ name }) => askWriter<readonly LocalEndpoint[]>(lab, name, 'endpoints').catch(() => [])))).flat().map((endpoint) => [endpoint.pod, endpoint.netns]));
      return [...state.endpoints].filter(([, data]) => node === undefined || data.node === node).map(([pod, data]) => {
        const workload = state.pods.get(pod)?.workload;
        return {
          pod, workload: workload === undefined ? null : `${workload.kind}/${workload.name}`, node: data.node, nodeNetns: places.nodeNetns(data.node), podNetns: netns.get(pod)?.replace(/^\/run\/netns\//, '') ?? null,
          hostInterface: data.hostInterface, address: data.addresses[0] ?? null, identity: state.podIdentities.get(pod)?.identity ?? null,
        };
      });
    },
  },
  identities: {
    columns: ['identity', 'pods', 'labels'], wide: [],
    items: async ({ past }) => {
      const state = await past();
      return [...state.identities].sort(([a], [b]) => a - b).map(([identity, labels]) => ({ identity, labels, pods: [...state.podIdentities].filter(([, assigned]) => assigned.identity === identity).length }));
    },
  },
  policies: {
    columns: ['namespace', 'name', 'kind', 'isolates', 'rules', 'seq', 'state'], wide: ['source', 'message'],
    items: async ({ past }) => {
      const state = await past();
      const known = [...state.policies].map(([key, policy]) => ({
        ...policy.object, isolates: (['ingress', 'egress'] as const).filter((direction) => policy.isolates[direction]).join(',') || '-', rules: policy.rules.length, seq: state.origins.get(`policy ${key}`)?.seq ?? null,
        state: state.refusedPolicies.has(key) ? 'refused' : 'compiled', source: policy.source === undefined ? null : `${policy.source.file}:${policy.source.line}`, message: state.refusedPolicies.get(key)?.join('; ') ?? null,
      }));
      const refused = [...state.refusedPolicies].filter(([key]) => !state.policies.has(key)).map(([key, messages]) => {
        const [kind, namespace, name] = key.split('/') as [string, string, string]; // a policy key
        return { kind, namespace, name, isolates: '-', rules: 0, seq: state.origins.get(`policy ${key}`)?.seq ?? null, state: 'refused', source: null, message: messages.join('; ') };
      });
      return [...known, ...refused];
    },
  },
  frontends: {
    columns: ['service', 'address', 'port', 'protocol', 'backends'], wide: ['id', 'portName'],
    items: async ({ past }) => {
      const state = await past();
      return [...state.services].flatMap(([service, { frontends }]) => frontends.map((frontend) => ({
        service, ...frontend,
        backends: [...state.slices.values()].filter((slice) => slice.service === service).flatMap(({ backends }) => backends).filter(({ portName, protocol }) => portName === frontend.portName && protocol === frontend.protocol).length,
      })));
    },
  },
  backends: {
    columns: ['service', 'address', 'port', 'protocol', 'state', 'pod'], wide: ['id', 'node'],
    items: async ({ past }) => [...(await past()).slices.values()].flatMap(({ service, backends }) => backends.map((backend) => ({ service, ...backend }))),
  },
  nodes: {
    columns: ['name', 'address', 'podCidr', 'pods'], wide: [],
    items: async ({ past }) => {
      const state = await past();
      return [...state.nodes].map(([name, { addresses }]) => ({ name, address: addresses[0] ?? null, podCidr: state.podCidrs.get(name)?.join(',') ?? null, pods: [...state.endpoints.values()].filter((endpoint) => endpoint.node === name).length }));
    },
  },
  maps: {
    columns: ['node', 'name', 'id', 'fold', 'rows', 'max'], wide: [],
    items: async ({ lab, node }) => (await Promise.all((await labNodesOf(lab, node)).map(async ({ name }) =>
      (await askWriter<readonly (LoadedMap & { readonly rows: number })[]>(lab, name, 'maps')).map((map) => ({ node: name, name: map.name, id: map.id, fold: map.fold, rows: map.rows, max: map.maxEntries, subject: null }))))).flat(),
  },
};

const ALIASES: Readonly<Record<string, string>> = { ep: 'endpoints', id: 'identities', netpol: 'policies', svc: 'frontends' };

const namespaceOf = (item: Item): string | undefined => {
  if (typeof item['namespace'] === 'string') return item['namespace'];
  const key = item['pod'] ?? item['service'];
  return typeof key === 'string' ? key.split('/')[0] : undefined;
};

export const get: Verb = {
  name: 'get',
  summary: 'endpoints, identities, policies, frontends, backends, nodes, maps',
  usage: `
seine get KIND [NAME] [-n NAMESPACE] [--node NODE] [--at MOMENT] [--name LAB | --log FILE] [-o table|wide|json|jsonl|yaml]

KIND: ${Object.keys(KINDS).join(', ')} (or ${Object.keys(ALIASES).join(', ')}). Exit: 0 found, 1 not found, 2 bad input, 3 no lab.`,
  run: async (args, io) => {
    const { values, positionals } = readArgs(args, OPTIONS);
    const output = readOutput(values.output);
    const [kindText, wanted] = positionals;
    const kindName = kindText === undefined ? '' : ALIASES[kindText] ?? kindText;
    const kind = Object.hasOwn(KINDS, kindName) ? KINDS[kindName] : undefined;
    if (kind === undefined) throw badInput(`${kindText ?? 'nothing'}: expected one of ${Object.keys(KINDS).join(', ')}`);
    const lab = values.name ?? 'lab';
    if (values.log !== undefined && (kindName === 'maps' || kindName === 'endpoints')) throw badInput(`get ${kindName} --log: expected a lab: a file has no kernel`);
    const past = async (): Promise<NodeState> => {
      const history = await openHistory({ log: values.log, name: lab });
      const { state } = await foldUntil(history, values.at === undefined ? undefined : parseMoment(values.at, Date.now()));
      await history.close();
      return state;
    };
    const all = await kind.items({ lab, node: values.node, past });
    const items = all.filter((item) => (values.namespace === undefined || namespaceOf(item) === values.namespace) &&
      (wanted === undefined || [item['name'], item['pod'], item['service'], String(item['identity']), `${String(item['namespace'])}/${String(item['name'])}`].includes(wanted)));
    const cell = (value: unknown): string => (value === null || value === undefined ? '-' : Array.isArray(value) ? value.join(' ') : String(value));
    const columns = [...kind.columns, ...(output === 'wide' ? kind.wide : [])];
    io.stdout(structured(output, items, items) ?? table([columns.map((column) => column.replace(/([A-Z])/g, ' $1').toUpperCase()), ...items.map((item) => columns.map((column) => cell(item[column])))]));
    return wanted !== undefined && items.length === 0 ? EXIT.no : EXIT.yes;
  },
};
