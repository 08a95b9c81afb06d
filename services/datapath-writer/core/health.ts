/** What a load balancer outside is told of a Service whose external traffic stays on the node that it came to. Pure. */
import type { NodeState } from './fold.ts';
import { backendsToDraw, hereOf, offeredTo } from './service.rows.ts';

export interface HealthCheck { readonly namespace: string; readonly name: string; readonly localEndpoints: number }

/** @returns by health-check node port; of two Services that ask for one port the first in name order is told of */
export const healthChecks = (state: Readonly<NodeState>, node: string): ReadonlyMap<number, HealthCheck> => {
  const asking = [...state.services].filter(([, { externalLocal, healthCheckNodePort }]) => externalLocal === true && healthCheckNodePort !== undefined).sort(([a], [b]) => (a < b ? -1 : 1));
  const checks = new Map<number, HealthCheck>();
  if (asking.length === 0) return checks;
  const here = hereOf(state, node);
  const wanted = new Set(asking.map(([key]) => key));
  const slices = [...state.slices.values()].filter(({ service }) => wanted.has(service));
  for (const [key, { frontends, healthCheckNodePort }] of asking) {
    if (checks.has(healthCheckNodePort!)) continue; // asked for above
    const own = slices.filter(({ service }) => service === key);
    /* Who only ends here is no reason to send more. */
    const active = frontends.filter(({ kind }) => kind !== undefined).flatMap((frontend) => backendsToDraw(offeredTo(frontend, own), true, here)).filter(({ state: condition }) => condition === 'active');
    const slash = key.indexOf('/');
    checks.set(healthCheckNodePort!, { namespace: key.slice(0, slash), name: key.slice(slash + 1), localEndpoints: new Set(active.map(({ address }) => address)).size });
  }
  return checks;
};
