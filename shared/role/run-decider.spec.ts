/** The host of deciders on the fake bus and a clock that stands still. */
import { describe, expect, test } from '@jest/globals';
import { createFakeLog, verifyChain, type Bus } from '@seine/bus';
import type { SeineEvent } from '@seine/events';
import { createManualClock } from '@seine/testkit';

import { numberAllocator } from './fixture/number-allocator.ts';
import { createRegistry } from './metrics.ts';
import { DECIDER_METRICS, serveDecider } from './run-decider.ts';

const namespace = (name: string): SeineEvent => ({ type: 'namespace.observed.v1', key: name, time: '2026-01-01T00:00:00Z', data: { uid: name, labels: {} } });
const silent = () => {};
const LOG = { debug: silent, info: silent, warn: silent, error: silent, fatal: silent };

const createWorld = async () => {
  const clock = createManualClock();
  const log = createFakeLog({ clock });
  const eventually = async <T>(probe: () => T | Promise<T>): Promise<T> => {
    for (let step = 0; step < 1_000; step += 1) {
      const value = await probe();
      if (value) return value;
      await clock.advance(20);
    }
    throw new Error(`the condition did not hold within 20 s of the clock: ${probe.toString()}`);
  };
  const observer = log.connect('observer');
  const facts = await observer.openLane('fact', 'watcher', new AbortController().signal);
  const observe = (...names: string[]) => facts.commit(names.map(namespace), 0);
  const decisions = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { events } of observer.read({ lanes: ['identity'] })) for (const event of events) if (event.type === 'identity.allocated.v1') found.push(`${event.data.identity} ${event.data.labels[0]}`);
    return found;
  };
  const host = (name: string, instance = name, bus: Bus = log.connect(name)) => {
    const stop = new AbortController();
    const registry = createRegistry(name);
    let failure: unknown;
    const ended = serveDecider({
      bus, lane: 'identity', inputs: ['fact'], decider: numberAllocator, instance, signal: stop.signal, log: LOG, metrics: registry.define(DECIDER_METRICS),
    }).catch((error: unknown) => { failure = error; });
    return {
      active: () => /_writer_active 1$/m.test(registry.print()),
      failure: () => failure,
      stop: async () => {
        let over = false;
        void ended.then(() => { over = true; });
        stop.abort();
        await eventually(() => over);
      },
      /** As if the process were gone: nothing is handed over. */
      vanish: () => bus.close(),
    };
  };
  return { clock, log, eventually, observe, decisions, host, observer };
};

const ALL = ['256 a', '257 b', '258 c', '259 d'];

describe('a decider', () => {
  test('decides what was stored before it came and what comes after', async () => {
    const world = await createWorld();
    await world.observe('a', 'b');
    const host = world.host('one');
    await world.eventually(async () => (await world.decisions()).length === 2);
    await world.observe('c', 'a');
    await world.observe('d');
    await world.eventually(async () => (await world.decisions()).length === 4);
    expect(await world.decisions()).toEqual(ALL);
    await host.stop();
  });

  test('hands over when it stops, and the standby decides on with the same state', async () => {
    const world = await createWorld();
    const first = world.host('one');
    await world.observe('a', 'b');
    await world.eventually(async () => (await world.decisions()).length === 2);
    const second = world.host('two');
    await world.clock.advance(500);
    expect([first.active(), second.active()]).toEqual([true, false]);
    const beganMs = world.clock.nowMs();
    await first.stop();
    await world.eventually(() => second.active());
    expect(world.clock.nowMs() - beganMs).toBeLessThan(500);
    await world.observe('a', 'c', 'd');
    await world.eventually(async () => (await world.decisions()).length === 4);
    expect(await world.decisions()).toEqual(ALL);
    expect(verifyChain(world.log.stored())).toMatchObject({ ok: true });
    await second.stop();
  });

  test('is succeeded after 3 to 4 s when it vanishes, and what came meanwhile is decided', async () => {
    const world = await createWorld();
    const first = world.host('one');
    await world.observe('a');
    await world.eventually(async () => (await world.decisions()).length === 1);
    const second = world.host('two');
    await world.clock.advance(500);
    await first.vanish();
    const beganMs = world.clock.nowMs();
    await world.observe('b', 'c');
    await world.eventually(async () => (await world.decisions()).length === 3);
    expect(world.clock.nowMs() - beganMs).toBeGreaterThan(2_000);
    expect(world.clock.nowMs() - beganMs).toBeLessThan(5_000);
    expect(await world.decisions()).toEqual(ALL.slice(0, 3));
    await second.stop();
  });

  test('that is fenced drops what it had not stored, stands by, and takes over again with the right state', async () => {
    const world = await createWorld();
    const first = world.host('one', 'shared');
    await world.observe('a');
    await world.eventually(async () => (await world.decisions()).length === 1);
    const second = world.host('two', 'shared');
    await world.eventually(() => second.active() && !first.active());
    await world.observe('b', 'c');
    await world.eventually(async () => (await world.decisions()).length === 3);
    await second.stop();
    await world.eventually(() => first.active());
    await world.observe('d');
    await world.eventually(async () => (await world.decisions()).length === 4);
    expect(await world.decisions()).toEqual(ALL);
    expect(first.failure()).toBeUndefined();
    await first.stop();
  });

  test('ends loudly when the log is not the one it was', async () => {
    const world = await createWorld();
    const host = world.host('one');
    await world.observe('a');
    await world.eventually(async () => (await world.decisions()).length === 1);
    world.log.outage(true);
    world.log.truncate(2);
    world.log.outage(false);
    await world.eventually(() => host.failure() !== undefined);
    expect(host.failure()).toMatchObject({ code: expect.stringMatching(/^SEINE_LOG_(DISTRUSTED|BACKWARDS)$/) });
  });

  test('ends loudly at an event that it does not know', async () => {
    const world = await createWorld();
    const host = world.host('one');
    await world.eventually(() => host.active());
    const { bytes } = world.log.stored().findLast(({ lane }) => lane === 'fact')!;
    world.log.inject('fact', Buffer.from(Buffer.from(bytes).toString().replace('"laneSeq":1,', '"laneSeq":2,').replace('writer.opened.v1', 'writer.opened.v9')));
    await world.eventually(() => host.failure() !== undefined);
    expect(host.failure()).toMatchObject({ code: 'SEINE_EVENT_UNKNOWN' });
  });
});
