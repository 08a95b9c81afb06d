/**
 * An error that a caller can branch on.
 *
 * @param code    `SEINE_<NOUN>_<PROBLEM>`; callers branch on it
 * @param message one sentence with the values: what, with which values, what was expected, what to do
 * @param details the values again, for machines
 */
export class SeineError extends Error {
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, details: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SeineError';
    this.code = code;
    this.details = details;
  }
}

export const isSeineError = (error: unknown, code?: string): error is SeineError =>
  error instanceof SeineError && (code === undefined || error.code === code);
