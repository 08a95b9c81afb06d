/** A node's state → what its kernel would say to one packet: the same rows, the same look-ups, in words. Pure. */
import type { CompiledPolicy } from '@seine/events';
import {
  emptyTables, endpointsOfLog, indexRows, isolators, judge, lookUp, nodeRows, partyFinder, peerField, peerIndex, ruleName,
  type Asked, type DirectionName, type Judgement, type NodeState, type PartyAt, type PartyFinder, type PlacedRule, type RowIndex, type Tables,
} from '@seine/datapath-writer';
import { Direction } from '@seine/layout';
import { dropReasonName, parseAddress, parsePrefix, prefixContains, PROTOCOL, RESERVED_IDENTITY, reservedLabel, type IpFamily } from '@seine/model';
import { ECHO_TYPE, familyOfEnds, isHostNetwork, resolveParty, type Party, type ProbeEnds } from '@seine/lab';
import type { PolicyRef, RuleRef } from '@seine/node';
import { objectKey, policyPartKey, type KubeObject } from '@seine/objects';

import { drawOf, serviceAt, type Draw } from './draw.ts';

/** `protocol` ICMP means ICMPv6 between addresses of IPv6. */
export interface VerdictProbe extends ProbeEnds { readonly protocol: string; readonly port?: number; readonly icmp?: { readonly type: number; readonly code: number } }

export interface Verdict {
  readonly got: 'allow' | 'deny';
  readonly direction: DirectionName | null;
  readonly reason: { readonly code: number; readonly name: string } | null;
  readonly rule: RuleRef | null;
  /** Whose isolation denied it, where no rule did. */
  readonly isolatedBy: readonly PolicyRef[];
  /** It passes, but policies under audit would deny it. */
  readonly audit: boolean;
  readonly from: Party;
  readonly to: Party;
  /** Of a Service whose backends that can be drawn differ: how many would be denied. */
  readonly split: { readonly denied: number; readonly of: number } | undefined;
  /** Whom the Service draws from. */
  readonly draw: Draw | undefined;
  /** The address that the packet goes to after the Service was translated. */
  readonly destination: string;
  readonly destinationPort: number;
  readonly node: string;
}

/** A rule in words: the object, its section, where it was written, and which peer meant the other side. */
export const refOf = ({ policy, rule }: PlacedRule, state: Readonly<NodeState>, peer: number | undefined): RuleRef => ({
  ...policy.object, section: rule.section, index: rule.index, peer: peer ?? null, peerField: peer === undefined ? null : peerField(rule, peer), file: policy.source?.file ?? null,
  line: (peer === undefined ? undefined : rule.peerLines?.[peer]) ?? rule.line ?? policy.source?.line ?? null, seq: state.origins.get(`policy ${policyPartKey(objectKey(policy.object), policy.part ?? 0)}`)?.seq ?? null,
});

/** Objects of policies, each once: one object may hold several. */
export const policyRefs = (policies: readonly CompiledPolicy[]): readonly PolicyRef[] => [...new Map(policies.map(({ object }) => [objectKey(object), object])).values()];

interface NodeView { readonly rows: RowIndex; readonly tables: Tables; readonly classes: readonly { readonly prefix: NonNullable<ReturnType<typeof parsePrefix>>; readonly cidrClass: number }[]; readonly prefixes: readonly { readonly prefix: NonNullable<ReturnType<typeof parsePrefix>>; readonly identity: number }[] }

const views = new WeakMap<object, Map<string, NodeView>>();

/** One node's rows, made once for a state that does not change any more. */
const viewOf = (state: Readonly<NodeState>, node: string): NodeView => {
  const known = views.get(state) ?? new Map<string, NodeView>();
  views.set(state, known);
  const found = known.get(node);
  if (found !== undefined) return found;
  const tables = emptyTables();
  const { rows } = nodeRows(node, state, endpointsOfLog(node, state, () => 1), tables);
  const view: NodeView = {
    tables, rows: indexRows(rows),
    classes: rows.flatMap((row) => (row.map === 'sn_class_01' ? [{ prefix: { address: parseAddress(row.key.address)!, length: row.key.prefixLength }, cidrClass: row.value.value }] : [])).sort((a, b) => b.prefix.length - a.prefix.length),
    prefixes: rows.flatMap((row) => (row.map === 'sn_ipprefix_01' ? [{ prefix: { address: parseAddress(row.key.address)!, length: row.key.prefixLength }, identity: row.value.identity }] : [])).sort((a, b) => b.prefix.length - a.prefix.length),
  };
  known.set(node, view);
  return view;
};

