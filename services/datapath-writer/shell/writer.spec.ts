/** CNI requests and the log against a loader that only remembers: what is ordered, in which order, and what is undone. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { createFakeLog, hashOf, systemClock, type Bus, type FakeLog, type Followed } from '@seine/bus';
import { EVENT_CATALOGUE, NO_PREVIOUS, packBackends, serialiseCommit, type Lane } from '@seine/events';
import { addEntries, decodeAll, encodeAll, FOLDED_MAPS, MAPS, NO_ENTRIES, type MapName, type StructLayout } from '@seine/layout';
import { SeineError } from '@seine/model';
import {
  NO_INTERFACE, type AnyRow, type ApplyOrder, type DumpReport, type LocalEndpoint, type MapEntry, type NodeVerify, type PackedStep, type PersistentUnix, type Step,
} from '@seine/node';
import { createRegistry } from '@seine/role';
import { eventually } from '@seine/testkit';

import { keyText } from '../core/index.ts';
import { WORLD } from '../fixture/world.ts';
import { openStore } from './store.ts';
import { createWriter, WRITER_METRICS } from './writer.ts';

const silent = (): void => {};
const LOG = { debug: silent, info: silent, warn: silent, error: silent, fatal: silent };
const CONNECTION = { push: silent, backlogBytes: () => 0, closed: new AbortController().signal };

/** A large step comes as bytes. */
const unpacked = (step: Step | PackedStep): Step => {
  if (!('packed' in step)) return step;
  const { key, value } = MAPS[step.map] as { readonly key: StructLayout; readonly value: StructLayout };
  const rowsOf = (layout: StructLayout, text: string): readonly AnyRow[] => decodeAll(layout, Buffer.from(text, 'base64'), step.packed.count) as unknown as readonly AnyRow[]; // folded maps hold no 64-bit numbers
  const keys = rowsOf(key, step.packed.keys);
  if (step.step === 'delete') return { step: 'delete', map: step.map, keys };
  const values = rowsOf(value, step.packed.values);
  return { step: 'upsert', map: step.map, rows: keys.map((each, index) => ({ key: each, value: values[index]! })) };
};

/** As a dump of the kernel has them. */
const bytesOf = (map: MapName, entries: readonly MapEntry[]) => {
  const { key, value } = MAPS[map] as { readonly key: StructLayout; readonly value: StructLayout };
  return { keys: encodeAll(key, entries.map((each) => each.key) as never), values: encodeAll(value, entries.map((each) => each.value) as never), count: entries.length }; // rows of this map
};

/** Maps that are written by orders, links that are wired. */
const rememberingLoader = () => {
  const maps = new Map<string, Map<string, MapEntry>>(FOLDED_MAPS.map((map) => [map, new Map()]));
  const links = new Map<string, number>();
  const orders: string[] = [];
  /** What the kernel counted by frontend id. */
  const flows = new Map<number, number>();
  let written = 0;
  let nextIndex = 9;
  let away = false;
  let dieAfter = Infinity;
  /** Until it resolves sockets are looked for. */
  let looking: Promise<void> = Promise.resolve();
  /** Steps before the one that a killed loader was at stand. */
  const step = (act: () => void): void => {
    if ((dieAfter -= 1) < 0) { dieAfter = Infinity; throw new SeineError('SEINE_PEER_UNREACHABLE', 'the loader was killed'); }
    act();
  };
  const call = async (op: string, body: unknown): Promise<unknown> => {
    if (away) throw new SeineError('SEINE_PEER_UNREACHABLE', 'the loader is away');
    if (op !== 'dump' && op !== 'dumpPacked' && op !== 'sums') orders.push(op);
    switch (op) {
      case 'plumb': { const name = (body as { hostInterface: string }).hostInterface; links.set(name, (nextIndex += 1)); return { ifindex: links.get(name) }; }
      case 'unplumb': links.delete((body as { hostInterface: string }).hostInterface); return null;
      case 'dump': return [...maps.get((body as { map: string }).map)!.values()];
      case 'dumpPacked': {
        const { keys, values, count } = bytesOf((body as { map: MapName }).map, [...maps.get((body as { map: string }).map)!.values()]);
        return { count, keys: Buffer.from(keys).toString('base64'), values: Buffer.from(values).toString('base64') };
      }
      case 'sums': return Object.fromEntries(FOLDED_MAPS.map((map) => [map, addEntries(NO_ENTRIES, bytesOf(map, [...maps.get(map)!.values()]))]));
      case 'interfaces': return [...links].map(([name, index]) => ({ name, index }));
      case 'routes': return { failed: [] };
      case 'attachments': return (body as { interfaces: readonly string[] }).interfaces.filter((name) => !links.has(name)).map((name) => ({ hook: `${name} tc ingress`, want: 'program 7', have: NO_INTERFACE }));
      case 'reattach': return [];
      case 'flows': return { flows: [...flows] };
      case 'forgetFlows': for (const id of (body as { ids: readonly number[] }).ids) flows.delete(id); return {};
      case 'abandoned': await looking; return { destroyed: 0 };
      case 'apply':
        for (const each of (body as ApplyOrder).steps.map(unpacked)) {
          if (each.step === 'upsert') for (const entry of each.rows) step(() => { written += 1; maps.get(each.map)!.set(keyText(entry.key), entry); });
          if (each.step === 'delete') for (const key of each.keys) step(() => { written += 1; maps.get(each.map)!.delete(keyText(key)); });
        }
        return {};
      default: throw new Error(op);
    }
  };
  return { port: { call, connect: async () => {} } as unknown as PersistentUnix, maps, flows, links, orders, written: () => written, dieAfter: (rows: number) => { dieAfter = rows; }, setAway: (value: boolean) => { away = value; }, lookUntil: (done: Promise<void>) => { looking = done; } };
};

