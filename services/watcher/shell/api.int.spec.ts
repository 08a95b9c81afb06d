/** The watcher against a recorded API server: what the log holds is what the server holds, whatever happens between. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createFakeLog, systemClock, type FakeLog } from '@seine/bus';
import type { FactEvent, SeineEvent } from '@seine/events';
import { connect, JUDGED_KINDS, keep, type Connection } from '@seine/kube';
import { toObject, type KubeObject } from '@seine/objects';
import { createRegistry } from '@seine/role';
import { eventually, recordedCluster, startRecordedApi, type RecordedApi, type RecordedApiOptions, type RecordedObject, type Resource } from '@seine/testkit';

import { diffFacts, emptyKnown, evolveKnown, WATCHED_KINDS, type Known } from '../core/index.ts';
import { API_METRICS, apiSource } from './api.ts';
import { serveWatcher, WATCHER_METRICS } from './watcher.ts';

const silent = (): void => {};
const LOG = { debug: silent, info: silent, warn: silent, error: silent, fatal: silent };
const TIMING = { firstPauseMs: 5, longestPauseMs: 40, recheckMs: 40, watchS: 60 };

let folder: string;
const open: (() => Promise<void>)[] = [];
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'seine-watcher-')); });
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
  rmSync(folder, { recursive: true });
});

const served = async (options: Partial<RecordedApiOptions> = {}): Promise<RecordedApi> => {
  const api = await startRecordedApi({ resources: recordedCluster('cilium'), ...options });
  open.push(() => api.close());
  return api;
};

interface Access { readonly user?: object; readonly silenceMs?: number }
const connected = async (url: string, { user = {}, silenceMs }: Access): Promise<Connection> => {
  const kubeconfig = join(folder, 'config');
  writeFileSync(kubeconfig, JSON.stringify({ 'current-context': 'c', contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }], clusters: [{ name: 'c', cluster: { server: url } }], users: [{ name: 'u', user }] }));
  const connection = await connect({ kubeconfig, context: undefined, environment: {}, signal: new AbortController().signal, userAgent: 'test', ...(silenceMs === undefined ? {} : { silenceMs }) });
  open.push(() => connection.close());
  return connection;
};

interface World {
  readonly facts: () => Promise<readonly SeineEvent[]>;
  readonly known: () => Promise<Known>;
  /** One line for each fact since the last call. */
  readonly news: () => Promise<readonly string[]>;
  /** Texts of what the watcher warned of. */
  readonly warnings: () => readonly string[];
  readonly restart: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

const watching = async (url: string, access: Access = {}, log: FakeLog = createFakeLog({ clock: systemClock })): Promise<World> => {
  const connection = await connected(url, access);
  const bus = log.connect('test');
  const warnings: string[] = [];
  const said = { ...LOG, warn: (text: string): void => { warnings.push(text); } };
  let running: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
  const start = (): void => {
    const stop = new AbortController();
    const registry = createRegistry('watcher');
    const metrics = registry.define(API_METRICS);
    const ended = serveWatcher({
      bus: log.connect('watcher'), openSource: () => apiSource({ connection, log: said, metrics, timing: TIMING }), settings: {}, instance: 'watcher', log: said, metrics: registry.define(WATCHER_METRICS), now: () => new Date(0),
    }, stop.signal, silent);
    running = { stop, ended };
  };
  const stop = async (): Promise<void> => { running?.stop.abort(); await running?.ended; running = undefined; };
  open.push(stop);
  start();
  let told = 0;
  const facts = async (): Promise<readonly SeineEvent[]> => {
    const found: SeineEvent[] = [];
    for await (const { events } of bus.read({ lanes: ['fact'] })) found.push(...events);
    return found;
  };
  return {
    facts, stop, warnings: () => warnings,
    known: async () => { const known = emptyKnown(); for (const fact of await facts()) evolveKnown(known, fact); return known; },
    news: async () => { const all = (await facts()).filter(({ type }) => !type.startsWith('writer.')); const lines = all.slice(told).map(({ type, key }) => `${type} ${key}`); told = all.length; return lines; },
    restart: async () => { await stop(); start(); },
  };
};

