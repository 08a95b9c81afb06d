/**
 * The real broker: NATS with JetStream. Speaks the few JetStream requests that the protocol needs directly, so that nothing is
 * retried, cached or consumed behind its back.
 */
import { randomUUID } from 'node:crypto';

import { LANES, NO_PREVIOUS, serialiseCommit, type Lane } from '@seine/events';
import { SeineError, isSeineError } from '@seine/model';
import { connect, headers, type Msg, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';

import type { Broker, BrokerListener, StoreAnswer } from './broker.ts';
import { createBus, type LogIdentity } from './bus.ts';
import { toCommit, type StoredCommit } from './chain.ts';
import { sleep, systemClock, type Clock } from './clock.ts';
import type { Bus } from './port.ts';
import {
  LOG_STREAM, REPORT_STREAM, allLiveSubjects, allReportSubjects, logSubject, reportSubject, textOfToken,
} from './subject.ts';
import { differences, logStreamConfig, reportStreamConfig, type StreamConfig } from './stream.ts';

const REQUEST_TIMEOUT_MS = 2_000;
/** Reconnects are tried this often, for ever. */
const RECONNECT_MS = 200;
const PING_EVERY_MS = 5_000;
/** Oldest broker with everything that the log stands on: republish, expected last subject sequence, denied deletes. */
const VERSION_MIN = [2, 9, 0] as const;
export const MAX_PAYLOAD_MIN_BYTES = 2 * 1024 * 1024;

const ERROR_MESSAGE_NOT_FOUND = 10_037;
const ERROR_WRONG_LAST_SEQUENCE = 10_071;
const ERROR_STREAM_EXISTS = 10_058;

export interface ConnectOptions {
  /** `nats://host:port`, several separated by commas. */
  readonly url: string;
  readonly cluster: string;
  /** Shown in the broker's connection list. */
  readonly name: string;
  readonly build?: string;
  readonly clock?: Clock;
  readonly warn?: (sentence: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly signal?: AbortSignal;
  /** How long to wait for a broker that does not answer yet, or for a log that is not created yet. */
  readonly patienceMs?: number;
}

interface ApiError { readonly code: number; readonly err_code?: number; readonly description?: string }
interface ApiMessage { readonly subject: string; readonly seq: number; readonly data?: string; readonly time: string }

const unavailable = (what: string, cause: unknown): SeineError =>
  new SeineError('SEINE_BUS_UNAVAILABLE', `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, {}, { cause });

const apiRequest = async <Answer>(connection: NatsConnection, verb: string, body: unknown): Promise<Answer | { readonly error: ApiError }> => {
  try {
    const answer = await connection.request(`$JS.API.${verb}`, body === undefined ? '' : JSON.stringify(body), { timeout: REQUEST_TIMEOUT_MS });
    return answer.json<Answer | { readonly error: ApiError }>();
  } catch (cause) {
    throw unavailable(`the broker did not answer ${verb}`, cause);
  }
};

const isRefused = (answer: object): answer is { readonly error: ApiError } => 'error' in answer;

const refusal = (verb: string, { error }: { readonly error: ApiError }): SeineError =>
  new SeineError('SEINE_BUS_UNAVAILABLE', `the broker refused ${verb}: ${error.description ?? error.code}`, { errorCode: error.err_code ?? error.code });

const laneOf = (subject: string): Lane | undefined => {
  const name = subject.slice(subject.lastIndexOf('.') + 1);
  return LANES.find((lane) => lane === name);
};

/** @throws SEINE_BROKER_UNFIT naming everything that is missing */
const assertFit = (connection: NatsConnection): void => {
  const { info } = connection;
  const missing: string[] = [];
  const version = (info?.version ?? '').split(/[.-]/).map(Number);
  const order = VERSION_MIN.map((want, index) => (version[index] ?? 0) - want).find((difference) => difference !== 0) ?? 0;
  if (!(order >= 0)) missing.push(`version ${info?.version ?? 'unknown'}, at least ${VERSION_MIN.join('.')} is needed`);
  if (info?.headers !== true) missing.push('headers are off');
  if (info?.jetstream !== true) missing.push('JetStream is off; start it with the shipped configuration');
  if ((info?.max_payload ?? 0) < MAX_PAYLOAD_MIN_BYTES) missing.push(`max_payload is ${info?.max_payload} bytes, at least ${MAX_PAYLOAD_MIN_BYTES} are needed`);
  if (missing.length > 0) throw new SeineError('SEINE_BROKER_UNFIT', `the broker cannot hold the log: ${missing.join('; ')}`, { missing });
};

const dial = async ({ url, name, signal, patienceMs = 10_000, clock = systemClock }: ConnectOptions): Promise<NatsConnection> => {
  const deadlineMs = clock.nowMs() + patienceMs;
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await connect({
        servers: url.split(','), name, timeout: REQUEST_TIMEOUT_MS, maxReconnectAttempts: -1, reconnectTimeWait: RECONNECT_MS,
        reconnectJitter: RECONNECT_MS, pingInterval: PING_EVERY_MS, maxPingOut: 2, ignoreAuthErrorAbort: true,
      });
    } catch (cause) {
      if (clock.nowMs() >= deadlineMs) throw unavailable(`no broker at ${url}; is it started?`, cause);
      await sleep(clock, RECONNECT_MS, signal);
    }
  }
};

/** From the stream's leader; a direct get might ask a replica that lags. */
const getMessage = async (connection: NatsConnection, base: number, request: { readonly seq: number } | { readonly last_by_subj: string }): Promise<StoredCommit | undefined> => {
  const verb = `STREAM.MSG.GET.${LOG_STREAM}`;
  const answer = await apiRequest<{ readonly message: ApiMessage }>(connection, verb, request);
  if (isRefused(answer)) {
    if (answer.error.err_code === ERROR_MESSAGE_NOT_FOUND) return undefined;
    throw refusal(verb, answer);
  }
  const { subject, seq, data, time } = answer.message;
  const lane = laneOf(subject);
  if (lane === undefined) throw new SeineError('SEINE_COMMIT_MALFORMED', `sequence ${seq} has the subject ${subject}, which is no lane`);
  return { seq: base + seq, lane, storedMs: Date.parse(time), bytes: Buffer.from(data ?? '', 'base64') };
};

/** Sequence and subject that the broker put into a republished message; undefined when somebody else made it. */
const liveHeaders = (message: Msg): { readonly seq: number; readonly storedMs: number | undefined } | undefined => {
  const given: MsgHdrs | undefined = message.headers;
  if (given === undefined || given.get('Nats-Stream') !== LOG_STREAM) return undefined;
  const seq = Number(given.get('Nats-Sequence'));
  const storedMs = Date.parse(given.get('Nats-Time-Stamp'));
  return Number.isSafeInteger(seq) && seq > 0 ? { seq, storedMs: Number.isNaN(storedMs) ? undefined : storedMs } : undefined;
};

const createBroker = (connection: NatsConnection, { cluster, clock = systemClock, warn = () => {} }: ConnectOptions, base: number): Broker => {
  const listeners = new Set<BrokerListener>();
  const reconnections = new Set<() => void>();
  /** Calls of requests under way, whose answer is lost with the connection. */
  const cutOff = new Set<() => void>();
  let away = false;
  let strangers = 0;

  const onLive = (message: Msg): void => {
    const lane = laneOf(message.subject);
    const stamp = liveHeaders(message);
    if (lane === undefined || stamp === undefined) {
      strangers += 1;
      // Not each: a stranger must not fill this process's log.
      if ((strangers & (strangers - 1)) === 0) warn('a message on a live subject does not come from the log', { subject: message.subject, messages: strangers });
      return;
    }
    const commit = { seq: base + stamp.seq, lane, storedMs: stamp.storedMs ?? clock.nowMs(), bytes: message.data };
    for (const listener of listeners) listener.live(commit);
  };
  /** One subscription for all who follow: arrival order is the stream's order. */
  let live: { unsubscribe: () => void } | undefined;

  const watchConnection = async (): Promise<void> => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') {
        if (away) continue;
        away = true;
        warn('the broker is away', { server: status.server });
        for (const call of cutOff) call();
        for (const listener of listeners) listener.disconnected();
      } else if (status.type === 'reconnect') {
        away = false;
        warn('the broker is back', { server: status.server });
        for (const listener of listeners) listener.reconnected();
        for (const listener of reconnections) listener();
      } else if (status.type === 'error') {
        warn('the broker reports an error', { error: status.error.message });
      }
    }
  };
  void watchConnection(); // ends with the connection; a status iterator does not throw

  const store: Broker['store'] = async (lane, bytes, { expected, messageId }): Promise<StoreAnswer> => {
    const guard = headers();
    guard.set('Nats-Expected-Stream', LOG_STREAM);
    guard.set('Nats-Expected-Last-Subject-Sequence', String(expected === 0 ? 0 : expected - base));
    guard.set('Nats-Msg-Id', messageId);
    const cut = Promise.withResolvers<never>();
    const call = (): void => cut.reject(new Error('the connection was lost'));
    cutOff.add(call);
    try {
      const request = connection.request(logSubject(cluster, lane), bytes, { timeout: REQUEST_TIMEOUT_MS, headers: guard });
      request.catch(() => {}); // what comes after the connection was lost interests nobody
      const answer = await Promise.race([request, cut.promise]);
      const ack = answer.json<{ readonly stream?: string; readonly seq?: number; readonly error?: ApiError }>();
      if (ack.error?.err_code === ERROR_WRONG_LAST_SEQUENCE) return { type: 'refused' };
      if (ack.error !== undefined) return { type: 'unclear', reason: ack.error.description ?? String(ack.error.code) };
      if (ack.stream !== LOG_STREAM || ack.seq === undefined) return { type: 'unclear', reason: 'the answer is no acknowledgement of the log' };
      return { type: 'stored', seq: base + ack.seq };
    } catch (error) {
      return { type: 'unclear', reason: error instanceof Error ? error.message : String(error) };
    } finally {
      cutOff.delete(call);
    }
  };

  const allReports = async (listener: (node: string, bytes: Uint8Array) => void): Promise<void> => {
    const verb = `STREAM.MSG.GET.${REPORT_STREAM}`;
    for (let seq = 1; ;) {
      const answer = await apiRequest<{ readonly message: ApiMessage }>(connection, verb, { seq, next_by_subj: allReportSubjects(cluster) });
      if (isRefused(answer)) {
        if (answer.error.err_code === ERROR_MESSAGE_NOT_FOUND) return;
        throw refusal(verb, answer);
      }
      const { message } = answer;
      const node = textOfToken(message.subject.slice(message.subject.lastIndexOf('.') + 1));
      if (node !== undefined) listener(node, Buffer.from(message.data ?? '', 'base64'));
      seq = message.seq + 1;
    }
  };

  return {
    store,
    last: (lane) => getMessage(connection, base, { last_by_subj: logSubject(cluster, lane) }),
    at: (seq) => (seq <= base ? Promise.resolve(undefined) : getMessage(connection, base, { seq: seq - base })),
    lastSeq: async () => {
      const verb = `STREAM.INFO.${LOG_STREAM}`;
      const answer = await apiRequest<{ readonly state: { readonly last_seq: number } }>(connection, verb, undefined);
      if (isRefused(answer)) throw refusal(verb, answer);
      return base + answer.state.last_seq;
    },
    listen: async (listener) => {
      listeners.add(listener);
      // The broker takes what a connection sends in order: it knows of the interest before it answers the next request.
      live ??= connection.subscribe(allLiveSubjects(cluster), { callback: (error, message) => { if (error === null) onLive(message); } });
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0) return;
        live?.unsubscribe();
        live = undefined;
      };
    },
    storeReport: async (node, bytes) => {
      let ack: { readonly stream?: string; readonly error?: ApiError };
      try {
        ack = (await connection.request(reportSubject(cluster, node), bytes, { timeout: REQUEST_TIMEOUT_MS })).json();
      } catch (cause) {
        throw unavailable(`the report of node ${node} was not acknowledged`, cause);
      }
      if (ack.stream !== REPORT_STREAM) throw unavailable(`the report of node ${node} was not stored`, ack.error?.description ?? 'no such stream');
    },
    onReport: (listener) => {
      const subscription = connection.subscribe(allReportSubjects(cluster), {
        callback: (error, message) => {
          const node = error === null ? textOfToken(message.subject.slice(message.subject.lastIndexOf('.') + 1)) : undefined;
          if (node !== undefined) listener(node, message.data);
        },
      });
      const readAll = (): void => {
        allReports(listener).catch((error: unknown) => {
          if (connection.isClosed()) return;
          warn('the stored reports could not be read', { error: error instanceof Error ? error.message : String(error) });
          if (reconnections.has(readAll)) clock.after(RECONNECT_MS, () => { if (reconnections.has(readAll)) readAll(); });
        });
      };
      reconnections.add(readAll);
      readAll();
      return () => {
        reconnections.delete(readAll);
        subscription.unsubscribe();
      };
    },
    publish: (subject, bytes) => { if (!connection.isClosed() && !connection.isDraining()) connection.publish(subject, bytes); },
    subscribe: (subject, listener) => {
      if (connection.isClosed()) return () => {};
      const subscription = connection.subscribe(subject, { callback: (error, message) => { if (error === null) listener(message.subject, message.data); } });
      return () => subscription.unsubscribe();
    },
    close: async () => { await connection.close(); },
  };
};

/** Reads the genesis: the stream's first message, which nothing can delete. */
const readIdentity = async (connection: NatsConnection): Promise<LogIdentity | undefined> => {
  const genesis = await getMessage(connection, 0, { seq: 1 });
  const event = genesis === undefined ? undefined : toCommit(genesis).events[0];
  if (event === undefined) return undefined;
  if (event.type !== 'log.created.v1') throw new SeineError('SEINE_LOG_FOREIGN', `the first commit of the log is ${event.type}, log.created.v1 was expected`);
  return { log: event.data.log, base: event.data.base };
};

const awaitIdentity = async (connection: NatsConnection, options: ConnectOptions): Promise<LogIdentity> => {
  const { clock = systemClock, signal, patienceMs = 10_000 } = options;
  const deadlineMs = clock.nowMs() + patienceMs;
  for (;;) {
    signal?.throwIfAborted();
    let cause: unknown;
    try {
      const identity = await readIdentity(connection);
      if (identity !== undefined) return identity;
    } catch (error) {
      if (!isSeineError(error, 'SEINE_BUS_UNAVAILABLE')) throw error;
      cause = error;
    }
    if (clock.nowMs() >= deadlineMs) {
      throw new SeineError('SEINE_LOG_MISSING', `the broker at ${options.url} holds no log; has the install job run?`, { url: options.url }, { cause });
    }
    await sleep(clock, RECONNECT_MS, signal);
  }
};

/** The broker alone, for what stands below the bus: the conformance suite, the simulation's yardstick. */
export const connectBroker = async (options: ConnectOptions): Promise<{ readonly broker: Broker; readonly identity: LogIdentity }> => {
  const connection = await dial(options);
  try {
    assertFit(connection);
    const identity = await awaitIdentity(connection, options);
    return { broker: createBroker(connection, options, identity.base), identity };
  } catch (error) {
    await connection.close();
    throw error;
  }
};

/**
 * Connects to the log that the install job created.
 * @throws SEINE_BUS_UNAVAILABLE, SEINE_BROKER_UNFIT, SEINE_LOG_MISSING
 */
export const connectBus = async (options: ConnectOptions): Promise<Bus> => {
  const { clock = systemClock, warn = () => {}, build = 'unknown', cluster } = options;
  const { broker, identity } = await connectBroker(options);
  return createBus({ broker, clock, cluster, build, warn }, identity);
};

const createStream = async (connection: NatsConnection, wanted: StreamConfig): Promise<readonly string[]> => {
  const verb = `STREAM.CREATE.${wanted.name}`;
  const created = await apiRequest<object>(connection, verb, wanted);
  if (isRefused(created) && created.error.err_code !== ERROR_STREAM_EXISTS) throw refusal(verb, created);
  const found = await apiRequest<{ readonly config: Readonly<Record<string, unknown>> }>(connection, `STREAM.INFO.${wanted.name}`, undefined);
  if (isRefused(found)) throw refusal(`STREAM.INFO.${wanted.name}`, found);
  return differences(wanted, found.config);
};

const storeGenesis = async (connection: NatsConnection, options: ConnectOptions): Promise<void> => {
  const { clock = systemClock, cluster, build = 'unknown' } = options;
  const log = randomUUID();
  const bytes = serialiseCommit(
    { log, lane: 'audit', laneSeq: 1, epoch: 0, prev: NO_PREVIOUS, seen: 0, writer: options.name },
    [{ type: 'log.created.v1', key: log, time: new Date(clock.nowMs()).toISOString(), data: { log, cluster, base: 0, build } }],
  );
  const guard = headers();
  guard.set('Nats-Expected-Stream', LOG_STREAM);
  guard.set('Nats-Expected-Last-Sequence', '0');
  try {
    await connection.request(logSubject(cluster, 'audit'), bytes, { timeout: REQUEST_TIMEOUT_MS, headers: guard });
  } catch (cause) {
    throw unavailable('the genesis was not acknowledged', cause);
  }
};

/**
 * The install job: creates both streams and the genesis, or finds them as they should be. Only this may create or change streams.
 * @returns the log's id
 * @throws SEINE_STREAM_MISMATCH naming every difference
 */
export const createLog = async (options: ConnectOptions & { readonly replicas?: number; readonly maxBytes?: number }): Promise<LogIdentity> => {
  const connection = await dial(options);
  try {
    assertFit(connection);
    const wrong: string[] = [];
    for (const wanted of [logStreamConfig(options), reportStreamConfig(options)]) {
      for (const difference of await createStream(connection, wanted)) wrong.push(`${wanted.name}.${difference}`);
    }
    if (wrong.length > 0) {
      throw new SeineError('SEINE_STREAM_MISMATCH', `the broker holds streams that differ from what Seine needs: ${wrong.join('; ')}`, { differences: wrong });
    }
    if (await readIdentity(connection) === undefined) await storeGenesis(connection, options);
    return await awaitIdentity(connection, options);
  } finally {
    await connection.close();
  }
};

