/** Nodes → blocks of pod addresses. A node keeps its block until its Node object and its last endpoint are gone. Pure. */
import type { Decider, SeineEvent } from '@seine/events';
import { formatPrefix, parsePrefix, SeineError, type Prefix } from '@seine/model';

export interface IpamState {
  /** Pods attached per node. */
  readonly endpoints: Map<string, Set<string>>;
  readonly nodeOfPod: Map<string, string>;
  readonly blocks: Map<string, readonly string[]>;
  readonly taken: Set<string>;
  /** Nodes that have no block yet, in the order in which they came. */
  readonly waiting: Set<string>;
  /** Nodes whose object is gone and whose block is not. */
  readonly departed: Set<string>;
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

  /** @param released blocks that this very decision gives back */
  const firstFree = (state: Readonly<IpamState>, released: Set<string>): string | undefined => {
    /* The first block is left to the infrastructure: node n1 reads as .1. */
    for (let index = 1; index < count; index += 1) {
      const block = formatPrefix(blockAt(index));
      if (released.delete(block) || !state.taken.has(block)) return block;
    }
    return undefined;
  };

  /** Blocks of nodes that are gone with their last endpoint come back, and go to nodes that wait. */
  const release = (input: SeineEvent, state: Readonly<IpamState>): readonly SeineEvent[] => {
    const head = { time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }) };
    const done = [...state.departed].filter((node) => (state.endpoints.get(node)?.size ?? 0) === 0);
    const released = new Set(done.flatMap((node) => state.blocks.get(node) ?? []));
    const served = [...state.waiting].slice(0, released.size).map((node): SeineEvent =>
      ({ type: 'podcidr.assigned.v1', key: node, ...head, data: { node, cidrs: [firstFree(state, released)!] } })); // holds: as many as were released
    return [...done.map((node): SeineEvent => ({ type: 'podcidr.released.v1', key: node, ...head, data: { node } })), ...served];
  };

  return {
    initialState: () => ({ endpoints: new Map(), nodeOfPod: new Map(), blocks: new Map(), taken: new Set(), waiting: new Set(), departed: new Set() }),
    evolve: (draft, event) => {
      switch (event.type) {
        case 'node.observed.v1': {
          draft.departed.delete(event.key);
          if (!draft.blocks.has(event.key)) draft.waiting.add(event.key);
          return;
        }
        case 'node.vanished.v1': {
          draft.waiting.delete(event.key);
          if (draft.blocks.has(event.key)) draft.departed.add(event.key);
          return;
        }
        case 'endpoint.observed.v1': {
          const former = draft.nodeOfPod.get(event.key);
          if (former !== undefined) draft.endpoints.get(former)?.delete(event.key);
          const pods = draft.endpoints.get(event.data.node) ?? new Set();
          draft.endpoints.set(event.data.node, pods.add(event.key));
          draft.nodeOfPod.set(event.key, event.data.node);
          return;
        }
        case 'endpoint.vanished.v1': draft.endpoints.get(event.data.node)?.delete(event.key); draft.nodeOfPod.delete(event.key); return;
        case 'podcidr.assigned.v1': {
          draft.blocks.set(event.key, event.data.cidrs);
          for (const block of event.data.cidrs) draft.taken.add(block);
          draft.waiting.delete(event.key);
          return;
        }
        case 'podcidr.released.v1': {
          for (const block of draft.blocks.get(event.key) ?? []) draft.taken.delete(block);
          draft.blocks.delete(event.key);
          draft.departed.delete(event.key);
          return;
        }
        default: return;
      }
    },
    decide: (input, state) => {
      switch (input.type) {
        case 'node.observed.v1': {
          if (state.blocks.has(input.key)) return [];
          const block = firstFree(state, new Set());
          const trace = input.traceparent === undefined ? {} : { traceparent: input.traceparent };
          return block === undefined ? [] : [{ type: 'podcidr.assigned.v1', key: input.key, time: input.time, ...trace, data: { node: input.key, cidrs: [block] } }];
        }
        case 'node.vanished.v1':
        case 'endpoint.observed.v1': // a pod that moved has left its former node
        case 'endpoint.vanished.v1': return release(input, state);
        default: return [];
      }
    },
  };
};

export const DEFAULT_POD_CIDR = '10.244.0.0/16';
export const DEFAULT_BLOCK_LENGTH = 24;
