// log (bus) ──► writer ──► loader (unix socket)          CNI shim, cli, observer ──► writer (unix sockets)
import { join } from 'node:path';

import { Container } from 'inversify';

import type { Bus } from '@seine/bus';
import { persistentUnix, serveUnix, SOCKET, type PersistentUnix } from '@seine/node';
import { runRole } from '@seine/role';

import { DATAPATH_WRITER_FIELDS } from './config.ts';
import { createHealthPorts } from './shell/health-ports.ts';
import { openStore, type Store } from './shell/store.ts';
import { createWriter, IDENTITY_PATIENCE_MS, WRITER_METRICS } from './shell/writer.ts';

const BUS = Symbol.for('Bus');
const LOADER = Symbol.for('Loader');
const STORE = Symbol.for('Store');
const WRITER = Symbol.for('Writer');
type Writer = ReturnType<typeof createWriter>;

await runRole({
  name: 'datapath-writer',
  config: DATAPATH_WRITER_FIELDS,
  start: async (role) => {
    const { runDir, stateDir, node, cluster, mtu, repair, cniSocket, proxyHealthPort, logLevel } = role.config;
    const container = new Container({ defaultScope: 'Singleton' });
    container.bind<() => Promise<Bus>>(BUS).toConstantValue(role.connectBus);
    let touched = (): void => {};
    container.bind<PersistentUnix>(LOADER).toResolvedValue(() => persistentUnix(join(runDir, SOCKET.loader), role.signal, () => { touched(); }, (loader) => { void loader.call('watch').catch(() => {}); }));
    container.bind<Store>(STORE).toResolvedValue(() => openStore(stateDir));
    container.bind<Writer>(WRITER).toResolvedValue((connectBus: () => Promise<Bus>, loader: PersistentUnix, store: Store) =>
      createWriter({ node, cluster, connectBus, loader, store, mtu, repair, identityPatienceMs: IDENTITY_PATIENCE_MS, traceRows: logLevel === 'debug', log: role.log, metrics: role.metrics(WRITER_METRICS) }), [BUS, LOADER, STORE]);
    const writer = container.get<Writer>(WRITER);
    touched = writer.touched;
    role.askForMetrics(writer.countFlows);
    await writer.adoptInterfaces();
    role.onStop('fold', writer.keepFold);
    role.background('log', writer.followLog);
    role.background('beat', writer.beat);
    role.background('health', createHealthPorts(proxyHealthPort, writer.health, role.log).run);
    for (const path of [join(runDir, SOCKET.writer), cniSocket === '' ? join(runDir, SOCKET.cni) : cniSocket]) {
      const server = await serveUnix(path, writer.handle);
      role.onStop(path, server.close);
    }
    await writer.waitReady();
  },
});
