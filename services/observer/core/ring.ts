/** The last flows of a node, oldest first. Bounded: the oldest give way. */
import type { Flow } from '@seine/node';

export interface FlowRing { readonly add: (flow: Flow) => void; readonly all: () => readonly Flow[]; readonly seen: () => number }

export const createFlowRing = (size: number): FlowRing => {
  const flows: Flow[] = [];
  let next = 0;
  let seen = 0;
  return {
    add: (flow) => {
      flows[next] = flow;
      next = (next + 1) % size;
      seen += 1;
    },
    all: () => (flows.length < size ? [...flows] : [...flows.slice(next), ...flows.slice(0, next)]),
    seen: () => seen,
  };
};
