/** What the lab reads of the log: how far everybody is, whose address is bound, which block a node has. */
import { allFlowsSubjects, appliedSubject, type Bus } from '@seine/bus';
import type { Lane } from '@seine/events';
import { SeineError } from '@seine/model';
import type { Flow } from '@seine/node';

const MOST_APPLIED = 1000;
const DECIDING: readonly Lane[] = ['identity', 'ipam', 'policy', 'service'];
const ASK_EVERY_MS = 4;
export const GENERATION_LABEL = 'seine.network/lab-generation';

export interface LabLog {
  readonly head: () => number;
  /** Sequence of the last commit that holds the manifests of this generation, once all of it is there. */
  readonly generation: (number: number, patienceMs: number) => Promise<number>;
  /** Every deciding role has folded everything up to `seq`. @returns the log's head then */
  readonly decided: (seq: number, patienceMs: number) => Promise<number>;
  readonly bound: (addresses: ReadonlyMap<string, string>, patienceMs: number) => Promise<number>;
  readonly blocks: () => ReadonlyMap<string, readonly string[]>;
  readonly refused: () => readonly Refused[];
  /** Services of which a part is refused and the rest is served. */
  readonly refusedInPart: () => readonly Refused[];
  readonly onFlow: (take: (flow: Flow) => void) => () => void;
  /** Sequence and time of the last event of a key: `policy NetworkPolicy/shop/x`. */
  readonly eventOf: (key: string) => { readonly seq: number; readonly type: string } | undefined;
  /** When each node first told that it had applied `seq`; nodes whose memory of it has gone are left out. */
  readonly appliedAt: (seq: number) => readonly { readonly node: string; readonly timeMs: number }[];
  /** From a policy's fact to the kernels: which commits, and how soon after the compiled one each node wrote rows for it. */
  readonly enforcement: (policy: string) => Enforcement | undefined;
}

/** How far all deciding roles are: everything up to `decided` is decided, the last of it is commit `stored`. */
export interface Progress { readonly decided: number; readonly stored: number }
export interface Refused { readonly object: string; readonly messages: readonly string[] }
export interface Enforcement { readonly factSeq: number | null; readonly compiledSeq: number; readonly nodes: readonly { readonly node: string; readonly ms: number; readonly rows: number }[] }

