/** kubeconfig files → the one cluster and user of a context, as `kubectl` would choose them. Reads no other file. Pure. */
import { parseAddress, parsePrefix, prefixContains } from '@seine/model';
import { isObject, member, type PlainObject } from '@seine/objects';
import { parse } from 'yaml';

import { badAccess } from './error.ts';

/** @property path shown in errors; @property directory what relative paths in it are relative to */
export interface KubeconfigFile { readonly path: string; readonly directory: string; readonly text: string }

export interface ClusterAccess {
  readonly context: string;
  readonly namespace: string | undefined;
  readonly server: URL;
  readonly cluster: { readonly caData?: string; readonly caFile?: string; readonly tlsServerName?: string; readonly skipTlsVerify: boolean; readonly proxyUrl?: string };
  readonly user: {
    readonly name: string; readonly token?: string; readonly tokenFile?: string; readonly certData?: string; readonly certFile?: string; readonly keyData?: string; readonly keyFile?: string;
    readonly username?: string; readonly password?: string; readonly impersonate?: string; readonly exec?: PlainObject; readonly authProvider?: PlainObject;
  };
}

const UNSUPPORTED_USER_FIELDS = ['as-uid', 'as-groups', 'as-user-extra'];

interface Entry { readonly file: KubeconfigFile; readonly value: PlainObject }

const parsed = (file: KubeconfigFile): PlainObject => {
  let value: unknown;
  try { value = parse(file.text, { maxAliasCount: 100 }); } catch (error) { throw badAccess(`${file.path}: ${(error as Error).message.split('\n')[0]}`); }
  if (value === null || value === undefined) return {};
  if (!isObject(value)) throw badAccess(`${file.path}: ${JSON.stringify(value).slice(0, 60)}: expected a kubeconfig`);
  return value;
};

/** The first file that has an entry of this name wins, as in kubectl. */
const entryOf = (files: readonly { readonly file: KubeconfigFile; readonly config: PlainObject }[], list: string, inner: string, name: string): Entry | undefined => {
  for (const { file, config } of files) {
    const entries = member(config, list);
    if (!Array.isArray(entries)) continue;
    const found = (entries as readonly unknown[]).find((entry) => isObject(entry) && member(entry, 'name') === name); // Array.isArray says any[]
    if (isObject(found)) { const value = member(found, inner); return { file, value: isObject(value) ? value : {} }; }
  }
  return undefined;
};

const namesOf = (files: readonly { readonly config: PlainObject }[], list: string): readonly string[] => files.flatMap(({ config }) => {
  const entries = member(config, list);
  return Array.isArray(entries) ? (entries as readonly unknown[]).flatMap((entry) => (isObject(entry) && typeof member(entry, 'name') === 'string' ? [String(member(entry, 'name'))] : [])) : []; // Array.isArray says any[]
});

const resolved = ({ directory }: KubeconfigFile, path: string): string => (path.startsWith('/') ? path : `${directory}/${path}`);

/**
 * @param wanted the context; undefined for the current one
 * @throws SEINE_INPUT_INVALID naming file, field, value and expectation
 */
