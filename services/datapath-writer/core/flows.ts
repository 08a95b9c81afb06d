/** Flows that the kernel counted by frontend id → by the names of whom they were for. Pure. */
import { formatEnd } from '@seine/model';

import type { NodeState } from './fold.ts';

export interface CountedFlows {
  readonly value: number;
  readonly labels: { readonly namespace: string; readonly service: string; readonly frontend: string; readonly kind: string } | { readonly namespace: string; readonly pod: string; readonly frontend: string; readonly kind: string };
}

const split = (key: string): readonly [string, string] => [key.slice(0, key.indexOf('/')), key.slice(key.indexOf('/') + 1)];

/** @returns in the order of ids, so that the same frontends come first each time; `gone`: ids that nobody has any more */
export const flowsByFrontend = ({ services, hostPorts }: Pick<NodeState, 'services' | 'hostPorts'>, flows: readonly (readonly [id: number, flows: number])[]): { readonly counted: readonly CountedFlows[]; readonly gone: readonly number[] } => {
  const labels = new Map<number, CountedFlows['labels']>();
  const frontendText = ({ address, port, protocol }: { readonly address: string; readonly port: number; readonly protocol: string }): string => `${formatEnd(address, port)}/${protocol}`;
  if (flows.length > 0) {
    for (const [key, { frontends }] of services) {
      const [namespace, service] = split(key);
      for (const frontend of frontends) labels.set(frontend.id, { namespace, service, frontend: frontendText(frontend), kind: frontend.kind ?? 'clusterIP' });
    }
    for (const [key, { ports }] of hostPorts) {
      const [namespace, pod] = split(key);
      for (const port of ports) labels.set(port.id, { namespace, pod, frontend: frontendText(port), kind: 'hostPort' });
    }
  }
  const sorted = [...flows].sort(([a], [b]) => a - b);
  return {
    counted: sorted.flatMap(([id, value]): readonly CountedFlows[] => { const own = labels.get(id); return own === undefined ? [] : [{ value, labels: own }]; }),
    gone: sorted.flatMap(([id]) => (labels.has(id) ? [] : [id])),
  };
};
