// pins, objects ──► NodeObjects ──► loader ◄── orders (unix socket)          loader ──► samples
import { join } from 'node:path';

import { Container } from 'inversify';

import { serveUnix, SOCKET } from '@seine/node';
import { runRole } from '@seine/role';

import { LOADER_FIELDS } from './config.ts';
import { createLoader, LOADER_METRICS } from './shell/loader.ts';
import { openObjects, type NodeObjects } from './shell/objects.ts';

const OBJECTS = Symbol.for('NodeObjects');
const LOADER = Symbol.for('Loader');
type Loader = ReturnType<typeof createLoader>;

await runRole({
  name: 'loader',
  config: LOADER_FIELDS,
  start: async (role) => {
    const { pinRoot, bpfDir, cgroup, ctSize, uplinks, tcx, xdp, runDir } = role.config;
    const container = new Container({ defaultScope: 'Singleton' });
    container.bind<NodeObjects>(OBJECTS).toResolvedValue(() => openObjects({ pinRoot, bpfDir, cgroup, ctSize }));
    container.bind<Loader>(LOADER).toResolvedValue((objects: NodeObjects) => createLoader({ objects, pinRoot, uplinks, tcx, xdp, log: role.log, metrics: role.metrics(LOADER_METRICS) }), [OBJECTS]);
    const loader = container.get<Loader>(LOADER);
    role.onStop('loader', loader.stop);
    role.beforeMetrics(loader.count);
    const server = await serveUnix(join(runDir, SOCKET.loader), loader.handle);
    role.onStop('socket', server.close);
  },
});
