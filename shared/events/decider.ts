/**
 * How a deciding role thinks: fold what it reads, and for each input say what became necessary. Pure.
 * Deciding a batch equals deciding one by one (`decideAll` is the definition, and a property test of each role).
 */
import type { SeineEvent } from './index.ts';

export interface Decider<State> {
  /** A fresh draft on every call; whoever called owns it. */
  readonly initialState: () => State;
  /** Applies one stored event, an input or an own one, to the owned draft in place. Total: never throws, ignores what is not its business. */
  readonly evolve: (draft: State, event: SeineEvent) => void;
  /**
   * What this input made necessary; `state` already holds the input. Doing nothing is []. Refusals are events.
   * A decision's `time` is the input's, never a clock's; without a `traceparent` it gets the input's.
   * Called in stream order, only for events of other lanes; own events are evolved right after each call.
   */
  readonly decide: (input: SeineEvent, state: Readonly<State>) => readonly SeineEvent[];
}

export const foldAll = <State>(decider: Decider<State>, events: Iterable<SeineEvent>, draft = decider.initialState()): State => {
  for (const event of events) decider.evolve(draft, event);
  return draft;
};

/** Evolves `draft` by each input and by what was decided for it; returns the decisions in order. */
export const decideAll = <State>(decider: Decider<State>, draft: State, inputs: Iterable<SeineEvent>): readonly SeineEvent[] => {
  const decided: SeineEvent[] = [];
  for (const input of inputs) {
    decider.evolve(draft, input);
    for (const event of decider.decide(input, draft)) {
      decider.evolve(draft, event);
      decided.push(event);
    }
  }
  return decided;
};
