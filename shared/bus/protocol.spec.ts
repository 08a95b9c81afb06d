/** What goes wrong between a process and its broker, on the fake, one fault at a time. */
import { describe, expect, test } from '@jest/globals';
import { LANES, type SeineEvent } from '@seine/events';
import { createManualClock } from '@seine/testkit';
import fc from 'fast-check';

import { namespace, watch } from './bus.conformance.ts';
import { verifyChain } from './chain.ts';
import { createFakeLog, type FakeLog } from './fake.ts';
import type { Bus, LaneWriter } from './port.ts';
import { tickSubject } from './subject.ts';
import { tickBytes } from './tick.ts';

const createWorld = () => {
  const clock = createManualClock();
  const log = createFakeLog({ clock });
  const eventually = async <T>(probe: () => T): Promise<T> => {
    for (let step = 0; step < 2_000; step += 1) {
      const value = probe();
      if (value) return value;
      await clock.advance(20);
    }
    throw new Error(`the condition did not hold within 40 s of the clock: ${probe.toString()}`);
  };
  return { clock, log, eventually, never: new AbortController().signal };
};

const keysOf = async (bus: Bus): Promise<string[]> => {
  const keys: string[] = [];
  for await (const { events } of bus.read({ lanes: ['fact'] })) for (const { key, type } of events) if (!type.startsWith('writer.')) keys.push(key);
  return keys;
};

/** Commits while the clock goes on; the outcome of each. */
const commitAll = async (world: ReturnType<typeof createWorld>, writer: LaneWriter, keys: readonly string[]): Promise<PromiseSettledResult<unknown>[]> => {
  let outcomes: PromiseSettledResult<unknown>[] | undefined;
  void Promise.allSettled(keys.map((key) => writer.commit([namespace(key)], 1))).then((all) => { outcomes = all; });
  await world.eventually(() => outcomes);
  return outcomes!;
};

describe('a writer', () => {
  test.each<{ name: string; fault: (log: FakeLog) => void }>([
    { name: 'whose acknowledgement was lost finds its commit by hash, and stores it once', fault: (log) => { log.faults.loseAcks = 1; } },
    { name: 'whose acknowledgements are lost several times stores once', fault: (log) => { log.faults.loseAcks = 5; } },
    { name: 'whose request was lost sends the same bytes again', fault: (log) => { log.faults.loseRequests = 3; } },
  ])('$name', async ({ fault }) => {
    const world = createWorld();
    const bus = world.log.connect('one');
    const writer = await bus.openLane('fact', 'a', world.never);
    fault(world.log);
    expect((await commitAll(world, writer, ['x'])).map(({ status }) => status)).toEqual(['fulfilled']);
    await commitAll(world, writer, ['y', 'z']);
    expect(await keysOf(bus)).toEqual(['x', 'y', 'z']);
    expect(verifyChain(world.log.stored())).toMatchObject({ ok: true });
  });

  test('waits through an outage and goes on in its term, though a standby is there', async () => {
    const world = createWorld();
    const bus = world.log.connect('one');
    const writer = await bus.openLane('fact', 'a', world.never);
    const standby = world.log.connect('two').openLane('fact', 'b', world.never);
    let taken = false;
    void standby.then(() => { taken = true; });
    await world.clock.advance(1_500);
    world.log.outage(true);
    const committing = commitAll(world, writer, ['x']);
    await world.clock.advance(20_000);
    world.log.outage(false);
    expect((await committing)[0]).toMatchObject({ status: 'fulfilled' });
    await world.clock.advance(2_000);
    expect(taken).toBe(false);
    expect(await keysOf(bus)).toEqual(['x']);
  });

  test('that finds the log shorter than it was stops with SEINE_LOG_BACKWARDS, after 15 s, and writes nothing', async () => {
    const world = createWorld();
    const bus = world.log.connect('one');
    const writer = await bus.openLane('fact', 'a', world.never);
    await commitAll(world, writer, ['x', 'y']);
    const before = world.log.stored().length - 1;
    world.log.truncate(before);
    const beganMs = world.clock.nowMs();
    expect((await commitAll(world, writer, ['z']))[0]).toMatchObject({ status: 'rejected', reason: { code: 'SEINE_LOG_BACKWARDS' } });
    expect(world.clock.nowMs() - beganMs).toBeGreaterThanOrEqual(15_000);
    expect(writer.lost.reason).toMatchObject({ code: 'SEINE_LOG_BACKWARDS' });
    expect(world.log.stored()).toHaveLength(before);
  });

  test('that was slept through a takeover wakes up fenced, with all that it still held', async () => {
    const world = createWorld();
    const zombie = await world.log.connect('one').openLane('fact', 'a', world.never);
    const bus = world.log.connect('two');
    const heir = await bus.openLane('fact', 'a', world.never);
    await commitAll(world, heir, ['x']);
    const outcomes = await commitAll(world, zombie, ['lost', 'lost too']);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(outcomes[0]).toMatchObject({ reason: { code: 'SEINE_WRITER_FENCED' } });
    expect(await keysOf(bus)).toEqual(['x']);
  });

  test('is not kept waiting by the ticks of a term that ended', async () => {
    const world = createWorld();
    await world.log.connect('one').openLane('fact', 'a', world.never);
    const second = world.log.connect('two');
    await second.openLane('fact', 'a', world.never);
    await second.close();
    let opened: LaneWriter | undefined;
    void world.log.connect('three').openLane('fact', 'b', world.never).then((writer) => { opened = writer; });
    const broker = world.log.broker();
    await world.eventually(() => {
      broker.publish(tickSubject('default', 'fact'), tickBytes({ epoch: 1, head: 2, asOf: 0 }));
      return opened;
    });
    expect(opened!.epoch).toBe(3);
  });

  test('hands over within 2 s even when the broker is away', async () => {
    const world = createWorld();
    const writer = await world.log.connect('one').openLane('fact', 'a', world.never);
    world.log.outage(true);
    let closed = false;
    void writer.close().then(() => { closed = true; });
    await world.eventually(() => closed);
    expect(world.clock.nowMs()).toBeLessThan(Date.UTC(2026, 0, 1) + 2_100);
  });
});

