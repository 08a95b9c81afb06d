/** `seine get`: objects as Seine sees them. */
import type { LoadedMap, LocalEndpoint, NodeStatus } from '@seine/node';
import type { NodeState } from '@seine/datapath-writer';
import { placesOf } from '@seine/lab/places';

import { foldUntil, openHistory, type Past } from '../history.ts';
import { parseMoment } from '../moment.ts';
import { askWriter, labNodesOf } from '../node-sockets.ts';
import { policyStatuses, type PolicyNews, type PolicyOnNode, type PolicyStatus } from '../policy-status.ts';
import { structured } from '../print/structured.ts';
import { table } from '../print/table.ts';
import { refusedNow } from '../refused.ts';
import { backendItems, drawnText, frontendItems, shareText } from '../service-lists.ts';
import { badInput, EXIT, readArgs, readOutput, type Verb } from './verb.ts';

const OPTIONS = {
  name: { type: 'string' }, node: { type: 'string' }, namespace: { type: 'string', short: 'n' }, 'all-namespaces': { type: 'boolean', short: 'A' }, at: { type: 'string' }, log: { type: 'string' }, output: { type: 'string', short: 'o' },
} as const;

type Item = Readonly<Record<string, unknown>>;
interface Source { /** undefined: a file, which has no kernel */ readonly lab: string | undefined; readonly node: string | undefined; readonly whole: () => Promise<Past>; readonly past: () => Promise<NodeState>; readonly policyNews: () => Promise<PolicyNews & { readonly state: NodeState }> }
interface Kind { readonly columns: readonly string[]; readonly wide: readonly string[]; readonly items: (source: Source) => Promise<readonly Item[]> }

/** `n1 #142` enforces it, `n2 at #140 of #142` does not yet, `n3 ?` has not told. */
const onNodeText = ({ node, applied, enforced }: PolicyOnNode, seq: number | null): string => (enforced === true ? `${node} #${seq}` : applied === null ? `${node} ?` : `${node} at #${applied} of #${seq}`);

/** What a table shows of a policy, beside its members. */
const policyCells = ({ nodes, seq, file, line, refusals, withheld, standing }: PolicyStatus): Item => ({
  enforcedOn: nodes.map((each) => onNodeText(each, seq)).join(', ') || null, source: file === null ? null : `${file}:${line}`,
  message: refusals.length > 0 ? `${refusals.join('; ')} (in force: ${standing})` : withheld.join('; ') || null,
});

