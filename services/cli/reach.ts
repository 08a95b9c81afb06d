/**
 * Who reaches whom, for a whole cluster at once: every kind of endpoint there is, which rules mean it and which policies select it, found through
 * an index of labels; then any pair is judged by the rows' own `decide`, each distinct question once. Pure; for a state that does not change.
 */
import type { CompiledPolicy, Peer } from '@seine/events';
import {
  apiServerAddresses, clusterFamilies, createPartyFile, decide, filingOf, inOrder, isolatingPolicies, isolators, mentionsOf, partyFinder, peerIndex, peerMatches, placedRules, portRanges, portsCover, reachOf, subjectMatches, worldIdentity,
  type Bindings, type DirectionName, type NodeState, type Outcome, type PartyAt, type PlacedRule,
} from '@seine/datapath-writer';
import { compareCodeUnits, dropReasonName, familyOf, formatAddress, formatPrefix, maskAddress, parseAddress, parsePrefix, prefixFamily, type IpFamily, type Prefix } from '@seine/model';
import type { PolicyRef, RuleRef } from '@seine/node';

import { policyRefs, refOf } from './verdict.ts';

/** A port that somebody serves. */
export interface Served { readonly protocol: number; readonly port: number; readonly name: string | null }

/** Endpoints that no policy of this cluster can tell apart: one identity, one set of ports, one surrounding prefix. */
export interface Kind {
  readonly index: number;
  /** Workloads, by name; `external`, or `external 203.0.113.0/24`, outside the cluster. */
  readonly members: readonly string[];
  readonly namespace: string | undefined;
  readonly identity: number;
  readonly pods: number;
  readonly party: PartyAt;
  readonly bindings: Bindings;
  readonly serves: readonly Served[];
}

/** What one side says of the other. */
export interface SideAnswer { readonly direction: DirectionName; readonly outcome: Outcome; readonly isolatedBy: readonly CompiledPolicy[] }

/** What is said of a packet from one kind to another: by the side that decided. */
export interface Reached { readonly verdict: 'allow' | 'deny' | 'audit'; readonly by: SideAnswer }

/** The same in words. */
export interface Decision {
  readonly verdict: Reached['verdict'];
  readonly direction: DirectionName | null;
  readonly reason: { readonly code: number; readonly name: string } | null;
  readonly rule: RuleRef | null;
  readonly isolatedBy: readonly PolicyRef[];
}

export interface Reach {
  readonly kinds: readonly Kind[];
  readonly judge: (from: Kind, to: Kind, at: Pick<Served, 'protocol' | 'port'>) => Reached;
  readonly decision: (reached: Reached, from: Kind, to: Kind) => Decision;
  /** Kinds that some rule of the other side names, each way: for everybody else a side says what it says of anybody. */
  readonly namedBy: (kind: Kind, direction: DirectionName) => ReadonlySet<number>;
  /** Does it let anybody out by the name of a port? Then what it says of anybody depends on whom it is. */
  readonly speaksOfPortNames: (kind: Kind) => boolean;
  /** What a side says of whoever no rule names; at egress, of one that binds no name. */
  readonly otherwise: (kind: Kind, direction: DirectionName, at: Pick<Served, 'protocol' | 'port'>) => SideAnswer;
  /** Does any policy say something of what leaves it? */
  readonly judgesEgress: (kind: Kind) => boolean;
  /** Kinds with one signature look alike to every policy and every port. */
  readonly signature: (kind: Kind) => string;
}

/** The longest mentioned prefix around an address: one look-up for each length that is mentioned. */
const prefixFinder = (prefixes: readonly Prefix[]): ((address: string) => Prefix | undefined) => {
  const lengths = [...new Set(prefixes.map(({ length }) => length))].sort((a, b) => b - a);
  const known = new Map(prefixes.map((prefix) => [formatPrefix(prefix), prefix]));
  return (address) => {
    const bytes = parseAddress(address);
    if (bytes === undefined) return undefined;
    for (const length of lengths) {
      const found = known.get(formatPrefix({ address: maskAddress(bytes, length), length }));
      if (found !== undefined) return found;
    }
    return undefined;
  };
};

const servedText = ({ protocol, port, name }: Served): string => `${protocol}/${port}/${name ?? ''}`;