describe('a follower', () => {
  const follow = async () => {
    const world = createWorld();
    const bus = world.log.connect('one');
    const writer = await bus.openLane('fact', 'a', world.never);
    const follower = watch(world.log.connect('two'), { lanes: ['fact'], from: 0 });
    await world.eventually(() => follower.has('inSync'));
    return { world, bus, writer, follower };
  };

  test('whose live copies are lost learns it from the tick, and reads', async () => {
    const { world, writer, follower } = await follow();
    world.log.faults.loseLive = 3;
    await commitAll(world, writer, ['x']);
    await commitAll(world, writer, ['y']);
    await world.eventually(() => follower.keys().includes('y'));
    expect(follower.keys()).toEqual(['fact', 'x', 'y']);
    await follower.stop();
  });

  test('whose live copy in the middle is lost reads it as soon as the next one comes', async () => {
    const { world, writer, follower } = await follow();
    world.log.faults.loseLive = 1;
    await writer.commit([namespace('x')], 1);
    await writer.commit([namespace('y')], 1);
    const beganMs = world.clock.nowMs();
    await world.eventually(() => follower.keys().includes('y'));
    expect(follower.keys()).toEqual(['fact', 'x', 'y']);
    expect(world.clock.nowMs() - beganMs).toBeLessThan(100);
    await follower.stop();
  });

  test('takes a copy that comes twice once', async () => {
    const { world, writer, follower } = await follow();
    world.log.faults.doubleLive = true;
    await commitAll(world, writer, ['x']);
    await commitAll(world, writer, ['y']);
    await world.eventually(() => follower.keys().includes('y'));
    expect(follower.keys()).toEqual(['fact', 'x', 'y']);
    await follower.stop();
  });

  test('reads what was stored while it had no connection', async () => {
    const { world, writer, follower } = await follow();
    world.log.outage(true);
    const committing = commitAll(world, writer, ['x', 'y']);
    await world.clock.advance(3_000);
    world.log.outage(false);
    await committing;
    await world.eventually(() => follower.keys().includes('y'));
    expect(follower.keys()).toEqual(['fact', 'x', 'y']);
    expect(follower.heard.filter(({ type }) => type === 'inSync')).toHaveLength(1);
    await follower.stop();
  });

  test('distrusts the log when, after a lost connection, its end is another one', async () => {
    const { world, writer, follower } = await follow();
    await commitAll(world, writer, ['x', 'y']);
    await world.eventually(() => follower.keys().includes('y'));
    world.log.outage(true);
    world.log.truncate(2);
    world.log.outage(false);
    const heir = await world.log.connect('three').openLane('fact', 'a', world.never);
    await commitAll(world, heir, ['other', 'another', 'and more']);
    await world.eventually(() => follower.has('distrusted'));
    expect(follower.keys()).toEqual(['fact', 'x', 'y']);
    await follower.stop();
  });

  test.each([
    { name: 'with another predecessor', change: (text: string) => text.replace(/"prev":"[0-9a-f]{64}"/, `"prev":"${'d'.repeat(64)}"`) },
    { name: 'that is no commit', change: () => '{"hello":"world"}' },
  ])('refuses a forged live copy $name and takes the stored one', async ({ change }) => {
    const { world, writer, follower } = await follow();
    const last = world.log.stored().at(-1)!;
    const next = Buffer.from(last.bytes).toString().replace(/"laneSeq":\d+/, '"laneSeq":2');
    world.log.forge({ ...last, seq: last.seq + 1, bytes: Buffer.from(change(next)) });
    await world.clock.advance(500);
    expect(follower.keys()).toEqual(['fact']);
    await commitAll(world, writer, ['x']);
    await world.eventually(() => follower.keys().includes('x'));
    expect(follower.keys()).toEqual(['fact', 'x']);
    await follower.stop();
  });

  test('is not led astray by a forged live copy far beyond the end', async () => {
    const { world, writer, follower } = await follow();
    world.log.forge({ ...world.log.stored().at(-1)!, seq: 1_000_000 });
    await world.clock.advance(500);
    await commitAll(world, writer, ['x']);
    await world.eventually(() => follower.keys().includes('x'));
    expect(follower.complete()).toBe(world.log.stored().length);
    await follower.stop();
  });

  test('sees each commit once and in order, whatever is lost, doubled or cut off', async () => {
    type Step = { readonly type: 'commit' | 'loseAck' | 'loseRequest' | 'loseLive' | 'outage' | 'pass' | 'takeover'; readonly size: number };
    const steps = fc.array(fc.record({ type: fc.constantFrom<Step['type']>('commit', 'commit', 'commit', 'loseAck', 'loseRequest', 'loseLive', 'outage', 'pass', 'takeover'), size: fc.integer({ min: 1, max: 4 }) }), { maxLength: 25 });
    await fc.assert(fc.asyncProperty(steps, async (given) => {
      const { world, follower, ...first } = await follow();
      let { writer } = first;
      const acknowledged: string[] = [];
      let count = 0;
      for (const { type, size } of given) {
        if (type === 'commit') {
          const keys = Array.from({ length: size }, () => `n${count += 1}`);
          const outcomes = await commitAll(world, writer, keys);
          acknowledged.push(...keys.filter((_, index) => outcomes[index]!.status === 'fulfilled'));
        }
        else if (type === 'loseAck') world.log.faults.loseAcks += size;
        else if (type === 'loseRequest') world.log.faults.loseRequests += size;
        else if (type === 'loseLive') world.log.faults.loseLive += size;
        else if (type === 'pass') await world.clock.advance(size * 300);
        else if (type === 'outage') {
          world.log.outage(true);
          await world.clock.advance(size * 400);
          world.log.outage(false);
        } else {
          let heir: LaneWriter | undefined;
          void world.log.connect('heir').openLane('fact', 'a', world.never).then((opened) => { heir = opened; });
          writer = (await world.eventually(() => heir))!;
        }
      }
      const stored = world.log.stored();
      await world.eventually(() => follower.complete() === stored.length);
      const keys = follower.keys().filter((key) => key !== 'fact');
      expect(verifyChain(stored)).toMatchObject({ ok: true });
      expect(keys).toEqual(acknowledged);
      expect(follower.seqs()).toEqual(stored.filter(({ lane }) => lane === 'fact').map(({ seq }) => seq));
      await follower.stop();
    }), { numRuns: 60 });
  });
});

test('a log with a base counts on from its predecessor', async () => {
  const clock = createManualClock();
  const log = createFakeLog({ clock, base: 1_000 });
  const bus = log.connect('one');
  const writer = await bus.openLane('fact', 'a', new AbortController().signal);
  const event: SeineEvent = namespace('x');
  expect(await writer.commit([event], 1_002)).toEqual({ seq: 1_003 });
  expect(await bus.lastSeq()).toBe(1_003);
  const follower = watch(bus, { lanes: LANES, from: 0 });
  for (let step = 0; step < 10 && !follower.has('inSync'); step += 1) await clock.advance(20);
  expect(follower.seqs()).toEqual([1_001, 1_002, 1_003]);
  await follower.stop();
});
