/** What a few rows ask beside their questions: counters, the packet that is one byte too long, health by HTTP. */
import { moveToNetns } from '@seine/kernel';
import { placesOf } from '@seine/lab/places';
import type { UnixClient } from '@seine/node';

import { json } from './engines.ts';
import type { Answer } from './judge.ts';
import type { Extra } from './rows.ts';

interface Place { readonly lab: string; readonly client: UnixClient }
interface ExtraCheck {
  readonly before?: (place: Place) => Promise<unknown>;
  /** @returns what is wrong */
  readonly after: (place: Place & { readonly answers: readonly Answer[]; readonly before: unknown; /** What `lab apply` says of the row's Services. */ readonly refusedInPart: readonly string[] }) => Promise<readonly string[]>;
}
interface Role { readonly name: string; readonly node: string | null; readonly health: string | null }

const rolesOf = async (client: UnixClient): Promise<readonly Role[]> => (await client.call<{ readonly roles: readonly Role[] }>('status', { reach: false })).roles;

/** How many flows each node's observer has told as forwarded. */
const forwarded = async ({ lab, client }: Place): Promise<ReadonlyMap<string, number>> => {
  moveToNetns(placesOf(lab).hub); // where the nodes' addresses are; unix sockets work as before
  const observers = (await rolesOf(client)).filter(({ name }) => name === 'observer');
  return new Map(await Promise.all(observers.map(async ({ node, health }): Promise<readonly [string, number]> => {
    const text = await (await fetch(`${health}/metrics`)).text();
    return [node ?? '', Number(/^seine_observer_flows_total\{[^}]*verdict="FORWARDED"[^}]*\} ([0-9.]+)/m.exec(text)?.[1] ?? 0)];
  })));
};

const TOO_LONG = [{ protocol: 'ICMP', family: 4, icmp: { type: 8, code: 0, overMtu: 1 } }, { protocol: 'ICMP', family: 6, icmp: { type: 128, code: 0, overMtu: 1 } }] as const;
const ACROSS = [{ from: 'acceptance/client', to: 'acceptance/client3' }, { from: 'acceptance/client3', to: 'acceptance/client' }] as const;
const ETHERNET_MTU = 1500;

export const extraFaults: Readonly<Record<Extra, ExtraCheck>> = {
  'forward metrics': {
    before: forwarded,
    after: async ({ lab, client, before }) => {
      const [was, is] = [before as ReadonlyMap<string, number>, await forwarded({ lab, client })]; // made above
      return [...is].filter(([node, count]) => count <= (was.get(node) ?? 0)).map(([node, count]) => `${node}: seine_observer_flows_total{verdict="FORWARDED"} stayed at ${count}`);
    },
  },
  /* The uplinks have no overhead, so a pod may send what an Ethernet takes, and not a byte more. */
  'fragments forbidden': {
    after: async ({ client, answers }) => {
      const { probes } = await client.call<{ readonly probes: readonly Answer[] }>('probe', { probes: ACROSS.flatMap((ends) => TOO_LONG.map((echo) => ({ ...ends, ...echo }))) });
      return [
        ...answers.filter(({ evidence }) => evidence.bytes !== ETHERNET_MTU).map(({ evidence }) => `${evidence.source}: the route takes ${evidence.bytes} bytes: expected ${ETHERNET_MTU}`),
        ...probes.filter(({ message }) => message !== 'the socket said EMSGSIZE').map(({ evidence, message }) => `${evidence.source}: ${evidence.bytes} bytes in one piece: expected EMSGSIZE, the socket said ${message ?? 'nothing'}`),
      ];
    },
  },
  /* What is refused has to be said: the policy is not enforceable here, and why. */
  'withheld policy': {
    after: async ({ lab }) => {
      const policies = await json<readonly { readonly name: string; readonly state: string; readonly withheld: readonly string[] }[]>('get', 'policies', '-n', 'acceptance', '--name', lab);
      return policies.some(({ state, withheld }) => state === 'not enforceable here' && withheld.length > 0) ? [] : [`seine get policies: expected one that is not enforceable here, with what is withheld: ${JSON.stringify(policies)}`];
    },
  },
  'refused in part': {
    after: async ({ refusedInPart }) => (refusedInPart.some((text) => text.includes('lb-l7')) ? [] : ['lab apply: expected the Service with what of it is refused']),
  },
  /* Each process of each node, asked from every other node. */
  'health over HTTP': {
    after: async ({ client }) => {
      const roles = (await rolesOf(client)).filter(({ node, health }) => node !== null && health !== null);
      const nodes = [...new Set(roles.map(({ node }) => node))];
      const asks = nodes.flatMap((from) => roles.filter(({ node }) => node !== from).map(({ name, node, health }) => ({ name, probe: { from: `node:${from}`, to: `node:${node}`, protocol: 'TCP', port: Number(new URL(health!).port), http: { method: 'GET', path: '/readyz' } } }))); // filtered above
      const { probes } = await client.call<{ readonly probes: readonly Answer[] }>('probe', { probes: asks.map(({ probe }) => probe) });
      if (asks.length === 0) return ['no process of a node says where it is healthy'];
      return asks.flatMap(({ name, probe }, index) => { const { status } = probes[index]!.evidence; return status === 200 ? [] : [`${probe.from} asked ${name} of ${probe.to}: HTTP ${status ?? 'nothing'}: expected 200`]; }); // an answer for each
    },
  },
};
