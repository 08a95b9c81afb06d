/** Structured logs: constant text plus fields, one line each, on standard output. */
import { pino } from 'pino';

export interface Logger {
  readonly debug: (text: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly info: (text: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly warn: (text: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly error: (text: string, fields?: Readonly<Record<string, unknown>>) => void;
  readonly fatal: (text: string, fields?: Readonly<Record<string, unknown>>) => void;
}

/** Written synchronously: the last line before an exit is the one that matters. */
export const createLogger = (options: { readonly process: string; readonly node: string; readonly level: string }): Logger => {
  const log = pino({
    level: options.level,
    base: { process: options.process, node: options.node, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  }, pino.destination({ fd: 1, sync: true }));
  return {
    debug: (text, fields = {}) => log.debug(fields, text),
    info: (text, fields = {}) => log.info(fields, text),
    warn: (text, fields = {}) => log.warn(fields, text),
    error: (text, fields = {}) => log.error(fields, text),
    fatal: (text, fields = {}) => log.fatal(fields, text),
  };
};

/** An error as fields: its code and details stay searchable. */
export const errorFields = (error: unknown): Readonly<Record<string, unknown>> => {
  if (!(error instanceof Error)) return { error: String(error) };
  const { code, details } = error as { readonly code?: unknown; readonly details?: unknown };
  return {
    error: error.message,
    ...(code === undefined ? {} : { code }),
    ...(details === undefined ? {} : { details }),
    ...(error.cause instanceof Error ? { cause: error.cause.message } : {}),
    stack: error.stack,
  };
};
