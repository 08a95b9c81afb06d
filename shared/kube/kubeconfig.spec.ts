import { describe, expect, test } from '@jest/globals';

import { accessOf, proxyOf, type KubeconfigFile } from './kubeconfig.ts';

const file = (config: unknown, directory = '/home/me/.kube'): KubeconfigFile => ({ path: `${directory}/config`, directory, text: typeof config === 'string' ? config : JSON.stringify(config) });
const config = (user: unknown = {}, cluster: unknown = {}, more: object = {}): object => ({
  'current-context': 'prod', contexts: [{ name: 'prod', context: { cluster: 'c', user: 'u', namespace: 'shop' } }],
  clusters: [{ name: 'c', cluster: { server: 'https://10.0.0.1:6443', ...cluster as object } }], users: [{ name: 'u', user }], ...more,
});

describe('a kubeconfig', () => {
  test.each<{ name: string; given: readonly KubeconfigFile[]; context?: string; want: object }>([
    { name: 'gives the current context', given: [file(config({ token: 't' }))], want: { context: 'prod', namespace: 'shop', user: { name: 'u', token: 't' }, cluster: { skipTlsVerify: false } } },
    { name: 'resolves paths beside itself', given: [file(config({ 'client-certificate': 'c.crt', 'client-key': '/abs/c.key', tokenFile: 'token' }, { 'certificate-authority': '../ca.crt' }))], want: { user: { certFile: '/home/me/.kube/c.crt', keyFile: '/abs/c.key', tokenFile: '/home/me/.kube/token' }, cluster: { caFile: '/home/me/.kube/../ca.crt' } } },
    { name: 'prefers data to paths', given: [file(config({ 'client-certificate': 'c.crt', 'client-certificate-data': 'Y2VydA==' }))], want: { user: { name: 'u', certData: 'Y2VydA==' } } },
    { name: 'prefers a token file to a token', given: [file(config({ token: 'old', tokenFile: '/t' }))], want: { user: { name: 'u', tokenFile: '/t' } } },
    { name: 'keeps an exec plugin, its path beside itself', given: [file(config({ exec: { command: './bin/login', args: ['x'] } }))], want: { user: { exec: { command: '/home/me/.kube/./bin/login', args: ['x'] } } } },
    { name: 'leaves a plugin to PATH', given: [file(config({ exec: { command: 'aws' } }))], want: { user: { exec: { command: 'aws' } } } },
    { name: 'lets the first of several win', given: [file(config({ token: 'first' })), file(config({ token: 'second' }))], want: { user: { token: 'first' } } },
    { name: 'takes a context of a later file', given: [file({ 'current-context': 'x' }), file(config({ token: 't' }))], context: 'prod', want: { user: { token: 't' } } },
    { name: 'is anonymous without a user', given: [file({ ...config(), users: [] })], want: { user: { name: 'u' } } },
    { name: 'impersonates', given: [file(config({ as: 'auditor' }))], want: { user: { impersonate: 'auditor' } } },
  ])('$name', ({ given, context, want }) => {
    const access = accessOf(given, context);
    expect(access).toMatchObject(want);
    /* A user is told whole: what a row does not name must not be there. */
    if ('user' in want && 'name' in (want.user as object)) expect(access.user).toEqual(want.user);
  });

  test.each<{ name: string; given: readonly KubeconfigFile[]; context?: string; want: string }>([
    { name: 'YAML', given: [file('a: [')], want: '/home/me/.kube/config: Flow sequence in block collection must be' },
    { name: 'a kubeconfig', given: [file('- 1')], want: '/home/me/.kube/config: [1]: expected a kubeconfig' },
    { name: 'a known context', given: [file(config())], context: 'dev', want: '--context dev: expected one of prod (/home/me/.kube/config)' },
    { name: 'any context', given: [file({})], want: '/home/me/.kube/config: no current-context: expected --context with one of none that is there' },
    { name: 'its cluster', given: [file({ ...config(), clusters: [] })], want: '/home/me/.kube/config: context prod: cluster c: expected one of ' },
    { name: 'a server', given: [file(config({}, { server: 'ftp://x' }))], want: '/home/me/.kube/config: cluster c.server: ftp://x: expected https://HOST:PORT' },
    { name: 'text where text is wanted', given: [file(config({ token: 5 }))], want: '/home/me/.kube/config: user u.token: 5: expected text' },
    { name: 'only what is honoured: groups of an impersonated user', given: [file(config({ as: 'a', 'as-groups': ['b'] }))], want: "/home/me/.kube/config: user u.as-groups: not supported: what is read would be another user's view; expected only `as`" },
  ])('is refused without $name', ({ given, context, want }) => { expect(() => accessOf(given, context)).toThrow(want); });
});

describe('the proxy of the environment', () => {
  const proxy = 'http://proxy:3128';
  test.each<{ name: string; server: string; environment: Record<string, string>; want: string | undefined }>([
    { name: 'is HTTPS_PROXY', server: 'https://api.example.org:6443', environment: { HTTPS_PROXY: proxy }, want: proxy },
    { name: 'may be written small', server: 'https://api.example.org', environment: { https_proxy: proxy }, want: proxy },
    { name: 'is not that of HTTP', server: 'https://api.example.org', environment: { HTTP_PROXY: proxy }, want: undefined },
    { name: 'is not for an exempt name', server: 'https://api.example.org', environment: { HTTPS_PROXY: proxy, NO_PROXY: 'x.org, api.example.org' }, want: undefined },
    { name: 'is not for a subdomain', server: 'https://api.example.org', environment: { HTTPS_PROXY: proxy, NO_PROXY: '.example.org' }, want: undefined },
    { name: 'is for a name that only ends alike', server: 'https://myexample.org', environment: { HTTPS_PROXY: proxy, NO_PROXY: 'example.org' }, want: proxy },
    { name: 'is not for an address of an exempt range', server: 'https://10.1.2.3:6443', environment: { HTTPS_PROXY: proxy, NO_PROXY: '10.0.0.0/8' }, want: undefined },
    { name: 'is not for an exempt IPv6 address', server: 'https://[fd00::1]:6443', environment: { HTTPS_PROXY: proxy, NO_PROXY: 'fd00::/8' }, want: undefined },
    { name: 'is for nobody with *', server: 'https://10.1.2.3', environment: { HTTPS_PROXY: proxy, NO_PROXY: '*' }, want: undefined },
    { name: 'is never for this machine', server: 'https://127.0.0.1:6443', environment: { HTTPS_PROXY: proxy }, want: undefined },
  ])('$name', ({ server, environment, want }) => { expect(proxyOf(new URL(server), environment)).toBe(want); });
});
