/** What the processes of one node say to each other. Rows are the codec's: text addresses, host numbers. */
import type { EntrySum, MapName } from '@seine/layout';

export const SOCKET = { cni: 'cni.sock', writer: 'writer.sock', loader: 'loader.sock', observer: 'observer.sock', pods: 'pods.sock' } as const;

export type AnyRow = Readonly<Record<string, number | string>>;
export interface MapEntry { readonly key: AnyRow; readonly value: AnyRow }

/** One step of an ordered batch. */
export type Step =
  | { readonly step: 'upsert'; readonly map: MapName; readonly rows: readonly MapEntry[] }
  | { readonly step: 'delete'; readonly map: MapName; readonly keys: readonly AnyRow[] }
  /** Live flows are judged anew from here on. */
  | { readonly step: 'bump' }
  /** Nobody holds what was unlinked before. */
  | { readonly step: 'grace' };

/** Many keys, or keys and values, as the bytes that the kernel takes: base64, one after the other, by the map's layout. */
export interface Packed { readonly count: number; readonly keys: string; readonly values: string }
/** A large step: words would cost several times what the kernel does with them. A delete has no values. */
export interface PackedStep { readonly step: 'upsert' | 'delete'; readonly map: MapName; readonly packed: Packed }

export interface ApplyOrder { readonly seq: number; readonly steps: readonly (Step | PackedStep)[]; readonly traceparent?: string }
export interface Applied { readonly upserted: number; readonly deleted: number }

/** Map → checksum of what it holds (`addEntries`): op `sums`. */
export type MapSums = Readonly<Record<string, EntrySum>>;

export interface LoadedMap { readonly name: MapName; readonly id: number; readonly fold: boolean; readonly maxEntries: number }
export interface Hello { readonly build: string; readonly maps: readonly LoadedMap[] }

export interface PlumbOrder {
  /** Path of the pod's network namespace. */
  readonly netns: string;
  readonly podInterface: string;
  readonly hostInterface: string;
  /** At most one of each family, the pod's first address first. */
  readonly addresses: readonly string[];
  readonly podMac: string;
  readonly mtu: number;
}
export interface Plumbed { readonly ifindex: number }

/** How many flows each frontend had on this node, by its id; ids that nobody has any more too, until they are forgotten. */
export interface Flows { readonly flows: readonly (readonly [id: number, flows: number])[] }
export interface ForgetFlowsOrder { readonly ids: readonly number[] }

/** Backends are gone: op `abandoned` destroys the connected UDP sockets that they leave. */
export interface AbandonedOrder {
  /** Paths of the pods' network namespaces; the node's own is looked through as well. */
  readonly netns: readonly string[];
}
export interface Abandoned { readonly destroyed: number }

/** What stands for a hook of an interface that is not there. */
export const NO_INTERFACE = 'no such interface';

/** What is attached where: verify compares it with what should be. */
export interface Attachment { readonly hook: string; readonly want: string; readonly have: string }

export interface NodeRoute { readonly cidr: string; readonly via?: string; readonly unreachable?: boolean }

/** CNI request as the shim passes it on: its environment and the configuration from standard input. */
export interface CniRequest { readonly env: Readonly<Record<string, string>>; readonly stdin: string }

/** A local endpoint, as the writer keeps and reports it. */
export interface LocalEndpoint {
  readonly pod: string;
  readonly uid: string;
  readonly containerId: string;
  readonly netns: string;
  readonly podInterface: string;
  readonly hostInterface: string;
  readonly ifindex: number;
  readonly endpointId: number;
  readonly addresses: readonly string[];
}

export interface CanonicalEntry { readonly map: string; readonly key: string; readonly value: string }
export interface DumpReport { readonly node: string; readonly seq: number; readonly entries: readonly CanonicalEntry[] }

export interface Difference { readonly map: string; readonly key: string; readonly kind: 'missing' | 'extra' | 'changed'; readonly want: string | null; readonly have: string | null; readonly event: { readonly seq: number; readonly type: string; readonly subject: string } | null }
export interface NodeVerify { readonly node: string; readonly seq: number; readonly rows: number; readonly digestLog: string; readonly digestKernel: string; readonly differences: readonly Difference[]; readonly programs: readonly Attachment[] }

export interface NodeStatus { readonly node: string; readonly seq: number; readonly complete: number; readonly inSync: boolean; readonly trusted: boolean; readonly endpoints: number; readonly repairs: number; readonly pid: number }

/** A policy object, as every answer names it; namespace '' for cluster-scoped kinds. */
export interface PolicyRef { readonly kind: string; readonly namespace: string; readonly name: string }
/** A rule and, where one decided, its peer; where that was written, and the log's sequence that brought it: null where nobody knows. */
export interface RuleRef extends PolicyRef {
  readonly section: string; readonly index: number; readonly peer: number | null; readonly peerField: string | null;
  readonly file: string | null; readonly line: number | null; readonly seq: number | null;
}

/** A flow as the observer tells it. */
export interface FlowParty { readonly address: string; readonly port: number; readonly identity: number; readonly labels: readonly string[]; readonly pod: string | null }
export interface Flow {
  readonly time: string;
  readonly seen: number;
  readonly node: string;
  readonly verdict: 'FORWARDED' | 'DROPPED' | 'AUDIT';
  readonly direction: 'ingress' | 'egress' | null;
  readonly reason: { readonly code: number; readonly name: string } | null;
  readonly source: FlowParty;
  readonly destination: FlowParty;
  readonly protocol: string;
  readonly icmp: { readonly type: number; readonly code: number } | null;
  /** The rule that decided: `NetworkPolicy/shop/x ingress[0]`. */
  readonly rule: string | null;
  /** Which of the rule's peers meant the other side, and where that is written: 1, `from[1]`; null: it means anybody, or nobody knows any more. */
  readonly peer: number | null;
  readonly peerField: string | null;
  /** Policies whose isolation denied, or under audit would have denied, what no rule allows: `NetworkPolicy/shop/x`. */
  readonly isolatedBy: readonly string[];
  /** `log.value` of the policy whose rule decided; the name is Hubble's. */
  readonly policy_log: readonly string[];
  readonly tcpFlags: number;
  /** The packet went against its flow; source and destination are the flow's. */
  readonly isReply: boolean;
  readonly file: string;
  readonly line: number;
  readonly lost: number;
}

/** What a flow knows of its verdict, asked of the writer: op `attribute`, `{questions}` → `{seq, answers}` in the same order. */
export interface FlowQuestion {
  readonly direction: 'ingress' | 'egress';
  readonly rule: string | null;
  /** Passed, but policies under audit would have denied it. */
  readonly audit: boolean;
  /** The side whose policy judged, and the other one. */
  readonly identity: number;
  readonly address: string;
  readonly peerIdentity: number;
  readonly peerAddress: string;
}
/** As the policies stand now: they may be a moment newer than the flow. */
export interface FlowAttribution { readonly peer: number | null; readonly peerField: string | null; readonly isolatedBy: readonly string[]; readonly log: readonly string[] }

/** A question to the observer's ring: op `flows`. */
export interface FlowQuery {
  /** RFC 3339 */
  readonly since?: string;
  readonly last?: number;
  readonly filter?: { readonly verdict?: Flow['verdict']; readonly pod?: string; readonly fromPod?: string; readonly toPod?: string };
}
