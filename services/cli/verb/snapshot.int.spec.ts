/** `seine snapshot` against a recorded API server, over HTTP and HTTPS, and the answers that come from its file. */
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { makeCertificates, RECORDED_SECRET, recordedCluster, startRecordedApi, type Certificates, type RecordedApi, type RecordedApiOptions } from '@seine/testkit';

import { runSeine } from '../seine.ts';

interface Run { readonly code: number; readonly stdout: string; readonly stderr: string }
interface SnapshotReport {
  readonly objects: number; readonly uncertain: readonly string[];
  readonly kinds: readonly { readonly kind: string; readonly apiVersion: string; readonly state: string; readonly objects: number; readonly pages: number }[];
  readonly notJudged: readonly { readonly kind: string; readonly apiVersion: string; readonly names: readonly string[] }[];
}

const seine = async (...args: readonly string[]): Promise<Run> => {
  const out = { stdout: '', stderr: '' };
  const code = await runSeine(args, { stdout: (text) => { out.stdout += text; }, stderr: (text) => { out.stderr += text; }, terminal: false, signal: new AbortController().signal });
  return { code, ...out };
};

let folder: string;
let certificates: Certificates;
const open: { close: () => Promise<void> }[] = [];

beforeAll(() => { certificates = makeCertificates(); });
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'seine-snapshot-')); });
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
  rmSync(folder, { recursive: true });
});

const served = async (options: Partial<RecordedApiOptions> = {}): Promise<RecordedApi> => {
  const api = await startRecordedApi({ resources: recordedCluster('cilium'), ...options });
  open.push(api);
  return api;
};
const at = (name: string): string => join(folder, name);
const write = (name: string, text: string): string => { writeFileSync(at(name), text); return at(name); };
const kubeconfig = (server: string, user: object = {}, cluster: object = {}): string => write('config', JSON.stringify({
  'current-context': 'recorded', contexts: [{ name: 'recorded', context: { cluster: 'c', user: 'u' } }], clusters: [{ name: 'c', cluster: { server, ...cluster } }], users: [{ name: 'u', user }],
}));
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const caOf = (): object => ({ 'certificate-authority-data': base64(certificates.ca.cert) });

const take = (config: string, ...args: readonly string[]): Promise<Run> => seine('snapshot', '--kubeconfig', config, '-O', at('cluster.yaml'), ...args);
const reportOf = ({ stdout }: Run): SnapshotReport => JSON.parse(stdout) as SnapshotReport; // our own output

