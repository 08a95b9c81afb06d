/** What a lane's writer says each second: its term, its head, and up to where it has folded with nothing undecided. Pure. */
export interface Tick {
  readonly epoch: number;
  readonly head: number;
  readonly asOf: number;
  /** The writer handed over: a standby need not wait. */
  readonly closed?: true;
}

export const tickBytes = (tick: Tick): Uint8Array => Buffer.from(JSON.stringify(tick));

/** undefined for what is no tick: anybody may publish rubbish. */
export const parseTick = (bytes: Uint8Array): Tick | undefined => {
  try {
    const { epoch, head, asOf, closed } = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')) as Record<string, unknown>;
    if (!Number.isSafeInteger(epoch) || !Number.isSafeInteger(head) || !Number.isSafeInteger(asOf)) return undefined;
    const tick = { epoch: epoch as number, head: head as number, asOf: asOf as number }; // checked one line above
    return closed === true ? { ...tick, closed } : tick;
  } catch {
    return undefined;
  }
};