const KINDS: Readonly<Record<string, Kind>> = {
  endpoints: {
    columns: ['pod', 'node', 'address', 'identity', 'hostInterface'], wide: ['workload', 'addresses', 'nodeNetns', 'podNetns'],
    items: async ({ lab, node, past }) => {
      const state = await past();
      const here = lab === undefined ? [] : (await Promise.all((await labNodesOf(lab, node)).map(({ name }) => askWriter<readonly LocalEndpoint[]>(lab, name, 'endpoints').catch(() => [])))).flat();
      const netns = new Map(here.map((endpoint) => [endpoint.pod, endpoint.netns]));
      return [...state.endpoints].filter(([, data]) => node === undefined || data.node === node).map(([pod, data]) => {
        const workload = state.pods.get(pod)?.workload;
        return {
          pod, workload: workload === undefined ? null : `${workload.kind}/${workload.name}`, node: data.node, nodeNetns: lab === undefined ? null : placesOf(lab).nodeNetns(data.node), podNetns: netns.get(pod)?.replace(/^\/run\/netns\//, '') ?? null,
          hostInterface: data.hostInterface, address: data.addresses[0] ?? null, addresses: data.addresses, identity: state.podIdentities.get(pod)?.identity ?? null,
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
    columns: ['namespace', 'name', 'kind', 'isolates', 'rules', 'selects', 'seq', 'state'], wide: ['enforcedOn', 'source', 'message'],
    items: async ({ policyNews }) => {
      const { state, ...news } = await policyNews();
      return policyStatuses(state, news).map((policy) => ({ ...policy, ...policyCells(policy) }));
    },
  },
  refusals: {
    columns: ['kind', 'namespace', 'name', 'refused', 'message'], wide: [],
    items: async ({ whole }) => { const { state, refusedObjects } = await whole(); return refusedNow(state, { refusedObjects }).map((each) => ({ ...each })); },
  },
  frontends: {
    columns: ['service', 'address', 'port', 'protocol', 'backends'], wide: ['id', 'portName', 'kind', 'pod', 'trafficPolicy', 'algorithm', 'affinityS', 'sourceRanges', 'drawn'],
    items: async ({ past, node }) => frontendItems(await past(), node).map((item) => ({ ...item, drawn: drawnText(item.drawnOn) })),
  },
  backends: {
    columns: ['service', 'address', 'port', 'protocol', 'state', 'pod'], wide: ['id', 'portName', 'node', 'zone', 'forZones', 'forNodes', 'drawn'],
    items: async ({ past, node }) => backendItems(await past(), node).map((item) => ({ ...item, drawn: shareText(item.shares) })),
  },
  nodes: {
    columns: ['name', 'address', 'podCidr', 'pods'], wide: ['addresses'],
    items: async ({ past }) => {
      const state = await past();
      return [...state.nodes].map(([name, { addresses }]) => ({ name, address: addresses[0] ?? null, addresses, podCidr: state.podCidrs.get(name)?.join(',') ?? null, pods: [...state.endpoints.values()].filter((endpoint) => endpoint.node === name).length }));
    },
  },
  maps: {
    columns: ['node', 'name', 'id', 'fold', 'rows', 'max'], wide: [],
    items: async ({ lab = 'lab', node }) => (await Promise.all((await labNodesOf(lab, node)).map(async ({ name }) =>
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
  summary: 'endpoints, identities, policies, refusals, frontends, backends, nodes, maps',
  usage: `
seine get KIND [NAME] [-n NAMESPACE] [--node NODE] [--at MOMENT] [--name LAB | --log FILE] [-o table|wide|json|jsonl|yaml]

KIND: ${Object.keys(KINDS).join(', ')} (or ${Object.keys(ALIASES).join(', ')}).
A policy is accepted or refused (why, and what stands meanwhile), enforceable wholly or in part (what is withheld, and why), and enforced on
the nodes where it selects somebody, each from a sequence on: -o wide. With --log or --at what nodes told the log, once a minute at most.
Frontends and backends with -o wide: on which nodes who is drawn, by which policy, from inside and, where that differs, from outside. --node: on that one.

Exit: 0 found, 1 not found, 2 bad input, 3 no lab.`,
  examples: [
    ['seine get policies -o wide', 'accepted or refused, withheld, enforced where and since when'],
    ['seine get policies carts-db-access -n shop -o json', 'one of them'],
    ['seine get endpoints -n shop', 'pods as Seine sees them'],
    ['seine get backends -n shop -o wide', 'each with its zone, its hints and its share of the draws on every node, or why it has none'],
    ['seine get refusals -n shop', 'what is refused as a whole or in part, and why'],
    ["seine get identities --at '#142'", 'as they were'],
    ['seine get netpol --log prod.seinelog', 'from a file'],
  ],
  run: async (args, io) => {
    const { values, positionals } = readArgs(args, OPTIONS);
    const output = readOutput(values.output);
    const [kindText, wanted] = positionals;
    const kindName = kindText === undefined ? '' : ALIASES[kindText] ?? kindText;
    const kind = Object.hasOwn(KINDS, kindName) ? KINDS[kindName] : undefined;
    if (kind === undefined) throw badInput(`${kindText ?? 'nothing'}: expected one of ${Object.keys(KINDS).join(', ')}`);
    const lab = values.name ?? 'lab';
    if (values.log !== undefined && kindName === 'maps') throw badInput(`get ${kindName} --log: expected a lab: a file has no kernel`);
    const whole = async (): Promise<Past> => {
      const history = await openHistory({ log: values.log, name: lab });
      const past = await foldUntil(history, values.at === undefined ? undefined : parseMoment(values.at, Date.now()));
      await history.close();
      return past;
    };
    /* A lab's nodes say themselves how far they are now; of the past only the log knows. */
    const policyNews: Source['policyNews'] = async () => {
      const { state, refusedObjects, positions } = await whole();
      if (values.log !== undefined || values.at !== undefined) return { state, refusedObjects, positions };
      const now = await Promise.all((await labNodesOf(lab)).map(async ({ name }) => askWriter<NodeStatus>(lab, name, 'status').then(({ seq }) => [[name, seq] as const], () => [])));
      return { state, refusedObjects, positions: new Map(now.flat()) };
    };
    const all = await kind.items({ lab: values.log === undefined ? lab : undefined, node: values.node, whole, past: async () => (await whole()).state, policyNews });
    const items = all.filter((item) => (values.namespace === undefined || namespaceOf(item) === values.namespace) &&
      (wanted === undefined || [item['name'], item['pod'], item['service'], String(item['identity']), `${String(item['namespace'])}/${String(item['name'])}`].includes(wanted)));
    const cell = (value: unknown): string => (value === null || value === undefined || (Array.isArray(value) && value.length === 0) ? '-' : Array.isArray(value) ? value.join(' ') : String(value));
    const columns = [...kind.columns, ...(output === 'wide' ? kind.wide : [])];
    io.stdout(structured(output, items, items) ?? table([columns.map((column) => column.replace(/([A-Z])/g, ' $1').toUpperCase()), ...items.map((item) => columns.map((column) => cell(item[column])))]));
    return wanted !== undefined && items.length === 0 ? EXIT.no : EXIT.yes;
  },
};