/** Who is behind an address, as the kernel finds out: exact entry, longest prefix, world. */
const peerAt = (view: NodeView, address: string): { readonly identity: number; readonly variant: number; readonly cidrClass: number } => {
  const bytes = parseAddress(address)!;
  const exact = view.rows.find('sn_ipcache_01', { address });
  if (exact !== undefined) return { identity: exact.identity, variant: exact.variant, cidrClass: view.classes.find(({ prefix }) => prefixContains(prefix, bytes))?.cidrClass ?? 0 };
  return { identity: view.prefixes.find(({ prefix }) => prefixContains(prefix, bytes))?.identity ?? RESERVED_IDENTITY.world, variant: 0, cidrClass: 0 };
};

const portNumber = ({ protocol, port, icmp }: VerdictProbe, family: IpFamily): number => (protocol === 'ICMP' ? ((icmp?.type ?? ECHO_TYPE[family]) << 8) | (icmp?.code ?? 0) : port ?? 0);
const protocolNumber = (name: string, family: IpFamily): number => (name === 'ICMP' && family === 6 ? PROTOCOL.ICMPV6 : PROTOCOL[name as keyof typeof PROTOCOL] ?? 0);

/** Both ends of a probe, after the Service was translated. */
export interface Ends {
  readonly family: IpFamily;
  readonly from: Party; readonly to: Party;
  readonly sourceAddress: string; readonly sourcePod: string | undefined;
  readonly destination: string; readonly destinationPod: string | undefined; readonly destinationPort: number;
  /** Who translates, and whom it draws from; undefined: nobody does. */
  readonly draw: Draw | undefined;
  /** A Service's own address without such a port, or one that this client's node leaves alone: the packet leaves for it as it is. */
  readonly untranslated: boolean;
}

/** It is translated where it arrives: its own side judges what was asked, and that node the backend. */
const isTranslatedElsewhere = ({ draw, sourceAddress }: Pick<Ends, 'draw' | 'sourceAddress'>, state: Readonly<NodeState>): boolean => draw?.scope === 'outside' && draw.node !== judgeAt(state, sourceAddress);

/** One for each backend that can be drawn, the first in the Service's own order first; one where none is, or nothing is translated. Never empty. */
export const allEndsOf = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: VerdictProbe): readonly [Ends, ...Ends[]] => {
  const family = familyOfEnds(probe, objects);
  const [from, to] = [resolveParty(probe.from, objects, family), resolveParty(probe.to, objects, family)];
  const ends = (destination: string, destinationPort: number, draw: Draw | undefined, untranslated = false): Ends => ({
    family, from, to, sourceAddress: from.address, sourcePod: state.addresses.get(from.address)?.pod, destination, destinationPod: state.addresses.get(destination)?.pod, destinationPort, draw, untranslated,
  });
  const port = portNumber(probe, family);
  const isNode = from.type === 'node' || (from.type === 'pod' && isHostNetwork(from.pod));
  const draw = drawOf(state, { address: from.address, node: judgeAt(state, from.address), isNode }, { address: to.address, port, protocol: probe.protocol });
  if (draw === undefined) return [ends(to.address, port, undefined, serviceAt(state, to.address) !== undefined)];
  const [first, ...others] = draw.refusal === undefined ? draw.backends.filter(({ absence }) => absence === undefined).map(({ backend }) => ends(backend.address, backend.port, draw)) : [];
  return first === undefined ? [ends(to.address, port, draw)] : [first, ...others];
};

export const endsOf = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: VerdictProbe): Ends => allEndsOf(state, objects, probe)[0];

/** The node that judges for an address: a pod's, or the node itself. */
const judgeAt = (state: Readonly<NodeState>, address: string): string | undefined =>
  state.addresses.get(address)?.node ?? [...state.nodes].find(([, { addresses }]) => addresses.includes(address))?.[0];