/** A bus that says what it is told to say. */
const tellingBus = () => {
  const batches: (readonly Followed[])[] = [];
  let wake = (): void => {};
  const reports: unknown[] = [];
  const tell = (batch: readonly Followed[]): void => { batches.push(batch); wake(); };
  const follow = async function* ({ signal }: { readonly signal: AbortSignal }): AsyncGenerator<readonly Followed[]> {
    signal.addEventListener('abort', () => { wake(); });
    for (let index = 0; !signal.aborted;) {
      const batch = batches[index];
      if (batch === undefined) { await new Promise<void>((resolve) => { wake = resolve; }); continue; }
      index += 1;
      yield batch;
      if (batch.some(({ type }) => type === 'distrusted')) return;
    }
  };
  return { port: { logId: 'told', follow, publish: silent, report: async (_: string, report: unknown) => { reports.push(report); } } as unknown as Bus, tell, reports };
};

const SCHEDULED = WORLD.filter(({ type }) => type !== 'endpoint.observed.v1' && type !== 'address.bound.v1');
const commitsOf = (events: typeof WORLD, from = 1): readonly Followed[] => [
  ...events.map((event, index) => ({ type: 'commit', commit: { seq: from + index, lane: 'fact', laneSeq: from + index, hash: '', events: [event] } }) as unknown as Followed),
  { type: 'complete', seq: from + events.length - 1 },
];

let directory: string;
let registry: ReturnType<typeof createRegistry>;
let loader: ReturnType<typeof rememberingLoader>;
let bus: ReturnType<typeof tellingBus>;
let stop: AbortController;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'seine-writer-'));
  registry = createRegistry('test');
  loader = rememberingLoader();
  bus = tellingBus();
  stop = new AbortController();
});
afterEach(() => { stop.abort(); rmSync(directory, { recursive: true }); });