describe('a snapshot over HTTP', () => {
  test('lists what matters, in pages, and leaves the rest in the cluster', async () => {
    const api = await served();
    const run = await take(kubeconfig(api.url), '-o', 'json');
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(reportOf(run).kinds.filter(({ state }) => state === 'listed').map(({ kind, apiVersion, objects, pages }) => [kind, apiVersion, objects, pages])).toEqual([
      ['Namespace', 'v1', 13, 1], ['Node', 'v1', 20, 1], ['CiliumCIDRGroup', 'cilium.io/v2alpha1', 1, 1], ['CiliumClusterwideNetworkPolicy', 'cilium.io/v2', 1, 1], ['CiliumNetworkPolicy', 'cilium.io/v2', 1, 1],
      ['NetworkPolicy', 'networking.k8s.io/v1', 27, 1], ['Service', 'v1', 52, 1], ['Pod', 'v1', 512, 2], ['EndpointSlice', 'discovery.k8s.io/v1', 52, 1],
    ]);
    expect(reportOf(run)).toMatchObject({ uncertain: [], notJudged: [] });
    expect(readFileSync(at('cluster.yaml'), 'utf8')).not.toContain(RECORDED_SECRET);
    expect(api.requests.every((request) => request.startsWith('GET '))).toBe(true);
    expect(api.requests.join('\n')).not.toMatch(/secrets|configmaps|watch/);
    expect(readdirSync(folder).sort()).toEqual(['cluster.yaml', 'config']);
  });

  test('gives the same bytes again, whatever the order of the lists', async () => {
    const first = await served();
    await take(kubeconfig(first.url));
    const bytes = readFileSync(at('cluster.yaml'), 'utf8');
    const second = await served({ resources: recordedCluster('cilium').map((resource) => ({ ...resource, items: resource.items.toReversed() })) });
    await take(kubeconfig(second.url));
    expect(readFileSync(at('cluster.yaml'), 'utf8')).toBe(bytes);
  });

  test('goes to standard output, its report to standard error', async () => {
    const api = await served();
    const run = await seine('snapshot', '--kubeconfig', kubeconfig(api.url), '-O', '-');
    expect(run.stdout).toMatch(/^# What `seine snapshot` read[^]*kind: EndpointSlice/);
    expect(run.stderr).toMatch(/^KIND[^]*679 objects of recorded/);
  });

  test('of one namespace asks for nothing else that is namespaced', async () => {
    const api = await served();
    const run = await take(kubeconfig(api.url), '-n', 'shop', '-o', 'json');
    expect(reportOf(run)).toMatchObject({ uncertain: ['only namespace shop: pods and policies of others are not known'] });
    expect(api.requests.filter((request) => /\/(pods|services|networkpolicies|endpointslices)/.test(request)).every((request) => request.includes('/namespaces/shop/'))).toBe(true);
    expect(api.requests).toContain('GET /api/v1/namespaces/shop');
    expect(readFileSync(at('cluster.yaml'), 'utf8')).not.toMatch(/namespace: (?!shop\n|default\n)/);
  });
});

describe('what a server may say instead', () => {
  test.each<{ name: string; options: Partial<RecordedApiOptions>; want: (report: SnapshotReport, api: RecordedApi) => void }>([
    { name: '403 on policies and nodes is said, with what is uncertain then', options: { fault: ({ path }) => (/\/(networkpolicies|nodes|adminnetworkpolicies|tiers|ciliumlocalredirectpolicies)$/.test(path) ? { status: 403, body: { message: `${path.split('/').at(-1)} is forbidden` } } : undefined) }, want: ({ uncertain, kinds }) => {
      expect(uncertain).toEqual([
        'Node of v1 could not be listed (HTTP 403: nodes is forbidden): which addresses are nodes is not known, and nothing can be said about rules for nodes',
        'NetworkPolicy of networking.k8s.io/v1 could not be listed (HTTP 403: networkpolicies is forbidden): what is allowed here such a policy may deny there, and the other way round',
        'CiliumLocalRedirectPolicy of cilium.io/v2 could not be listed (HTTP 403: ciliumlocalredirectpolicies is forbidden): whether one decides is not known',
      ]);
      /* Calico's and AdminNetworkPolicy are not served here, and the server says so: that they are forbidden means nothing. */
      expect(kinds.find(({ kind }) => kind === 'NetworkPolicy')).toMatchObject({ state: 'unread', objects: 0 });
    } },
    { name: '410 in the middle begins the list again', options: { fault: ({ query, count, path }) => (path === '/api/v1/pods' && query.has('continue') && count === 2 ? { status: 410 } : undefined) }, want: (report, api) => {
      expect(report.kinds.find(({ kind }) => kind === 'Pod')).toMatchObject({ objects: 512, pages: 2 });
      expect(api.requests.filter((request) => request.startsWith('GET /api/v1/pods?'))).toHaveLength(4);
    } },
    { name: '429 is asked again when it says', options: { fault: ({ path, count }) => (path === '/api/v1/nodes' && count === 1 ? { status: 429, headers: { 'retry-after': '0' } } : undefined) }, want: (report, api) => {
      expect(report.kinds.find(({ kind }) => kind === 'Node')).toMatchObject({ objects: 20 });
      expect(api.requests.filter((request) => request.startsWith('GET /api/v1/nodes'))).toHaveLength(2);
    } },
    { name: '503 is asked again', options: { fault: ({ path, count }) => (path === '/api/v1/services' && count === 1 ? { status: 503 } : undefined) }, want: (report) => { expect(report.kinds.find(({ kind }) => kind === 'Service')).toMatchObject({ objects: 52 }); } },
    { name: 'a page that breaks off is asked for again', options: { fault: ({ path, count }) => (path === '/api/v1/pods' && count === 2 ? { cut: true } : undefined) }, want: (report) => { expect(report.kinds.find(({ kind }) => kind === 'Pod')).toMatchObject({ objects: 512 }); } },
    { name: 'a page of nonsense is asked for again', options: { fault: ({ path, count }) => (path === '/api/v1/pods' && count === 2 ? { raw: '{"kind":"PodList","items":[{' } : undefined) }, want: (report) => { expect(report.kinds.find(({ kind }) => kind === 'Pod')).toMatchObject({ objects: 512 }); } },
    { name: 'a server that does not tell what it serves is asked kind by kind', options: { withoutDiscovery: true, resources: recordedCluster('calico') }, want: ({ notJudged }) => { expect(notJudged.map(({ kind }) => kind)).toContain('GlobalNetworkPolicy'); } },
    { name: 'an aggregated API that is down is read where it is stored', options: { resources: recordedCluster('calico'), fault: ({ path }) => (path.startsWith('/apis/projectcalico.org') ? { status: 503 } : undefined) }, want: ({ notJudged }) => {
      expect(notJudged.find(({ kind }) => kind === 'GlobalNetworkPolicy')).toMatchObject({ apiVersion: 'crd.projectcalico.org/v1', names: ['platform.allow-dns', 'platform.deny-metadata'] });
    } },
    { name: 'policies of a version that nobody here knows are named', options: { resources: [...recordedCluster('plain'), { apiVersion: 'policy.networking.k8s.io/v1beta1', kind: 'ClusterNetworkPolicy', plural: 'clusternetworkpolicies', namespaced: false, items: [{ metadata: { name: 'guard' } }] }] }, want: ({ uncertain }) => {
      expect(uncertain).toEqual(['1 ClusterNetworkPolicy of policy.networking.k8s.io/v1beta1 not judged (guard): where one applies the cluster may answer otherwise']);
    } },
  ])('$name', async ({ options, want }) => {
    const api = await served(options);
    const run = await take(kubeconfig(api.url), '-o', 'json');
    expect(run.code).toBe(0);
    want(reportOf(run), api);
  });

  test.each<{ name: string; options: Partial<RecordedApiOptions>; args?: readonly string[]; want: RegExp }>([
    { name: 'a page of nonsense, always', options: { fault: ({ path }) => (path === '/api/v1/pods' ? { raw: '<html>hello' } : undefined) }, want: /^GET http:\/\/127\.0\.0\.1:\d+\/api\/v1\/pods\?limit=500: "<html>hello": HTTP 200: expected JSON of a Kubernetes API server\n/ },
    { name: '500, always', options: { fault: ({ path }) => (path === '/api/v1/pods' ? { status: 500, headers: { 'retry-after': '0' } } : undefined) }, want: /^Pod: HTTP 500: planned 500: expected a list\n/ },
    { name: 'nothing in time', options: { fault: ({ path }) => (path === '/api/v1/pods' ? { hangMs: 60_000 } : undefined) }, args: ['--timeout', '700ms'], want: /\/api\/v1\/pods\?limit=500: no answer: the time of 700ms is up \(--timeout\)\n/ },
    { name: '403 for everything', options: { fault: () => ({ status: 403, body: { message: 'forbidden: no such user' } }) }, want: /^nothing could be read: HTTP 403: forbidden: no such user\n/ },
    { name: 'that it is something else', options: { resources: [] }, want: /^nothing could be read: no kind is served: expected a Kubernetes API server\n/ },
  ])('$name ends it, and leaves no file', async ({ options, args = [], want }) => {
    const api = await served(options);
    const run = await take(kubeconfig(api.url), ...args);
    expect(run).toMatchObject({ code: 3, stderr: expect.stringMatching(want) });
    expect(readdirSync(folder)).toEqual(['config']);
  });

  test('an older file stays when a newer one cannot be had', async () => {
    write('cluster.yaml', 'older');
    const api = await served();
    await api.close();
    const run = await take(kubeconfig(api.url));
    expect(run).toMatchObject({ code: 3, stderr: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+: connect ECONNREFUSED 127\.0\.0\.1:\d+\n/) });
    expect(readFileSync(at('cluster.yaml'), 'utf8')).toBe('older');
  });
});

