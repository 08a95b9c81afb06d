/** Two states → the cells of the matrix that flip between them: who could reach whom and no longer can, or can now. Pure. */
import type { NodeState } from '@seine/datapath-writer';
import { compareCodeUnits, protocolName, type IpFamily } from '@seine/model';

import { openReach, WORLD_AT, type Decision, type Kind, type Reach, type Served } from './reach.ts';

export interface Flip { readonly from: readonly string[]; readonly to: readonly string[]; readonly port: number; readonly protocol: string; readonly before: Decision; readonly after: Decision }

export interface MatrixDiff {
  /** From denied to let through, and the other way; of groups of workloads that flip alike, the ports of each. */
  readonly flips: readonly Flip[];
  /** Single cells: pairs of workloads and ports. */
  readonly opened: number;
  readonly closed: number;
  readonly compared: number;
  /** Workloads that only one of the two has: nothing flips for them. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** Workloads that are of the same kinds on both sides: judged once. */
interface Pairing { readonly names: readonly string[]; readonly before: readonly Kind[]; readonly after: readonly Kind[] }

const byName = (reach: Reach, namespace: string | undefined): ReadonlyMap<string, readonly Kind[]> => {
  const found = new Map<string, Kind[]>();
  for (const kind of reach.kinds) {
    for (const member of kind.members) { const known = found.get(member); if (known === undefined) found.set(member, [kind]); else known.push(kind); }
  }
  return namespace === undefined ? found : new Map([...found].filter(([, kinds]) => kinds.some((kind) => kind.namespace === namespace)));
};

const pairings = (before: ReadonlyMap<string, readonly Kind[]>, after: ReadonlyMap<string, readonly Kind[]>, alike: { readonly before: Reach; readonly after: Reach }): readonly Pairing[] => {
  const found = new Map<string, Pairing & { readonly names: string[] }>();
  for (const [name, was] of before) {
    const is = after.get(name);
    if (is === undefined) continue;
    const key = JSON.stringify([was.map(alike.before.signature), is.map(alike.after.signature)]);
    const known = found.get(key);
    if (known === undefined) found.set(key, { names: [name], before: was, after: is }); else known.names.push(name);
  }
  return [...found.values()];
};

const portsOf = ({ before, after }: Pairing): readonly Served[] => (before[0]?.namespace === undefined ? [WORLD_AT] :
  [...new Map([...before, ...after].flatMap(({ serves }) => serves).map((served) => [`${served.protocol}/${served.port}`, served])).values()].sort((a, b) => a.port - b.port || a.protocol - b.protocol));

const isWorld = ({ before }: Pairing): boolean => before[0]?.namespace === undefined;

/** Of a workload whose pods are of several kinds the one that gets through speaks. */
const decided = (reach: Reach, from: readonly Kind[], to: readonly Kind[], at: Served): Decision => {
  let denied: Decision | undefined;
  for (const source of from) {
    for (const destination of to) {
      const reached = reach.judge(source, destination, at);
      if (reached.verdict !== 'deny') return reach.decision(reached, source, destination);
      denied ??= reach.decision(reached, source, destination);
    }
  }
  return denied!; // neither side is empty
};

/**
 * @param namespace only cells with an end there
 * @param family in which they speak; the cluster's first unless given
 */
export const diffOf = (before: Readonly<NodeState>, after: Readonly<NodeState>, { namespace, family }: { readonly namespace?: string | undefined; readonly family?: IpFamily | undefined } = {}): MatrixDiff => {
  const reach = { before: openReach(before, family), after: openReach(after, family) };
  const all = { before: byName(reach.before, undefined), after: byName(reach.after, undefined) };
  const isWorkload = (kinds: readonly Kind[]): boolean => kinds.some(({ namespace: own }) => own !== undefined && (namespace === undefined || own === namespace));
  const inScope = ({ before: was, after: is }: Pairing): boolean => namespace === undefined || [...was, ...is].some((kind) => kind.namespace === namespace);
  const parties = pairings(all.before, all.after, reach);
  const flips: Flip[] = [];
  let [opened, closed, compared] = [0, 0, 0];
  for (const to of parties) {
    for (const at of portsOf(to)) {
      for (const from of parties) {
        if ((!inScope(from) && !inScope(to)) || (isWorld(from) && isWorld(to))) continue;
        const pairs = from.names.length * to.names.length;
        compared += pairs;
        const [was, is] = [decided(reach.before, from.before, to.before, at), decided(reach.after, from.after, to.after, at)];
        if ((was.verdict === 'deny') === (is.verdict === 'deny')) continue;
        if (was.verdict === 'deny') opened += pairs; else closed += pairs;
        flips.push({ from: [...from.names].sort(compareCodeUnits), to: [...to.names].sort(compareCodeUnits), port: at.port, protocol: protocolName(at.protocol), before: was, after: is });
      }
    }
  }
  const only = (one: ReadonlyMap<string, readonly Kind[]>, other: ReadonlyMap<string, readonly Kind[]>): readonly string[] =>
    [...one].filter(([name, kinds]) => isWorkload(kinds) && !other.has(name)).map(([name]) => name).sort(compareCodeUnits);
  return { flips, opened, closed, compared, added: only(all.after, all.before), removed: only(all.before, all.after) };
};
