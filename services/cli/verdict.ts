/** A node's state → what its kernel would say to one packet: the same rows, the same look-ups, in words. Pure. */
import type { CompiledPolicy } from '@seine/events';
import {
  emptyTables, endpointsOfLog, indexRows, isolators, judge, lookUp, nodeRows, partyFinder, peerField, peerIndex, ruleName,
  type Asked, type DirectionName, type Judgement, type NodeState, type PartyAt, type PartyFinder, type PlacedRule, type RowIndex, type Tables,
} from '@seine/datapath-writer';
import { Direction } from '@seine/layout';
import { dropReasonName, familyOf, parseAddress, parsePrefix, prefixContains, PROTOCOL, RESERVED_IDENTITY, reservedLabel, type IpFamily } from '@seine/model';
import { ECHO_TYPE, familyOfEnds, resolveParty, type Party, type ProbeEnds } from '@seine/lab';
import type { PolicyRef, RuleRef } from '@seine/node';
import { objectKey, policyPartKey, type KubeObject } from '@seine/objects';

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

/** A Service's backend: the first that serves, as people read a list. undefined: nobody does. */
const backendOf = (state: Readonly<NodeState>, service: string, address: string, port: number, protocol: string): { readonly address: string; readonly port: number } | 'none' | undefined => {
  const frontend = state.services.get(service)?.frontends.find((candidate) => candidate.address === address && candidate.port === port && candidate.protocol === protocol);
  if (frontend === undefined) return undefined;
  const backends = [...state.slices.values()].filter((slice) => slice.service === service).flatMap((slice) => slice.backends)
    .filter((backend) => backend.portName === frontend.portName && backend.protocol === protocol && backend.state === 'active' && familyOf(backend.address) === familyOf(frontend.address));
  return backends[0] ?? 'none';
};

/** Both ends of a probe, after the Service was translated. */
export interface Ends {
  readonly family: IpFamily;
  readonly from: Party; readonly to: Party;
  readonly sourceAddress: string; readonly sourcePod: string | undefined;
  readonly destination: string; readonly destinationPod: string | undefined; readonly destinationPort: number;
  /** Drop reason of what never leaves. */
  readonly refusal: number | undefined;
  /** It is a Service, and no frontend of it has this port: nobody translates the packet. */
  readonly untranslated: boolean;
}

export const endsOf = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: VerdictProbe): Ends => {
  const family = familyOfEnds(probe, objects);
  const [from, to] = [resolveParty(probe.from, objects, family), resolveParty(probe.to, objects, family)];
  const ends = (destination: string, destinationPort: number, { refusal, untranslated = false }: { readonly refusal?: number; readonly untranslated?: boolean } = {}): Ends => ({
    family, from, to, sourceAddress: from.address, sourcePod: state.addresses.get(from.address)?.pod, destination, destinationPod: state.addresses.get(destination)?.pod, destinationPort, refusal, untranslated,
  });
  const port = portNumber(probe, family);
  const service = to.type === 'service' ? `${to.service.namespace}/${to.service.name}` : [...state.services].find(([, { frontends }]) => frontends.some(({ address }) => address === to.address))?.[0];
  if (service === undefined || (to.type !== 'service' && from.type === 'external')) return ends(to.address, port);
  const backend = backendOf(state, service, to.address, port, probe.protocol);
  /* A port that the Service does not have is not translated; the packet would leave for a frontend, or for nobody. */
  if (backend === undefined) return ends(to.address, port, { untranslated: true });
  return backend === 'none' ? ends(to.address, port, { refusal: 158 }) : ends(backend.address, backend.port);
};

/** The node that judges for an address: a pod's, or the node itself. */
const judgeAt = (state: Readonly<NodeState>, address: string): string | undefined =>
  state.addresses.get(address)?.node ?? [...state.nodes].find(([, { addresses }]) => addresses.includes(address))?.[0];

const lookUpAt = (state: Readonly<NodeState>, node: string, { own, other, direction, protocol, port }: Way): { readonly reason: number; readonly rule: string | undefined; readonly audit: boolean } => {
  const view = viewOf(state, node);
  const endpoint = view.rows.find('sn_endpoint_01', { address: own });
  const isHost = endpoint === undefined && view.rows.find('sn_ipcache_01', { address: own })?.identity === RESERVED_IDENTITY.host;
  if (endpoint === undefined && !isHost) return { reason: 151, rule: undefined, audit: false };
  const subject = endpoint ?? { identity: RESERVED_IDENTITY.host, variant: 0 };
  /* A node that no policy selects is not judged. */
  if (isHost && view.rows.find('sn_subject_01', { ...subject, direction: direction === 'ingress' ? Direction.INGRESS : Direction.EGRESS }) === undefined) return { reason: 0, rule: undefined, audit: false };
  const answer = lookUp(view.rows, { direction, identity: subject.identity, variant: subject.variant, peer: peerAt(view, other), protocol, port });
  return { reason: answer.reason, rule: answer.rule === 0 ? undefined : view.tables.rule.textOf.get(answer.rule), audit: answer.verdict === 5 };
};