const start = async (identityPatienceMs = 5_000, connectBus: () => Promise<Bus> = async () => bus.port) => {
  const writer = createWriter({
    node: 'n1', cluster: 'c', connectBus, loader: loader.port, store: openStore(directory), log: LOG, metrics: registry.define(WRITER_METRICS), mtu: 1500, repair: true, identityPatienceMs, traceRows: false,
  });
  await writer.adoptInterfaces();
  const ended = writer.followLog(stop.signal);
  const ask = <T>(op: string, body: unknown = {}): Promise<T> => writer.handle(op, body, CONNECTION) as Promise<T>;
  const cni = async (command: string, pod: string, container = `container-${pod}`, args = ''): Promise<{ readonly code: number; readonly output: { readonly msg?: string; readonly ips?: readonly { readonly address: string }[] } | undefined }> => {
    const answer = await ask<string>('cni', {
      env: { CNI_COMMAND: command, CNI_CONTAINERID: container, CNI_NETNS: `/run/netns/${pod}`, CNI_IFNAME: 'eth0', CNI_ARGS: `K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${pod};K8S_POD_UID=uid-${pod}${args}` },
      stdin: '{"cniVersion":"1.1.0"}',
    });
    const text = Buffer.from(answer.slice(answer.indexOf(' ') + 1), 'base64').toString();
    return { code: Number.parseInt(answer, 10), output: text === '' ? undefined : JSON.parse(text) as { readonly msg?: string } };
  };
  return { writer, ask, cni, ended };
};
const started = async (patienceMs?: number) => {
  const running = await start(patienceMs);
  bus.tell([...commitsOf(SCHEDULED), { type: 'inSync', seq: SCHEDULED.length }]);
  await running.writer.waitReady();
  return running;
};
const endpointAddresses = (): readonly unknown[] => [...loader.maps.get('sn_endpoint_01')!.values()].map(({ key }) => key['address']);

test('flows are told by frontend, and counts that are nobody\'s are taken away once the log says so', async () => {
  const { writer } = await start();
  loader.flows.set(1, 5);
  loader.flows.set(99, 7);
  await writer.countFlows();
  expect([...loader.flows.keys()]).toEqual([1, 99]); // nothing is known yet: whose 99 is nobody can say
  bus.tell([...commitsOf(SCHEDULED), { type: 'inSync', seq: SCHEDULED.length }]);
  await writer.waitReady();
  await writer.countFlows();
  expect([...loader.flows]).toEqual([[1, 5]]);
  expect(registry.print()).toMatch(/^seine_test_service_flows_total\{namespace="shop",service="db",frontend="10\.96\.0\.10:80\/TCP",kind="clusterIP"\} 5$/m);
});

test('a node that is about to go is well, and balancers are told to leave it, until it stays after all', async () => {
  const { writer } = await started();
  expect(writer.health()).toMatchObject({ healthy: true, eligible: true });
  const n1 = SCHEDULED.find(({ type, key }) => type === 'node.observed.v1' && key === 'n1')!;
  const leaving = { ...n1, data: { ...n1.data, leaving: 'ToBeDeletedByClusterAutoscaler' } } as typeof n1; // of the same event
  bus.tell(commitsOf([leaving], 101));
  await eventually(() => !writer.health().eligible);
  expect(writer.health()).toMatchObject({ healthy: true });
  bus.tell(commitsOf([n1], 102));
  await eventually(() => writer.health().eligible);
});

