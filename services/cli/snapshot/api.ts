/**
 * A connection to a Kubernetes API server that can do nothing but GET.
 *
 * @kubernetes/client-node brings what credentials need (exec plugins, OpenID Connect, TLS, proxies) and its transport; its typed calls are
 * not used, as they drop fields that they do not know. It is loaded here, when somebody asks for a snapshot, and nowhere else.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isNativeError } from 'node:util/types';

import { isSeineError } from '@seine/model';

import { badInput, unreachable } from '../verb/verb.ts';
import { accessOf, isLoopback, proxyOf, type ClusterAccess, type KubeconfigFile } from './kubeconfig.ts';
import { messageOf, type Answer, type Get } from './list.ts';

const REQUEST_MS = 30_000;
const LARGEST_BODY_BYTES = 256 * 1024 * 1024;
const TRIES = { long: 5, short: 2 } as const;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
const BUSY: ReadonlySet<number> = new Set([429, 500, 502, 503, 504]);

export interface Connection { readonly context: string; readonly server: string; readonly get: Get; readonly close: () => Promise<void> }
export interface ConnectOptions {
  /** `--kubeconfig`; undefined: $KUBECONFIG, then ~/.kube/config */
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborts when the time is up or a person has had enough. */
  readonly signal: AbortSignal;
}

const readText = (path: string, what: string): string => {
  try { return readFileSync(path, 'utf8'); } catch (error) { throw badInput(`${what} ${path}: ${(error as Error).message}`); }
};

const kubeconfigs = (given: string | undefined, environment: ConnectOptions['environment']): readonly KubeconfigFile[] => {
  const named = given !== undefined ? [given] : (environment['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  /* Of several in KUBECONFIG those that are not there are passed over, as in kubectl. */
  const paths = named.length > 0 ? named.filter((path) => given !== undefined || existsSync(path)) : [join(environment['HOME'] ?? homedir(), '.kube', 'config')].filter((path) => existsSync(path));
  if (paths.length === 0) throw badInput(`no kubeconfig: expected --kubeconfig FILE, $KUBECONFIG or ~/.kube/config`);
  return paths.map((path) => ({ path, directory: resolve(dirname(path)), text: readText(path, 'kubeconfig') }));
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
  if (overHttp && hasCredentials(access) && !isLoopback(server.hostname)) throw badInput(`${server.href}: http: expected https, as the credentials of ${user.name} would travel in the clear`);
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
      throw badInput(`credentials of ${user.name}: ${(error as Error).message.trim().split('\n')[0] || String(error)}${typeof user.exec?.['installHint'] === 'string' ? ` (${user.exec['installHint'].trim()})` : ''}`);
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

const parsedBody = (text: string): unknown => { try { return JSON.parse(text) as unknown; } catch { return undefined; } };

/** Seconds or a date, as HTTP has it. @returns milliseconds */
const retryAfterMs = (header: string | undefined, nowMs: number): number | undefined => {
  if (header === undefined) return undefined;
  const ms = /^[0-9]+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_PAUSE_MS);
};

/** @throws SEINE_INPUT_INVALID for what the kubeconfig says; SEINE_PEER_UNREACHABLE comes with the first GET */
export const connect = async ({ kubeconfig, context, environment, signal }: ConnectOptions): Promise<Connection> => {
  const access = accessOf(kubeconfigs(kubeconfig, environment), context);
  const { library, login, RequestContext } = await clientOf(access, environment);
  const server = access.server.href.replace(/\/$/, '');
  let auth = await login();
  let answered = false;
  const close = async (): Promise<void> => { await auth.getDispatcher()?.close(); };

  interface Reply extends Answer { readonly pauseMs: number | undefined; readonly text: string }
  const once = async (path: string, accept: string): Promise<Reply> => {
    const request = new RequestContext(`${server}${path}`, 'GET');
    for (const [name, value] of Object.entries(auth.getHeaders())) request.setHeaderParam(name, value);
    request.setHeaderParam('Accept', accept);
    request.setHeaderParam('User-Agent', 'seine-snapshot');
    request.setSignal(AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)]));
    const dispatcher = auth.getDispatcher();
    if (dispatcher !== undefined) request.setDispatcher(dispatcher);
    const response = await library.send(request).toPromise();
    const text = await bodyText(response.body.stream(), path);
    return { status: response.httpStatusCode, text, body: parsedBody(text), pauseMs: retryAfterMs(response.headers['retry-after'], Date.now()) };
  };

  const get: Get = async (path, { accept = 'application/json', patience = 'long' } = {}) => {
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
          const former = auth;
          auth = await login();
          await former.getDispatcher()?.close();
          continue;
        }
        const last = attempt >= TRIES[patience];
        const readable = reply.body !== undefined || (reply.status !== 200 && !BUSY.has(reply.status));
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
  return { context: access.context, server, get, close };
};
