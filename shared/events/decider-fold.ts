/**
 * A decider's state as its lane tells it: inputs wait until a stored commit of the own lane says that they were `seen`, then inputs and
 * stored decisions are applied in the order in which the writer had them. So a standby, a restarted writer and a check of the past
 * all come to the state of the writer. Pure.
 */
import type { Decider } from './decider.ts';
import type { SeineEvent } from './definitions.ts';
import type { Lane } from './event.ts';
import { WRITER_EVENT_TYPES } from './writer.ts';

/** What of a commit matters here; the bus' commits have it. */
export interface DecidedCommit {
  readonly seq: number;
  readonly lane: Lane;
  readonly seen: number;
  readonly events: readonly SeineEvent[];
}

/** What was decided, and the input up to which it holds. */
export interface Decided { readonly events: readonly SeineEvent[]; readonly seen: number }

export interface DeciderFold<State> {
  /** A commit of another lane. */
  readonly input: (commit: DecidedCommit) => void;
  /** A stored commit of the own lane. */
  readonly own: (commit: DecidedCommit) => void;
  /** Decides whatever is undecided, in stream order; the caller commits it and does not show it to `own` again. */
  readonly decide: () => Decided;
  readonly state: () => Readonly<State>;
  readonly undecided: () => number;
}

/** A decision without a trace continues the one of its cause. */
const inheritTrace = (input: SeineEvent, decision: SeineEvent): SeineEvent =>
  decision.traceparent === undefined && input.traceparent !== undefined ? { ...decision, traceparent: input.traceparent } : decision;

const isWriterEvent = ({ type }: SeineEvent): boolean => type === WRITER_EVENT_TYPES.opened || type === WRITER_EVENT_TYPES.closed;

/**
 * @param replayed told, for each own commit that advances `seen`, what this build decides for its inputs and what is stored
 */
export const createDeciderFold = <State>(
  decider: Decider<State>,
  replayed: (commit: DecidedCommit, decided: readonly SeineEvent[], stored: readonly SeineEvent[]) => void = () => {},
): DeciderFold<State> => {
  const draft = decider.initialState();
  let seen = 0;
  let undecided: DecidedCommit[] = [];
  let stored: SeineEvent[] = [];

  const decideFor = (input: SeineEvent): readonly SeineEvent[] => decider.decide(input, draft).map((decision) => inheritTrace(input, decision));
  const evolveAll = (events: readonly SeineEvent[]): void => { for (const event of events) decider.evolve(draft, event); };

  /** Each input, then as many stored decisions as this build decides for it: the writer's order. What is left over comes last. */
  const replay = (commit: DecidedCommit, inputs: readonly DecidedCommit[]): void => {
    const decided: SeineEvent[] = [];
    let taken = 0;
    for (const input of inputs.flatMap(({ events }) => events).filter((event) => !isWriterEvent(event))) {
      decider.evolve(draft, input);
      const decisions = decideFor(input);
      decided.push(...decisions);
      evolveAll(stored.slice(taken, taken + decisions.length));
      taken += decisions.length;
    }
    evolveAll(stored.slice(taken));
    replayed(commit, decided, stored);
    stored = [];
  };

  return {
    input: (commit) => { if (commit.seq > seen) undecided.push(commit); },
    own: (commit) => {
      stored.push(...commit.events.filter((event) => !isWriterEvent(event)));
      if (commit.seen > seen) {
        const inputs = undecided.filter(({ seq }) => seq <= commit.seen);
        undecided = undecided.filter(({ seq }) => seq > commit.seen);
        seen = commit.seen;
        replay(commit, inputs);
      } else if (commit.events.some(({ type }) => type === WRITER_EVENT_TYPES.opened)) {
        // The writer before this one stopped between two parts of a decision: what it stored holds, the rest is decided anew.
        evolveAll(stored);
        stored = [];
      }
    },
    decide: () => {
      const events: SeineEvent[] = [];
      for (const commit of undecided) {
        for (const input of commit.events) {
          if (isWriterEvent(input)) continue;
          decider.evolve(draft, input);
          for (const decision of decideFor(input)) {
            decider.evolve(draft, decision);
            events.push(decision);
          }
        }
      }
      seen = undecided.at(-1)?.seq ?? seen;
      undecided = [];
      return { events, seen };
    },
    state: () => draft,
    undecided: () => undecided.length,
  };
};

export type Rederivation =
  | { readonly ok: true; readonly commits: number; readonly decisions: number }
  /** `at` is the sequence of the first commit that this build would have decided differently. */
  | { readonly ok: false; readonly at: number; readonly index: number; readonly stored: SeineEvent | undefined; readonly decided: SeineEvent | undefined };

const eventText = (event: SeineEvent | undefined): string | undefined =>
  event === undefined ? undefined : JSON.stringify([event.type, event.key, event.time, event.traceparent, event.data]);

/** Decides the past again: facts and `seen` must give the stored decisions byte for byte. */
export const createRederivation = <State>(decider: Decider<State>, lane: Lane) => {
  let verdict: Rederivation = { ok: true, commits: 0, decisions: 0 };
  const fold = createDeciderFold(decider, (commit, decided, stored) => {
    if (!verdict.ok) return;
    const length = Math.max(decided.length, stored.length);
    for (let index = 0; index < length; index += 1) {
      if (eventText(decided[index]) === eventText(stored[index])) continue;
      verdict = { ok: false, at: commit.seq, index, stored: stored[index], decided: decided[index] };
      return;
    }
    verdict = { ok: true, commits: verdict.commits + 1, decisions: verdict.decisions + stored.length };
  });
  return {
    take: (commit: DecidedCommit): void => (commit.lane === lane ? fold.own(commit) : fold.input(commit)),
    verdict: (): Rederivation => verdict,
    state: fold.state,
  };
};
