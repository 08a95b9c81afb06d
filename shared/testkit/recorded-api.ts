/**
 * A Kubernetes API server that answers from a recording, over HTTP or HTTPS: lists in pages, watches, discovery, tokens, client
 * certificates, and the faults that a test plans. A test may change what is recorded, and watchers hear of it. Any other path is a 404, as of
 * the real one.
 */
import { createServer as createHttp, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

export type RecordedObject = Readonly<Record<string, unknown>> & { readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly namespace?: string } };
/** @property apiVersion `v1`, `cilium.io/v2` */
export interface Resource { readonly apiVersion: string; readonly kind: string; readonly plural: string; readonly namespaced: boolean; readonly items: readonly RecordedObject[] }

/** @returns what the server says instead of its recording; undefined: the recording */
export type Fault = (request: { readonly path: string; readonly query: URLSearchParams; readonly count: number }) =>
  { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: unknown } | { readonly raw: string } | { readonly hangMs: number } | { readonly cut: true } | undefined;

export interface RecordedApi {
  readonly url: string;
  /** Every request: method, path with query. */
  readonly requests: readonly string[];
  /** Adds an object or changes it. */
  readonly apply: (plural: string, object: RecordedObject) => void;
  readonly remove: (plural: string, name: string, namespace?: string) => void;
  /** A kind that was not served so far. */
  readonly serve: (resource: Resource) => void;
  readonly unserve: (plural: string) => void;
  /** Says to every watch how far it is. */
  readonly bookmark: () => void;
  /** Forgets what changed until now: whoever watches from before hears 410. */
  readonly forget: () => void;
  /** Cuts every watch, without a word. */
  readonly breakWatches: () => void;
  readonly watches: () => number;
  readonly close: () => Promise<void>;
}
export interface RecordedApiOptions {
  readonly resources: readonly Resource[];
  readonly tls?: { readonly key: string; readonly cert: string; /** Client certificates of this CA are users. */ readonly clientCa?: string };
  readonly tokens?: readonly string[];
  readonly fault?: Fault;
  /** Does not say what it serves, as stubs and some gateways do not. */
  readonly withoutDiscovery?: boolean;
}

const groupOf = (apiVersion: string): string | undefined => (apiVersion.includes('/') ? apiVersion.split('/')[0] : undefined);
const statusBody = (status: number, message: string): object => ({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code: status });

const isUser = (request: IncomingMessage, { tokens, tls }: RecordedApiOptions): boolean => {
  if (tokens === undefined && tls?.clientCa === undefined) return true;
  if (tls?.clientCa !== undefined && (request.socket as TLSSocket).authorized) return true; // an HTTPS server's sockets
  return (tokens ?? []).some((token) => request.headers.authorization === `Bearer ${token}`);
};

