/** A node's state → what its kernel would say to one packet: the same rows, the same look-ups, in words. Pure. */
import type { CompiledPolicy, CompiledRule } from '@seine/events';
import {
  clusterFamilies, emptyTables, endpointsOfLog, explain, indexRows, lookUp, nodeRows, partiesOf, worldIdentity, type DirectionName, type Explanation, type NodeState, type RowIndex, type Subject, type Tables,
} from '@seine/datapath-writer';
import { Direction } from '@seine/layout';
import { CIDR_IDENTITY_BASE, dropReasonName, familyOf, parseAddress, parsePrefix, prefixContains, PROTOCOL, RESERVED_IDENTITY, reservedLabel } from '@seine/model';
import { resolveParty, type Party } from '@seine/lab';
import { policyPartKey, type KubeObject } from '@seine/objects';

export interface VerdictProbe { readonly from: string; readonly to: string; readonly protocol: string; readonly port?: number; readonly icmp?: { readonly type: number; readonly code: number } }

export interface RuleRef { readonly kind: string; readonly namespace: string; readonly name: string; readonly section: string; readonly index: number; readonly peer: number | null; readonly file: string | null; readonly line: number | null; readonly seq: number | null }

export interface Verdict {
  readonly got: 'allow' | 'deny';
  readonly direction: DirectionName | null;
  readonly reason: { readonly code: number; readonly name: string } | null;
  readonly rule: RuleRef | null;
  readonly audit: boolean;
  readonly from: Party;
  readonly to: Party;
  /** The address that the packet goes to after the Service was translated. */
  readonly destination: string;
  readonly destinationPort: number;
  readonly node: string;
}

/** `NetworkPolicy/shop/x ingress[0]` → where that is written. */
export const ruleRef = (text: string | undefined, state: Readonly<NodeState>, peer: number | null = null): RuleRef | null => {
  const match = text === undefined ? null : /^([^/]+)\/([^/]*)\/(\S+) ((?:specs\[\d+\]\.)?\w+)\[(\d+)\]$/.exec(text);
  if (match === null) return null;
  const [, kind, namespace, name, section, indexText] = match as unknown as readonly [string, string, string, string, string, string]; // the pattern has five groups
  const index = Number(indexText);
  const isRule = (candidate: CompiledRule): boolean => candidate.section === section && candidate.index === index;
  let key = `${kind}/${namespace}/${name}`;
  for (let part = 1; state.policies.get(key)?.rules.some(isRule) === false && state.policies.has(policyPartKey(`${kind}/${namespace}/${name}`, part)); part += 1) key = policyPartKey(`${kind}/${namespace}/${name}`, part);
  const policy = state.policies.get(key);
  const rule = policy?.rules.find(isRule);
  return {
    kind, namespace, name, section, index, peer, file: policy?.source?.file ?? null,
    line: (peer === null ? undefined : rule?.peerLines?.[peer]) ?? rule?.line ?? policy?.source?.line ?? null, seq: state.origins.get(`policy ${key}`)?.seq ?? null,
  };
};

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

const portNumber = ({ protocol, port, icmp }: VerdictProbe): number => (protocol === 'ICMP' ? ((icmp?.type ?? 8) << 8) | (icmp?.code ?? 0) : port ?? 0);
const protocolNumber = (name: string): number => PROTOCOL[name as keyof typeof PROTOCOL] ?? 0;

/** A Service's backend: the first that serves, as people read a list. undefined: nobody does. */
const backendOf = (state: Readonly<NodeState>, service: string, port: number, protocol: string): { readonly address: string; readonly port: number } | 'none' | undefined => {
  const frontend = state.services.get(service)?.frontends.find((candidate) => candidate.port === port && candidate.protocol === protocol);
  if (frontend === undefined) return undefined;
  const backends = [...state.slices.values()].filter((slice) => slice.service === service).flatMap((slice) => slice.backends)
    .filter((backend) => backend.portName === frontend.portName && backend.protocol === protocol && backend.state === 'active' && familyOf(backend.address) === familyOf(frontend.address));
  return backends[0] ?? 'none';
};

export interface Ends { readonly from: Party; readonly to: Party; readonly sourceAddress: string; readonly destination: string; readonly destinationPort: number; readonly refusal: number | undefined }

/** Both ends of a probe, after the Service was translated. */
export const endsOf = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: VerdictProbe): Ends => {
  const from = resolveParty(probe.from, objects);
  const to = resolveParty(probe.to, objects);
  const port = portNumber(probe);
  const service = to.type === 'service' ? `${to.service.namespace}/${to.service.name}` : [...state.services].find(([, { frontends }]) => frontends.some(({ address }) => address === to.address))?.[0];
  if (service === undefined || (to.type !== 'service' && from.type === 'external')) return { from, to, sourceAddress: from.address, destination: to.address, destinationPort: port, refusal: undefined };
  const backend = backendOf(state, service, port, probe.protocol);
  /* A port that the Service does not have is not translated; the packet would leave for a frontend, or for nobody. */
  if (backend === undefined) return { from, to, sourceAddress: from.address, destination: to.address, destinationPort: port, refusal: undefined };
  if (backend === 'none') return { from, to, sourceAddress: from.address, destination: to.address, destinationPort: port, refusal: 158 };
  return { from, to, sourceAddress: from.address, destination: backend.address, destinationPort: backend.port, refusal: undefined };
};

