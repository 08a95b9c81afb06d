// fact lane ──► policyDecider ──► policy lane
import { Container } from 'inversify';

import type { Bus } from '@seine/bus';
import { runDecider, runRole } from '@seine/role';

import { policyDecider } from './core/index.ts';

const BUS = Symbol.for('Bus');
const DECIDER = Symbol.for('Decider');

await runRole({
  name: 'policy-compiler',
  config: {},
  start: async (role) => {
    const container = new Container({ defaultScope: 'Singleton' });
    container.bind<Bus>(BUS).toConstantValue(await role.connectBus());
    container.bind(DECIDER).toResolvedValue(() => policyDecider());
    await runDecider(role, { bus: container.get<Bus>(BUS), lane: 'policy', inputs: ['fact'], decider: container.get<ReturnType<typeof policyDecider>>(DECIDER) });
  },
});