describe('an ADD', () => {
  test('is answered when the pod is wired and its policy is in force', async () => {
    const { cni, ask } = await started();
    const { code, output } = await cni('ADD', 'db', 'c1', ';IP=10.244.1.77');
    expect({ code, ip: output?.ips?.[0]?.address }).toEqual({ code: 0, ip: '10.244.1.77/32' });
    expect(endpointAddresses()).toEqual(['10.244.1.77']);
    expect([...loader.maps.get('sn_subject_01')!.values()].filter(({ key }) => key['identity'] === 301)).toHaveLength(2);
    expect(loader.orders.indexOf('plumb')).toBeLessThan(loader.orders.lastIndexOf('apply'));
    expect((await ask<NodeVerify>('verify')).differences).toEqual([]);
  });

  test('asked twice gives the same answer and wires once', async () => {
    const { cni } = await started();
    const both = await Promise.all([cni('ADD', 'web'), cni('ADD', 'web')]);
    expect(both[0]).toEqual(both[1]);
    expect(loader.orders.filter((order) => order === 'plumb')).toHaveLength(1);
  });

  test('of a pod without identity is undone and told to try again', async () => {
    const { cni, ask } = await started(20);
    const { code, output } = await cni('ADD', 'nobody');
    expect({ code, message: output?.msg }).toEqual({ code: 11, message: expect.stringContaining('pod shop/nobody (uid-nobody) has no identity after 0.02 s') });
    expect(loader.links.size).toBe(0);
    expect(await ask('endpoints')).toEqual([]);
  });

  test('waits for an identity that is still to come', async () => {
    const { cni } = await started();
    const attached = cni('ADD', 'late');
    await eventually(() => loader.links.size === 1);
    bus.tell(commitsOf([
      { type: 'identity.allocated.v1', key: '400', time: '', data: { identity: 400, labels: ['k8s:app=late', 'k8s:io.kubernetes.pod.namespace=shop'] } },
      { type: 'podidentity.assigned.v1', key: 'shop/late', time: '', data: { uid: 'uid-late', identity: 400 } },
    ], 100));
    expect((await attached).code).toBe(0);
  });

  test('of an address that another pod has is refused', async () => {
    const { cni } = await started();
    await cni('ADD', 'web', 'c1', ';IP=10.244.1.77');
    expect(await cni('ADD', 'db', 'c2', ';IP=10.244.1.77')).toMatchObject({ code: 11, output: { msg: 'CNI_ARGS IP: 10.244.1.77: expected an address that shop/web does not have' } });
  });

  test('of a new sandbox ends the one before', async () => {
    const { cni, ask } = await started();
    await cni('ADD', 'web', 'c1', ';IP=10.244.1.77');
    expect((await cni('ADD', 'web', 'c2', ';IP=10.244.1.77')).code).toBe(0);
    expect((await cni('DEL', 'web', 'c1')).code).toBe(0);
    expect((await ask<readonly LocalEndpoint[]>('endpoints')).map(({ containerId }) => containerId)).toEqual(['c2']);
    expect(loader.links.size).toBe(1);
  });

  test('is refused before the log is read', async () => {
    const { cni } = await start();
    expect(await cni('ADD', 'web')).toMatchObject({ code: 11, output: { msg: 'node n1 has not read the log yet' } });
    expect(await cni('STATUS', 'web')).toMatchObject({ code: 50 });
  });
});

describe('a DEL', () => {
  test('takes rows away before the wire, and is quiet about what is gone', async () => {
    const { cni } = await started();
    await cni('ADD', 'web');
    loader.orders.length = 0;
    expect(await cni('DEL', 'web')).toEqual({ code: 0, output: undefined });
    expect(await cni('DEL', 'web')).toEqual({ code: 0, output: undefined });
    expect(loader.orders).toEqual(['apply', 'unplumb']);
    expect(endpointAddresses()).toEqual([]);
  });

  test('that fails half-way goes on the next time', async () => {
    const { cni } = await started();
    await cni('ADD', 'web');
    loader.setAway(true);
    expect((await cni('DEL', 'web')).code).toBe(11);
    loader.setAway(false);
    expect((await cni('DEL', 'web')).code).toBe(0);
    expect(loader.links.size).toBe(0);
  });
});

test('a restart finds its table and writes no row again', async () => {
  const first = await started();
  await first.cni('ADD', 'web');
  await first.cni('ADD', 'db');
  const dump = await first.ask<NodeVerify>('verify');
  stop.abort();
  const before = loader.written();
  bus = tellingBus();
  stop = new AbortController();
  const second = await started();
  expect(loader.written()).toBe(before);
  expect((await second.ask<NodeVerify>('verify')).digestKernel).toBe(dump.digestKernel);
});

describe('a wire that somebody deleted', () => {
  const indexes = (): readonly unknown[] => [...loader.maps.get('sn_endpoint_01')!.values()].map(({ value }) => value['ifindex']);
  test('is laid again as soon as it is told of, and its rows name the new interface', async () => {
    const { cni, writer, ask } = await started();
    await cni('ADD', 'web');
    await cni('ADD', 'db');
    expect(indexes()).toEqual([10, 11]);
    const beating = writer.beat(stop.signal);
    loader.links.delete([...loader.links.keys()][0]!);
    writer.touched();
    await eventually(() => loader.links.size === 2 && indexes().includes(12), 900); // sooner than the next look
    expect(indexes()).toEqual([12, 11]);
    expect(await ask<NodeVerify>('verify')).toMatchObject({ differences: [], programs: [] });
    stop.abort();
    await beating;
  });
  test('is not laid again for a pod that is taken away meanwhile', async () => {
    const { cni, writer, ask } = await started();
    await cni('ADD', 'web');
    const beating = writer.beat(stop.signal);
    loader.links.clear();
    writer.touched();
    await cni('DEL', 'web');
    await eventually(async () => (await ask<readonly LocalEndpoint[]>('endpoints')).length === 0);
    expect(await ask<NodeVerify>('verify')).toMatchObject({ differences: [], programs: [] });
    stop.abort();
    await beating;
    expect(endpointAddresses()).toEqual([]);
  });
});