describe('a snapshot over HTTPS', () => {
  const small = recordedCluster('cilium').map((resource) => ({ ...resource, items: resource.items.slice(0, 3) }));
  const tls = (more: object = {}) => ({ resources: small, tls: { key: certificates.server.key, cert: certificates.server.cert, ...more } });
  const login = (token: string, script = `test -n "$KUBERNETES_EXEC_INFO" && echo '{"kind":"ExecCredential","status":{"token":"${token}"}}'`): string => { const path = write('login', `#!/bin/sh\n${script}\n`); chmodSync(path, 0o755); return path; };
  test.each<{ name: string; options: () => Partial<RecordedApiOptions>; user: () => object; cluster?: object }>([
    { name: 'a token', options: () => ({ ...tls(), tokens: ['t0ken'] }), user: () => ({ token: 't0ken' }) },
    { name: 'a token file, as editors leave it', options: () => ({ ...tls(), tokens: ['t0ken'] }), user: () => { write('token', 't0ken\n'); return { tokenFile: 'token' }; } },
    { name: 'a client certificate in the kubeconfig', options: () => tls({ clientCa: certificates.ca.cert }), user: () => ({ 'client-certificate-data': base64(certificates.client.cert), 'client-key-data': base64(certificates.client.key) }) },
    { name: 'a client certificate beside the kubeconfig', options: () => tls({ clientCa: certificates.ca.cert }), user: () => { write('me.crt', certificates.client.cert); write('me.key', certificates.client.key); return { 'client-certificate': 'me.crt', 'client-key': 'me.key' }; } },
    { name: 'an exec plugin', options: () => ({ ...tls(), tokens: ['from-plugin'] }), user: () => ({ exec: { apiVersion: 'client.authentication.k8s.io/v1', command: login('from-plugin') } }) },
    { name: 'a server known by another name', options: () => ({ ...tls(), tokens: ['t'] }), user: () => ({ token: 't' }), cluster: { 'tls-server-name': 'api.recorded' } },
  ])('is allowed by $name', async ({ options, user, cluster = {} }) => {
    const api = await served(options());
    expect(await take(kubeconfig(api.url, user(), { ...caOf(), ...cluster }))).toMatchObject({ code: 0, stderr: '' });
  });

  test('goes on when a token has expired on the way', async () => {
    const api = await served({ ...tls(), tokens: ['first', 'second'], fault: ({ path, count }) => (path === '/api/v1/pods' && count === 1 ? { status: 401 } : undefined) });
    write('token', 'first');
    expect(await take(kubeconfig(api.url, { tokenFile: 'token' }, caOf()))).toMatchObject({ code: 0, stderr: '' });
  });

  test('goes through the proxy of the kubeconfig', async () => {
    const api = await served({ ...tls(), tokens: ['t'] });
    const tunnels: string[] = [];
    const sockets = new Set<Socket>();
    const proxy = createServer((client) => {
      sockets.add(client);
      client.once('data', (head) => {
        const target = /^CONNECT ([^ :]+):(\d+) /.exec(head.toString('latin1'));
        if (target === null) { client.destroy(); return; }
        tunnels.push(`${target[1]}:${target[2]}`);
        const upstream = connectTcp(Number(target[2]), target[1], () => { client.write('HTTP/1.1 200 OK\r\n\r\n'); client.pipe(upstream).pipe(client); });
        sockets.add(upstream);
        for (const socket of [client, upstream]) socket.on('error', () => { client.destroy(); upstream.destroy(); });
      });
    });
    await new Promise<void>((resolve) => { proxy.listen(0, '127.0.0.1', resolve); });
    open.push({ close: async () => { for (const socket of sockets) socket.destroy(); await new Promise<void>((resolve) => { proxy.close(() => { resolve(); }); }); } });
    const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`; // it listens on a port
    expect(await take(kubeconfig(api.url, { token: 't' }, { ...caOf(), 'proxy-url': proxyUrl }))).toMatchObject({ code: 0, stderr: '' });
    expect(new Set(tunnels)).toEqual(new Set([new URL(api.url).host]));
  });

  test.each<{ name: string; options: () => Partial<RecordedApiOptions>; user: () => object; cluster?: () => object; code: number; want: RegExp }>([
    { name: 'a wrong token', options: () => ({ ...tls(), tokens: ['t'] }), user: () => ({ token: 'other' }), code: 3, want: /^https:\S+: the credentials of u are not accepted \(HTTP 401: Unauthorized\)\n/ },
    { name: 'no credentials', options: () => tls({ clientCa: certificates.ca.cert }), user: () => ({}), code: 3, want: /the credentials of u are not accepted/ },
    { name: 'a server that its CA did not sign', options: () => tls(), user: () => ({}), cluster: () => ({}), code: 3, want: /^https:\S+: .*(certificate|CERT)/ },
    { name: 'a certificate for another name', options: () => tls(), user: () => ({}), cluster: () => ({ ...caOf(), 'tls-server-name': 'other.recorded' }), code: 3, want: /^https:\S+: .*other\.recorded/ },
    { name: 'a token file that is not there', options: () => tls(), user: () => ({ tokenFile: 'nowhere' }), code: 2, want: /^tokenFile \S+\/nowhere: ENOENT/ },
    { name: 'a CA that is not there', options: () => tls(), user: () => ({}), cluster: () => ({ 'certificate-authority': 'nowhere.crt' }), code: 2, want: /^certificate-authority \S+nowhere\.crt: ENOENT/ },
    { name: 'an exec plugin that fails', options: () => tls(), user: () => ({ exec: { command: login('', 'echo "log in first" >&2; exit 1'), installHint: 'get it somewhere' } }), code: 2, want: /^credentials of u: log in first \(get it somewhere\)\n/ },
    { name: 'an exec plugin that is not there', options: () => tls(), user: () => ({ exec: { command: './nowhere' } }), code: 2, want: /^credentials of u: spawn \S+nowhere ENOENT/ },
  ])('is refused with $name', async ({ options, user, cluster, code, want }) => {
    const api = await served(options());
    expect(await take(kubeconfig(api.url, user(), cluster === undefined ? caOf() : cluster()))).toMatchObject({ code, stderr: expect.stringMatching(want) });
    expect(existsSync(at('cluster.yaml'))).toBe(false);
  });
});

describe('bad input', () => {
  test.each<{ name: string; args: () => readonly string[]; want: RegExp }>([
    { name: 'no file', args: () => ['--kubeconfig', kubeconfig('https://127.0.0.1:1')], want: /^-O: nothing: expected the file to write/ },
    { name: 'no such kubeconfig', args: () => ['--kubeconfig', at('nowhere'), '-O', at('x')], want: /^kubeconfig \S+nowhere: ENOENT/ },
    { name: 'no such context', args: () => ['--kubeconfig', kubeconfig('https://127.0.0.1:1'), '--context', 'dev', '-O', at('x')], want: /^--context dev: expected one of recorded/ },
    { name: 'no such namespace', args: () => ['-n', 'a/../b', '-O', at('x')], want: /^-n a\/\.\.\/b: expected a DNS label/ },
    { name: 'words', args: () => ['prod', '-O', at('x')], want: /^prod: expected options only/ },
    { name: 'two things for standard output', args: () => ['-O', '-', '-o', 'json'], want: /^-O - -o json: expected a file/ },
    { name: 'a token that would travel in the clear', args: () => ['--kubeconfig', kubeconfig('http://192.0.2.1:8080', { token: 't' }), '-O', at('x')], want: /^http:\/\/192\.0\.2\.1:8080\/: http: expected https, as the credentials of u would travel in the clear/ },
  ])('$name', async ({ args, want }) => { expect(await seine('snapshot', ...args())).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(want) }); });

  test('a namespace that the cluster does not have', async () => {
    const api = await served();
    expect(await take(kubeconfig(api.url), '-n', 'nowhere')).toMatchObject({ code: 2, stderr: expect.stringMatching(/^-n nowhere: no such namespace in the cluster\n/) });
  });

  test('a file that cannot be written', async () => {
    const api = await served();
    expect(await seine('snapshot', '--kubeconfig', kubeconfig(api.url), '-O', join(folder, 'none', 'x'))).toMatchObject({ code: 2, stderr: expect.stringMatching(/^-O \S+\/none\/x: ENOENT/) });
  });
});

describe('docs/try-on-your-cluster.md', () => {
  const page = readFileSync(new URL('../../../docs/try-on-your-cluster.md', import.meta.url), 'utf8');
  /* The first two are what the page is about; the others say in words what they do. */
  const commands = [...page.matchAll(/^ {4}seine (.+)$/gm)].slice(0, 2).map((match) => match[1]!.trim().split(' ')); // one group
  const transcript = page.split('\n').filter((line) => /^ {4}(?!seine )/.test(line) || line === '').join('\n').replace(/^[^]*?(?= {4}DENIED)/, '').replaceAll(/^ {4}/gm, '').trimEnd();

  test('says what happens', async () => {
    const api = await served();
    const config = kubeconfig(api.url);
    writeFileSync(config, readFileSync(config, 'utf8').replaceAll('"recorded"', '"prod"'));
    const former = process.env['KUBECONFIG'];
    process.env['KUBECONFIG'] = config;
    try {
      const runs: Run[] = [];
      for (const command of commands) runs.push(await seine(...command.map((word) => (word === 'prod.yaml' ? at(word) : word))));
      expect(runs.map(({ code }) => code)).toEqual([0, 0]);
      expect(runs[1]!.stdout.replaceAll(at('prod.yaml'), 'prod.yaml').trimEnd()).toBe(transcript);
    } finally {
      if (former === undefined) delete process.env['KUBECONFIG'];
      else process.env['KUBECONFIG'] = former;
    }
  });
});

describe('answers from a recorded cluster of 512 pods', () => {
  let snapshots: string;
  const fileOf = (name: string): string => join(snapshots, `${name}.yaml`);
  beforeAll(async () => {
    snapshots = mkdtempSync(join(tmpdir(), 'seine-snapshots-'));
    for (const network of ['cilium', 'calico', 'calico-crds', 'without-nodes'] as const) {
      const api = await startRecordedApi({ resources: recordedCluster(network === 'without-nodes' ? 'plain' : network), fault: ({ path }) => (network === 'without-nodes' && path.endsWith('/nodes') ? { status: 403 } : undefined) });
      writeFileSync(join(snapshots, 'config'), JSON.stringify({ 'current-context': 'recorded', contexts: [{ name: 'recorded', context: { cluster: 'c' } }], clusters: [{ name: 'c', cluster: { server: api.url } }] }));
      expect(await seine('snapshot', '--kubeconfig', join(snapshots, 'config'), '-O', fileOf(network))).toMatchObject({ code: 0 });
      await api.close();
    }
  });
  afterAll(() => { rmSync(snapshots, { recursive: true }); });

  interface Answer { readonly got: string; readonly direction: string | null; readonly rule: { readonly kind: string; readonly name: string } | null }
  const probes = [
    { name: 'a label with a letter too many is not admitted', from: 'shop/carts', to: 'shop/carts-db', port: 27017, want: { got: 'deny', direction: 'ingress', rule: null } },
    { name: 'a NetworkPolicy admits by label', from: 'shop/orders', to: 'shop/orders-db', port: 27017, want: { got: 'allow', rule: { kind: 'NetworkPolicy', name: 'orders-db-access' } } },
    { name: 'a NetworkPolicy admits a namespace', from: 'monitoring/prometheus-0', to: 'shop/orders-db', port: 27017, want: { got: 'allow', rule: { name: 'orders-db-access' } } },
    { name: 'a Service leads to its pods, by the name of their port', from: 'ingress/gateway', to: 'svc:shop/front-end', port: 80, want: { got: 'allow', rule: { name: 'front-end-access' } } },
    { name: 'the API server is a Service as well', from: 'shop/carts', to: 'svc:default/kubernetes', port: 443, want: { got: 'allow' } },
    { name: 'teams are kept apart', from: 'team-1/web', to: 'team-2/api', port: 8001, want: { got: 'deny', direction: 'egress' } },
    { name: 'a CiliumNetworkPolicy admits a group of addresses', from: 'shop/payment', to: '192.0.2.7', port: 443, want: { got: 'allow', rule: { kind: 'CiliumNetworkPolicy', name: 'payment' } } },
    { name: 'and no other address', from: 'shop/payment', to: '192.0.3.7', port: 443, want: { got: 'deny', direction: 'egress' } },
    { name: 'a clusterwide policy denies', from: 'shop/carts', to: '169.254.169.254', port: 80, want: { got: 'deny', rule: { kind: 'CiliumClusterwideNetworkPolicy', name: 'no-metadata-service' } } },
    { name: 'a node is known by its address', from: '10.0.0.10', to: 'team-1/db', port: 8004, want: { got: 'deny', direction: 'ingress' } },
  ];
  let answers: readonly Answer[];
  beforeAll(async () => {
    writeFileSync(join(snapshots, 'probes.json'), JSON.stringify(probes.map(({ from, to, port }) => ({ from, to, port }))));
    answers = (JSON.parse((await seine('check', '-f', fileOf('cilium'), '--probes', join(snapshots, 'probes.json'), '-o', 'json')).stdout) as { readonly probes: readonly Answer[] }).probes; // our own output
  });
  test.each(probes.map((probe, index) => ({ ...probe, index })))('of Cilium: $name', ({ index, want }) => { expect(answers[index]).toMatchObject(want); });

  interface Why {
    readonly verdict: string; readonly decidedBy: { readonly line: number } | null; readonly uncertain: readonly string[];
    readonly nearestMisses: readonly { readonly rule: { readonly name: string }; readonly admits: string; readonly has: string }[];
  }
  const why = async (file: string, words: string): Promise<Why> => JSON.parse((await seine('why', '-f', fileOf(file), ...words.split(' '), '-o', 'json')).stdout) as Why; // our own output

  interface Cell { readonly from: string; readonly to: string; readonly port: number; readonly protocol: string; readonly verdict: string; readonly rule: { readonly kind: string; readonly name: string } | null; readonly isolatedBy: readonly { readonly name: string }[] }
  test('the matrix of a namespace says of every cell what check says of its probe, and why says by which rule', async () => {
    const run = await seine('matrix', '-n', 'shop', '-f', fileOf('cilium'), '-o', 'json');
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const { cells } = JSON.parse(run.stdout) as { readonly cells: readonly Cell[] }; // our own output
    const among = cells.filter(({ from, to }) => !from.startsWith('external') && !to.startsWith('external') && from !== to);
    expect(among.length).toBeGreaterThan(300);
    writeFileSync(join(snapshots, 'cells.json'), JSON.stringify(among.map(({ from, to, port, protocol, verdict }) => ({ from, to, port, protocol, want: verdict }))));
    const judged = JSON.parse((await seine('check', '-f', fileOf('cilium'), '--probes', join(snapshots, 'cells.json'), '-o', 'json')).stdout) as { readonly total: number; readonly probes: readonly (Answer & { readonly ok: boolean })[] }; // our own output
    expect(judged.probes.flatMap(({ ok, got }, index) => (ok ? [] : [{ ...among[index], got }]))).toEqual([]);
    /* One cell for each rule that decides anything. */
    const byRule = new Map(among.flatMap((cell) => (cell.rule === null ? [] : [[`${cell.rule.kind} ${cell.rule.name}`, cell] as const])));
    expect([...byRule.keys()].sort()).toEqual(['CiliumNetworkPolicy payment', 'NetworkPolicy front-end-access', 'NetworkPolicy orders-db-access']);
    for (const { from, to, port, protocol, verdict, rule } of byRule.values()) expect(await why('cilium', `${from} ${to} ${port}/${protocol}`)).toMatchObject({ verdict, decidedBy: { kind: rule!.kind, name: rule!.name } });
    expect(among.find(({ from, to }) => from === 'shop/carts' && to === 'shop/carts-db')).toMatchObject({ verdict: 'deny', isolatedBy: [{ name: 'carts-db-access' }] });
  });

  test('a cluster of both families is judged in both', async () => {
    const api = await served({ resources: recordedCluster('dual-stack') });
    expect(await take(kubeconfig(api.url))).toMatchObject({ code: 0, stderr: '' });
    const asked = [
      { from: 'shop/carts', to: 'shop/carts-db', port: 27017, want: 'deny' }, { from: 'shop/orders', to: 'shop/orders-db', port: 27017, want: 'allow' }, { from: 'ingress/gateway', to: 'svc:shop/front-end', port: 80, want: 'allow' },
      { from: 'team-1/web', to: 'team-2/api', port: 8001, want: 'deny' },
    ];
    writeFileSync(at('probes.json'), JSON.stringify(asked.flatMap((probe) => [{ ...probe, family: 4 }, { ...probe, family: 6 }])));
    const run = await seine('check', '-f', at('cluster.yaml'), '--probes', at('probes.json'), '-o', 'json');
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect((JSON.parse(run.stdout) as { readonly probes: readonly { readonly ok: boolean; readonly evidence: { readonly destination: string } }[] }).probes.map(({ ok, evidence }) => [ok, evidence.destination.includes('fd00')])) // our own output
      .toEqual(asked.flatMap(() => [[true, false], [true, true]]));
  });

  test('the diff of two snapshots says what a policy that was changed between them opens', async () => {
    const api = await served({ resources: recordedCluster('cilium') });
    api.apply('networkpolicies', { metadata: { name: 'carts-db-access', namespace: 'shop' }, spec: { podSelector: { matchLabels: { name: 'carts-db' } }, policyTypes: ['Ingress'], ingress: [{ from: [{ podSelector: { matchLabels: { name: 'carts' } } }], ports: [{ port: 'mongo', protocol: 'TCP' }] }] } });
    expect(await take(kubeconfig(api.url))).toMatchObject({ code: 0 });
    const run = await seine('diff', '-f', fileOf('cilium'), '-f', at('cluster.yaml'), '-o', 'json');
    expect(run).toMatchObject({ code: 1, stderr: '' });
    expect((JSON.parse(run.stdout) as { readonly flips: readonly object[] }).flips).toEqual([expect.objectContaining({ from: ['shop/carts'], to: ['shop/carts-db'], port: 27017 })]); // our own output
    /* A change that is not applied yet says the same: it is laid over. */
    const change = write('change.yaml', 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: carts-db-access, namespace: shop}\nspec: {podSelector: {matchLabels: {name: carts-db}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {name: carts}}}], ports: [{port: mongo}]}]}\n');
    const laid = await seine('diff', '-f', fileOf('cilium'), '-f', change, '-o', 'json');
    expect(laid).toMatchObject({ code: 1, stderr: `${change} has no pods: its 1 object is laid over those of ${fileOf('cilium')}\n` });
    expect((JSON.parse(laid.stdout) as { readonly flips: readonly { readonly from: unknown }[] }).flips.map(({ from }) => from)).toEqual([['shop/carts']]); // our own output
    expect(await seine('diff', '-f', fileOf('cilium'), '-f', fileOf('cilium'), '--quiet')).toMatchObject({ code: 0, stdout: '' });
  });

  test('an address that a finished pod once had is that of whom it belongs to now', async () => {
    const answer = await why('cilium', '10.244.0.10 shop/orders-db 27017');
    expect(answer).toMatchObject({ verdict: 'deny', uncertain: [] });
    expect(answer.nearestMisses.map(({ has }) => has)).toContainEqual(expect.stringContaining('name=front-end'));
  });

  test('say in which line of the file the peer stands that decided; who changed the policy last stands above it', async () => {
    const lines = readFileSync(fileOf('cilium'), 'utf8').split('\n');
    const { line } = (await why('cilium', 'shop/orders shop/orders-db 27017')).decidedBy!; // a rule allowed it
    expect(lines[line - 1]).toContain('- podSelector:');
    expect(lines.slice(line - 20, line)).toContainEqual(expect.stringContaining('manager: argocd-controller'));
  });

  test.each(['calico', 'calico-crds'] as const)('of %s: its own policies are named, not judged, and take nobody\'s place', async (network) => {
    const group = network === 'calico' ? 'projectcalico.org/v3' : 'crd.projectcalico.org/v1';
    const notJudged = [
      ...(network === 'calico' ? ['1 AdminNetworkPolicy of policy.networking.k8s.io/v1alpha1 not judged (pass-monitoring): where one applies the cluster may answer otherwise'] : []),
      `2 GlobalNetworkPolicy of ${group} not judged (platform.allow-dns, platform.deny-metadata): where one applies the cluster may answer otherwise`,
      `1 NetworkPolicy of ${group} not judged (shop/carts-db-access): where one applies the cluster may answer otherwise`,
    ];
    /* The Kubernetes policy of the same name is still judged. */
    expect(await why(network, 'shop/carts shop/carts-db 27017')).toMatchObject({ verdict: 'deny', uncertain: notJudged, nearestMisses: [{ rule: { name: 'carts-db-access' } }] });
    const check = await seine('check', '-f', fileOf(network), 'shop/orders', 'shop/orders-db', '27017');
    expect(check).toMatchObject({ code: 0, stdout: expect.stringContaining('1 of 1 as needed'), stderr: notJudged.map((sentence) => `uncertain: ${sentence}\n`).join('') });
  });

  test('of nobody who may list nodes: pods are judged all the same', async () => {
    expect(await why('without-nodes', 'shop/carts shop/carts-db 27017')).toMatchObject({ verdict: 'deny', direction: 'ingress', uncertain: [expect.stringMatching(/^Node of v1 could not be listed/)] });
    expect(await why('without-nodes', 'shop/orders shop/orders-db 27017')).toMatchObject({ verdict: 'allow', decidedBy: { name: 'orders-db-access' } });
  });
});
