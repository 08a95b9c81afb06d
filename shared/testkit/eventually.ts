/** Waiting in tests: for a condition, with a deadline, never for a time. */

/**
 * Calls `probe` until it returns something other than undefined or false, or stops throwing.
 * @throws the last failure, or that the condition never held
 */
export const eventually = async <T>(probe: () => T | Promise<T>, deadlineMs = 10_000): Promise<Exclude<T, undefined | false>> => {
  const endMs = Date.now() + deadlineMs;
  let failure: unknown = new Error(`the condition did not hold within ${deadlineMs} ms: ${probe.toString().slice(0, 200)}`);
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>; // the two were excluded one line above
    } catch (error) {
      failure = error;
    }
    if (Date.now() >= endMs) throw failure;
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
};
