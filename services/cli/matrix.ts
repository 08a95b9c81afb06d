/** The matrix of `seine matrix`: parties × ports, a verdict with its rule in every cell. Pure. */
import type { NodeState } from '@seine/datapath-writer';
import { compareCodeUnits, protocolName, type IpFamily } from '@seine/model';

import { openReach, WORLD_AT, type Decision, type Kind, type Reach, type Reached, type Served, type SideAnswer } from './reach.ts';

export interface MatrixParty {
  /** The first of its members; where another party has the same one, its identity too. */
  readonly name: string;
  /** Workloads, or `external`. */
  readonly members: readonly string[];
  readonly namespace: string | null;
  readonly identities: readonly number[];
  readonly pods: number;
}
export interface MatrixPort {
  readonly to: string; readonly port: number; readonly protocol: string; readonly name: string | null;
  /** What its own side says of a party that no rule of it names. */
  readonly otherwise: Decision;
}
export interface MatrixCell extends Decision { readonly from: string; readonly to: string; readonly port: number; readonly protocol: string }

/** What a party's own side says of whoever no rule of it names: of any port, and of the columns' ports of which it says something else. */
export interface MatrixSource extends MatrixParty { readonly egress: Decision; readonly egressAt: readonly { readonly port: number; readonly protocol: string; readonly decision: Decision }[] }

export interface Matrix {
  readonly namespace: string | null;
  /** Parties that are alike in every cell stand as one. */
  readonly grouped: boolean;
  /**
   * false: too many cells to list, so those are left out that say what is said of anybody: deny where the source's `egress` (or `egressAt` of
   * the port) denies, else the port's `otherwise`.
   */
  readonly complete: boolean;
  readonly from: readonly MatrixSource[];
  readonly to: readonly MatrixPort[];
  readonly cells: readonly MatrixCell[];
  /** Of single endpoints, each with each port of each. */
  readonly counts: { readonly cells: number; readonly allow: number; readonly deny: number; readonly audit: number };
  /** Cells beyond the most that are listed: narrow the question with a namespace. */
  readonly unlisted: number;
  /** Workloads that serve no port: nobody can be asked whether they reach them. */
  readonly silent: readonly string[];
}

/** Above this many kinds those that look alike stand as one party. */
const MOST_SINGLE = 64;
const MOST_CELLS = 100_000;
/** Exceptions that are listed of a matrix that is not complete. */
const MOST_EXCEPTIONS = 1_000_000;
/** A port that stands for any: no rule of a policy is likely to name it. */
const SOME_PORT = { protocol: 6, port: 65_535 } as const;

interface Party { readonly kind: Kind; readonly members: readonly string[]; readonly identities: readonly number[]; readonly pods: number; readonly size: number }

const single = (kind: Kind): Party => ({ kind, members: kind.members, identities: [kind.identity], pods: kind.pods, size: 1 });

const grouped = (reach: Reach, kinds: readonly Kind[]): readonly Party[] => {
  const groups = new Map<string, Kind[]>();
  for (const kind of kinds) { const key = reach.signature(kind); const group = groups.get(key); if (group === undefined) groups.set(key, [kind]); else group.push(kind); }
  return [...groups.values()].map((group) => ({
    kind: group[0]!, members: [...new Set(group.flatMap(({ members }) => members))].sort(compareCodeUnits), identities: [...new Set(group.map(({ identity }) => identity))].sort((a, b) => a - b),
    pods: group.reduce((sum, { pods }) => sum + pods, 0), size: group.length,
  }));
};

/** Every party has a name of its own. */
const namesOf = (parties: readonly Party[]): ReadonlyMap<Party, string> => {
  const counts = new Map<string, number>();
  for (const { members } of parties) counts.set(members[0]!, (counts.get(members[0]!) ?? 0) + 1);
  const names = new Map<Party, string>();
  const taken = new Set<string>();
  for (const party of parties) {
    const first = party.members[0]!;
    const wanted = counts.get(first) === 1 ? first : `${first} (identity ${party.identities.join(', ')}${party.kind.serves.length === 0 ? '' : `, ports ${party.kind.serves.map(({ port }) => port).join(', ')}`})`;
    let name = wanted;
    for (let number = 2; taken.has(name); number += 1) name = `${wanted} ${number}`;
    taken.add(name);
    names.set(party, name);
  }
  return names;
};

type Column = { readonly party: Party; readonly at: Served };

const isDenied = ({ outcome }: SideAnswer): boolean => outcome.verdict === 'deny' || outcome.verdict === 'default-deny';
const saidBy = (answer: SideAnswer): Reached => ({ verdict: isDenied(answer) ? 'deny' : answer.outcome.verdict === 'audit' ? 'audit' : 'allow', by: answer });
const portKey = ({ protocol, port }: Pick<Served, 'protocol' | 'port'>): string => `${protocol}/${port}`;

/**
 * Who reaches the workloads of a namespace, or of every one, from everywhere; and where a policy there judges egress, who of them reaches the world.
 * @param family in which they speak; the cluster's first unless given
 * @param cells above this many only the exceptions are listed
 */