/** Ports of each address: what the pod's containers name, and what Services send there. */
const portsOf = (state: Readonly<NodeState>): ((pod: string, address: string) => readonly Served[]) => {
  const bySlice = new Map<string, Served[]>();
  for (const { backends } of state.slices.values()) {
    for (const { address, port, protocol, portName } of backends) {
      const list = bySlice.get(address);
      const served: Served = { protocol: PROTOCOL_NUMBER[protocol], port, name: portName === '' ? null : portName };
      if (list === undefined) bySlice.set(address, [served]); else list.push(served);
    }
  }
  return (pod, address) => {
    const found = new Map<string, Served>();
    const containers = (state.pods.get(pod)?.ports ?? []).map(({ name, port, protocol }): Served => ({ protocol: PROTOCOL_NUMBER[protocol], port, name: name ?? null }));
    for (const served of [...containers, ...bySlice.get(address) ?? []]) {
      const key = `${served.protocol}/${served.port}`;
      if ((found.get(key)?.name ?? null) === null) found.set(key, served);
    }
    return [...found.values()].sort((a, b) => a.port - b.port || a.protocol - b.protocol);
  };
};
const NO_BINDINGS: Bindings = new Map();
const PROTOCOL_NUMBER = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/** Every prefix that policies tell apart, and an API server outside where they speak of it. */
const mentionedPrefixes = (state: Readonly<NodeState>): readonly Prefix[] => {
  const found = new Map<string, Prefix>();
  let apiServer = false;
  for (const policy of state.policies.values()) {
    const mentions = mentionsOf(policy);
    for (const [text, prefix] of mentions.prefixes) found.set(text, prefix);
    apiServer ||= mentions.apiServer;
  }
  const nodes = new Set([...state.nodes.values()].flatMap(({ addresses }) => addresses));
  for (const address of apiServer ? apiServerAddresses(state) : []) if (!nodes.has(address)) { const prefix = parsePrefix(address)!; found.set(formatPrefix(prefix), prefix); } // an address of the log
  return [...found].sort(([a], [b]) => compareCodeUnits(a, b)).map(([, prefix]) => prefix);
};

/** @returns every kind of endpoint, and of address outside that policies tell apart, as far as they speak this family */
const kindsOf = (state: Readonly<NodeState>, family: IpFamily): readonly Kind[] => {
  const parties = partyFinder(state);
  const prefixes = mentionedPrefixes(state).filter((prefix) => prefixFamily(prefix) === family);
  const around = prefixFinder(prefixes);
  const servedBy = portsOf(state);
  const drafts = new Map<string, { readonly party: PartyAt; readonly bindings: Bindings; readonly serves: readonly Served[]; readonly members: Set<string>; pods: number; readonly identity: number }>();
  const seen = new Set<string>();
  for (const [address, { pod, identity }] of [...state.addresses].filter(([each]) => familyOf(each) === family).sort(([, a], [, b]) => compareCodeUnits(a.pod, b.pod))) {
    const prefix = around(address);
    const serves = servedBy(pod, address);
    const key = `${identity} ${prefix === undefined ? '' : formatPrefix(prefix)} ${serves.map(servedText).join(' ')}`;
    const workload = state.pods.get(pod)?.workload;
    const member = workload === undefined ? pod : `${pod.slice(0, pod.indexOf('/'))}/${workload.name}`;
    const draft = drafts.get(key) ?? { party: { ...parties.at(address, undefined), prefix }, bindings: parties.bindings(pod), serves, members: new Set<string>(), pods: 0, identity };
    draft.members.add(member);
    if (!seen.has(`${key} ${pod}`)) draft.pods += 1;
    seen.add(`${key} ${pod}`);
    drafts.set(key, draft);
  }
  const pods = [...drafts.values()].filter(({ party }) => party.view !== undefined).map(({ members, ...rest }) => ({ ...rest, members: [...members].sort(compareCodeUnits), namespace: rest.party.view!.namespace })) // filtered above
    .sort((a, b) => compareCodeUnits(a.members[0]!, b.members[0]!) || a.identity - b.identity);
  const families = clusterFamilies(state);
  const worldOf = (prefix: Prefix | undefined, name: string): Omit<Kind, 'index'> => {
    const identity = worldIdentity(families, family);
    /* One address may be somebody: an API server outside. */
    const reserved = prefix?.length === 128 ? parties.at(formatAddress(prefix.address), undefined).reserved : ['world' as const, family === 4 ? 'world-ipv4' as const : 'world-ipv6' as const];
    const party: PartyAt = { identity, prefix, reserved, view: undefined, nodeLabels: undefined, pod: undefined, node: undefined };
    return { party, identity, bindings: NO_BINDINGS, serves: [], members: [name], pods: 0, namespace: undefined };
  };
  /* Where a policy mentions the whole of a family, nobody outside is in no prefix. */
  const isWhole = (prefix: Prefix): boolean => prefix.length === (family === 4 ? 96 : 0);
  const isOutside = (prefix: Prefix): boolean => parties.at(formatAddress(prefix.address), undefined).reserved.includes('world');
  const everybody = prefixes.find(isWhole);
  const outside = [worldOf(everybody, 'external'), ...prefixes.filter((prefix) => !isWhole(prefix) && isOutside(prefix)).map((prefix) => worldOf(prefix, `external ${formatPrefix(prefix)}`))];
  return [...pods, ...outside].map((kind, index) => ({ ...kind, index }));
};