test('a restart with 10,000 Services writes no row again', async () => {
  const SERVICES = 10_000;
  const address = (index: number): string => `10.96.${1 + (index >> 8)}.${index & 255}`;
  const many = Array.from({ length: SERVICES }, (_, index) => [
    { type: 'service.compiled.v1', key: `many/${index}`, time: '', data: { frontends: [{ id: 100 + index, address: address(index), port: 80, protocol: 'TCP', portName: '' }], refusals: [] } },
    { type: 'backends.compiled.v2', key: `many/${index}-x`, time: '', data: packBackends({ service: `many/${index}`, backends: [{ id: 100 + index, address: `10.244.2.${1 + (index & 63)}`, port: 80, protocol: 'TCP', portName: '', state: 'active' }] }) },
  ] as const).flat() as unknown as typeof WORLD;
  const from = SCHEDULED.length + 1;
  await started();
  bus.tell(commitsOf(many, from));
  await eventually(() => loader.maps.get('sn_frontend_02')!.size > SERVICES);
  stop.abort();
  const before = loader.written();
  bus = tellingBus();
  stop = new AbortController();
  const running = await start();
  bus.tell([...commitsOf([...SCHEDULED, ...many]), { type: 'inSync', seq: SCHEDULED.length + many.length }]);
  await running.writer.waitReady();
  expect(loader.written()).toBe(before);
  expect((await running.ask<NodeVerify>('verify')).differences).toEqual([]);
});

test('when backends are gone from the maps, sockets are looked for that they leave: once, and after their rows', async () => {
  const compiled = (ids: readonly number[]) => [
    { type: 'service.compiled.v1', key: 'udp/dns', time: '', data: { frontends: [{ id: 100, address: '10.96.1.1', port: 53, protocol: 'UDP', portName: '' }], refusals: [] } },
    { type: 'backends.compiled.v2', key: 'udp/dns-x', time: '', data: packBackends({ service: 'udp/dns', backends: ids.map((id) => ({ id, address: `10.244.2.${id}`, port: 53, protocol: 'UDP', portName: '', state: 'active' })) }) },
  ] as unknown as typeof WORLD;
  const { cni } = await started();
  await cni('ADD', 'web');
  const backends = (): number => loader.maps.get('sn_backend_01')!.size;
  const others = backends();
  bus.tell(commitsOf(compiled([101, 102]), SCHEDULED.length + 1));
  await eventually(() => backends() === others + 2);
  loader.orders.length = 0;
  bus.tell(commitsOf(compiled([102]), SCHEDULED.length + 3));
  await eventually(() => loader.orders.includes('abandoned'));
  expect(backends()).toBe(others + 1);
  expect(loader.orders).toEqual(['apply', 'abandoned']);
});

test('sockets of gone backends are looked for by one pass at a time; what goes meanwhile is looked for after it', async () => {
  await started();
  const backends = (): number => loader.maps.get('sn_backend_01')!.size;
  const passes = (): number => loader.orders.filter((op) => op === 'abandoned').length;
  const slice = (...ids: readonly number[]) => [{
    type: 'backends.compiled.v2' as const, key: 'shop/db-1', time: '', data: packBackends({ service: 'shop/db', backends: ids.map((id) => ({ id, address: `10.244.1.${id}`, port: 8301, protocol: 'TCP' as const, portName: 'http', state: 'active' as const })) }),
  }];
  let at = SCHEDULED.length;
  const become = async (...ids: readonly number[]): Promise<void> => {
    bus.tell(commitsOf(slice(...ids), (at += 1)));
    await eventually(() => backends() === ids.length + 1); // shop/db-2 has one
  };
  await become(101, 102, 103, 104);
  await eventually(() => passes() === 2); // at the start, and for the backend that these replace
  loader.orders.length = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  loader.lookUntil(promise);
  await become(101, 102, 103);
  await become(101, 102);
  await become(101);
  expect(passes()).toBe(1);
  resolve();
  await eventually(() => passes() === 2);
});

