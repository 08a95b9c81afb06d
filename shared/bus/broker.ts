/**
 * What the bus needs of a broker: one ordered log with a fence per lane, its live copy, and plain messages. The protocol
 * (writer.ts, follower.ts) stands on this; jetstream.ts and fake.ts implement it. Sequences here are Seine's: base plus the stream's.
 */
import type { Lane } from '@seine/events';

import type { StoredCommit } from './chain.ts';

export type StoreAnswer =
  | { readonly type: 'stored'; readonly seq: number }
  /** The lane's last sequence is not the expected one. */
  | { readonly type: 'refused' }
  /** No answer, or one that says nothing: it may be stored or not. */
  | { readonly type: 'unclear'; readonly reason: string };

/** The broker's copy of a stored commit. Where it does not say when it was stored, `storedMs` is the time of arrival. */
export type LiveCommit = StoredCommit;

export interface BrokerListener {
  readonly live: (commit: LiveCommit) => void;
  /** The connection was lost; what was under way may be gone. */
  readonly disconnected: () => void;
  readonly reconnected: () => void;
}

export interface Broker {
  /**
   * Stores when the lane's last sequence is `expected` (0: none). Never rejects.
   * `messageId` makes the same bytes sent twice one message.
   */
  readonly store: (lane: Lane, bytes: Uint8Array, guard: { readonly expected: number; readonly messageId: string }) => Promise<StoreAnswer>;
  /** From the stream's leader, never from a replica that may lag. These three reject with SEINE_BUS_UNAVAILABLE. */
  readonly last: (lane: Lane) => Promise<StoredCommit | undefined>;
  readonly at: (seq: number) => Promise<StoredCommit | undefined>;
  readonly lastSeq: () => Promise<number>;
  /** Whatever is stored after the next answer of the broker arrives. */
  readonly listen: (listener: BrokerListener) => Promise<() => void>;
  /** Rejects when it was not acknowledged. */
  readonly storeReport: (node: string, bytes: Uint8Array) => Promise<void>;
  /** Calls with the last report of each node, and with each new one; again with all after a lost connection. Returns the end. */
  readonly onReport: (listener: (node: string, bytes: Uint8Array) => void) => () => void;
  /** Dropped without a word when the broker is away. */
  readonly publish: (subject: string, bytes: Uint8Array) => void;
  readonly subscribe: (subject: string, listener: (subject: string, bytes: Uint8Array) => void) => () => void;
  readonly close: () => Promise<void>;
}
