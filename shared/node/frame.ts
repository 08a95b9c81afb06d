/** Requests and answers between the processes of one node: length-prefixed JSON over unix sockets in a directory that only root may enter. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';

import { SeineError } from '@seine/model';

const LARGEST_FRAME_BYTES = 256 * 1024 * 1024;
const HEAD = 4;

interface Request { readonly id: number; readonly op: string; readonly body: unknown }
type Answer = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: { readonly code: string; readonly message: string; readonly details?: unknown } };
interface Push { readonly push: string; readonly body: unknown }

const frame = (message: Request | Answer | Push): Buffer => {
  const text = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(HEAD);
  head.writeUInt32LE(text.length);
  return Buffer.concat([head, text]);
};

/** Calls `take` for every whole message; a frame that is too large or no JSON ends the connection. */
const readFrames = (socket: Socket, take: (message: unknown) => void): void => {
  let parts: Buffer[] = [];
  let held = 0;
  socket.on('data', (chunk: Buffer) => {
    parts.push(chunk);
    held += chunk.length;
    for (;;) {
      if (held < HEAD) return;
      if (parts[0]!.length < HEAD) parts = [Buffer.concat(parts)];
      const size = parts[0]!.readUInt32LE(0);
      if (size > LARGEST_FRAME_BYTES) { socket.destroy(new SeineError('SEINE_FRAME_INVALID', `a frame of ${size} bytes: expected at most ${LARGEST_FRAME_BYTES}`)); return; }
      if (held < HEAD + size) return;
      const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      const rest = all.subarray(HEAD + size);
      parts = rest.length > 0 ? [rest] : [];
      held = rest.length;
      let message: unknown;
      try {
        message = JSON.parse(all.toString('utf8', HEAD, HEAD + size));
      } catch (cause) {
        socket.destroy(new SeineError('SEINE_FRAME_INVALID', 'a frame that is no JSON', {}, { cause }));
        return;
      }
      take(message);
    }
  });
};

/** Who is connected, for a handler. */
export interface Connection {
  readonly push: (name: string, body: unknown) => void;
  /** What was pushed and the other side has not taken yet. */
  readonly backlogBytes: () => number;
  readonly closed: AbortSignal;
}
export type Handler = (op: string, body: unknown, connection: Connection) => Promise<unknown>;

export interface UnixServer { readonly close: () => Promise<void> }

/** Requests of one connection are answered as they finish, not in order. */
export const serveUnix = async (path: string, handle: Handler): Promise<UnixServer> => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const closed = new AbortController();
    socket.on('close', () => { sockets.delete(socket); closed.abort(); });
    socket.on('error', () => { socket.destroy(); });
    const connection: Connection = {
      push: (name, body) => { if (!socket.destroyed) socket.write(frame({ push: name, body })); },
      backlogBytes: () => socket.writableLength,
      closed: closed.signal,
    };
    readFrames(socket, (message) => {
      const { id, op, body } = message as Request; // our own processes speak here: root only
      handle(op, body, connection).then(
        (value) => { if (!socket.destroyed) socket.write(frame({ id, value: value ?? null })); },
        (error: unknown) => {
          const known = error instanceof SeineError ? { code: error.code, message: error.message, details: error.details } : { code: 'SEINE_PROCESS_FAILED', message: String((error as Error)?.stack ?? error) };
          if (!socket.destroyed) socket.write(frame({ id, error: known }));
        },
      );
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => { chmodSync(path, 0o600); resolve(); });
  });
  return {
    close: () => new Promise((resolve) => {
      server.close(() => { resolve(); });
      for (const socket of sockets) socket.destroy();
    }),
  };
};

export interface UnixClient {
  /** @throws the other side's SeineError; SEINE_PEER_UNREACHABLE when it goes away */
  readonly call: <T>(op: string, body?: unknown) => Promise<T>;
  readonly closed: AbortSignal;
  readonly close: () => void;
}

/** @throws SEINE_PEER_UNREACHABLE */
export const connectUnix = async (path: string, onPush: (name: string, body: unknown) => void = () => {}): Promise<UnixClient> => {
  const socket = connect(path);
  const waiting = new Map<number, { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }>();
  const closed = new AbortController();
  let next = 1;
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause) => { reject(new SeineError('SEINE_PEER_UNREACHABLE', `${path}: nobody answers`, { path }, { cause })); });
  });
  socket.on('error', () => { socket.destroy(); });
  socket.on('close', () => {
    closed.abort();
    for (const { reject } of waiting.values()) reject(new SeineError('SEINE_PEER_UNREACHABLE', `${path}: the other side has gone`, { path }));
    waiting.clear();
  });
  readFrames(socket, (message) => {
    if ('push' in (message as object)) { const { push, body } = message as Push; onPush(push, body); return; }
    const answer = message as Answer;
    const caller = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (caller === undefined) return;
    if ('error' in answer) caller.reject(new SeineError(answer.error.code, answer.error.message, (answer.error.details ?? {}) as Record<string, unknown>));
    else caller.resolve(answer.value);
  });
  return {
    call: <T>(op: string, body: unknown = {}) => new Promise<T>((resolve, reject) => {
      if (closed.signal.aborted) { reject(new SeineError('SEINE_PEER_UNREACHABLE', `${path}: the other side has gone`, { path })); return; }
      const id = next++;
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject }); // the caller names the answer's type
      socket.write(frame({ id, op, body }));
    }),
    closed: closed.signal,
    close: () => { socket.destroy(); },
  };
};

/** Connects again for as long as the signal lasts; calls wait for a connection for at most `patienceMs`. */
export const persistentUnix = (path: string, signal: AbortSignal, onPush: (name: string, body: unknown) => void = () => {}, onConnect: (client: UnixClient) => void = () => {}) => {
  let current: Promise<UnixClient> | undefined;
  const connectOnce = async (patienceMs: number): Promise<UnixClient> => {
    const end = Date.now() + patienceMs;
    for (;;) {
      try {
        const client = await connectUnix(path, onPush);
        client.closed.addEventListener('abort', () => { current = undefined; }, { once: true });
        signal.addEventListener('abort', () => { client.close(); }, { once: true });
        onConnect(client);
        return client;
      } catch (error) {
        if (signal.aborted || Date.now() >= end) throw error;
        await new Promise((resolve) => { setTimeout(resolve, 20); });
      }
    }
  };
  const client = (patienceMs: number): Promise<UnixClient> => (current ??= connectOnce(patienceMs).catch((error: unknown) => { current = undefined; throw error; }));
  return {
    call: async <T>(op: string, body: unknown = {}, patienceMs = 10_000): Promise<T> => (await client(patienceMs)).call<T>(op, body),
    connect: async (patienceMs = 10_000): Promise<void> => { await client(patienceMs); },
  };
};
export type PersistentUnix = ReturnType<typeof persistentUnix>;
