// fact lane ──► identityDecider ──► identity lane
import { Container } from 'inversify';

import type { Bus } from '@seine/bus';
import { runDecider, runRole } from '@seine/role';

import { identityDecider } from './core/index.ts';

const BUS = Symbol.for('Bus');
const DECIDER = Symbol.for('Decider');

await runRole({
  name: 'identity-allocator',
  config: {},
  start: async (role) => {
    const container = new Container({ defaultScope: 'Singleton' });
    container.bind<Bus>(BUS).toConstantValue(await role.connectBus());
    container.bind(DECIDER).toResolvedValue(() => identityDecider);
    await runDecider(role, { bus: container.get<Bus>(BUS), lane: 'identity', inputs: ['fact'], decider: container.get<typeof identityDecider>(DECIDER) });
  },
});
