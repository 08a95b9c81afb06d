/** The last flows of a node, oldest first. Bounded: the oldest give way. Held as samples and names, a tenth of what flows would take. */
import type { Flow } from '@seine/node';

interface Named extends Pick<Flow, 'rule' | 'peer' | 'peerField' | 'isolatedBy' | 'policy_log'> {
  readonly sourcePod: string | null; readonly sourceLabels: readonly string[]; readonly destinationPod: string | null; readonly destinationLabels: readonly string[];
}

export interface FlowRing {
  /** @param sample the bytes that the flow was made of */
  readonly add: (sample: Uint8Array, flow: Flow) => void;
  readonly all: () => readonly Flow[];
  /** How many were ever added. */
  readonly seen: () => number;
}

/** @param unnamed makes a flow of a sample again; its names are those it had when it was added */
export const createFlowRing = (size: number, sampleSize: number, unnamed: (sample: Uint8Array) => Flow): FlowRing => {
  const samples = new Uint8Array(size * sampleSize);
  const names: Named[] = [];
  let next = 0;
  let seen = 0;
  const at = (index: number): Flow => {
    const flow = unnamed(samples.subarray(index * sampleSize, (index + 1) * sampleSize));
    const { sourcePod, sourceLabels, destinationPod, destinationLabels, ...decided } = names[index]!;
    return { ...flow, ...decided, source: { ...flow.source, pod: sourcePod, labels: sourceLabels }, destination: { ...flow.destination, pod: destinationPod, labels: destinationLabels } };
  };
  return {
    add: (sample, { source, destination, rule, peer, peerField, isolatedBy, policy_log }) => {
      samples.set(sample, next * sampleSize);
      names[next] = { sourcePod: source.pod, sourceLabels: source.labels, destinationPod: destination.pod, destinationLabels: destination.labels, rule, peer, peerField, isolatedBy, policy_log };
      next = (next + 1) % size;
      seen += 1;
    },
    all: () => Array.from({ length: Math.min(seen, size) }, (_, index) => at(seen < size ? index : (next + index) % size)),
    seen: () => seen,
  };
};
