/** What every bus must do; run against the fake and against a real broker. Each test gets an empty log. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LANES, NO_PREVIOUS, parseCommitHeader, serialiseCommit, type Lane, type SeineEvent } from '@seine/events';

import type { Broker } from './broker.ts';
import { hashOf, parseExportLine, verifyChain, type StoredCommit } from './chain.ts';
import { exportLog, readerOf } from './export.ts';
import type { Bus, Commit, Followed, FollowOptions, Position } from './port.ts';

export interface World {
  readonly connect: (name: string) => Promise<Bus>;
  readonly broker: () => Promise<Broker>;
  /** Waits until `probe` says something other than undefined or false; time passes meanwhile, by whatever clock the bus has. */
  readonly eventually: <T>(probe: () => T | Promise<T>) => Promise<Exclude<T, undefined | false>>;
  readonly end: () => Promise<void>;
}

const TIME = '2026-01-01T00:00:00Z';
export const namespace = (name: string, uid = 'u'): SeineEvent =>
  ({ type: 'namespace.observed.v1', key: name, time: TIME, data: { uid, labels: { name } } });

/** A follower whose findings a test can look at. */
export const watch = (bus: Bus, options: Omit<FollowOptions, 'signal'>) => {
  const stop = new AbortController();
  const heard: Followed[] = [];
  let failure: unknown;
  const ended = (async () => {
    try {
      for await (const batch of bus.follow({ ...options, signal: stop.signal })) heard.push(...batch);
    } catch (error) {
      failure = error;
    }
  })();
  const commits = (): Commit[] => heard.flatMap((item) => (item.type === 'commit' ? [item.commit] : []));
  return {
    heard,
    commits,
    seqs: () => commits().map(({ seq }) => seq),
    keys: () => commits().flatMap(({ events }) => events.map(({ key }) => key)),
    has: (type: Followed['type']) => heard.some((item) => item.type === type),
    complete: () => heard.findLast((item) => item.type === 'complete')?.seq ?? 0,
    failure: () => failure,
    stop: async () => { stop.abort(); await ended; },
  };
};

const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
};