const lookUpAt = (state: Readonly<NodeState>, node: string, { own, other, direction, protocol, port }: Way): { readonly reason: number; readonly rule: string | undefined; readonly audit: boolean } => {
  const view = viewOf(state, node);
  const endpoint = view.rows.find('sn_endpoint_01', { address: own });
  const known = endpoint ?? view.rows.find('sn_ipcache_01', { address: own });
  const isHost = endpoint === undefined && known?.identity === RESERVED_IDENTITY.host;
  /* A node that translates for others knows the subject of every backend. */
  if (known === undefined || (endpoint === undefined && !isHost && state.addresses.get(own)?.node === node)) return { reason: 151, rule: undefined, audit: false };
  const subject = isHost ? { identity: RESERVED_IDENTITY.host, variant: 0 } : known;
  /* A node that no policy selects is not judged. */
  if (isHost && view.rows.find('sn_subject_01', { ...subject, direction: direction === 'ingress' ? Direction.INGRESS : Direction.EGRESS }) === undefined) return { reason: 0, rule: undefined, audit: false };
  const answer = lookUp(view.rows, { direction, identity: subject.identity, variant: subject.variant, peer: peerAt(view, other), protocol, port });
  return { reason: answer.reason, rule: answer.rule === 0 ? undefined : view.tables.rule.textOf.get(answer.rule), audit: answer.verdict === 5 };
};

/** One direction of a packet, as its own side sees it. */
interface Way {
  readonly own: string; readonly other: string; readonly direction: DirectionName; readonly protocol: number; readonly port: number;
  /** The node that judges for a backend wherever that runs, as it translated the packet. */
  readonly node?: string;
}

const finders = new WeakMap<object, PartyFinder>();
const finderOf = (state: Readonly<NodeState>): PartyFinder => {
  const finder = finders.get(state) ?? partyFinder(state);
  finders.set(state, finder);
  return finder;
};

/** A direction with its reasons: who asks whom, what selects it, who decides. */
export interface Side extends Judgement { readonly asked: Asked; readonly own: PartyAt; readonly other: PartyAt }

/** @param parties of the state; a state that still changes needs a new one each time */
export const sideOf = (state: Readonly<NodeState>, parties: PartyFinder, { own: ownAddress, other: otherAddress, direction, protocol, port, node: judging }: Way): Side | undefined => {
  const node = judging ?? parties.at(ownAddress, undefined).node;
  if (node === undefined) return undefined;
  const own = parties.at(ownAddress, node);
  /* A pod that no node has attached is nobody's to judge. */
  if (own.view === undefined && !own.reserved.includes('host')) return undefined;
  const other = parties.at(otherAddress, node);
  const asked: Asked = {
    subject: { party: own, bindings: parties.bindings(own.pod) }, direction, policies: state.policies.values(), peer: { ...other, bindings: parties.bindings(other.pod) }, protocol, port,
  };
  return { ...judge(asked), asked, own, other };
};

const DEFAULT_DENY = 133;

/** The rule that the row names, with the peer that meant the other side; where no rule decided, whose isolation did. */
const decidedBy = (state: Readonly<NodeState>, way: Way, rule: string | undefined, isIsolation: boolean): Pick<Verdict, 'rule' | 'isolatedBy'> => {
  const side = rule === undefined && !isIsolation ? undefined : sideOf(state, finderOf(state), way);
  if (side === undefined) return { rule: null, isolatedBy: [] };
  const placed = rule === undefined ? undefined : side.outcome.by.find((each) => ruleName(each) === rule);
  return { rule: placed === undefined ? null : refOf(placed, state, peerIndex(placed.rule, side.other)), isolatedBy: isIsolation ? policyRefs(isolators(side)) : [] };
};

/** A packet that is translated where it arrives left for what was asked; the node there judges its backend, unless that is a node. */
const waysOf = (ends: Ends, state: Readonly<NodeState>, protocol: number): Readonly<Record<DirectionName, Way>> => {
  const { sourceAddress, destination, destinationPort, destinationPod, draw, to } = ends;
  const elsewhere = isTranslatedElsewhere(ends, state);
  return {
    egress: { own: sourceAddress, direction: 'egress', protocol, ...(elsewhere ? { other: to.address, port: askedPort(ends) } : { other: destination, port: destinationPort }) },
    ingress: { own: destination, other: sourceAddress, direction: 'ingress', protocol, port: destinationPort, ...(elsewhere && destinationPod !== undefined ? { node: draw!.node } : {}) }, // elsewhere: somebody draws
  };
};

const askedPort = ({ draw, destinationPort }: Ends): number => draw?.frontend.port ?? destinationPort;

interface Passed { readonly direction: DirectionName; readonly rule: string | undefined; readonly audit: boolean }
type Refused = Passed & { readonly reason: number };