export const followLab = (bus: Bus, markerNode: string, nodes: readonly string[], progress: () => Promise<Progress>, signal: AbortSignal): LabLog => {
  const lastOf = new Map<Lane, number>();
  const addresses = new Map<string, string>();
  const blocks = new Map<string, readonly string[]>();
  const refused = new Map<string, readonly string[]>();
  const refusedInPart = new Map<string, readonly string[]>();
  const events = new Map<string, { readonly seq: number; readonly type: string; readonly storedMs: number }>();
  const applied: { readonly node: string; readonly seq: number; readonly rows: number; readonly timeMs: number }[] = [];
  const waiters = new Set<() => void>();
  const flowTakers = new Set<(flow: Flow) => void>();
  let head = 0;
  let markerGeneration = 0;
  let markerSeq = 0;

  const follow = async (): Promise<void> => {
    for await (const batch of bus.follow({ lanes: ['fact', ...DECIDING], from: 0, signal })) {
      for (const item of batch) {
        if (item.type !== 'commit') continue;
        const { seq, lane, storedMs, events: all } = item.commit;
        head = Math.max(head, seq);
        lastOf.set(lane, seq);
        for (const event of all) {
          events.set(`${event.type.slice(0, event.type.indexOf('.'))} ${event.key}`, { seq, type: event.type, storedMs });
          if (event.type === 'node.observed.v1' && event.key === markerNode) { markerGeneration = Number(event.data.labels[GENERATION_LABEL] ?? 0); markerSeq = seq; }
          if (event.type === 'address.bound.v1') addresses.set(event.key, event.data.uid);
          if (event.type === 'address.unbound.v1') addresses.delete(event.key);
          if (event.type === 'podcidr.assigned.v1') blocks.set(event.key, event.data.cidrs);
          if (event.type === 'object.refused.v1') refused.set(event.key, event.data.refusals.map(({ message }) => message));
          if (event.type === 'refusal.vanished.v1') refused.delete(event.key);
          const kind = event.type.startsWith('service.') ? 'Service' : 'Pod';
          if ((event.type === 'service.compiled.v1' || event.type === 'hostports.compiled.v1') && event.data.refusals.length > 0) refusedInPart.set(`${kind}/${event.key}`, event.data.refusals.map(({ message }) => message));
          else if (event.type === 'service.compiled.v1' || event.type === 'service.removed.v1' || event.type === 'hostports.compiled.v1' || event.type === 'hostports.removed.v1') refusedInPart.delete(`${kind}/${event.key}`);
        }
        if (lane === 'fact' && markerSeq > 0) markerSeq = Math.max(markerSeq, seq);
      }
      for (const waiter of waiters) waiter();
    }
  };
  const followApplied = async (node: string): Promise<void> => {
    for await (const { message } of bus.subscribe(appliedSubject(bus.cluster, node), signal)) {
      applied.push(message as (typeof applied)[number]);
      if (applied.length > MOST_APPLIED) applied.shift();
    }
  };
  const followFlows = async (): Promise<void> => {
    for await (const { message } of bus.subscribe(allFlowsSubjects(bus.cluster), signal)) {
      if (flowTakers.size > 0) for (const flow of (message as { readonly flows: readonly Flow[] }).flows) for (const take of flowTakers) take(flow);
    }
  };
  for (const part of [follow(), followFlows(), ...nodes.map(followApplied)]) {
    part.catch((error: unknown) => { if (!signal.aborted) process.stderr.write(`lab: the log cannot be followed: ${String(error)}\n`); });
  }

  const until = (what: string, patienceMs: number, holds: () => boolean): Promise<void> => new Promise((resolve, reject) => {
    const done = (): void => { clearTimeout(timer); waiters.delete(check); };
    const check = (): void => { if (holds()) { done(); resolve(); } };
    const timer = setTimeout(() => { done(); reject(new SeineError('SEINE_PEER_UNREACHABLE', `${what}: not within ${patienceMs / 1000} s`)); }, patienceMs);
    waiters.add(check);
    check();
  });

  return {
    head: () => head,
    generation: async (number, patienceMs) => {
      await until(`manifests of generation ${number} in the log`, patienceMs, () => markerGeneration >= number);
      return markerSeq;
    },
    decided: async (seq, patienceMs) => {
      const end = Date.now() + patienceMs;
      /* Asked, not awaited: an idle lane's tick comes once a second. */
      let { decided, stored } = await progress();
      while (decided < seq) {
        if (Date.now() >= end) throw new SeineError('SEINE_PEER_UNREACHABLE', `every deciding role at #${seq}: not within ${patienceMs / 1000} s`);
        await new Promise((resolve) => { setTimeout(resolve, ASK_EVERY_MS); });
        ({ decided, stored } = await progress());
      }
      await until(`what was decided up to #${seq} in the log`, patienceMs, () => head >= stored);
      return head;
    },
    bound: async (wanted, patienceMs) => {
      await until('every pod address in the log', patienceMs, () => [...wanted].every(([address, uid]) => addresses.get(address) === uid));
      return head;
    },
    blocks: () => blocks,
    refused: () => [...refused].map(([object, messages]) => ({ object, messages })),
    refusedInPart: () => [...refusedInPart].map(([object, messages]) => ({ object, messages })),
    onFlow: (take) => { flowTakers.add(take); return () => { flowTakers.delete(take); }; },
    eventOf: (key) => events.get(key),
    appliedAt: (seq) => nodes.flatMap((node) => {
      const told = applied.filter((each) => each.node === node);
      const first = told.findIndex((each) => each.seq >= seq);
      /* What the bounded memory begins with may not be the first of its kind. */
      return first < 0 || (first === 0 && applied.length >= MOST_APPLIED) ? [] : [{ node, timeMs: told[first]!.timeMs }];
    }),
    enforcement: (policy) => {
      const compiled = events.get(`policy NetworkPolicy/${policy}`);
      if (compiled === undefined) return undefined;
      const reached = nodes.flatMap((node) => {
        /* A node that had folded the commit, but not yet heard that nothing is missing before it, tells the sequence before. */
        const since = applied.filter((each) => each.node === node && each.seq >= compiled.seq - 1 && each.timeMs >= compiled.storedMs - 1);
        const first = since.find(({ rows }) => rows > 0) ?? since[0];
        return first === undefined ? [] : [{ node, ms: Math.max(0, first.timeMs - compiled.storedMs), rows: first.rows }];
      });
      return { factSeq: events.get(`networkpolicy ${policy}`)?.seq ?? null, compiledSeq: compiled.seq, nodes: reached };
    },
  };
};