export const busConformance = (name: string, createWorld: () => Promise<World>): void => {
  describe(name, () => {
    let world: World;
    let bus: Bus;
    const stop = new AbortController();
    const followers: ReturnType<typeof watch>[] = [];
    const follow = (from: Bus, options: Omit<FollowOptions, 'signal'>): ReturnType<typeof watch> => {
      const follower = watch(from, options);
      followers.push(follower);
      return follower;
    };
    const open = (from: Bus, lane: Lane = 'fact', instance = 'a') => from.openLane(lane, instance, stop.signal);

    beforeEach(async () => {
      world = await createWorld();
      bus = await world.connect('one');
    });
    afterEach(async () => {
      for (const follower of followers.splice(0)) await follower.stop();
      await world.end();
    });

    describe('writing', () => {
      test('stores commits as a chain of the stored bytes, after the term that the writer opened', async () => {
        const writer = await open(bus);
        const first = await writer.commit([namespace('a'), namespace('b')], 1);
        const second = await writer.commit([namespace('c')], 2);
        const commits = await all(bus.read({ lanes: ['fact'] }));
        const stored = await all(bus.stored({ lanes: ['fact'] }));
        expect(commits.map(({ seq, laneSeq, epoch, seen, writer: by }) => ({ seq, laneSeq, epoch, seen, by }))).toEqual([
          { seq: first.seq - 1, laneSeq: 1, epoch: 1, seen: 0, by: 'a' },
          { seq: first.seq, laneSeq: 2, epoch: 1, seen: 1, by: 'a' },
          { seq: second.seq, laneSeq: 3, epoch: 1, seen: 2, by: 'a' },
        ]);
        expect(commits.map(({ events }) => events.map(({ type, key }) => `${type} ${key}`))).toEqual([
          ['writer.opened.v1 fact'], ['namespace.observed.v1 a', 'namespace.observed.v1 b'], ['namespace.observed.v1 c'],
        ]);
        expect(commits.map(({ prev }) => prev)).toEqual([NO_PREVIOUS, hashOf(stored[0]!.bytes), hashOf(stored[1]!.bytes)]);
        expect(commits[1]!.events[0]).toEqual(namespace('a'));
        expect(await bus.head('fact')).toEqual({ seq: second.seq, laneSeq: 3, hash: commits[2]!.hash, epoch: 1 });
        expect(writer.headSeq()).toBe(second.seq);
      });

      test('knows no head of a lane that was never written', async () => {
        expect(await bus.head('policy')).toBeUndefined();
      });

      test('groups what is offered while a commit is under way, in order', async () => {
        const writer = await open(bus);
        const offers = Array.from({ length: 200 }, (_, index) => writer.commit([namespace(`n${index}`)], index));
        await Promise.all(offers);
        const commits = (await all(bus.read({ lanes: ['fact'] }))).slice(1);
        expect(commits.flatMap(({ events }) => events.map(({ key }) => key))).toEqual(Array.from({ length: 200 }, (_, index) => `n${index}`));
        expect(commits.length).toBeLessThan(20);
        expect(commits.at(-1)!.seen).toBe(199);
        expect(commits.map(({ seen }) => seen)).toEqual(commits.map(({ seen }) => seen).toSorted((a, b) => a - b));
      });

      test('splits what does not fit into one commit; only the last part says what was seen', async () => {
        const writer = await open(bus);
        await writer.commit(Array.from({ length: 1200 }, (_, index) => namespace(`n${index}`)), 77);
        const commits = (await all(bus.read({ lanes: ['fact'] }))).slice(1);
        expect(commits.map(({ events, seen }) => [events.length, seen])).toEqual([[512, 0], [512, 0], [176, 77]]);
      });

      test('refuses an event that is too large, visibly, and stores nothing of its commit', async () => {
        const writer = await open(bus);
        const large: SeineEvent = { type: 'namespace.observed.v1', key: 'large', time: TIME, data: { uid: 'u', labels: { a: 'x'.repeat(70_000) } } };
        await expect(writer.commit([namespace('a'), large], 1)).rejects.toMatchObject({ code: 'SEINE_FACT_TOO_LARGE', details: { key: 'large' } });
        await writer.commit([namespace('b')], 1);
        expect((await all(bus.read({ lanes: ['fact'] }))).flatMap(({ events }) => events.map(({ key }) => key))).toEqual(['fact', 'b']);
      });

      test.each([
        { name: 'malformed', code: 'SEINE_EVENT_MALFORMED', event: { type: 'namespace.observed.v1', key: 'x', time: TIME, data: { uid: 7, labels: {} } } },
        { name: 'of an unknown type', code: 'SEINE_EVENT_UNKNOWN', event: { type: 'namespace.observed.v9', key: 'x', time: TIME, data: {} } },
        { name: 'of another lane', code: 'SEINE_EVENT_UNKNOWN', event: { type: 'identity.freed.v1', key: '300', time: TIME, data: { identity: 300 } } },
      ])('refuses an event that is $name, and goes on', async ({ code, event }) => {
        const writer = await open(bus);
        await expect(writer.commit([namespace('a'), event as SeineEvent], 1)).rejects.toMatchObject({ code });
        await writer.commit([namespace('b')], 1);
        expect((await all(bus.read({ lanes: ['fact'] }))).flatMap(({ events }) => events.map(({ key }) => key))).toEqual(['fact', 'b']);
      });

      test('makes a second process wait while the first one lives, and lets it in at once when the first hands over', async () => {
        const first = await open(bus, 'fact', 'a');
        const other = await world.connect('two');
        let opened = false;
        const opening = open(other, 'fact', 'b').then((writer) => { opened = true; return writer; });
        await first.commit([namespace('a')], 1);
        expect(opened).toBe(false);
        await first.close();
        const second = await world.eventually(async () => opened && await opening);
        expect(second.epoch).toBe(2);
        await second.commit([namespace('b')], 2);
        await expect(first.commit([namespace('c')], 3)).rejects.toMatchObject({ code: 'SEINE_WRITER_CLOSED' });
        expect((await all(bus.read({ lanes: ['fact'] }))).map(({ epoch, writer }) => `${epoch} ${writer}`))
          .toEqual(['1 a', '1 a', '1 a', '2 b', '2 b']);
      });

      test('lets a second process in after the ticks of the first fell silent', async () => {
        const first = await open(bus, 'fact', 'a');
        await first.commit([namespace('a')], 1);
        const other = await world.connect('two');
        const opening = open(other, 'fact', 'b');
        await bus.close();
        let opened = false;
        void opening.then(() => { opened = true; });
        await world.eventually(() => opened);
        expect((await opening).epoch).toBe(2);
      });

      test('does not make a process wait that comes back under the name of the last writer', async () => {
        await (await open(bus, 'fact', 'a')).commit([namespace('a')], 1);
        await bus.close();
        const again = await world.connect('again');
        expect((await open(again, 'fact', 'a')).epoch).toBe(2);
      });

      test('fences a writer that another one has succeeded: nothing of it is stored any more', async () => {
        const zombie = await open(bus, 'fact', 'a');
        await zombie.commit([namespace('a')], 1);
        const other = await world.connect('two');
        const heir = await open(other, 'fact', 'a');
        await expect(zombie.commit([namespace('lost')], 2)).rejects.toMatchObject({ code: 'SEINE_WRITER_FENCED' });
        expect(zombie.lost.aborted).toBe(true);
        await heir.commit([namespace('b')], 2);
        const keys = (await all(bus.read({ lanes: ['fact'] }))).flatMap(({ events }) => events.map(({ key }) => key));
        expect(keys).toEqual(['fact', 'a', 'fact', 'b']);
      });

      test('fences an idle writer when it hears of a later term', async () => {
        const idle = await open(bus, 'fact', 'a');
        await open(await world.connect('two'), 'fact', 'a');
        await world.eventually(() => idle.lost.aborted);
        expect(idle.lost.reason).toMatchObject({ code: 'SEINE_WRITER_FENCED' });
      });

      test('keeps lanes apart: their writers do not fence each other', async () => {
        const fact = await open(bus, 'fact');
        const policy = await open(bus, 'policy');
        await Promise.all(Array.from({ length: 20 }, async (_, index) => {
          await fact.commit([namespace(`n${index}`)], index);
          await policy.commit([{ type: 'policy.removed.v1', key: `NetworkPolicy/a/${index}`, time: TIME, data: { object: { kind: 'NetworkPolicy', namespace: 'a', name: `${index}` } } }], index);
        }));
        expect(verifyChain(await all(bus.stored({ lanes: LANES })))).toMatchObject({ ok: true });
      });
    });

    describe('following', () => {
      test('tells what was stored before and what comes after, and is in sync once', async () => {
        const writer = await open(bus);
        const { seq } = await writer.commit([namespace('a')], 1);
        const follower = follow(await world.connect('two'), { lanes: ['fact'], from: 0 });
        await world.eventually(() => follower.has('inSync'));
        expect(follower.keys()).toEqual(['fact', 'a']);
        const later = await writer.commit([namespace('b')], 2);
        await world.eventually(() => follower.complete() === later.seq);
        expect(follower.keys()).toEqual(['fact', 'a', 'b']);
        expect(follower.heard.filter(({ type }) => type === 'inSync')).toEqual([{ type: 'inSync', seq }]);
      });

      test('is in sync with a log that holds nothing but its genesis', async () => {
        const follower = follow(bus, { lanes: ['fact'], from: 0 });
        await world.eventually(() => follower.has('inSync'));
        expect(follower.commits()).toEqual([]);
        expect(follower.complete()).toBe(await bus.lastSeq());
      });

      test('says only the lanes that were asked for, and counts the others as not missing', async () => {
        const fact = await open(bus, 'fact');
        const ipam = await open(bus, 'ipam');
        const follower = follow(bus, { lanes: ['ipam'], from: 0 });
        await ipam.commit([{ type: 'podcidr.assigned.v1', key: 'n1', time: TIME, data: { node: 'n1', cidrs: ['10.0.0.0/24'] } }], 1);
        const last = await fact.commit([namespace('a')], 1);
        await world.eventually(() => follower.complete() >= last.seq);
        expect(new Set(follower.commits().map(({ lane }) => lane))).toEqual(new Set(['ipam']));
      });

      test('goes on from a position without a hole and without a double', async () => {
        const writer = await open(bus);
        for (const key of ['a', 'b', 'c']) await writer.commit([namespace(key)], 1);
        const [, , middle] = await all(bus.read({ lanes: ['fact'] }));
        const position: Position = { log: bus.logId, seq: middle!.seq, lanes: { fact: { seq: middle!.seq, laneSeq: middle!.laneSeq, hash: middle!.hash } } };
        const follower = follow(bus, { lanes: ['fact'], from: position });
        await world.eventually(() => follower.has('inSync'));
        await writer.commit([namespace('d')], 1);
        await world.eventually(() => follower.keys().includes('d'));
        expect(follower.keys()).toEqual(['c', 'd']);
      });

      test.each([
        { name: 'of another log', change: (position: Position): Position => ({ ...position, log: 'other' }) },
        { name: 'whose commit was another one (a fork)', change: (position: Position): Position => ({ ...position, lanes: { fact: { ...position.lanes.fact!, hash: 'f'.repeat(64) } } }) },
        { name: 'beyond the end of the log (it went backwards)', change: (position: Position): Position => ({ ...position, seq: position.seq + 1000 }) },
      ])('distrusts a log for a position $name, and says nothing else', async ({ change }) => {
        const writer = await open(bus);
        await writer.commit([namespace('a')], 1);
        const commit = (await all(bus.read({ lanes: ['fact'] }))).at(-1)!;
        const position: Position = { log: bus.logId, seq: commit.seq, lanes: { fact: { seq: commit.seq, laneSeq: commit.laneSeq, hash: commit.hash } } };
        const follower = follow(bus, { lanes: ['fact'], from: change(position) });
        await world.eventually(() => follower.has('distrusted'));
        expect(follower.heard.map(({ type }) => type)).toEqual(['distrusted']);
      });

      test('distrusts a stored commit that does not continue its lane', async () => {
        const writer = await open(bus);
        await writer.commit([namespace('a')], 1);
        const head = (await bus.head('fact'))!;
        const bytes = serialiseCommit({ log: bus.logId, lane: 'fact', laneSeq: head.laneSeq + 1, epoch: 1, prev: 'e'.repeat(64), seen: 1, writer: 'x' }, [namespace('bad')]);
        expect(await (await world.broker()).store('fact', bytes, { expected: head.seq, messageId: 'bad' })).toMatchObject({ type: 'stored' });
        const follower = follow(bus, { lanes: ['fact'], from: 0 });
        await world.eventually(() => follower.has('distrusted'));
        expect(follower.keys()).toEqual(['fact', 'a']);
        expect(verifyChain(await all(bus.stored({ lanes: LANES })))).toMatchObject({ ok: false, damagedAt: head.seq + 1, lane: 'fact' });
      });

      test('stops loudly at an event type that it does not know', async () => {
        const writer = await open(bus);
        await writer.commit([namespace('a')], 1);
        const head = (await bus.head('fact'))!;
        const known = Buffer.from(serialiseCommit({ log: bus.logId, lane: 'fact', laneSeq: head.laneSeq + 1, epoch: 1, prev: head.hash, seen: 1, writer: 'x' }, [namespace('new')]));
        const bytes = Buffer.from(known.toString().replace('namespace.observed.v1', 'namespace.observed.v9'));
        await (await world.broker()).store('fact', bytes, { expected: head.seq, messageId: 'new' });
        const follower = follow(bus, { lanes: ['fact'], from: 0 });
        await world.eventually(() => follower.failure() !== undefined);
        expect(follower.failure()).toMatchObject({ code: 'SEINE_EVENT_UNKNOWN' });
        const other = follow(bus, { lanes: ['policy'], from: 0 });
        await world.eventually(() => other.has('inSync'));
      });

      test('calls a lane stale whose ticks are silent', async () => {
        const follower = follow(bus, { lanes: ['fact', 'audit'], from: 0 });
        await world.eventually(() => follower.has('stale'));
        expect(follower.heard.filter(({ type }) => type === 'stale')).toContainEqual({ type: 'stale', lane: 'fact' });
        expect(follower.heard).not.toContainEqual({ type: 'stale', lane: 'audit' });
      });
    });

    describe('reading', () => {
      test('reads a range, of the asked lanes, and ends at the head', async () => {
        const writer = await open(bus);
        for (let index = 0; index < 300; index += 1) await writer.commit([namespace(`n${index}`)], index);
        const commits = await all(bus.read({ lanes: ['fact'] }));
        expect(commits).toHaveLength(301);
        expect((await all(bus.read({ lanes: ['fact'], after: commits[9]!.seq, until: commits[19]!.seq }))).map(({ seq }) => seq))
          .toEqual(commits.slice(10, 20).map(({ seq }) => seq));
        expect(await all(bus.read({ lanes: ['service'] }))).toEqual([]);
      });

      test('exports the stored bytes, and the file is a log again', async () => {
        const writer = await open(bus);
        for (const key of ['a', 'b']) await writer.commit([namespace(key)], 1);
        const lines = await all(exportLog(bus));
        const reader = readerOf(lines.map((line, index) => parseExportLine(line, index + 1)));
        expect(reader.logId).toBe(bus.logId);
        expect(await all(exportLog(reader))).toEqual(lines);
        expect(await all(reader.read({ lanes: ['fact'] }))).toEqual(await all(bus.read({ lanes: ['fact'] })));
        const stored = await all(reader.stored({ lanes: LANES }));
        expect(verifyChain(stored)).toEqual({ ok: true, commits: 4, events: 4, seq: stored.at(-1)!.seq });
        const damaged: StoredCommit[] = stored.with(2, { ...stored[2]!, bytes: Buffer.from(Buffer.from(stored[2]!.bytes).toString().replace('"key":"a"', '"key":"b"').replace('namespace/a', 'namespace/b')) });
        expect(verifyChain(damaged)).toMatchObject({ ok: false, damagedAt: stored[3]!.seq });
      });

      test('begins every log with its genesis', async () => {
        const [genesis] = await all(bus.read({ lanes: ['audit'] }));
        expect(genesis!.events[0]).toMatchObject({ type: 'log.created.v1', data: { log: bus.logId, cluster: bus.cluster, base: 0 } });
        const stored = (await all(bus.stored({ lanes: ['audit'] })))[0]!;
        expect(parseCommitHeader(stored.bytes)).toMatchObject({ log: bus.logId, laneSeq: 1, prev: NO_PREVIOUS });
      });
    });

    describe('reports and taps', () => {
      test('tells the last report of each node, and each new one', async () => {
        await bus.report('n1.example.org', { position: 1 });
        await bus.report('n1.example.org', { position: 2 });
        await bus.report('n2', { position: 3 });
        const reports = new Map<string, unknown>();
        const reading = new AbortController();
        const other = await world.connect('two');
        const ended = (async () => { for await (const { node, report } of other.reports(reading.signal)) reports.set(node, report); })();
        await world.eventually(() => reports.size === 2);
        expect(Object.fromEntries(reports)).toEqual({ 'n1.example.org': { position: 2 }, n2: { position: 3 } });
        await bus.report('n2', { position: 4 });
        await world.eventually(() => (reports.get('n2') as { position: number }).position === 4);
        reading.abort();
        await ended;
      });

      test('refuses a report that is too large', async () => {
        await expect(bus.report('n1', { text: 'x'.repeat(300_000) })).rejects.toMatchObject({ code: 'SEINE_REPORT_TOO_LARGE' });
      });

      test('delivers taps to who listens', async () => {
        const heard: unknown[] = [];
        const reading = new AbortController();
        const other = await world.connect('two');
        const ended = (async () => { for await (const { subject, message } of other.subscribe('seine.node.default.*.flows', reading.signal)) heard.push([subject, message]); })();
        await world.eventually(() => {
          bus.publish('seine.node.default.n1.flows', { flow: 1 });
          return heard.length > 0;
        });
        expect(heard[0]).toEqual(['seine.node.default.n1.flows', { flow: 1 }]);
        reading.abort();
        await ended;
      });
    });
  });
};
