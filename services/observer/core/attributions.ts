/** Answers of the writer by question: flows of the same two identities under one rule ask once. Bounded; no flow gets the word of an older log than it was judged under. */
import type { Flow, FlowAttribution, FlowQuestion } from '@seine/node';

import { attributed, questionKey, questionOf } from './flow.ts';

/** Questions of one batch of flows at most; flows beyond stay without a peer. */
const MOST_QUESTIONS = 1_024;
const MOST_ANSWERS = 16_384;

export interface Attributions {
  /** What nobody has answered yet, each once. A flow that has seen more of the log than all answers makes them old: they are forgotten. */
  readonly missing: (flows: readonly Flow[]) => readonly FlowQuestion[];
  readonly learn: (questions: readonly FlowQuestion[], answers: readonly FlowAttribution[]) => void;
  readonly apply: (flow: Flow) => Flow;
}

export const createAttributions = (): Attributions => {
  const known = new Map<string, FlowAttribution>();
  /** Whoever answers has folded what the kernel was told, so the answers are as new as the newest flow that they were asked for. */
  let seq = 0;
  return {
    missing: (flows) => {
      const newest = flows.reduce((most, flow) => (flow.seen > most && questionOf(flow) !== undefined ? flow.seen : most), 0);
      if (newest > seq) known.clear();
      seq = Math.max(seq, newest);
      const asked = new Map<string, FlowQuestion>();
      for (const flow of flows) {
        const question = questionOf(flow);
        if (question === undefined) continue;
        const key = questionKey(question);
        if (!known.has(key)) asked.set(key, question);
        if (asked.size >= MOST_QUESTIONS) break;
      }
      return [...asked.values()];
    },
    learn: (questions, answers) => {
      if (known.size + questions.length > MOST_ANSWERS) known.clear();
      questions.forEach((question, index) => { const answer = answers[index]; if (answer !== undefined) known.set(questionKey(question), answer); });
    },
    apply: (flow) => {
      const question = questionOf(flow);
      const answer = question === undefined ? undefined : known.get(questionKey(question));
      return answer === undefined ? flow : attributed(flow, answer);
    },
  };
};
