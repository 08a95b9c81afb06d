import { SeineError } from './error.ts';

/** The default branch of every switch over a closed union: a new member becomes a compile error. */
export const assertNever = (value: never): never => {
  throw new SeineError('SEINE_INVARIANT_BROKEN', `unexpected value ${JSON.stringify(value)}`);
};

/** States an invariant; a failure is a bug of ours, never bad input. */
export function assert(condition: unknown, sentence: string): asserts condition {
  if (!condition) throw new SeineError('SEINE_INVARIANT_BROKEN', sentence);
}