test('a map that has nothing to hold when rows can be made again is emptied', async () => {
  await started();
  const frontends = (): number => loader.maps.get('sn_frontend_02')!.size;
  expect(frontends()).toBeGreaterThan(0);
  let tried = 0;
  const strange = { id: 9, get address() { tried += 1; return 'no address'; }, port: 80, protocol: 'TCP' as const, portName: 'http' };
  const object = (name: string) => ({ object: { kind: 'Service', namespace: 'shop', name } });
  bus.tell(commitsOf([
    { type: 'service.removed.v1', key: 'shop/db', time: '', data: object('db') },
    { type: 'service.compiled.v1', key: 'shop/strange', time: '', data: { frontends: [strange], refusals: [] } },
  ], SCHEDULED.length + 1));
  await eventually(() => tried > 0);
  bus.tell(commitsOf([{ type: 'service.removed.v1', key: 'shop/strange', time: '', data: object('strange') }], SCHEDULED.length + 3));
  await eventually(() => frontends() === 0);
});

test('a loader that is killed in the middle of a batch gets the rest of it, and nothing twice', async () => {
  const whole = await started();
  const rows = loader.written();
  const text = (await whole.ask<NodeVerify>('verify')).digestKernel;
  stop.abort();
  loader = rememberingLoader();
  bus = tellingBus();
  stop = new AbortController();
  rmSync(directory, { recursive: true });
  directory = mkdtempSync(join(tmpdir(), 'seine-writer-'));
  loader.dieAfter(Math.floor(rows / 2));
  const cut = await started();
  await eventually(async () => (await cut.ask<NodeVerify>('verify')).differences.length === 0);
  expect((await cut.ask<NodeVerify>('verify')).digestKernel).toBe(text);
  expect(loader.written()).toBe(rows);
});

test('a log that is not trusted freezes what others decide; what is local goes on', async () => {
  const { cni, ask } = await started();
  bus.tell([{ type: 'distrusted', reason: 'another log' }]);
  await eventually(async () => !(await ask<{ readonly trusted: boolean }>('status')).trusted);
  expect((await cni('ADD', 'web')).code).toBe(0);
  expect(endpointAddresses()).toHaveLength(1);
});

test('a dump shows what a replay of the log would, once the log knows the endpoints', async () => {
  const { cni, ask } = await started();
  await cni('ADD', 'web', 'container-web', ';IP=10.244.1.10');
  await cni('ADD', 'db', 'container-db', ';IP=10.244.1.20');
  const endpoints = await ask<readonly LocalEndpoint[]>('endpoints');
  const facts = endpoints.map(({ pod, uid, addresses, endpointId, hostInterface, containerId }, index) => ({
    type: 'commit', commit: { seq: 50 + index, events: [{ type: 'endpoint.observed.v1', key: pod, time: '', data: { uid, node: 'n1', addresses, endpointId, hostInterface, containerId } }] },
  }) as unknown as Followed);
  bus.tell([...facts, { type: 'complete', seq: 51 }]);
  const { seq, entries } = await ask<DumpReport>('dump');
  expect(seq).toBe(51);
  expect(entries.filter(({ map }) => map === 'sn_endpoint_01').map(({ key }) => key)).toEqual(['address=10.244.1.10', 'address=10.244.1.20']);
});

