// folder, reports ──► serveWatcher ──► fact lane          (and the fact and ipam lanes back)
import { Container } from 'inversify';

import { runRole } from '@seine/role';

import { WATCHER_FIELDS } from './config.ts';
import { serveWatcher, WATCHER_METRICS, type WatcherPorts } from './shell/watcher.ts';

const PORTS = Symbol.for('WatcherPorts');
const BUS = Symbol.for('Bus');

await runRole({
  name: 'watcher',
  config: WATCHER_FIELDS,
  start: async (role) => {
    const container = new Container({ defaultScope: 'Singleton' });
    container.bind<WatcherPorts['bus']>(BUS).toConstantValue(await role.connectBus());
    container.bind<WatcherPorts>(PORTS).toResolvedValue((bus: WatcherPorts['bus']): WatcherPorts => ({
      bus, folder: role.config.manifests, settings: { 'policy-enforcement-mode': role.config.enforcementMode, 'policy-cidr-match-mode': role.config.cidrMatchMode },
      instance: `${role.config.instance}/${role.name}`, log: role.log, metrics: role.metrics(WATCHER_METRICS), now: () => new Date(),
    }), [BUS]);
    const caughtUp = Promise.withResolvers<void>();
    role.background('watcher', (signal) => serveWatcher(container.get<WatcherPorts>(PORTS), signal, caughtUp.resolve));
    await caughtUp.promise;
  },
});
