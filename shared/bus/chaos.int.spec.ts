/** The protocol over a real broker that is killed, loses answers, or comes back with less than it had. */
import { cpSync, rmSync } from 'node:fs';

import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { connect as natsConnect, headers } from '@nats-io/transport-node';
import { LANES } from '@seine/events';
import { isSeineError } from '@seine/model';
import { eventually, startNatsServer, type NatsServer } from '@seine/testkit';

import type { Broker } from './broker.ts';
import { namespace, watch } from './bus.conformance.ts';
import { createBus } from './bus.ts';
import { verifyChain, type StoredCommit } from './chain.ts';
import { systemClock } from './clock.ts';
import { connectBroker, connectBus, createLog } from './jetstream.ts';
import type { Bus, LaneWriter } from './port.ts';

jest.setTimeout(120_000);

const CLUSTER = 'default';
let server: NatsServer;
let buses: Bus[] = [];
const stop = new AbortController();
const options = (name: string) => ({ url: server.url, cluster: CLUSTER, name });
const connect = async (name: string): Promise<Bus> => {
  const bus = await connectBus(options(name));
  buses.push(bus);
  return bus;
};
const stored = async (bus: Bus): Promise<StoredCommit[]> => {
  const commits: StoredCommit[] = [];
  for await (const commit of bus.stored({ lanes: LANES })) commits.push(commit);
  return commits;
};
const keys = async (bus: Bus): Promise<string[]> => {
  const found: string[] = [];
  for await (const { events } of bus.read({ lanes: ['fact'] })) for (const { key, type } of events) if (!type.startsWith('writer.')) found.push(key);
  return found;
};

beforeEach(async () => {
  server = await startNatsServer();
  await createLog(options('install'));
});
afterEach(async () => {
  for (const bus of buses) await bus.close();
  buses = [];
  await server.stop();
});

describe('a broker that is killed in the middle of commits', () => {
  test('loses nothing that was acknowledged, doubles nothing and breaks no chain; the follower sees it all once', async () => {
    const bus = await connect('writer');
    const writer = await bus.openLane('fact', 'a', stop.signal);
    const reader = await connect('reader');
    const follower = watch(reader, { lanes: ['fact'], from: 0 });
    const acknowledged: string[] = [];
    let count = 0;
    let writing = true;
    const working = Promise.all(Array.from({ length: 4 }, async () => {
      while (writing) {
        const key = `n${count += 1}`;
        await writer.commit([namespace(key)], count);
        acknowledged.push(key);
      }
    }));
    for (let round = 1; round <= 5; round += 1) {
      const before = acknowledged.length;
      await eventually(() => acknowledged.length > before + 200);
      await server.kill();
      await server.start();
    }
    const before = acknowledged.length;
    await eventually(() => acknowledged.length > before + 200, 30_000);
    writing = false;
    await working;
    const found = await keys(bus);
    expect(new Set(found).size).toBe(found.length);
    expect(found.toSorted()).toEqual(acknowledged.toSorted());
    const commits = await stored(bus);
    expect(verifyChain(commits)).toMatchObject({ ok: true });
    await eventually(() => follower.complete() === commits.at(-1)!.seq);
    expect(follower.keys().filter((key) => key !== 'fact')).toEqual(found);
    await follower.stop();
  });
});

describe('several who write one lane', () => {
  test('take it from each other without a lost, doubled or unchained commit', async () => {
    const acknowledged: string[] = [];
    let terms = 0;
    let writing = true;
    const compete = async (name: string): Promise<void> => {
      for (let term = 0; writing; term += 1) {
        // Each time a new process under the shared name, so that it does not wait; one that loses the race tries again as another one.
        const bus = await connect(`${name}-${term}`);
        const writer: LaneWriter | undefined = await bus.openLane('fact', 'shared', AbortSignal.timeout(100)).catch(() => undefined);
        if (writer === undefined) continue;
        terms += 1;
        try {
          for (let index = 0; writing; index += 1) {
            const key = `${name}-${term}-${index}`;
            await writer.commit([namespace(key)], 1);
            acknowledged.push(key);
          }
        } catch (error) {
          if (!isSeineError(error, 'SEINE_WRITER_FENCED')) throw error;
        }
      }
    };
    const competing = Promise.all(['a', 'b', 'c'].map(compete));
    await eventually(() => terms >= 15 && acknowledged.length > 100, 60_000);
    writing = false;
    await competing;
    const bus = await connect('reader');
    const found = await keys(bus);
    const all = new Set(found);
    expect(all.size).toBe(found.length);
    for (const key of acknowledged) expect(all.has(key)).toBe(true);
    expect(verifyChain(await stored(bus))).toMatchObject({ ok: true });
  });
});