describe('a fold on disk', () => {
  const laneOf = (type: string): Lane => EVENT_CATALOGUE.find((each) => each.type === type)!.lane as Lane; // none of these is of every lane
  let buses: Bus[] = [];
  const connected = (log: FakeLog, name: string): Bus => { const opened = log.connect(name); buses.push(opened); return opened; };
  afterEach(async () => { for (const opened of buses) await opened.close(); buses = []; });
  /** Stores each event as a commit of its lane, as the roles would. */
  const commit = (log: FakeLog, name: string, events: typeof WORLD): void => {
    for (const event of events) {
      const lane = laneOf(event.type);
      const before = log.stored().filter((stored) => stored.lane === lane);
      log.inject(lane, serialiseCommit({ log: name, lane, laneSeq: before.length + 1, epoch: 1, prev: before.length === 0 ? NO_PREVIOUS : hashOf(before.at(-1)!.bytes), seen: 0, writer: 'roles' }, [event]));
    }
  };
  const logOf = (name: string, events: typeof WORLD): FakeLog => {
    const log = createFakeLog({ clock: systemClock, log: name });
    commit(log, name, events);
    return log;
  };
  /** Ends the present writer as a kill would: nothing is kept that is not kept yet. */
  const kill = (): void => { stop.abort(); stop = new AbortController(); };
  /** A writer on this log, and how many commits it was given. */
  const startOn = async (log: FakeLog) => {
    let given = 0;
    const connect = async (): Promise<Bus> => {
      const bare = connected(log, 'writer');
      const follow: Bus['follow'] = async function* counted(options) { for await (const batch of bare.follow(options)) { given += batch.filter(({ type }) => type === 'commit').length; yield batch; } };
      return { ...bare, follow };
    };
    const running = await start(20, connect);
    return { ...running, given: () => given };
  };

  test('lets a killed writer read the tail only, and write nothing again', async () => {
    const log = logOf('one', SCHEDULED);
    const first = await startOn(log);
    await first.writer.waitReady();
    await first.cni('ADD', 'web');
    first.writer.keepFold();
    const { digestKernel } = await first.ask<NodeVerify>('verify');
    kill();
    const before = loader.written();
    const tail = WORLD.slice(-2);
    commit(log, 'one', tail);
    const second = await startOn(log);
    await second.writer.waitReady();
    expect([first.given(), second.given()]).toEqual([SCHEDULED.length, tail.length]);
    const verified = await second.ask<NodeVerify>('verify');
    expect([loader.written(), verified.differences, verified.digestKernel]).toEqual([before, [], digestKernel]);
  });

  test('attaches pods while the bus is away, and takes nothing away', async () => {
    const log = logOf('one', SCHEDULED);
    const first = await startOn(log);
    await first.writer.waitReady();
    await first.cni('ADD', 'web');
    first.writer.keepFold();
    kill();
    const stray = { key: { address: '10.9.9.9' }, value: { ...[...loader.maps.get('sn_ipcache_01')!.values()][0]!.value } };
    loader.maps.get('sn_ipcache_01')!.set('10.9.9.9', stray);
    const second = await start(20, () => new Promise(() => {}));
    expect(await second.cni('STATUS', 'db')).toMatchObject({ code: 0 });
    expect((await second.cni('ADD', 'db')).code).toBe(0);
    expect(endpointAddresses()).toHaveLength(2);
    expect([...loader.maps.get('sn_subject_01')!.values()].filter(({ key }) => key['identity'] === 301)).toHaveLength(2);
    expect(loader.maps.get('sn_ipcache_01')!.get('10.9.9.9')).toBe(stray);
    expect((await second.ask<{ readonly inSync: boolean }>('status')).inSync).toBe(false);
  });

  test('of another log freezes what others decide; pods are attached by it', async () => {
    const log = logOf('one', SCHEDULED);
    const first = await startOn(log);
    await first.writer.waitReady();
    first.writer.keepFold();
    kill();
    const other = logOf('another', SCHEDULED);
    const second = await startOn(other);
    await eventually(async () => !(await second.ask<{ readonly trusted: boolean }>('status')).trusted);
    expect(second.given()).toBe(0);
    expect((await second.cni('ADD', 'web')).code).toBe(0);
  });

  test.each([
    ['cut short', (text: string) => text.slice(0, -10)], ['changed', (text: string) => text.replace('10.244.1.0', '10.244.9.0')], ['of another build', (text: string) => text.replace(/"format":"[^"]*"/, '"format":"other"')],
  ])('that was %s is none: the log is read from its beginning', async (_, damage) => {
    const log = logOf('one', SCHEDULED);
    const first = await startOn(log);
    await first.writer.waitReady();
    first.writer.keepFold();
    kill();
    const path = join(directory, 'fold.json');
    writeFileSync(path, damage(readFileSync(path, 'utf8')));
    const second = await startOn(log);
    await second.writer.waitReady();
    expect(second.given()).toBe(first.given());
  });
});
