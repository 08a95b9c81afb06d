// fact lane ──► ipamDecider ──► ipam lane
import { Container } from 'inversify';

import type { Bus } from '@seine/bus';
import { runDecider, runRole } from '@seine/role';

import { IPAM_FIELDS } from './config.ts';
import { ipamDecider, parsePools } from './core/index.ts';

const BUS = Symbol.for('Bus');
const DECIDER = Symbol.for('Decider');

await runRole({
  name: 'ipam',
  config: IPAM_FIELDS,
  start: async (role) => {
    const container = new Container({ defaultScope: 'Singleton' });
    container.bind<Bus>(BUS).toConstantValue(await role.connectBus());
    container.bind(DECIDER).toResolvedValue(() => ipamDecider(parsePools(role.config.podCidr, { 4: role.config.blockLength, 6: role.config.blockLength6 })));
    await runDecider(role, { bus: container.get<Bus>(BUS), lane: 'ipam', inputs: ['fact'], decider: container.get<ReturnType<typeof ipamDecider>>(DECIDER) });
  },
});
