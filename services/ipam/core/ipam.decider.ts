/** Nodes → blocks of pod addresses, one from each range. A node keeps its blocks until its Node object and its last endpoint are gone. Pure. */
import type { Decider, SeineEvent } from '@seine/events';
import { familyOf, formatPrefix, type Prefix } from '@seine/model';

import type { Pool } from './pool.ts';

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

const blockAt = ({ range, blockLength }: Pool, index: number): Prefix => {
  const address = Uint8Array.from(range.address);
  const shift = 128 - blockLength;
  let carry = index * 2 ** (shift % 8);
  for (let byte = 15 - (shift >> 3); byte >= 0 && carry > 0; byte -= 1) {
    const sum = address[byte]! + (carry & 0xff);
    address[byte] = sum & 0xff;
    carry = Math.floor(carry / 256) + (sum >> 8);
  }
  return { address, length: blockLength };
};

/** @param pools the cluster's ranges, one for each family (parsePools) */
export const ipamDecider = (pools: readonly Pool[]): Decider<IpamState> => {
  const firstFree = (pool: Pool, isFree: (block: string) => boolean): string | undefined => {
    const count = 2 ** (pool.blockLength - pool.range.length);
    /* The first block is left to the infrastructure: node n1 reads as .1. */
    for (let index = 1; index < count; index += 1) {
      const block = formatPrefix(blockAt(pool, index));
      if (isFree(block)) return block;
    }
    return undefined;
  };

  /** A node's blocks: those that it has, and one from each range that it lacks. undefined: some range is full. */
  const blocksFor = (had: readonly string[], isFree: (block: string) => boolean): readonly string[] | undefined => {
    const blocks = pools.map((pool) => had.find((block) => familyOf(block) === pool.family) ?? firstFree(pool, isFree));
    const others = had.filter((block) => !blocks.includes(block)); // of a range that is none any more: pods have addresses there
    return blocks.every((block) => block !== undefined) ? [...blocks, ...others] : undefined;
  };

  const assigned = (input: SeineEvent, node: string, cidrs: readonly string[]): SeineEvent => ({
    type: 'podcidr.assigned.v1', key: node, time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }), data: { node, cidrs: [...cidrs] },
  });

  /** Blocks of nodes that are gone with their last endpoint come back, and go to nodes that wait. */
  const release = (input: SeineEvent, state: Readonly<IpamState>): readonly SeineEvent[] => {
    const done = [...state.departed].filter((node) => (state.endpoints.get(node)?.size ?? 0) === 0);
    const free = new Set(done.flatMap((node) => state.blocks.get(node) ?? []));
    if (free.size === 0) return done.map((node) => released(input, node));
    const given = new Set<string>();
    const served: SeineEvent[] = [];
    for (const node of state.waiting) {
      const cidrs = blocksFor([], (block) => !given.has(block) && (free.has(block) || !state.taken.has(block)));
      if (cidrs === undefined) break;
      for (const block of cidrs) given.add(block);
      served.push(assigned(input, node, cidrs));
    }
    return [...done.map((node) => released(input, node)), ...served];
  };
  const released = (input: SeineEvent, node: string): SeineEvent =>
    ({ type: 'podcidr.released.v1', key: node, time: input.time, ...(input.traceparent === undefined ? {} : { traceparent: input.traceparent }), data: { node } });

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
          for (const block of draft.blocks.get(event.key) ?? []) draft.taken.delete(block);
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
          const had = state.blocks.get(input.key) ?? [];
          const cidrs = blocksFor(had, (block) => !state.taken.has(block));
          return cidrs === undefined || cidrs.length === had.length ? [] : [assigned(input, input.key, cidrs)];
        }
        case 'node.vanished.v1':
        case 'endpoint.observed.v1': // a pod that moved has left its former node
        case 'endpoint.vanished.v1': return release(input, state);
        default: return [];
      }
    },
  };
};
