/**
 * A Kubernetes API server that answers from a recording, over HTTP or HTTPS: lists in pages, watches, discovery, tokens, client
 * certificates, and the faults that a test plans. It knows nothing that was not recorded: any other path is a 404, as of the real one.
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

const discoveryOf = (path: string, resources: readonly Resource[]): object | undefined => {
  const [, root, group, version, ...rest] = path.split('/');
  if (root !== 'apis' || group === undefined || rest.length > 0) return undefined;
  const own = resources.filter(({ apiVersion }) => groupOf(apiVersion) === group);
  if (own.length === 0) return undefined;
  if (version === undefined) {
    return { kind: 'APIGroup', apiVersion: 'v1', name: group, versions: [...new Set(own.map(({ apiVersion }) => apiVersion))].map((groupVersion) => ({ groupVersion, version: groupVersion.split('/')[1] })) };
  }
  const served = own.filter(({ apiVersion }) => apiVersion === `${group}/${version}`);
  if (served.length === 0) return undefined;
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${group}/${version}`, resources: served.flatMap(({ plural, kind, namespaced }) => [{ name: plural, kind, namespaced, verbs: ['get', 'list', 'watch'] }, { name: `${plural}/status`, kind, namespaced, verbs: ['get'] }]) };
};

interface Asked { readonly resource: Resource; readonly namespace: string | undefined; readonly name: string | undefined }

const resourceAt = (path: string, resources: readonly Resource[]): Asked | undefined => {
  for (const resource of resources) {
    const root = `${resource.apiVersion.includes('/') ? '/apis' : '/api'}/${resource.apiVersion}/`;
    if (!path.startsWith(root)) continue;
    const parts = path.slice(root.length).split('/');
    if (resource.namespaced && parts[0] === 'namespaces' && parts[2] === resource.plural && parts.length <= 4) return { resource, namespace: parts[1], name: parts[3] };
    if (parts[0] === resource.plural && parts.length <= 2 && !(resource.namespaced && parts.length === 2)) return { resource, namespace: undefined, name: parts[1] };
  }
  return undefined;
};

/** Where a list goes on: of the snapshot that it began with. */
const encodeContinue = (at: number): string => Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', start: at })).toString('base64url');
const decodeContinue = (token: string): number => Number((JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as { readonly start: number }).start); // ours

const answer = (response: ServerResponse, status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};

export const startRecordedApi = async (options: RecordedApiOptions): Promise<RecordedApi> => {
  const { resources, tls, fault, withoutDiscovery } = options;
  const requests: string[] = [];
  const counts = new Map<string, number>();
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();

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
    const discovered = withoutDiscovery === true ? undefined : discoveryOf(url.pathname, resources);
    if (discovered !== undefined) { answer(response, 200, discovered); return; }
    const asked = resourceAt(url.pathname, resources);
    if (asked === undefined) { answer(response, 404, statusBody(404, 'the server could not find the requested resource')); return; }
    const { resource: { apiVersion, kind, items }, namespace, name } = asked;
    const own = items.filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace);
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
      metadata: { resourceVersion: '100000', ...(rest > 0 ? { continue: encodeContinue(start + limit), remainingItemCount: rest } : {}) },
      items: own.slice(start, start + limit).map((item) => (namesOnly ? { metadata: item.metadata } : item)),
    });
  };
  const server = tls === undefined ? createHttp(listener) : createHttps({ key: tls.key, cert: tls.cert, ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false }) }, listener);
  server.on('connection', (socket: Socket) => { sockets.add(socket); socket.on('close', () => sockets.delete(socket)); });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo; // it listens on a port
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, requests,
    close: async () => {
      for (const timer of timers) clearTimeout(timer);
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => { server.close(() => { resolve(); }); });
    },
  };
};