test('a lost acknowledgement is found by hash, after the broker has forgotten the message id too', async () => {
  const { broker, identity } = await connectBroker(options('lossy'));
  let losses = 0;
  const lossy: Broker = {
    ...broker,
    store: async (lane, bytes, guard) => {
      const answer = await broker.store(lane, bytes, { ...guard, messageId: `${guard.messageId}:${losses}` });
      if (losses >= 20) return answer;
      losses += 1;
      return { type: 'unclear', reason: 'lost in this test' };
    },
  };
  const bus = createBus({ broker: lossy, clock: systemClock, cluster: CLUSTER, build: 'test', warn: () => {} }, identity);
  buses.push(bus);
  const writer = await bus.openLane('fact', 'a', stop.signal);
  const names = Array.from({ length: 30 }, (_, index) => `n${index}`);
  for (const name of names) await writer.commit([namespace(name)], 1);
  expect(losses).toBe(20);
  expect(await keys(bus)).toEqual(names);
  expect(verifyChain(await stored(bus))).toMatchObject({ ok: true });
});

test('a broker that comes back with an older state is noticed: the writer stops, the follower distrusts', async () => {
  const bus = await connect('writer');
  const writer = await bus.openLane('fact', 'a', stop.signal);
  await writer.commit([namespace('kept')], 1);
  await server.kill();
  const backup = `${server.directory}-backup`;
  cpSync(server.directory, backup, { recursive: true });
  await server.start();
  const follower = watch(await connect('reader'), { lanes: ['fact'], from: 0 });
  const last = await writer.commit([namespace('forgotten')], 1);
  await eventually(() => follower.complete() === last.seq);
  await server.kill();
  rmSync(server.directory, { recursive: true });
  cpSync(backup, server.directory, { recursive: true });
  rmSync(backup, { recursive: true });
  await server.start();
  await expect(writer.commit([namespace('after')], 1)).rejects.toMatchObject({ code: 'SEINE_LOG_BACKWARDS' });
  await eventually(() => follower.has('distrusted'), 30_000);
  expect(await keys(bus)).toEqual(['kept']);
  await follower.stop();
});

test.each([
  { name: 'without the broker\'s headers', forged: {} },
  { name: 'with invented headers', forged: { 'Nats-Stream': 'SEINE_LOG', 'Nats-Subject': 'seine.log.default.fact', 'Nats-Sequence': '4', 'Nats-Last-Sequence': '3' } },
])('a message that somebody else publishes as live, $name, does not enter', async ({ forged }) => {
  const bus = await connect('writer');
  const writer = await bus.openLane('fact', 'a', stop.signal);
  await writer.commit([namespace('true')], 1);
  const follower = watch(await connect('reader'), { lanes: ['fact'], from: 0 });
  await eventually(() => follower.has('inSync'));
  const stranger = await natsConnect({ servers: server.url });
  const given = headers();
  for (const [name, value] of Object.entries(forged)) given.set(name, value);
  const last = (await stored(bus)).at(-1)!;
  stranger.publish('seine.live.default.fact', Buffer.from(last.bytes).toString().replace('namespace/true', 'namespace/forged'), { headers: given });
  await stranger.flush();
  const { seq } = await writer.commit([namespace('next')], 1);
  await eventually(() => follower.complete() === seq);
  expect(follower.keys()).toEqual(['fact', 'true', 'next']);
  await stranger.close();
  await follower.stop();
});

describe('the install job', () => {
  test('finds a log as it should be, and leaves it', async () => {
    const first = await createLog(options('again'));
    expect(await createLog(options('and again'))).toEqual(first);
  });

  test('names every difference of a stream that is not as it should be', async () => {
    await expect(createLog({ ...options('other'), maxBytes: 12_345_678 })).rejects.toMatchObject({
      code: 'SEINE_STREAM_MISMATCH', details: { differences: ['SEINE_LOG.max_bytes is 1073741824, must be 12345678'] },
    });
  });
});

describe('a role that connects', () => {
  test('is told that there is no log, when the install job has not run', async () => {
    const empty = await startNatsServer();
    try {
      await expect(connectBus({ url: empty.url, cluster: CLUSTER, name: 'role', patienceMs: 300 })).rejects.toMatchObject({ code: 'SEINE_LOG_MISSING' });
    } finally {
      await empty.stop();
    }
  });

  test('is told that there is no broker', async () => {
    await server.kill();
    await expect(connectBus({ ...options('role'), patienceMs: 300 })).rejects.toMatchObject({ code: 'SEINE_BUS_UNAVAILABLE' });
  });

  test('refuses a broker that takes too small messages', async () => {
    const small = await startNatsServer({ configuration: 'max_payload: 1MB\njetstream {}\n' });
    try {
      await expect(connectBus({ url: small.url, cluster: CLUSTER, name: 'role' })).rejects.toMatchObject({
        code: 'SEINE_BROKER_UNFIT', details: { missing: ['max_payload is 1048576 bytes, at least 2097152 are needed'] },
      });
    } finally {
      await small.stop();
    }
  });
});