/** Finds who may match a peer without asking everybody: by the labels that fewest have. */
const candidateFinder = (kinds: readonly Kind[]): ((peer: Peer) => readonly Kind[]) => {
  const file = createPartyFile<PartyAt>();
  const kindOf = new Map<PartyAt, Kind>(kinds.map((kind) => [kind.party, kind]));
  for (const { party } of kinds) file.file(party);
  return (peer) => [...file.candidates(filingOf(reachOf(peer), file.crowd))].flatMap((party) => kindOf.get(party) ?? []);
};

/** One direction of all kinds that the same policies select. */
interface SubjectClass {
  readonly rules: readonly { readonly placed: PlacedRule; /** kinds that it means; undefined: anybody */ readonly means: ReadonlySet<number> | undefined }[];
  readonly isolatedBy: readonly CompiledPolicy[];
  readonly named: ReadonlySet<number>;
  readonly answers: Map<string, SideAnswer>;
}

const OPEN: Outcome = { verdict: 'open', by: [], overruled: [] };

/** @param family in which everybody speaks; the cluster's first unless given */
export const openReach = (state: Readonly<NodeState>, family: IpFamily = clusterFamilies(state)[0] ?? 4): Reach => {
  const kinds = kindsOf(state, family);
  const candidates = candidateFinder(kinds);
  const policies = inOrder(state.policies.values());

  /* A label named by a stranger means the same kinds wherever it is written: each distinct peer is matched once. */
  const matched = new Map<string, { readonly id: number; readonly means: ReadonlySet<number> }>();
  const marks: number[][] = kinds.map(() => []);
  const meant = (peer: Peer): ReadonlySet<number> => {
    const text = JSON.stringify(peer);
    const known = matched.get(text);
    if (known !== undefined) return known.means;
    const means = new Set(candidates(peer).filter(({ party }) => peerMatches(peer, party)).map(({ index }) => index));
    matched.set(text, { id: matched.size, means });
    for (const index of means) marks[index]!.push(matched.size);
    return means;
  };

  const selectedBy: number[][] = kinds.map(() => []);
  policies.forEach(({ subject }, index) => { for (const kind of candidates(subject)) if (subjectMatches(subject, kind.party)) selectedBy[kind.index]!.push(index); });

  const classes = new Map<string, SubjectClass>();
  const classOf = (kind: Kind, direction: DirectionName): SubjectClass => {
    const key = `${direction} ${selectedBy[kind.index]!.join(' ')}`;
    const known = classes.get(key);
    if (known !== undefined) return known;
    const selecting = selectedBy[kind.index]!.map((index) => policies[index]!);
    const rules = placedRules(selecting, direction).map((placed) => {
      const { peers } = placed.rule;
      if (peers === 'any') return { placed, means: undefined };
      const sets = peers.map(meant);
      return { placed, means: sets.length === 1 ? sets[0]! : new Set(sets.flatMap((set) => [...set])) };
    });
    const made: SubjectClass = { rules, isolatedBy: isolatingPolicies(selecting, direction), named: new Set(rules.flatMap(({ means }) => (means === undefined ? [] : [...means]))), answers: new Map() };
    classes.set(key, made);
    return made;
  };
  /* Every rule is matched before signatures are asked for. */
  for (const kind of kinds) { classOf(kind, 'ingress'); classOf(kind, 'egress'); }

  const side = (own: Kind, direction: DirectionName, other: number | undefined, bindings: Bindings, bound: string, { protocol, port }: Pick<Served, 'protocol' | 'port'>): SideAnswer => {
    const { rules, isolatedBy, answers } = classOf(own, direction);
    let key = `${protocol}/${port} ${bound}`;
    for (let index = 0; index < rules.length; index += 1) { const { means } = rules[index]!; if (means === undefined || (other !== undefined && means.has(other))) key += ` ${index}`; }
    const known = answers.get(key);
    if (known !== undefined) return known;
    const matching = rules.filter(({ means }) => means === undefined || (other !== undefined && means.has(other))).map(({ placed }) => placed)
      .filter(({ rule }) => portsCover(portRanges(rule.ports, bindings), protocol, { port, length: 16 }));
    const answer: SideAnswer = { direction, outcome: rules.length === 0 && isolatedBy.length === 0 ? OPEN : decide(matching, isolatedBy), isolatedBy };
    answers.set(key, answer);
    return answer;
  };
  const boundTexts = kinds.map(({ bindings }) => [...bindings].map(([name, ports]) => `${name}=${ports.join(',')}`).join(';'));

  const decisive = (egress: SideAnswer, ingress: SideAnswer): Reached => {
    for (const answer of [egress, ingress]) if (answer.outcome.verdict === 'deny' || answer.outcome.verdict === 'default-deny') return { verdict: 'deny', by: answer };
    for (const answer of [ingress, egress]) if (answer.outcome.verdict === 'audit') return { verdict: 'audit', by: answer };
    return { verdict: 'allow', by: ingress.outcome.verdict === 'allow' || egress.outcome.verdict === 'open' ? ingress : egress };
  };
  const isJudged = (kind: Kind): boolean => kind.namespace !== undefined;
  const UNJUDGED = { egress: { direction: 'egress', outcome: OPEN, isolatedBy: [] }, ingress: { direction: 'ingress', outcome: OPEN, isolatedBy: [] } } as const satisfies Record<DirectionName, SideAnswer>;

  return {
    kinds,
    judge: (from, to, at) => decisive(
      isJudged(from) ? side(from, 'egress', to.index, to.bindings, boundTexts[to.index]!, at) : UNJUDGED.egress,
      isJudged(to) ? side(to, 'ingress', from.index, to.bindings, boundTexts[to.index]!, at) : UNJUDGED.ingress,
    ),
    decision: ({ verdict, by: { direction, outcome, isolatedBy } }, from, to) => {
      const first = outcome.by[0];
      const code = outcome.verdict === 'deny' ? 181 : 133;
      return {
        verdict, direction: outcome.verdict === 'open' ? null : direction, reason: verdict === 'deny' ? { code, name: dropReasonName(code) } : null,
        rule: first === undefined ? null : refOf(first, state, peerIndex(first.rule, (direction === 'ingress' ? from : to).party)), isolatedBy: policyRefs(isolators({ outcome, isolatedBy })),
      };
    },
    namedBy: (kind, direction) => (isJudged(kind) ? classOf(kind, direction).named : new Set()),
    otherwise: (kind, direction, at) => (isJudged(kind) ? side(kind, direction, undefined, direction === 'ingress' ? kind.bindings : NO_BINDINGS, direction === 'ingress' ? boundTexts[kind.index]! : '', at) : UNJUDGED[direction]),
    judgesEgress: (kind) => { if (!isJudged(kind)) return false; const { rules, isolatedBy } = classOf(kind, 'egress'); return rules.length + isolatedBy.length > 0; },
    speaksOfPortNames: (kind) => isJudged(kind) && classOf(kind, 'egress').rules.some(({ placed: { rule }, means }) => means === undefined && rule.ports !== 'any' && rule.ports.some(({ type }) => type === 'named')),
    signature: ({ index, serves, namespace }) => `${namespace === undefined ? index : ''} ${selectedBy[index]!.join(' ')} | ${marks[index]!.join(' ')} | ${serves.map(servedText).join(' ')} | ${boundTexts[index]}`,
  };
};

/** The world serves whatever one asks for: one port stands for it. */
export const WORLD_AT: Served = { protocol: 6, port: 443, name: null };
