// fact lane ──► serviceDecider ──► service lane
import { Container } from 'inversify';

import type { Bus } from '@seine/bus';
import { runDecider, runRole } from '@seine/role';

import { serviceDecider } from './core/index.ts';

const BUS = Symbol.for('Bus');
const DECIDER = Symbol.for('Decider');

await runRole({
  name: 'service-compiler',
  config: {},
  start: async (role) => {
    const container = new Container({ defaultScope: 'Singleton' });
    container.bind<Bus>(BUS).toConstantValue(await role.connectBus());
    container.bind(DECIDER).toResolvedValue(() => serviceDecider);
    await runDecider(role, { bus: container.get<Bus>(BUS), lane: 'service', inputs: ['fact'], decider: container.get<typeof serviceDecider>(DECIDER) });
  },
});