/** One direction of a packet, as its own side sees it. */
interface Way { readonly own: string; readonly other: string; readonly direction: DirectionName; readonly protocol: number; readonly port: number }

const finders = new WeakMap<object, PartyFinder>();
const finderOf = (state: Readonly<NodeState>): PartyFinder => {
  const finder = finders.get(state) ?? partyFinder(state);
  finders.set(state, finder);
  return finder;
};

/** A direction with its reasons: who asks whom, what selects it, who decides. */
export interface Side extends Judgement { readonly asked: Asked; readonly own: PartyAt; readonly other: PartyAt }

/** @param parties of the state; a state that still changes needs a new one each time */
export const sideOf = (state: Readonly<NodeState>, parties: PartyFinder, { own: ownAddress, other: otherAddress, direction, protocol, port }: Way): Side | undefined => {
  const node = parties.at(ownAddress, undefined).node;
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

const waysOf = ({ sourceAddress, destination, destinationPort }: Ends, protocol: number) => ({
  egress: { own: sourceAddress, other: destination, direction: 'egress', protocol, port: destinationPort }, ingress: { own: destination, other: sourceAddress, direction: 'ingress', protocol, port: destinationPort },
} as const satisfies Record<DirectionName, Way>);

/** What the kernels of the nodes on the way would say. */
export const verdictOf = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: VerdictProbe): Verdict => {
  const found = endsOf(state, objects, probe);
  const { from, to, sourceAddress, destination, destinationPort, refusal } = found;
  const ways = waysOf(found, protocolNumber(probe.protocol, found.family));
  const nodes = { egress: judgeAt(state, sourceAddress), ingress: judgeAt(state, destination) };
  const ends = { from, to, destination, destinationPort, node: nodes.ingress ?? nodes.egress ?? '' };
  const plain = { ...ends, rule: null, isolatedBy: [], audit: false };
  if (refusal !== undefined) return { ...plain, got: 'deny', direction: 'egress', reason: { code: refusal, name: dropReasonName(refusal) } };
  const open: Verdict = { ...plain, got: 'allow', direction: null, reason: null };
  if (sourceAddress === destination) return open;
  const passed: { readonly direction: DirectionName; readonly rule: string | undefined; readonly audit: boolean }[] = [];
  for (const direction of ['egress', 'ingress'] as const) {
    const node = nodes[direction];
    if (node === undefined) continue;
    const { reason, rule, audit } = lookUpAt(state, node, ways[direction]);
    if (reason !== 0) return { ...ends, got: 'deny', direction, reason: { code: reason, name: dropReasonName(reason) }, ...decidedBy(state, ways[direction], rule, reason === DEFAULT_DENY), audit: false };
    if (rule !== undefined || audit) passed.push({ direction, rule, audit });
  }
  /* What policies under audit would have denied is told first, then the rule of the destination. */
  const deciding = passed.findLast(({ audit }) => audit) ?? passed.at(-1);
  return deciding === undefined ? open : { ...open, direction: deciding.direction, audit: deciding.audit, ...decidedBy(state, ways[deciding.direction], deciding.rule, deciding.audit) };
};

/** The same question, answered with reasons for each direction; undefined where nobody judges. */
export const sidesOf = (state: Readonly<NodeState>, parties: PartyFinder, ends: Ends, protocol: string): { readonly egress: Side | undefined; readonly ingress: Side | undefined } => {
  if (ends.sourceAddress === ends.destination) return { egress: undefined, ingress: undefined };
  const ways = waysOf(ends, protocolNumber(protocol, ends.family));
  return { egress: sideOf(state, parties, ways.egress), ingress: sideOf(state, parties, ways.ingress) };
};

/** Who has an address, and its labels. */
export const labelsAt = (state: Readonly<NodeState>, address: string): { readonly identity: number; readonly labels: readonly string[] } => {
  const { identity } = finderOf(state).at(address, undefined);
  return { identity, labels: state.identities.get(identity) ?? [reservedLabel(identity) ?? `identity:${identity}`] };
};
