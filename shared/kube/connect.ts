/**
 * A connection to a Kubernetes API server that can do nothing but GET.
 *
 * @kubernetes/client-node brings what credentials need (exec plugins, OpenID Connect, TLS, proxies) and its transport; its typed calls are
 * not used, as they drop fields that they do not know. It is loaded here, when somebody connects, and nowhere else (docs/adr/0008).
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isNativeError } from 'node:util/types';

import { isSeineError, SeineError } from '@seine/model';

import { badAccess, unreachable } from './error.ts';
import { accessOf, isLoopback, proxyOf, type ClusterAccess, type KubeconfigFile } from './kubeconfig.ts';
import { messageOf, type Answer, type Get } from './list.ts';

const REQUEST_MS = 30_000;
const LARGEST_BODY_BYTES = 256 * 1024 * 1024;
/** An object has at most 1.5 MB in etcd. */
const LONGEST_LINE = 16 * 1024 * 1024;
const SILENCE_MS = 150_000;
const TRIES = { long: 5, short: 2 } as const;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
const BUSY: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

export interface Connection {
  readonly context: string;
  readonly server: string;
  readonly get: Get;
  /**
   * The lines of a watch, parsed, until the server ends it.
   * @throws SEINE_WATCH_REFUSED with `details.status`; SEINE_PEER_UNREACHABLE when the connection breaks or is silent for too long
   */
  readonly watch: (path: string, signal: AbortSignal) => AsyncGenerator<unknown>;
  readonly close: () => Promise<void>;
}
export interface ConnectOptions {
  /** undefined: $KUBECONFIG, then ~/.kube/config, then the service account of the pod that this runs in */
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborts when the time is up or a person has had enough. */
  readonly signal: AbortSignal;
  readonly userAgent: string;
  /** After which a watch that says nothing at all is given up; servers send a bookmark about every minute. */
  readonly silenceMs?: number;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

const readText = (path: string, what: string): string => {
  try { return readFileSync(path, 'utf8'); } catch (error) { throw badAccess(`${what} ${path}: ${(error as Error).message}`); }
};

const kubeconfigs = (given: string | undefined, environment: ConnectOptions['environment']): readonly KubeconfigFile[] => {
  const named = given !== undefined ? [given] : (environment['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  /* Of several in KUBECONFIG those that are not there are passed over, as in kubectl. */
  const paths = named.length > 0 ? named.filter((path) => given !== undefined || existsSync(path)) : [join(environment['HOME'] ?? homedir(), '.kube', 'config')].filter((path) => existsSync(path));
  return paths.map((path) => ({ path, directory: resolve(dirname(path)), text: readText(path, 'kubeconfig') }));
};

/** What Kubernetes gives every pod. */
const inCluster = (environment: ConnectOptions['environment']): ClusterAccess | undefined => {
  const [host, port] = [environment['KUBERNETES_SERVICE_HOST'] ?? '', environment['KUBERNETES_SERVICE_PORT'] ?? '443'];
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (host === '' || !URL.canParse(server) || !existsSync(`${SERVICE_ACCOUNT}/token`)) return undefined;
  return { context: 'in-cluster', namespace: undefined, server: new URL(server), cluster: { caFile: `${SERVICE_ACCOUNT}/ca.crt`, skipTlsVerify: false }, user: { name: 'service account', tokenFile: `${SERVICE_ACCOUNT}/token` } };
};

const findAccess = ({ kubeconfig, context, environment }: ConnectOptions): ClusterAccess => {
  const files = kubeconfigs(kubeconfig, environment);
  const found = files.length > 0 ? accessOf(files, context) : inCluster(environment);
  if (found === undefined) throw badAccess('no kubeconfig: expected --kubeconfig FILE, $KUBECONFIG, ~/.kube/config, or a pod with a service account');
  return found;
};

/** What an exec plugin is told, as kubectl tells it: some refuse to start without. */
const execInfo = ({ cluster, server, user }: ClusterAccess): string => JSON.stringify({
  apiVersion: user.exec?.['apiVersion'] ?? 'client.authentication.k8s.io/v1', kind: 'ExecCredential',
  spec: {
    interactive: false,
    ...(user.exec?.['provideClusterInfo'] === true ? { cluster: { server: server.href, 'certificate-authority-data': cluster.caData, 'insecure-skip-tls-verify': cluster.skipTlsVerify, 'tls-server-name': cluster.tlsServerName } } : {}),
  },
});

const hasCredentials = ({ user }: ClusterAccess): boolean => [user.token, user.tokenFile, user.password, user.exec, user.authProvider].some((credential) => credential !== undefined);

const clientOf = async (access: ClusterAccess, environment: ConnectOptions['environment']) => {
  const { cluster, server, user } = access;
  for (const [field, path] of [['certificate-authority', cluster.caFile], ['client-certificate', user.certFile], ['client-key', user.keyFile], ['tokenFile', user.tokenFile]] as const) if (path !== undefined) readText(path, field);
  const overHttp = server.protocol === 'http:';
  if (overHttp && hasCredentials(access) && !isLoopback(server.hostname)) throw badAccess(`${server.href}: http: expected https, as the credentials of ${user.name} would travel in the clear`);
  const proxyUrl = cluster.proxyUrl ?? proxyOf(server, environment);
  const { IsomorphicFetchHttpLibrary, KubeConfig, RequestContext } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  const execEnvironment: unknown = user.exec?.['env'];
  config.loadFromClusterAndUser({
    name: 'cluster', server: server.href.replace(/\/$/, ''), skipTLSVerify: overHttp || cluster.skipTlsVerify,   // the library takes plain HTTP with this word only
    ...(cluster.caData === undefined ? {} : { caData: cluster.caData }), ...(cluster.caFile === undefined ? {} : { caFile: cluster.caFile }),
    ...(cluster.tlsServerName === undefined ? {} : { tlsServerName: cluster.tlsServerName }), ...(proxyUrl === undefined ? {} : { proxyUrl }),
  }, {
    name: user.name,
    ...(user.token === undefined ? {} : { token: user.token.trim() }), ...(user.username === undefined ? {} : { username: user.username, password: user.password ?? '' }),
    ...(user.certData === undefined ? {} : { certData: user.certData }), ...(user.certFile === undefined ? {} : { certFile: user.certFile }),
    ...(user.keyData === undefined ? {} : { keyData: user.keyData }), ...(user.keyFile === undefined ? {} : { keyFile: user.keyFile }),
    ...(user.impersonate === undefined ? {} : { impersonateUser: user.impersonate }),
    ...(user.exec === undefined ? {} : { exec: { ...user.exec, env: [...(Array.isArray(execEnvironment) ? execEnvironment as readonly unknown[] : []), { name: 'KUBERNETES_EXEC_INFO', value: execInfo(access) }] } }), // Array.isArray says any[]
    ...(user.authProvider === undefined ? {} : { authProvider: user.authProvider }),
  });
  const library = new IsomorphicFetchHttpLibrary();
  type Context = InstanceType<typeof RequestContext>;
  /** Headers and connections of one login; a second is made only when the server no longer takes the first. */
  const login = async (): Promise<Context> => {
    const context = new RequestContext(server.href, 'GET');
    try {
      await config.applySecurityAuthentication(context);
    } catch (error) {
      throw badAccess(`credentials of ${user.name}: ${(error as Error).message.trim().split('\n')[0] || String(error)}${typeof user.exec?.['installHint'] === 'string' ? ` (${user.exec['installHint'].trim()})` : ''}`);
    }
    if (user.tokenFile !== undefined) context.setHeaderParam('Authorization', `Bearer ${readText(user.tokenFile, 'tokenFile').trim()}`);
    return context;
  };
  return { library, login, RequestContext };
};

/** What went wrong below HTTP, in the words of whoever found it. */
const causeOf = (error: unknown): string => {
  const cause = isNativeError(error) && isNativeError(error.cause) ? error.cause : error;
  if (!isNativeError(cause)) return String(cause);
  if (cause instanceof AggregateError) return causeOf(cause.errors[0]);
  const { code } = cause as NodeJS.ErrnoException;
  return `${cause.message}${code === undefined || cause.message.includes(code) ? '' : ` (${code})`}`;
};

const bodyText = async (stream: ReadableStream<Uint8Array> | null, path: string): Promise<string> => {
  const decoder = new TextDecoder();
  const parts: string[] = [];
  let bytes = 0;
  for await (const chunk of stream ?? []) {
    bytes += chunk.length;
    if (bytes > LARGEST_BODY_BYTES) throw unreachable(`GET ${path}: more than ${LARGEST_BODY_BYTES} bytes: expected a page`);
    parts.push(decoder.decode(chunk, { stream: true }));
  }
  return parts.join('') + decoder.decode();
};

/** Whole lines of a stream without end. */
async function* linesOf(stream: ReadableStream<Uint8Array> | null, path: string, heard: () => void): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream ?? []) {
    heard();
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop()!; // split gives at least one part
    for (const line of parts) if (line.trim() !== '') yield line;
    if (rest.length > LONGEST_LINE) throw unreachable(`GET ${path}: a line of more than ${LONGEST_LINE} characters: expected an object`);
  }
  if (rest.trim() !== '') throw unreachable(`GET ${path}: ended within a line`);
}

const parsedBody = (text: string): unknown => { try { return JSON.parse(text) as unknown; } catch { return undefined; } };

/** Seconds or a date, as HTTP has it. @returns milliseconds */
const retryAfterMs = (header: string | undefined, nowMs: number): number | undefined => {
  if (header === undefined) return undefined;
  const ms = /^[0-9]+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_PAUSE_MS);
};

