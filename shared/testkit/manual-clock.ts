/** A clock that stands still until it is told: the same shape as the bus' clock port. */
export interface ManualClock {
  readonly nowMs: () => number;
  readonly after: (delayMs: number, action: () => void) => () => void;
  readonly random: () => number;
  /** Lets time pass; what falls due runs in order, and what it causes in microtasks runs between. */
  readonly advance: (ms: number) => Promise<void>;
}

const settle = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

export const createManualClock = (startMs = Date.UTC(2026, 0, 1)): ManualClock => {
  let nowMs = startMs;
  let count = 0;
  const due = new Map<number, { readonly atMs: number; readonly action: () => void }>();
  return {
    nowMs: () => nowMs,
    random: () => 0.5,
    after: (delayMs, action) => {
      const id = count += 1;
      due.set(id, { atMs: nowMs + delayMs, action });
      return () => { due.delete(id); };
    },
    advance: async (ms) => {
      const endMs = nowMs + ms;
      await settle();
      for (;;) {
        const next = [...due].filter(([, { atMs }]) => atMs <= endMs).sort(([idA, a], [idB, b]) => a.atMs - b.atMs || idA - idB)[0];
        if (next === undefined) break;
        due.delete(next[0]);
        nowMs = Math.max(nowMs, next[1].atMs);
        next[1].action();
        await settle();
      }
      nowMs = endMs;
    },
  };
};
