// fact lane ──► identityDecider ──► identity lane
import { Container } from 'inversify';

import type { Bus } from '@seine/bus';
import type { Decider } from '@seine/events';
import { runDecider, runRole, type MetricDefinitions } from '@seine/role';

import { identityDecider, type IdentityState } from './core/index.ts';

const BUS = Symbol.for('Bus');
const DECIDER = Symbol.for('Decider');

const METRICS = {
  waiting: { type: 'gauge', name: 'waiting_entries', help: 'Pods that wait because every identity number is in use (SEINE_IDENTITY_EXHAUSTED).' },
} as const satisfies MetricDefinitions;

await runRole({
  name: 'identity-allocator',
  config: {},
  start: async (role) => {
    const container = new Container({ defaultScope: 'Singleton' });
    container.bind<Bus>(BUS).toConstantValue(await role.connectBus());
    const metrics = role.metrics(METRICS);
    container.bind<Decider<IdentityState>>(DECIDER).toResolvedValue(() => {
      let draft = identityDecider.initialState();   // of this term; each begins with a fresh one
      role.beforeMetrics(() => { metrics.waiting.set(draft.waiting.size); });
      return { ...identityDecider, initialState: () => (draft = identityDecider.initialState()) };
    });
    await runDecider(role, { bus: container.get<Bus>(BUS), lane: 'identity', inputs: ['fact'], decider: container.get<Decider<IdentityState>>(DECIDER) });
  },
});