/** @throws SEINE_INPUT_INVALID for what the kubeconfig says; SEINE_PEER_UNREACHABLE comes with the first GET */
export const connect = async (options: ConnectOptions): Promise<Connection> => {
  const { environment, signal, userAgent, silenceMs = SILENCE_MS } = options;
  const access = findAccess(options);
  const { library, login, RequestContext } = await clientOf(access, environment);
  const server = access.server.href.replace(/\/$/, '');
  let auth = await login();
  let relogin: Promise<void> | undefined;
  let answered = false;

  const send = async (path: string, accept: string, ended: AbortSignal) => {
    const used = auth;
    const request = new RequestContext(`${server}${path}`, 'GET');
    for (const [name, value] of Object.entries(used.getHeaders())) request.setHeaderParam(name, value);
    request.setHeaderParam('Accept', accept);
    request.setHeaderParam('User-Agent', userAgent);
    request.setSignal(ended);
    const dispatcher = used.getDispatcher();
    if (dispatcher !== undefined) request.setDispatcher(dispatcher);
    return { used, response: await library.send(request).toPromise() };
  };
  /** Once for all who were refused with the same login; what still streams over its connections goes on. */
  const loginAfter = async (used: typeof auth): Promise<void> => {
    if (auth !== used) return;
    relogin ??= login().then((next) => { auth = next; used.getDispatcher()?.close().catch(() => {}); }).finally(() => { relogin = undefined; });
    await relogin;
  };

  interface Reply extends Answer { readonly used: typeof auth; readonly pauseMs: number | undefined; readonly text: string }
  const once = async (path: string, accept: string): Promise<Reply> => {
    const { used, response } = await send(path, accept, AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]));
    const text = await bodyText(response.body.stream(), path);
    return { used, status: response.httpStatusCode, text, body: parsedBody(text), pauseMs: retryAfterMs(response.headers['retry-after'], Date.now()) };
  };

  const get: Get = async (path, { accept = 'application/json', patience = 'long', anyBody = false } = {}) => {
    let relogged = false;
    for (let attempt = 1; ; attempt += 1) {
      let problem: string;
      let pauseMs: number | undefined;
      try {
        const reply = await once(path, accept);
        answered = true;
        if (reply.status === 401) {
          if (relogged) throw unreachable(`${server}: the credentials of ${access.user.name} are not accepted (${messageOf(reply)})`);
          relogged = true;
          await loginAfter(reply.used);
          continue;
        }
        const last = attempt >= TRIES[patience];
        const readable = anyBody || reply.body !== undefined || (reply.status !== 200 && !BUSY.has(reply.status));
        if (readable && (!BUSY.has(reply.status) || last)) return { status: reply.status, body: reply.body };
        problem = readable ? messageOf(reply) : `${JSON.stringify(reply.text.slice(0, 60))}: HTTP ${reply.status}: expected JSON of a Kubernetes API server`;
        ({ pauseMs } = reply);
        if (last) return reply.status === 200 ? Promise.reject(unreachable(`GET ${server}${path}: ${problem}`)) : { status: reply.status, body: undefined };
      } catch (error) {
        if (isSeineError(error)) throw error;
        if (signal.aborted) throw unreachable(`GET ${server}${path}: no answer: ${signal.reason instanceof Error ? signal.reason.message : 'stopped'}`);
        problem = causeOf(error);
        /* Who has never answered is not asked again: the address is wrong, or nobody is there. */
        if (!answered || attempt >= TRIES[patience]) throw unreachable(`${answered ? `GET ${server}${path}` : server}: ${problem}`);
      }
      await wait(pauseMs ?? FIRST_PAUSE_MS * 2 ** (attempt - 1), undefined, { signal }).catch(() => { throw unreachable(`GET ${server}${path}: ${problem}, and no time is left to try again`); });
    }
  };

  /** Of one watch: whoever says nothing at all for so long, not even a bookmark, is gone. */
  const silence = (): { readonly signal: AbortSignal; readonly heard: () => void; readonly over: () => void } => {
    const controller = new AbortController();
    const arm = (): NodeJS.Timeout => setTimeout(() => { controller.abort(new Error(`nothing was heard for ${silenceMs / 1000} s`)); }, silenceMs);
    let timer = arm();
    return { signal: controller.signal, heard: () => { clearTimeout(timer); timer = arm(); }, over: () => { clearTimeout(timer); } };
  };

  async function* watch(path: string, ended: AbortSignal): AsyncGenerator<unknown> {
    const quiet = silence();
    try {
      let { used, response } = await send(path, 'application/json', AbortSignal.any([ended, quiet.signal]));
      if (response.httpStatusCode === 401) {
        await loginAfter(used);
        ({ response } = await send(path, 'application/json', AbortSignal.any([ended, quiet.signal])));
      }
      if (response.httpStatusCode !== 200) {
        const status = response.httpStatusCode;
        throw new SeineError('SEINE_WATCH_REFUSED', `GET ${server}${path}: ${messageOf({ status, body: parsedBody(await bodyText(response.body.stream(), path)) })}`, { status });
      }
      for await (const line of linesOf(response.body.stream(), path, quiet.heard)) {
        const event = parsedBody(line);
        if (event === undefined) throw unreachable(`GET ${server}${path}: ${JSON.stringify(line.slice(0, 60))}: expected a line of JSON`);
        yield event;
      }
    } catch (error) {
      if (isSeineError(error) || ended.aborted) throw error;
      throw unreachable(`GET ${server}${path}: ${causeOf(quiet.signal.aborted ? quiet.signal.reason : error)}`);
    } finally {
      quiet.over();
    }
  }
  return { context: access.context, server, get, watch, close: async () => { await auth.getDispatcher()?.destroy(); } };
};