/** What the kernels on the way say one after the other, as far as the packet comes. */
const answersOf = (state: Readonly<NodeState>, ends: Ends, ways: Readonly<Record<DirectionName, Way>>): { readonly passed: readonly Passed[]; readonly refused: Refused | undefined } => {
  const elsewhere = isTranslatedElsewhere(ends, state);
  const passed: Passed[] = [];
  for (const direction of ['egress', 'ingress'] as const) {
    const refusal = ends.draw?.refusal;
    /* Nobody is drawn: said where it is translated, before any policy of that side. */
    if (refusal !== undefined && (!elsewhere || direction === 'ingress')) return { passed, refused: { direction: ends.draw!.scope === 'outside' ? 'ingress' : 'egress', reason: refusal, rule: undefined, audit: false } };
    if (ends.sourceAddress === ends.destination && !(elsewhere && direction === 'egress')) continue; // it talks to itself
    const way = ways[direction];
    const node = way.node ?? judgeAt(state, way.own);
    if (node === undefined) continue;
    const { reason, rule, audit } = lookUpAt(state, node, way);
    if (reason !== 0) return { passed, refused: { direction, reason, rule, audit: false } };
    if (rule !== undefined || audit) passed.push({ direction, rule, audit });
  }
  return { passed, refused: undefined };
};

/** What the kernels of the nodes on the way would say. */
export const verdictOfEnds = (state: Readonly<NodeState>, ends: Ends, protocol: string): Verdict => {
  const { from, to, sourceAddress, destination, destinationPort, draw } = ends;
  const ways = waysOf(ends, state, protocolNumber(protocol, ends.family));
  const { passed, refused } = answersOf(state, ends, ways);
  const node = ways.ingress.node ?? judgeAt(state, destination) ?? draw?.node ?? judgeAt(state, sourceAddress) ?? '';
  const plain = { from, to, destination, destinationPort, node, draw, split: undefined, rule: null, isolatedBy: [], audit: false } as const;
  if (refused !== undefined) {
    const { direction, reason, rule } = refused;
    const by = draw?.refusal === reason ? {} : decidedBy(state, ways[direction], rule, reason === DEFAULT_DENY);
    return { ...plain, got: 'deny', direction, reason: { code: reason, name: dropReasonName(reason) }, ...by };
  }
  const open: Verdict = { ...plain, got: 'allow', direction: null, reason: null };
  /* What policies under audit would have denied is told first, then the rule of the destination. */
  const deciding = passed.findLast(({ audit }) => audit) ?? passed.at(-1);
  return deciding === undefined ? open : { ...open, direction: deciding.direction, audit: deciding.audit, ...decidedBy(state, ways[deciding.direction], deciding.rule, deciding.audit) };
};

/** Of a Service: the first backend's that can be drawn, and what the others would make of it. */
export const verdictOf = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: VerdictProbe): Verdict => {
  const [first, ...others] = allEndsOf(state, objects, probe);
  const verdict = verdictOfEnds(state, first, probe.protocol);
  if (others.length === 0) return verdict;
  const denied = others.filter((ends) => answersOf(state, ends, waysOf(ends, state, protocolNumber(probe.protocol, ends.family))).refused !== undefined).length + (verdict.got === 'deny' ? 1 : 0);
  return denied === 0 || denied === others.length + 1 ? verdict : { ...verdict, split: { denied, of: others.length + 1 } };
};

/** The same question, answered with reasons for each direction; undefined where nobody judges. */
export const sidesOf = (state: Readonly<NodeState>, parties: PartyFinder, ends: Ends, protocol: string): { readonly egress: Side | undefined; readonly ingress: Side | undefined } => {
  const isItself = ends.sourceAddress === ends.destination;
  const elsewhere = isTranslatedElsewhere(ends, state);
  const ways = waysOf(ends, state, protocolNumber(protocol, ends.family));
  const isDrawn = ends.draw?.refusal === undefined;
  return {
    egress: (isItself || !isDrawn) && !elsewhere ? undefined : sideOf(state, parties, ways.egress),
    ingress: isItself || !isDrawn ? undefined : sideOf(state, parties, ways.ingress),
  };
};

/** Who has an address, and its labels. */
export const labelsAt = (state: Readonly<NodeState>, address: string): { readonly identity: number; readonly labels: readonly string[] } => {
  const { identity } = finderOf(state).at(address, undefined);
  return { identity, labels: state.identities.get(identity) ?? [reservedLabel(identity) ?? `identity:${identity}`] };
};
