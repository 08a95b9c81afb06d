/** What became of every policy object: accepted or why not, what of it is enforced, on which nodes, since which sequence. Pure. */
import type { CompiledPolicy } from '@seine/events';
import { partyFinder, subjectMatches, type NodeState, type Party } from '@seine/datapath-writer';
import { compareCodeUnits } from '@seine/model';
import type { PolicyRef } from '@seine/node';
import { objectKey } from '@seine/objects';

/** A node where somebody is selected: how many, up to which sequence the node has applied, and so whether it enforces this policy; null: it has not told yet. */
export interface PolicyOnNode { readonly node: string; readonly endpoints: number; readonly applied: number | null; readonly enforced: boolean | null }

export interface PolicyStatus extends PolicyRef {
  readonly state: 'enforced' | 'partly enforced' | 'not enforceable here' | 'pending' | 'selects nobody' | 'refused';
  readonly accepted: boolean;
  /** Why not: field, value, expectation. */
  readonly refusals: readonly string[];
  /** What stands of a refused object: what it said before, its isolation and deny rules, or nothing. */
  readonly standing: 'what it said before' | 'isolation and deny rules' | 'nothing' | null;
  readonly enforceable: 'wholly' | 'partly' | 'not';
  /** What is denied because it cannot be enforced here, and why. */
  readonly withheld: readonly string[];
  readonly tier: string | null;
  readonly isolates: readonly ('ingress' | 'egress')[];
  readonly rules: number;
  readonly audit: boolean;
  /** Endpoints, or nodes of a host policy. */
  readonly selects: number;
  readonly nodes: readonly PolicyOnNode[];
  /** Sequence of what is in force. */
  readonly seq: number | null;
  readonly file: string | null;
  readonly line: number | null;
  readonly manager: string | null;
}

export interface PolicyNews {
  /** Objects that were not admitted, by `<kind>/<namespace>/<name>`. */
  readonly refusedObjects: ReadonlyMap<string, { readonly refusals: readonly { readonly message: string }[] }>;
  /** Sequence up to which each node has applied everything, where it is known. */
  readonly positions: ReadonlyMap<string, number>;
}

interface Part { readonly key: string; readonly policy: CompiledPolicy | undefined; readonly refusals: readonly string[] }

/** `kind/namespace/name` and, of an object with several policies, `/n`. */
const refOfKey = (key: string): PolicyRef => { const [kind, namespace, name] = key.split('/') as [string, string, string]; return { kind, namespace, name }; }; // a policy key

const POLICY_KIND = /Policy$/;

const partsByObject = (state: Readonly<NodeState>, { refusedObjects }: PolicyNews): ReadonlyMap<string, readonly Part[]> => {
  const byObject = new Map<string, Part[]>();
  const keys = new Set([...state.policies.keys(), ...state.refusedPolicies.keys()]);
  for (const key of [...keys].sort(compareCodeUnits)) {
    const object = objectKey(refOfKey(key));
    byObject.set(object, [...byObject.get(object) ?? [], { key, policy: state.policies.get(key), refusals: state.refusedPolicies.get(key) ?? [] }]);
  }
  for (const key of refusedObjects.keys()) if (POLICY_KIND.test(refOfKey(key).kind) && !byObject.has(key)) byObject.set(key, []);
  return byObject;
};

/** Who can be selected, by node: every endpoint, and the node itself. */
const candidatesOf = (state: Readonly<NodeState>): readonly { readonly node: string; readonly party: Party }[] => {
  const finder = partyFinder(state);
  const pods = [...state.endpoints.values()].flatMap(({ node, addresses }) => addresses.slice(0, 1).map((address) => ({ node, party: finder.at(address, node) })));
  const nodes = [...state.nodes].flatMap(([node, { addresses }]) => addresses.slice(0, 1).map((address) => ({ node, party: finder.at(address, node) })));
  return [...pods, ...nodes];
};

const nodesOf = (policies: readonly CompiledPolicy[], candidates: ReturnType<typeof candidatesOf>, seq: number | null, positions: PolicyNews['positions']): readonly PolicyOnNode[] => {
  const counts = new Map<string, number>();
  for (const { node, party } of candidates) if (policies.some(({ subject }) => subjectMatches(subject, party))) counts.set(node, (counts.get(node) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => compareCodeUnits(a, b)).map(([node, endpoints]) => {
    const applied = positions.get(node) ?? null;
    return { node, endpoints, applied, enforced: applied === null || seq === null ? null : applied >= seq };
  });
};

const stateOf = ({ accepted, enforceable, nodes }: Pick<PolicyStatus, 'accepted' | 'enforceable' | 'nodes'>): PolicyStatus['state'] => {
  if (!accepted) return 'refused';
  if (nodes.length === 0) return 'selects nobody';
  if (nodes.some(({ enforced }) => enforced !== true)) return 'pending';
  return ({ wholly: 'enforced', partly: 'partly enforced', not: 'not enforceable here' } as const)[enforceable];
};

export const policyStatuses = (state: Readonly<NodeState>, news: PolicyNews): readonly PolicyStatus[] => {
  const candidates = candidatesOf(state);
  return [...partsByObject(state, news)].sort(([a], [b]) => compareCodeUnits(a, b)).map(([key, parts]): PolicyStatus => {
    const notAdmitted = news.refusedObjects.get(key)?.refusals.map(({ message }) => message);
    const refusals = notAdmitted ?? [...new Set(parts.flatMap((part) => part.refusals))];
    const policies = parts.flatMap(({ policy }) => policy ?? []);
    const accepted = refusals.length === 0;
    const seqs = parts.flatMap((part) => state.origins.get(`policy ${part.key}`)?.seq ?? []);
    const seq = seqs.length === 0 ? null : Math.max(...seqs);
    const withheld = policies.flatMap((policy) => policy.withheld ?? []);
    const rules = policies.flatMap((policy) => policy.rules);
    const nodes = nodesOf(policies, candidates, seq, news.positions);
    const enforceable = !accepted ? 'not' : withheld.length === 0 ? 'wholly' : rules.length > 0 && rules.every(({ action }) => action === 'withheld') ? 'not' : 'partly';
    return {
      ...refOfKey(key), state: stateOf({ accepted, enforceable, nodes }), accepted, refusals,
      standing: accepted ? null : policies.length === 0 ? 'nothing' : notAdmitted === undefined ? 'isolation and deny rules' : 'what it said before',
      enforceable, withheld,
      tier: policies[0]?.tier ?? null, isolates: (['ingress', 'egress'] as const).filter((direction) => policies.some((policy) => policy.isolates[direction])), rules: rules.length,
      audit: policies.some(({ audit }) => audit), selects: nodes.reduce((sum, { endpoints }) => sum + endpoints, 0), nodes, seq,
      file: policies[0]?.source?.file ?? null, line: policies[0]?.source?.line ?? null, manager: policies[0]?.changedBy?.manager ?? null,
    };
  });
};