const allListed = async (world: World): Promise<Known> => eventually(async () => { const known = await world.known(); return known.listed.size === WATCHED_KINDS.length ? known : undefined; });
const withoutTrace = (facts: Iterable<FactEvent>): readonly object[] => [...facts].map(({ type, key, data }) => ({ type, key, data })).sort((a, b) => (`${a.type} ${a.key}` < `${b.type} ${b.key}` ? -1 : 1));

const policy = (name: string, spec: object = { podSelector: {} }): RecordedObject => ({ metadata: { name, namespace: 'shop', uid: `uid-${name}` }, spec });
const small: readonly Resource[] = recordedCluster('plain').map((resource) => ({ ...resource, items: resource.items.slice(0, 2) }));
const settled = async (world: World, want: readonly string[]): Promise<void> => { const got: string[] = []; await eventually(async () => { got.push(...await world.news()); return got.length >= want.length; }, 5_000).catch(() => {}); expect(got).toEqual(want); };

describe('what an API server holds', () => {
  test('is in the log: each object once, each kind with its marker, what others refer to first', async () => {
    const resources = recordedCluster('cilium');
    const world = await watching((await served({ resources })).url);
    const known = await allListed(world);
    const objects = resources.flatMap(({ kind, apiVersion, items }) => { const judged = JUDGED_KINDS.find((each) => each.kind === kind); return judged === undefined ? [] : items.map((item) => toObject(keep(apiVersion, kind, judged.kept, item, true)) as KubeObject); }); // recorded well
    const want = emptyKnown();
    for (const fact of diffFacts(emptyKnown(), { objects, refused: [] }, '', () => '')) evolveKnown(want, fact);
    expect(withoutTrace(known.facts.values())).toEqual(withoutTrace(want.facts.values()));
    expect(known.refusals.size).toBe(0);
    const markers = (await world.facts()).flatMap((fact) => (fact.type === 'kind.listed.v1' ? [`${fact.key} ${fact.data.absent ? 'absent' : 'listed'}`] : []));
    expect(markers).toEqual(WATCHED_KINDS.map((kind) => `${kind} ${kind === 'ClusterNetworkPolicy' ? 'absent' : 'listed'}`));
    expect([...known.facts.values()].find(({ type, key }) => type === 'pod.observed.v1' && key === 'shop/orders-db-0')).toMatchObject({ data: { uid: 'uid-shop-orders-db-0', workload: { kind: 'StatefulSet', name: 'orders-db' }, changedBy: { manager: 'argocd-controller' } } });
  });

  test('of ConfigMaps is the one of ip-masq-agent, and no other is asked for', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url);
    await allListed(world);
    await world.news();
    const agent = (config: string): RecordedObject => ({ metadata: { name: 'ip-masq-agent', namespace: 'kube-system', uid: 'agent' }, data: { config } });
    api.apply('configmaps', agent('nonMasqueradeCIDRs: [10.0.0.0/8]'));
    await settled(world, ['ipmasqagent.observed.v1 kube-system/ip-masq-agent']);
    api.apply('configmaps', agent('nonMasqueradeCIDRs: [10.0.0.0/33]'));
    await settled(world, ['object.refused.v1 ConfigMap/kube-system/ip-masq-agent']);
    api.remove('configmaps', 'ip-masq-agent', 'kube-system');
    await settled(world, ['ipmasqagent.vanished.v1 kube-system/ip-masq-agent', 'refusal.vanished.v1 ConfigMap/kube-system/ip-masq-agent']);
    expect(api.requests.filter((request) => request.includes('configmaps') && !request.startsWith('GET /api/v1/namespaces/kube-system/configmaps?fieldSelector=metadata.name%3Dip-masq-agent&'))).toEqual([]);
  });

  test('is told as it changes: added, changed, gone', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url);
    await allListed(world);
    await world.news();
    api.apply('networkpolicies', policy('a'));
    await settled(world, ['networkpolicy.observed.v1 shop/a']);
    api.apply('networkpolicies', policy('a', { podSelector: { matchLabels: { app: 'x' } } }));
    await settled(world, ['networkpolicy.observed.v1 shop/a']);
    api.apply('networkpolicies', { ...policy('a', { podSelector: { matchLabels: { app: 'x' } } }), status: { conditions: [] } });   // nothing that Seine reads
    api.remove('networkpolicies', 'a', 'shop');
    await settled(world, ['networkpolicy.vanished.v1 shop/a']);
  });

  test('that Seine refuses is refused, what was in force stays, and the refusal is over when it is', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url);
    await allListed(world);
    api.apply('networkpolicies', policy('a'));
    await eventually(async () => (await world.known()).facts.has('networkpolicy/shop/a'));
    await world.news();
    api.apply('networkpolicies', policy('a', { podSelector: {}, ingress: [{ ports: [{ port: 0 }] }] }));
    await settled(world, ['object.refused.v1 NetworkPolicy/shop/a']);
    api.apply('networkpolicies', policy('b'));
    await settled(world, ['networkpolicy.observed.v1 shop/b']);
    expect((await world.known()).refusals.size).toBe(1);   // what others do says nothing about it
    api.apply('networkpolicies', policy('a'));
    await settled(world, ['refusal.vanished.v1 NetworkPolicy/shop/a']);
    api.apply('networkpolicies', policy('a', { podSelector: 5 }));
    await settled(world, ['object.refused.v1 NetworkPolicy/shop/a']);
    api.remove('networkpolicies', 'a', 'shop');
    await settled(world, ['networkpolicy.vanished.v1 shop/a', 'refusal.vanished.v1 NetworkPolicy/shop/a']);
  });
});