export const matrixOf = (state: Readonly<NodeState>, { namespace, family, cells: mostCells = MOST_CELLS }: { readonly namespace?: string | undefined; readonly family?: IpFamily | undefined; readonly cells?: number } = {}): Matrix => {
  const reach = openReach(state, family);
  const own = reach.kinds.filter((kind) => kind.namespace !== undefined && (namespace === undefined || kind.namespace === namespace));
  const isGrouped = own.length > MOST_SINGLE;
  const ownParties = isGrouped ? grouped(reach, own) : own.map(single);
  const outside = reach.kinds.filter((kind) => kind.namespace === undefined).map(single);
  const parties = [...outside, ...ownParties, ...(namespace === undefined ? [] : grouped(reach, reach.kinds.filter((kind) => kind.namespace !== undefined && kind.namespace !== namespace)))];
  const names = namesOf(parties);
  const world = outside[0]!; // always there

  const columns: readonly Column[] = ownParties.flatMap((party) => party.kind.serves.map((at) => ({ party, at })));
  const complete = parties.length * columns.length <= mostCells;
  const cells: MatrixCell[] = [];
  const counts = { cells: 0, allow: 0, deny: 0, audit: 0 };
  let unlisted = 0;
  const count = (verdict: Reached['verdict'], pairs: number): void => { counts[verdict] += pairs; counts.cells += pairs; };
  const list = (from: Party, { party: to, at }: Column, reached: Reached): void => {
    if (cells.length >= (complete ? Number.POSITIVE_INFINITY : MOST_EXCEPTIONS)) { unlisted += 1; return; }
    cells.push({ from: names.get(from)!, to: names.get(to)!, port: at.port, protocol: protocolName(at.protocol), ...reach.decision(reached, from.kind, to.kind) });
  };
  const all = (sources: readonly Party[], column: Column): void => {
    for (const from of sources) {
      const reached = reach.judge(from.kind, column.party.kind, column.at);
      count(reached.verdict, from.size * column.party.size);
      list(from, column, reached);
    }
  };

  /* What each source says at its own side of anybody, by port; and of whom its rules speak, turned round. */
  const shutAt = new Map<string, { readonly isShut: readonly boolean[]; readonly shut: number; readonly open: number }>();
  const sourcesAt = (at: Served) => {
    const known = shutAt.get(portKey(at));
    if (known !== undefined) return known;
    const isShut = parties.map(({ kind }) => isDenied(reach.otherwise(kind, 'egress', at)));
    const sum = (wanted: boolean): number => parties.reduce((total, { size }, index) => total + (isShut[index] === wanted ? size : 0), 0);
    const made = { isShut, shut: sum(true), open: sum(false) };
    shutAt.set(portKey(at), made);
    return made;
  };
  const speakers = new Map<number, number[]>();
  const namers = complete ? [] : parties.flatMap(({ kind }, index) => (reach.speaksOfPortNames(kind) ? [index] : []));
  const placeOf = new Map(parties.map(({ kind }, index) => [kind.index, index]));
  if (!complete) {
    parties.forEach(({ kind }, index) => {
      for (const named of reach.namedBy(kind, 'egress')) { const known = speakers.get(named); if (known === undefined) speakers.set(named, [index]); else known.push(index); }
    });
  }
  const exceptions = (column: Column): void => {
    const { party: to, at } = column;
    const named = new Set<number>([...speakers.get(to.kind.index) ?? [], ...(to.kind.bindings.size === 0 ? [] : namers)]);
    for (const kind of reach.namedBy(to.kind, 'ingress')) { const index = placeOf.get(kind); if (index !== undefined) named.add(index); }
    const { isShut, shut, open } = sourcesAt(at);
    const { verdict } = saidBy(reach.otherwise(to.kind, 'ingress', at));
    let [leftShut, leftOpen] = [shut, open];
    for (const index of named) {
      const from = parties[index]!;
      const reached = reach.judge(from.kind, to.kind, at);
      count(reached.verdict, from.size * to.size);
      if (isShut[index]!) leftShut -= from.size; else leftOpen -= from.size;
      if (reached.verdict !== (isShut[index]! ? 'deny' : verdict)) list(from, column, reached);
    }
    count('deny', leftShut * to.size);
    count(verdict, leftOpen * to.size);
  };

  for (const column of columns) if (complete) all(parties, column); else exceptions(column);
  const toWorld: readonly Column[] = ownParties.some(({ kind }) => reach.judgesEgress(kind)) && complete ? [{ party: world, at: WORLD_AT }] : [];
  for (const column of toWorld) all(ownParties, column);

  const says = (kind: Kind, direction: 'ingress' | 'egress', at: Pick<Served, 'protocol' | 'port'>): Decision => reach.decision(saidBy(reach.otherwise(kind, direction, at)), world.kind, world.kind);
  const ports = [...new Map(columns.map(({ at }) => [portKey(at), at])).values()];
  return {
    namespace: namespace ?? null, grouped: isGrouped, complete, cells, counts, unlisted,
    from: parties.map((party) => ({
      name: names.get(party)!, members: party.members, namespace: party.kind.namespace ?? null, identities: party.identities, pods: party.pods, egress: says(party.kind, 'egress', SOME_PORT),
      egressAt: !reach.judgesEgress(party.kind) ? [] : ports.filter((at) => reach.otherwise(party.kind, 'egress', at).outcome.verdict !== reach.otherwise(party.kind, 'egress', SOME_PORT).outcome.verdict)
        .map((at) => ({ port: at.port, protocol: protocolName(at.protocol), decision: says(party.kind, 'egress', at) })),
    })),
    to: [...columns, ...toWorld].map(({ party, at }) => ({ to: names.get(party)!, port: at.port, protocol: protocolName(at.protocol), name: at.name, otherwise: says(party.kind, 'ingress', at) })),
    silent: ownParties.filter(({ kind }) => kind.serves.length === 0).flatMap(({ members }) => members),
  };
};
