import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { createDeciderFold, createRederivation, decideAll, foldAll, type DecidedCommit, type Decider, type SeineEvent } from './index.ts';

const TIME = '2026-01-01T00:00:00Z';
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const observed = (name: string): SeineEvent => ({ type: 'namespace.observed.v1', key: name, time: TIME, traceparent: TRACE, data: { uid: name, labels: {} } });
const vanished = (name: string): SeineEvent => ({ type: 'namespace.vanished.v1', key: name, time: TIME, data: { uid: name } });
const opened = (epoch: number): SeineEvent => ({ type: 'writer.opened.v1', key: 'identity', time: TIME, data: { epoch, instance: 'a', build: '1' } });
const allocated = (identity: number, name: string): SeineEvent =>
  ({ type: 'identity.allocated.v1', key: String(identity), time: TIME, traceparent: TRACE, data: { identity, labels: [name] } });

/**
 * Gives the lowest free number and frees it with the namespace. What `evolve` makes of a vanished namespace depends on whether its
 * number was already there, so that inputs and decisions applied in another order than the writer's come to another state.
 */
interface State { readonly numbers: Map<string, number>; readonly used: Set<number>; readonly trail: string[] }
const decider: Decider<State> = {
  initialState: () => ({ numbers: new Map(), used: new Set(), trail: [] }),
  evolve: (draft, event) => {
    draft.trail.push(`${event.type} ${event.key}`);
    if (event.type === 'identity.allocated.v1') {
      draft.numbers.set(event.data.labels[0]!, event.data.identity);
      draft.used.add(event.data.identity);
    }
    if (event.type === 'identity.freed.v1') {
      draft.used.delete(event.data.identity);
      for (const [name, number] of draft.numbers) if (number === event.data.identity) draft.numbers.delete(name);
    }
  },
  decide: (input, state) => {
    if (input.type === 'namespace.observed.v1' && !state.numbers.has(input.key)) {
      let identity = 256;
      while (state.used.has(identity)) identity += 1;
      return [{ type: 'identity.allocated.v1', key: String(identity), time: input.time, data: { identity, labels: [input.key] } }];
    }
    const identity = state.numbers.get(input.key);
    if (input.type === 'namespace.vanished.v1' && identity !== undefined) return [{ type: 'identity.freed.v1', key: String(identity), time: input.time, data: { identity } }];
    return [];
  },
};

const input = (seq: number, ...events: SeineEvent[]): DecidedCommit => ({ seq, lane: 'fact', seen: 0, events });
const own = (seq: number, seen: number, ...events: SeineEvent[]): DecidedCommit => ({ seq, lane: 'identity', seen, events });

describe('a decider fold', () => {
  test('decides what no stored commit has seen, in stream order, and says up to where', () => {
    const fold = createDeciderFold(decider);
    fold.input(input(2, observed('a')));
    fold.own(own(3, 2, allocated(256, 'a')));
    fold.input(input(4, observed('b'), observed('c')));
    fold.input(input(5, observed('d')));
    expect(fold.decide()).toEqual({ events: [allocated(257, 'b'), allocated(258, 'c'), allocated(259, 'd')], seen: 5 });
    expect(fold.decide()).toEqual({ events: [], seen: 5 });
  });

  test('leaves what is undecided out of the state until it is decided', () => {
    const fold = createDeciderFold(decider);
    fold.input(input(2, observed('a')));
    expect(fold.state().trail).toEqual([]);
    expect(fold.undecided()).toBe(1);
  });

  test('decisions continue the trace of their input', () => {
    const fold = createDeciderFold(decider);
    fold.input(input(2, observed('a')));
    expect(fold.decide().events[0]!.traceparent).toBe(TRACE);
  });

  test('takes a decision that was stored in part as it is, and decides the rest anew after the next term opens', () => {
    const fold = createDeciderFold(decider);
    fold.input(input(2, observed('a'), observed('b')));
    fold.own(own(3, 0, allocated(256, 'a')));
    fold.own(own(4, 0, opened(2)));
    expect(fold.decide()).toEqual({ events: [allocated(257, 'b')], seen: 2 });
  });

  test('a standby and a restarted writer come to the state of the writer, wherever the batches were cut', () => {
    const names = fc.constantFrom('a', 'b', 'c', 'd');
    const event = fc.oneof(names.map(observed), names.map(vanished));
    const batches = fc.array(fc.array(fc.array(event, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }), { maxLength: 8 });
    fc.assert(fc.property(batches, (given) => {
      const writer = createDeciderFold(decider);
      const standby = createDeciderFold(decider);
      const rederivation = createRederivation(decider, 'identity');
      const inputs: SeineEvent[] = [];
      let seq = 1;
      for (const batch of given) {
        for (const events of batch) {
          const commit = input(seq += 1, ...events);
          inputs.push(...events);
          writer.input(commit);
          standby.input(commit);
          rederivation.take(commit);
        }
        const { events, seen } = writer.decide();
        if (events.length === 0) continue;
        const commit = own(seq += 1, seen, ...events);
        standby.own(commit);
        rederivation.take(commit);
      }
      const rest = standby.decide(); // inputs for which nothing was decided are in no commit
      expect(rest.events).toEqual([]);
      expect(standby.state()).toEqual(writer.state());
      expect(rederivation.verdict()).toMatchObject({ ok: true });
      // Deciding in batches equals deciding one by one.
      const draft = decider.initialState();
      decideAll(decider, draft, inputs);
      expect(draft.numbers).toEqual(writer.state().numbers);
    }));
  });
});

describe('rederivation', () => {
  const commits = [input(2, observed('a')), own(3, 0, opened(1)), own(4, 2, allocated(256, 'a')), input(5, observed('b')), own(6, 5, allocated(257, 'b'))];
  const rederive = (given: readonly DecidedCommit[]) => {
    const rederivation = createRederivation(decider, 'identity');
    for (const commit of given) rederivation.take(commit);
    return rederivation.verdict();
  };

  test('finds the stored decisions again', () => {
    expect(rederive(commits)).toEqual({ ok: true, commits: 2, decisions: 2 });
  });

  test.each([
    { name: 'another number', given: commits.with(4, own(6, 5, allocated(300, 'b'))), at: 6, index: 0 },
    { name: 'a decision more', given: commits.with(4, own(6, 5, allocated(257, 'b'), allocated(258, 'x'))), at: 6, index: 1 },
    { name: 'another time', given: commits.with(2, own(4, 2, { ...allocated(256, 'a'), time: '2026-01-01T00:00:01Z' })), at: 4, index: 0 },
  ])('names the first commit that holds $name', ({ given, at, index }) => {
    expect(rederive(given)).toMatchObject({ ok: false, at, index });
  });
});

test('a fold of stored events is the fold of each', () => {
  expect(foldAll(decider, [observed('a'), allocated(256, 'a')]).numbers).toEqual(new Map([['a', 256]]));
});
