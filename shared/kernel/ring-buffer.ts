/** The kernel's ring buffer, mapped and drained on the main thread: a short pause between drains costs less than a wake-up per sample. */
import { c, kernelError, lastErrno, viewOf } from './libc.ts';

const PAGE = 4096;
const BUSY = 0x80000000;
const DISCARD = 0x40000000;
const HEADER = 8;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

export interface RingBuffer {
  /** Hands every record that is ready to `onRecord`; the bytes are valid during the call only. @returns how many */
  readonly drain: (onRecord: (record: Uint8Array) => void) => number;
  readonly close: () => void;
}

/** @param sizeBytes the map's max_entries: a power of two */
export const openRingBuffer = (fd: number, sizeBytes: number): RingBuffer => {
  const consumerPage: unknown = c.mmap(null, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  const dataPages: unknown = c.mmap(null, PAGE + 2 * sizeBytes, PROT_READ, MAP_SHARED, fd, PAGE);
  if (consumerPage === null || dataPages === null) throw kernelError('map ring buffer', lastErrno());
  const consumer = new BigUint64Array(viewOf(consumerPage, 8));
  const producerView = viewOf(dataPages, PAGE + 2 * sizeBytes);
  const producer = new BigUint64Array(producerView, 0, 1);
  const data = new Uint8Array(producerView, PAGE);
  const headers = new DataView(producerView, PAGE);
  const size = BigInt(sizeBytes);
  return {
    drain: (onRecord) => {
      let count = 0;
      let position = Atomics.load(consumer, 0);
      const end = Atomics.load(producer, 0);
      while (position < end) {
        const offset = Number(position % size);
        const header = headers.getUint32(offset, true);
        if (header >= BUSY) break; // reserved and not yet submitted
        const length = header % DISCARD;
        if (header < DISCARD) {
          onRecord(data.subarray(offset + HEADER, offset + HEADER + length));
          count += 1;
        }
        position += BigInt((length + HEADER + 7) & ~7);
        Atomics.store(consumer, 0, position);
      }
      return count;
    },
    close: () => {
      c.munmap(consumerPage, PAGE);
      c.munmap(dataPages, PAGE + 2 * sizeBytes);
    },
  };
};
