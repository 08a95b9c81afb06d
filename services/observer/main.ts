// loader ──► samples ──► observer ──► flows (bus, unix socket)          writer ──► names
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { Container } from 'inversify';

import type { Bus } from '@seine/bus';
import { persistentUnix, serveUnix, SOCKET, type PersistentUnix } from '@seine/node';
import { runRole } from '@seine/role';

import { createObserver, OBSERVER_METRICS } from './shell/observer.ts';

const BUS = Symbol.for('Bus');
const WRITER = Symbol.for('Writer');
const OBSERVER = Symbol.for('Observer');
type Observer = ReturnType<typeof createObserver>;

await runRole({
  name: 'observer',
  config: {},
  start: async (role) => {
    const { runDir, node, cluster } = role.config;
    const container = new Container({ defaultScope: 'Singleton' });
    container.bind<Bus>(BUS).toConstantValue(await role.connectBus());
    container.bind<PersistentUnix>(WRITER).toResolvedValue(() => persistentUnix(join(runDir, SOCKET.writer), role.signal));
    container.bind<Observer>(OBSERVER).toResolvedValue((bus: Bus, writer: PersistentUnix) => createObserver({ node, cluster, bus, writer, metrics: role.metrics(OBSERVER_METRICS) }), [BUS, WRITER]);
    const observer = container.get<Observer>(OBSERVER);
    const loader = persistentUnix(join(runDir, SOCKET.loader), role.signal, observer.onPush);
    /* Asks for samples again whenever the loader has come back. */
    role.background('samples', async (signal) => {
      while (!signal.aborted) {
        await loader.call('samples').catch(() => {});
        await pause(250, undefined, { signal }).catch(() => {}); // aborted: the loop ends
      }
    });
    const server = await serveUnix(join(runDir, SOCKET.observer), observer.handle);
    role.onStop('socket', server.close);
    await loader.connect();
  },
});