/** The node that judges for an address: a pod's, or the node itself. */
const judgeAt = (state: Readonly<NodeState>, address: string): string | undefined =>
  state.addresses.get(address)?.node ?? [...state.nodes].find(([, { addresses }]) => addresses.includes(address))?.[0];

const judgeOne = (state: Readonly<NodeState>, node: string, direction: DirectionName, own: string, other: string, protocol: number, port: number) => {
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

/** What the kernels of the nodes on the way would say. */
export const verdictOf = (state: Readonly<NodeState>, objects: readonly KubeObject[], probe: VerdictProbe): Verdict => {
  const { from, to, sourceAddress, destination, destinationPort, refusal } = endsOf(state, objects, probe);
  const protocol = protocolNumber(probe.protocol);
  const sourceNode = judgeAt(state, sourceAddress);
  const destinationNode = judgeAt(state, destination);
  const ends = { from, to, destination, destinationPort, node: destinationNode ?? sourceNode ?? '' };
  const denied = (direction: DirectionName, code: number, rule: string | undefined): Verdict =>
    ({ ...ends, got: 'deny', direction, reason: { code, name: dropReasonName(code) }, rule: ruleRef(rule, state), audit: false });
  if (refusal !== undefined) return denied('egress', refusal, undefined);
  if (sourceAddress === destination) return { ...ends, got: 'allow', direction: null, reason: null, rule: null, audit: false };
  let deciding: { readonly direction: DirectionName; readonly rule: string | undefined; readonly audit: boolean } | undefined;
  if (sourceNode !== undefined) {
    const egress = judgeOne(state, sourceNode, 'egress', sourceAddress, destination, protocol, destinationPort);
    if (egress.reason !== 0) return denied('egress', egress.reason, egress.rule);
    if (egress.rule !== undefined) deciding = { direction: 'egress', rule: egress.rule, audit: egress.audit };
  }
  if (destinationNode !== undefined) {
    const ingress = judgeOne(state, destinationNode, 'ingress', destination, sourceAddress, protocol, destinationPort);
    if (ingress.reason !== 0) return denied('ingress', ingress.reason, ingress.rule);
    if (ingress.rule !== undefined) deciding = { direction: 'ingress', rule: ingress.rule, audit: ingress.audit };
  }
  return { ...ends, got: 'allow', direction: deciding?.direction ?? null, reason: null, rule: ruleRef(deciding?.rule, state), audit: deciding?.audit ?? false };
};

/** The same question, answered with reasons: every policy that selects either side, and what nearly matched. */
export const explainProbe = (state: Readonly<NodeState>, probe: VerdictProbe, { sourceAddress, destination, destinationPort }: Ends, names: { readonly from: string; readonly to: string }): { readonly egress: Explanation | undefined; readonly ingress: Explanation | undefined } => {
  const protocol = protocolNumber(probe.protocol);
  const policies: readonly CompiledPolicy[] = [...state.policies.values()];
  const at = (node: string, own: string, other: string, direction: DirectionName, peerName: string): Explanation | undefined => {
    const tables = emptyTables();
    const parties = partiesOf(state, node, [], tables);
    const self = parties.addresses.find(({ address }) => address === own);
    if (self === undefined || (self.view === undefined && !self.reserved.includes('host'))) return undefined;
    const subject: Subject = { identity: self.identity, variant: self.variant, bindings: self.bindings, party: self };
    const bytes = parseAddress(other)!;
    const around = parties.prefixes.filter(({ prefix }) => prefixContains(prefix, bytes)).sort((a, b) => b.prefix.length - a.prefix.length)[0];
    const outside = around === undefined ? worldIdentity(clusterFamilies(state), familyOf(other)) : CIDR_IDENTITY_BASE + around.cidrClass;
    const peer = parties.addresses.find(({ address }) => address === other) ?? parties.kinds.find(({ identity }) => identity === outside)!; // the world is always there
    return explain({ subject, direction, policies, peer, peerName, protocol, port: destinationPort });
  };
  const sourceNode = judgeAt(state, sourceAddress);
  const destinationNode = judgeAt(state, destination);
  if (sourceAddress === destination) return { egress: undefined, ingress: undefined };
  return {
    egress: sourceNode === undefined ? undefined : at(sourceNode, sourceAddress, destination, 'egress', names.to),
    ingress: destinationNode === undefined ? undefined : at(destinationNode, destination, sourceAddress, 'ingress', names.from),
  };
};

/** Labels of whoever has an address. */
export const labelsAt = (state: Readonly<NodeState>, address: string): { readonly identity: number; readonly labels: readonly string[] } => {
  const bound = state.addresses.get(address);
  if (bound !== undefined) return { identity: bound.identity, labels: state.identities.get(bound.identity) ?? [] };
  const isNode = [...state.nodes.values()].some(({ addresses }) => addresses.includes(address));
  const identity = isNode ? RESERVED_IDENTITY['remote-node'] : worldIdentity(clusterFamilies(state), familyOf(address));
  return { identity, labels: [reservedLabel(identity)!] };
};
