/** Samples → flows: numbers get the names that the node knows. Pure. */
import { dropReasonName, isCidrIdentity, protocolName, reservedLabel, CIDR_IDENTITY_BASE } from '@seine/model';
import { Direction, File, SampleKind, Verdict, type Row, type SAMPLE } from '@seine/layout';
import type { Flow, FlowAttribution, FlowParty, FlowQuestion } from '@seine/node';

export interface Names {
  readonly rules: ReadonlyMap<number, string>;
  readonly identities: ReadonlyMap<number, readonly string[]>;
  readonly pods: ReadonlyMap<string, string>;
  readonly classes: ReadonlyMap<number, string>;
}

export const emptyNames = (): Names => ({ rules: new Map(), identities: new Map(), pods: new Map(), classes: new Map() });

const labelsOf = (identity: number, names: Names): readonly string[] => {
  if (isCidrIdentity(identity)) return [`cidr:${names.classes.get(identity - CIDR_IDENTITY_BASE) ?? identity}`, 'reserved:world'];
  const reserved = reservedLabel(identity);
  return reserved === undefined ? names.identities.get(identity) ?? [] : [reserved];
};

const party = (address: string, port: number, identity: number, names: Names): FlowParty =>
  ({ address, port, identity, labels: labelsOf(identity, names), pod: names.pods.get(address) ?? null });

/** Where in bpf/ a decision stands. */
const FILE_NAME = new Map<number, string>(Object.entries(File).map(([name, number]) => [number, name.toLowerCase()]));

const ICMP = 1;
const ICMPV6 = 58;

const DEFAULT_DENY = 133;
const UNATTRIBUTED = { peer: null, peerField: null, isolatedBy: [], policy_log: [] } as const;

/** What the writer must be asked about a flow; undefined where no policy decided it. */
export const questionOf = ({ direction, rule, verdict, reason, source, destination }: Flow): FlowQuestion | undefined => {
  const audit = verdict === 'AUDIT';
  if (direction === null || (rule === null && !audit && reason?.code !== DEFAULT_DENY)) return undefined;
  const [own, other] = direction === 'ingress' ? [destination, source] : [source, destination];
  return { direction, rule, audit, identity: own.identity, address: own.address, peerIdentity: other.identity, peerAddress: other.address };
};

/** Questions with one answer. The judged side's address matters to nobody: its identity is its policy. */
export const questionKey = ({ direction, rule, audit, identity, peerIdentity, peerAddress }: FlowQuestion): string =>
  `${direction} ${identity} ${peerIdentity} ${peerAddress} ${audit ? 'audit' : ''} ${rule ?? ''}`;

export const attributed = (flow: Flow, { peer, peerField, isolatedBy, log }: FlowAttribution): Flow => ({ ...flow, peer, peerField, isolatedBy, policy_log: log });

/** Samples of one tick of the kernel's clock have one time. */
const createTimes = () => {
  let lastMs = NaN;
  let text = '';
  return (ms: number): string => {
    if (ms !== lastMs) [lastMs, text] = [ms, new Date(ms).toISOString()];
    return text;
  };
};
const timeText = createTimes();

/** @param bootMs what the monotonic clock's zero is in wall-clock ms */
export const toFlow = (sample: Row<typeof SAMPLE>, node: string, bootMs: number, names: Names): Flow => {
  const icmp = sample.protocol === ICMP || sample.protocol === ICMPV6;
  const dropped = sample.kind === SampleKind.DROP;
  return {
    time: timeText(bootMs + Number(sample.time / 1_000_000n)),
    seen: Number(sample.seen), node,
    verdict: dropped ? 'DROPPED' : sample.verdict === Verdict.AUDIT ? 'AUDIT' : 'FORWARDED',
    direction: sample.direction === Direction.INGRESS ? 'ingress' : sample.direction === Direction.EGRESS ? 'egress' : null,
    reason: dropped ? { code: sample.reason, name: dropReasonName(sample.reason) } : null,
    source: party(sample.source, sample.sourcePort, sample.sourceIdentity, names),
    destination: party(sample.destination, icmp ? 0 : sample.destinationPort, sample.destinationIdentity, names),
    protocol: protocolName(sample.protocol),
    icmp: icmp ? { type: sample.destinationPort >> 8, code: sample.destinationPort & 0xff } : null,
    rule: sample.rule === 0 ? null : names.rules.get(sample.rule) ?? `rule ${sample.rule}`,
    ...UNATTRIBUTED,
    tcpFlags: sample.tcpFlags, isReply: sample.reply === 1, file: FILE_NAME.get(sample.file) ?? '', line: sample.line, lost: sample.lost,
  };
};
