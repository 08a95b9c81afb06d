/** Time and chance as a port, so that tests and the simulation own them. */
export interface Clock {
  readonly nowMs: () => number;
  /** Calls once after `delayMs`; returns the cancellation. */
  readonly after: (delayMs: number, action: () => void) => () => void;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after: (delayMs, action) => {
    const timer = setTimeout(action, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/** Resolves after the time or when the signal aborts; never rejects. */
export const sleep = (clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const done = (): void => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal?.addEventListener('abort', done, { once: true });
  });