const discoveryOf = (path: string, resources: Iterable<Resource>): object | undefined => {
  const [, root, group, version, ...rest] = path.split('/');
  if (root !== 'apis' || group === undefined || rest.length > 0) return undefined;
  const own = [...resources].filter(({ apiVersion }) => groupOf(apiVersion) === group);
  if (own.length === 0) return undefined;
  if (version === undefined) {
    return { kind: 'APIGroup', apiVersion: 'v1', name: group, versions: [...new Set(own.map(({ apiVersion }) => apiVersion))].map((groupVersion) => ({ groupVersion, version: groupVersion.split('/')[1] })) };
  }
  const served = own.filter(({ apiVersion }) => apiVersion === `${group}/${version}`);
  if (served.length === 0) return undefined;
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${group}/${version}`, resources: served.flatMap(({ plural, kind, namespaced }) => [{ name: plural, kind, namespaced, verbs: ['get', 'list', 'watch'] }, { name: `${plural}/status`, kind, namespaced, verbs: ['get'] }]) };
};

interface Change { readonly version: number; readonly plural: string; readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: RecordedObject }
/** What is recorded of one resource now, in the order in which it came. */
interface Stored { readonly resource: Resource; readonly items: Map<string, RecordedObject> }
interface Watcher { readonly stored: Stored; readonly namespace: string | undefined; readonly response: ServerResponse }

interface Asked { readonly stored: Stored; readonly namespace: string | undefined; readonly name: string | undefined }

const resourceAt = (path: string, all: Iterable<Stored>): Asked | undefined => {
  for (const stored of all) {
    const { resource } = stored;
    const root = `${resource.apiVersion.includes('/') ? '/apis' : '/api'}/${resource.apiVersion}/`;
    if (!path.startsWith(root)) continue;
    const parts = path.slice(root.length).split('/');
    if (resource.namespaced && parts[0] === 'namespaces' && parts[2] === resource.plural && parts.length <= 4) return { stored, namespace: parts[1], name: parts[3] };
    if (parts[0] === resource.plural && parts.length <= 2 && !(resource.namespaced && parts.length === 2)) return { stored, namespace: undefined, name: parts[1] };
  }
  return undefined;
};

const keyOf = (name: string, namespace: string | undefined): string => `${namespace ?? ''}/${name}`;
const FIRST_VERSION = 100_000;

/** Where a list goes on: of the snapshot that it began with. */
const encodeContinue = (at: number): string => Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', start: at })).toString('base64url');
const decodeContinue = (token: string): number => Number((JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as { readonly start: number }).start); // ours

const answer = (response: ServerResponse, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};

export const startRecordedApi = async (options: RecordedApiOptions): Promise<RecordedApi> => {
  const { tls, fault, withoutDiscovery } = options;
  const requests: string[] = [];
  const counts = new Map<string, number>();
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const stored = new Map<string, Stored>();
  const watchers = new Set<Watcher>();
  let history: readonly Change[] = [];
  let version = FIRST_VERSION;
  let oldest = FIRST_VERSION;

  const serve = (resource: Resource): void => { stored.set(`${resource.apiVersion}/${resource.plural}`, { resource, items: new Map(resource.items.map((item) => [keyOf(item.metadata.name, item.metadata.namespace), item])) }); };
  for (const resource of options.resources) serve(resource);
  const storedOf = (plural: string): Stored => {
    const found = [...stored.values()].find(({ resource }) => resource.plural === plural);
    if (found === undefined) throw new Error(`${plural}: not recorded`);
    return found;
  };
  const line = ({ response }: Watcher, type: string, object: unknown): void => { response.write(`${JSON.stringify({ type, object })}\n`); };
  const eventObject = ({ resource: { apiVersion, kind } }: Stored, object: RecordedObject, at: number): object => ({ apiVersion, kind, ...object, metadata: { ...object.metadata, resourceVersion: String(at) } });
  const tell = (watcher: Watcher, { type, object, version: at }: Change): void => {
    if (watcher.namespace === undefined || watcher.namespace === object.metadata.namespace) line(watcher, type, eventObject(watcher.stored, object, at));
  };
  const changed = (to: Stored, type: Change['type'], object: RecordedObject): void => {
    version += 1;
    const change: Change = { version, plural: to.resource.plural, type, object };
    history = [...history, change];
    for (const watcher of watchers) if (watcher.stored === to) tell(watcher, change);
  };

  const watch = (request: { readonly stored: Stored; readonly namespace: string | undefined; readonly from: number }, response: ServerResponse): void => {
    if (request.from < oldest) { answer(response, 410, statusBody(410, 'too old resource version')); return; }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const watcher: Watcher = { stored: request.stored, namespace: request.namespace, response };
    for (const change of history) if (change.version > request.from && change.plural === request.stored.resource.plural) tell(watcher, change);
    watchers.add(watcher);
    response.on('close', () => { watchers.delete(watcher); });
  };

  const list = (asked: Asked, url: URL, request: IncomingMessage, response: ServerResponse): void => {
    const { stored: { resource: { apiVersion, kind }, items }, namespace, name } = asked;
    const only = /^metadata\.name=(.+)$/.exec(url.searchParams.get('fieldSelector') ?? '')?.[1];
    const own = [...items.values()].filter(({ metadata }) => (namespace === undefined || metadata.namespace === namespace) && (only === undefined || metadata.name === only));
    if (name !== undefined) {
      const found = own.find(({ metadata }) => metadata.name === name);
      if (found === undefined) answer(response, 404, statusBody(404, `${kind} "${name}" not found`));
      else answer(response, 200, { apiVersion, kind, ...found });
      return;
    }
    const start = url.searchParams.has('continue') ? decodeContinue(url.searchParams.get('continue')!) : 0;
    const limit = Number(url.searchParams.get('limit') ?? '0') || own.length;
    const rest = Math.max(0, own.length - start - limit);
    const namesOnly = request.headers.accept?.includes('as=PartialObjectMetadataList') === true;
    answer(response, 200, {
      ...(namesOnly ? { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' } : { kind: `${kind}List`, apiVersion }),
      metadata: { resourceVersion: String(version), ...(rest > 0 ? { continue: encodeContinue(start + limit), remainingItemCount: rest } : {}) },
      items: own.slice(start, start + limit).map((item) => (namesOnly ? { metadata: item.metadata } : item)),
    });
  };

  const listener: RequestListener = (request, response) => {
    const url = new URL(request.url ?? '/', 'http://recorded');
    requests.push(`${request.method ?? ''} ${url.pathname}${url.search}`);
    if (request.method !== 'GET') { answer(response, 405, statusBody(405, 'this recording is read-only')); return; }
    if (!isUser(request, options)) { answer(response, 401, statusBody(401, 'Unauthorized')); return; }
    const count = (counts.get(url.pathname) ?? 0) + 1;
    counts.set(url.pathname, count);
    const planned = fault?.({ path: url.pathname, query: url.searchParams, count });
    if (planned !== undefined) {
      if ('raw' in planned) answer(response, 200, planned.raw);
      else if ('cut' in planned) { response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' }); response.write('{"kind":"PodList","items":['); response.destroy(); }
      else if ('hangMs' in planned) timers.add(setTimeout(() => { answer(response, 504, statusBody(504, 'too late')); }, planned.hangMs));
      else answer(response, planned.status, planned.body ?? statusBody(planned.status, `planned ${planned.status}`), planned.headers);
      return;
    }
    if (url.pathname === '/readyz') { answer(response, 200, 'ok'); return; }
    const discovered = withoutDiscovery === true ? undefined : discoveryOf(url.pathname, [...stored.values()].map(({ resource }) => resource));
    if (discovered !== undefined) { answer(response, 200, discovered); return; }
    const asked = resourceAt(url.pathname, stored.values());
    if (asked === undefined) { answer(response, 404, statusBody(404, 'the server could not find the requested resource')); return; }
    if (url.searchParams.get('watch') === '1') watch({ ...asked, from: Number(url.searchParams.get('resourceVersion') ?? version) }, response);
    else list(asked, url, request, response);
  };
  const server = tls === undefined ? createHttp(listener) : createHttps({ key: tls.key, cert: tls.cert, ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false }) }, listener);
  server.on('connection', (socket: Socket) => { sockets.add(socket); socket.on('close', () => sockets.delete(socket)); });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo; // it listens on a port
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, requests, serve,
    apply: (plural, object) => {
      const to = storedOf(plural);
      const key = keyOf(object.metadata.name, object.metadata.namespace);
      const type = to.items.has(key) ? 'MODIFIED' : 'ADDED';
      to.items.set(key, object);
      changed(to, type, object);
    },
    remove: (plural, name, namespace) => {
      const from = storedOf(plural);
      const object = from.items.get(keyOf(name, namespace));
      if (object === undefined) throw new Error(`${plural} ${namespace ?? ''}/${name}: not recorded`);
      from.items.delete(keyOf(name, namespace));
      changed(from, 'DELETED', object);
    },
    unserve: (plural) => {
      const { resource } = storedOf(plural);
      for (const watcher of watchers) if (watcher.stored.resource.plural === plural) watcher.response.end();
      stored.delete(`${resource.apiVersion}/${resource.plural}`);
    },
    bookmark: () => { for (const watcher of watchers) line(watcher, 'BOOKMARK', { kind: watcher.stored.resource.kind, metadata: { resourceVersion: String(version) } }); },
    forget: () => {
      oldest = version;
      history = [];
      for (const watcher of watchers) { line(watcher, 'ERROR', statusBody(410, 'too old resource version')); watcher.response.end(); }
    },
    breakWatches: () => { for (const { response } of watchers) response.destroy(); },
    watches: () => watchers.size,
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
    },
  };
};
