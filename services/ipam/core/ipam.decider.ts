/** Nodes → blocks of pod addresses. A node keeps its block until its Node object and its last endpoint are gone. Pure. */
import type { Decider, SeineEvent } from '@seine/events';
import { formatPrefix, parsePrefix, SeineError, type Prefix } from '@seine/model';

export interface IpamState {
  readonly nodes: Set<string>;
  /** Pods attached per node. */
  readonly endpoints: Map<string, Set<string>>;
  readonly nodeOfPod: Map<string, string>;
  readonly blocks: Map<string, readonly string[]>;
  readonly taken: Set<string>;
}

/** @param pool the cluster's pod range, `10.244.0.0/16`; @param blockLength of each node's block in the family's own bits, 24 */
export const ipamDecider = (pool: string, blockLength: number): Decider<IpamState> => {
  const parsed = parsePrefix(pool);
  const offset = pool.includes(':') ? 0 : 96;
  if (parsed === undefined || blockLength + offset < parsed.length || blockLength + offset > 128) {
    throw new SeineError('SEINE_POOL_INVALID', `pod range ${pool} with blocks of /${blockLength}: expected a CIDR and a block length inside it`);
  }
  const count = 2 ** (blockLength + offset - parsed.length);

  const blockAt = (index: number): Prefix => {
    const address = Uint8Array.from(parsed.address);
    const shift = 128 - (blockLength + offset);
    let carry = index * 2 ** (shift % 8);
    for (let byte = 15 - (shift >> 3); byte >= 0 && carry > 0; byte -= 1) {
      const sum = address[byte]! + (carry & 0xff);
      address[byte] = sum & 0xff;
      carry = Math.floor(carry / 256) + (sum >> 8);
    }
    return { address, length: blockLength + offset };
  };

  const firstFree = (state: Readonly<IpamState>): string | undefined => {
    /* The first block is left to the infrastructure: node n1 reads as .1. */
    for (let index = 1; index < count; index += 1) {
      const block = formatPrefix(blockAt(index));
      if (!state.taken.has(block)) return block;
    }
    return undefined;
  };

  const releaseIfDone = (node: string, time: string, state: Readonly<IpamState>): readonly SeineEvent[] =>
    state.blocks.has(node) && !state.nodes.has(node) && (state.endpoints.get(node)?.size ?? 0) === 0 ? [{ type: 'podcidr.released.v1', key: node, time, data: { node } }] : [];

  return {
    initialState: () => ({ nodes: new Set(), endpoints: new Map(), nodeOfPod: new Map(), blocks: new Map(), taken: new Set() }),
    evolve: (draft, event) => {
      switch (event.type) {
        case 'node.observed.v1': draft.nodes.add(event.key); return;
        case 'node.vanished.v1': draft.nodes.delete(event.key); return;
        case 'endpoint.observed.v1': {
          const former = draft.nodeOfPod.get(event.key);
          if (former !== undefined) draft.endpoints.get(former)?.delete(event.key);
          const pods = draft.endpoints.get(event.data.node) ?? new Set();
          draft.endpoints.set(event.data.node, pods.add(event.key));
          draft.nodeOfPod.set(event.key, event.data.node);
          return;
        }
        case 'endpoint.vanished.v1': draft.endpoints.get(event.data.node)?.delete(event.key); draft.nodeOfPod.delete(event.key); return;
        case 'podcidr.assigned.v1': draft.blocks.set(event.key, event.data.cidrs); for (const block of event.data.cidrs) draft.taken.add(block); return;
        case 'podcidr.released.v1': for (const block of draft.blocks.get(event.key) ?? []) draft.taken.delete(block); draft.blocks.delete(event.key); return;
        default: return;
      }
    },
    decide: (input, state) => {
      switch (input.type) {
        case 'node.observed.v1': {
          if (state.blocks.has(input.key)) return [];
          const block = firstFree(state);
          const trace = input.traceparent === undefined ? {} : { traceparent: input.traceparent };
          return block === undefined ? [] : [{ type: 'podcidr.assigned.v1', key: input.key, time: input.time, ...trace, data: { node: input.key, cidrs: [block] } }];
        }
        case 'node.vanished.v1': return releaseIfDone(input.key, input.time, state);
        case 'endpoint.vanished.v1': return releaseIfDone(input.data.node, input.time, state);
        default: return [];
      }
    },
  };
};

export const DEFAULT_POD_CIDR = '10.244.0.0/16';
export const DEFAULT_BLOCK_LENGTH = 24;