describe('when a watch breaks', () => {
  const lists = (api: RecordedApi): number => api.requests.filter((request) => /\/networkpolicies(\?limit=500)?$/.test(request) && request.includes('networking.k8s.io')).length;

  test('nothing that happened meanwhile is missed, and nothing is listed again', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url);
    await allListed(world);
    await world.news();
    const before = lists(api);
    for (const name of ['a', 'b', 'c']) {
      await eventually(() => api.watches() >= 6);
      api.breakWatches();
      api.apply('networkpolicies', policy(name));
    }
    api.remove('networkpolicies', 'b', 'shop');
    await eventually(async () => { const { facts } = await world.known(); return facts.has('networkpolicy/shop/c') && !facts.has('networkpolicy/shop/b'); });
    expect(lists(api)).toBe(before);
  });

  test('and the past is gone, everything is listed again, and what vanished meanwhile has vanished', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url);
    await allListed(world);
    api.apply('networkpolicies', policy('a'));
    await eventually(async () => (await world.known()).facts.has('networkpolicy/shop/a'));
    await world.news();
    const before = lists(api);
    await eventually(() => api.watches() >= 6);
    api.breakWatches();
    api.remove('networkpolicies', 'a', 'shop');
    api.apply('networkpolicies', policy('b'));
    api.forget();
    await eventually(async () => { const { facts } = await world.known(); return facts.has('networkpolicy/shop/b') && !facts.has('networkpolicy/shop/a'); });
    expect(lists(api)).toBeGreaterThan(before);
    expect(await world.news()).toEqual(['networkpolicy.vanished.v1 shop/a', 'networkpolicy.observed.v1 shop/b']);
  });

  test('a bookmark is where it goes on', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url);
    await allListed(world);
    await eventually(() => api.watches() >= 6);
    api.apply('pods', { metadata: { name: 'elsewhere', namespace: 'shop', uid: 'x' }, spec: {} });
    api.bookmark();
    await eventually(async () => (await world.known()).facts.has('pod/shop/elsewhere'));
    api.breakWatches();
    await eventually(() => api.requests.some((request) => /networkpolicies\?watch=1.*resourceVersion=100001/.test(request)));
  });

  test('without a word is given up, and goes on', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url, { silenceMs: 60 });
    await allListed(world);
    const asked = (): number => api.requests.filter((request) => request.includes('/networkpolicies?watch=1')).length;
    await eventually(() => asked() >= 3);
    const before = lists(api);
    api.apply('networkpolicies', policy('a'));
    await eventually(async () => (await world.known()).facts.has('networkpolicy/shop/a'));
    expect(lists(api)).toBe(before);
  });

  test('and its token has been replaced, it goes on with the new one', async () => {
    const tokens = ['first'];
    const api = await served({ resources: small, tokens });
    writeFileSync(join(folder, 'token'), 'first\n');
    const world = await watching(api.url, { user: { tokenFile: 'token' } });
    await allListed(world);
    await eventually(() => api.watches() >= 6);
    tokens.splice(0, 1, 'second');
    writeFileSync(join(folder, 'token'), 'second\n');
    api.breakWatches();
    api.apply('networkpolicies', policy('a'));
    await eventually(async () => (await world.known()).facts.has('networkpolicy/shop/a'));
    await eventually(() => api.watches() >= 6);
  });

  test('a watcher that comes back says only what changed while it was away', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url);
    await allListed(world);
    api.apply('networkpolicies', policy('a'));
    await eventually(async () => (await world.known()).facts.has('networkpolicy/shop/a'));
    await world.stop();
    api.remove('networkpolicies', 'a', 'shop');
    api.apply('networkpolicies', policy('b'));
    await world.news();
    await world.restart();
    await settled(world, ['networkpolicy.vanished.v1 shop/a', 'networkpolicy.observed.v1 shop/b']);
  });
});

