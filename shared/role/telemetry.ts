/**
 * Traces through the OpenTelemetry API. The SDK is loaded only where an exporter is configured, so that a role stays small; without
 * it a change still gets a trace context, which travels from the fact to the delta in the events' `traceparent`.
 */
import { randomBytes } from 'node:crypto';

import { SpanStatusCode, TraceFlags, context, isSpanContextValid, trace, type Attributes, type Context, type SpanContext } from '@opentelemetry/api';

const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** undefined for what is no W3C trace context. */
export const parseTraceparent = (text: string | undefined): SpanContext | undefined => {
  const match = text === undefined ? null : TRACEPARENT.exec(text);
  if (match === null) return undefined;
  const spanContext = { traceId: match[1]!, spanId: match[2]!, traceFlags: Number.parseInt(match[3]!, 16), isRemote: true };
  return isSpanContextValid(spanContext) ? spanContext : undefined;
};

export const formatTraceparent = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;

const newSpanContext = (): SpanContext =>
  ({ traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), traceFlags: TraceFlags.SAMPLED });

export interface SpanOptions {
  /** The event that caused this; absent: a new trace begins. */
  readonly traceparent?: string | undefined;
  readonly attributes?: Attributes;
}

/** Runs `work` in a span; `work` gets the traceparent to write into what it causes. */
export const withSpan = async <T>(name: string, { traceparent, attributes = {} }: SpanOptions, work: (traceparent: string) => Promise<T> | T): Promise<T> => {
  const parent = parseTraceparent(traceparent) ?? (traceSdkLoaded ? undefined : newSpanContext());
  const from: Context = parent === undefined ? context.active() : trace.setSpanContext(context.active(), parent);
  const span = trace.getTracer('seine').startSpan(name, { attributes }, from);
  try {
    return await work(formatTraceparent(span.spanContext()));
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    span.end();
  }
};

let traceSdkLoaded = false;

/** @returns what flushes and ends the exporter */
export const startTelemetry = async (process: string, node: string, environment: Readonly<Record<string, string | undefined>>): Promise<() => Promise<void>> => {
  if (environment['OTEL_EXPORTER_OTLP_ENDPOINT'] === undefined) return async () => {};
  const { startTraceSdk } = await import('./telemetry-sdk.ts');
  const stop = startTraceSdk(process, node);
  traceSdkLoaded = true;
  return stop;
};

/** A new trace, for what begins outside: a changed object. */
export const newTraceparent = (): string => formatTraceparent(newSpanContext());