export const accessOf = (given: readonly KubeconfigFile[], wanted: string | undefined): ClusterAccess => {
  const files = given.map((file) => ({ file, config: parsed(file) }));
  const current = files.map(({ config }) => member(config, 'current-context')).find((name) => typeof name === 'string' && name !== '');
  const context = wanted ?? (typeof current === 'string' ? current : undefined);
  const known = namesOf(files, 'contexts');
  const places = given.map(({ path }) => path).join(', ');
  if (context === undefined) throw badAccess(`${places}: no current-context: expected --context with one of ${known.join(', ') || 'none that is there'}`);
  const found = entryOf(files, 'contexts', 'context', context);
  if (found === undefined) throw badAccess(`--context ${context}: expected one of ${known.join(', ') || 'none, as there is no context'} (${places})`);

  const text = (entry: Entry, where: string, name: string): string | undefined => {
    const value = member(entry.value, name) ?? undefined;
    if (value === undefined || value === '') return undefined;
    if (typeof value !== 'string') throw badAccess(`${entry.file.path}: ${where}.${name}: ${JSON.stringify(value).slice(0, 60)}: expected text`);
    return value;
  };
  const [clusterName, userName] = [text(found, `context ${context}`, 'cluster'), text(found, `context ${context}`, 'user')];
  const cluster = clusterName === undefined ? undefined : entryOf(files, 'clusters', 'cluster', clusterName);
  if (cluster === undefined) throw badAccess(`${found.file.path}: context ${context}: cluster ${clusterName ?? 'nothing'}: expected one of ${namesOf(files, 'clusters').join(', ')}`);
  const user: Entry = (userName === undefined ? undefined : entryOf(files, 'users', 'user', userName)) ?? { file: found.file, value: {} };

  const [onCluster, onUser] = [`cluster ${clusterName!}`, `user ${userName ?? ''}`];
  const serverText = text(cluster, onCluster, 'server') ?? '';
  const server = URL.canParse(serverText) ? new URL(serverText) : undefined;
  if (server === undefined || (server.protocol !== 'https:' && server.protocol !== 'http:')) throw badAccess(`${cluster.file.path}: ${onCluster}.server: ${serverText || 'nothing'}: expected https://HOST:PORT`);
  for (const field of UNSUPPORTED_USER_FIELDS) {
    if (member(user.value, field) !== undefined) throw badAccess(`${user.file.path}: ${onUser}.${field}: not supported: what is read would be another user's view; expected only \`as\``);
  }

  /* Data written in the file goes before a path, as in kubectl. */
  const dataOrFile = (entry: Entry, where: string, name: string): { readonly data?: string; readonly file?: string } => {
    const data = text(entry, where, `${name}-data`);
    const path = text(entry, where, name);
    return data !== undefined ? { data } : path !== undefined ? { file: resolved(entry.file, path) } : {};
  };
  const [ca, cert, key] = [dataOrFile(cluster, onCluster, 'certificate-authority'), dataOrFile(user, onUser, 'client-certificate'), dataOrFile(user, onUser, 'client-key')];
  const optional = <const Name extends string>(name: Name, value: string | undefined): { readonly [name in Name]?: string } => (value === undefined ? {} : { [name]: value } as { readonly [name in Name]: string }); // holds: one member of that name
  const tokenFile = text(user, onUser, 'tokenFile');
  const [exec, authProvider] = [member(user.value, 'exec'), member(user.value, 'auth-provider')];
  const command = isObject(exec) ? member(exec, 'command') : undefined;
  return {
    context, server, namespace: text(found, `context ${context}`, 'namespace'),
    cluster: {
      ...optional('caData', ca.data), ...optional('caFile', ca.file), ...optional('tlsServerName', text(cluster, onCluster, 'tls-server-name')), ...optional('proxyUrl', text(cluster, onCluster, 'proxy-url')),
      skipTlsVerify: member(cluster.value, 'insecure-skip-tls-verify') === true,
    },
    user: {
      name: userName ?? 'anonymous',
      /* A token file is read again and goes before a token, as in kubectl. */
      ...(tokenFile === undefined ? optional('token', text(user, onUser, 'token')) : { tokenFile: resolved(user.file, tokenFile) }),
      ...optional('certData', cert.data), ...optional('certFile', cert.file), ...optional('keyData', key.data), ...optional('keyFile', key.file),
      ...optional('username', text(user, onUser, 'username')), ...optional('password', text(user, onUser, 'password')), ...optional('impersonate', text(user, onUser, 'as')),
      ...(isObject(exec) ? { exec: typeof command === 'string' && command.includes('/') ? { ...exec, command: resolved(user.file, command) } : exec } : {}),
      ...(isObject(authProvider) ? { authProvider } : {}),
    },
  };
};

/** Whether `host` goes past the proxy: NO_PROXY as curl and Go read it: names and their subdomains, addresses, CIDRs, `*`. */
const isExempt = (noProxy: string, host: string): boolean => {
  const address = parseAddress(host.replace(/^\[|\]$/g, ''));
  return noProxy.split(',').map((entry) => entry.trim().toLowerCase()).some((entry) => {
    const prefix = address !== undefined && entry.includes('/') ? parsePrefix(entry) : undefined;
    if (prefix !== undefined) return prefixContains(prefix, address!);
    const name = entry.replace(/:[0-9]+$/, '').replace(/^\*?\./, '');
    return entry === '*' || (name !== '' && (host === name || host.endsWith(`.${name}`)));
  });
};

export const isLoopback = (host: string): boolean => host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127\.[0-9]+\.[0-9]+\.[0-9]+$/.test(host);

/** The proxy that the environment names for a server; this machine is never behind one. */
export const proxyOf = (server: URL, environment: Readonly<Record<string, string | undefined>>): string | undefined => {
  const read = (name: string): string | undefined => environment[name] ?? environment[name.toLowerCase()];
  const host = server.hostname.toLowerCase();
  if (isLoopback(host) || isExempt(read('NO_PROXY') ?? '', host)) return undefined;
  const proxy = read(server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY');
  return proxy === undefined || proxy === '' ? undefined : proxy;
};