describe('a server that is not as it should be', () => {
  test('is waited for: nothing vanishes while it is away', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url);
    const known = await allListed(world);
    await world.news();
    await api.close();
    await world.restart();
    await eventually(() => world.warnings().filter((text) => text === 'a list failed').length >= WATCHED_KINDS.length, 30_000);
    expect(await world.news()).toEqual([]);
    expect((await world.known()).facts.size).toBe(known.facts.size);
  }, 40_000);

  test('and serves a kind later is asked again; a kind that goes takes its objects with it', async () => {
    const api = await served({ resources: small });
    const world = await watching(api.url);
    expect((await allListed(world)).listed.get('CiliumNetworkPolicy')).toBe(true);
    await world.news();
    const cnp = recordedCluster('cilium').find(({ kind }) => kind === 'CiliumNetworkPolicy')!; // it is recorded
    api.serve(cnp);
    await settled(world, ['ciliumnetworkpolicy.observed.v1 shop/payment', 'kind.listed.v1 CiliumNetworkPolicy']);
    expect((await world.known()).listed.get('CiliumNetworkPolicy')).toBe(false);
    await eventually(() => api.watches() >= 7);
    api.unserve('ciliumnetworkpolicies');
    await settled(world, ['ciliumnetworkpolicy.vanished.v1 shop/payment', 'kind.listed.v1 CiliumNetworkPolicy']);
  });

  test('and is only starting is not believed that a kind is not there', async () => {
    let ready = false;
    const api = await served({ resources: small, fault: ({ path }) => (path === '/readyz' && !ready ? { status: 500 } : undefined) });
    const world = await watching(api.url);
    await eventually(async () => (await world.known()).listed.has('EndpointSlice'));
    await eventually(() => api.requests.filter((request) => request === 'GET /readyz').length >= 8);
    expect((await world.known()).listed.has('CiliumNetworkPolicy')).toBe(false);
    ready = true;
    await allListed(world);
  });

  test('and forbids a kind leaves it unlisted, so that pods stay closed; the others are told', async () => {
    let forbidden = true;
    const api = await served({ resources: small, fault: ({ path }) => (path.endsWith('/networkpolicies') && forbidden ? { status: 403 } : undefined) });
    const world = await watching(api.url);
    await eventually(async () => (await world.known()).listed.size === WATCHED_KINDS.length - 1);
    expect((await world.known()).listed.has('NetworkPolicy')).toBe(false);
    forbidden = false;
    await allListed(world);
  });

  test('and sends nonsense down a watch is asked again', async () => {
    let nonsense = true;
    const api = await served({ resources: small, fault: ({ path, query }) => (path === '/api/v1/pods' && query.has('watch') && nonsense ? { raw: '{"type":"ADDED","object":\n' } : undefined) });
    const world = await watching(api.url);
    await allListed(world);
    await eventually(() => api.requests.filter((request) => request.startsWith('GET /api/v1/pods?watch')).length >= 3);
    nonsense = false;
    api.apply('pods', { metadata: { name: 'late', namespace: 'shop', uid: 'x' }, spec: {} });
    await eventually(async () => (await world.known()).facts.has('pod/shop/late'));
  });
});
