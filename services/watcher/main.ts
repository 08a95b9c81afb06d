// source, reports ──► serveWatcher ──► fact lane          (and the fact and ipam lanes back)
import { Container } from 'inversify';

import { connect } from '@seine/kube';
import { SeineError } from '@seine/model';
import { runRole, type ConfigOf, type Role } from '@seine/role';

import { WATCHER_FIELDS } from './config.ts';
import { API_METRICS, apiSource } from './shell/api.ts';
import { folderSource } from './shell/folder.ts';
import { serveWatcher, WATCHER_METRICS, type WatcherPorts } from './shell/watcher.ts';

const PORTS = Symbol.for('WatcherPorts');
const BUS = Symbol.for('Bus');

const sourceOf = async (role: Role<ConfigOf<typeof WATCHER_FIELDS>>): Promise<WatcherPorts['openSource']> => {
  const { source, manifests, kubeconfig, context } = role.config;
  if (source === 'folder') {
    if (manifests === '') throw new SeineError('SEINE_CONFIG_INVALID', 'SEINE_MANIFESTS is not set, it is required with SEINE_SOURCE=folder');
    return () => folderSource(manifests);
  }
  const given = (value: string): string | undefined => (value === '' ? undefined : value);
  const connection = await connect({ kubeconfig: given(kubeconfig), context: given(context), environment: process.env, signal: role.signal, userAgent: 'seine-watcher' });
  role.onStop('the connection to the API server', connection.close);
  const metrics = role.metrics(API_METRICS);
  return () => apiSource({ connection, log: role.log, metrics });
};

await runRole({
  name: 'watcher',
  config: WATCHER_FIELDS,
  start: async (role) => {
    const container = new Container({ defaultScope: 'Singleton' });
    const openSource = await sourceOf(role);
    container.bind<WatcherPorts['bus']>(BUS).toConstantValue(await role.connectBus());
    container.bind<WatcherPorts>(PORTS).toResolvedValue((bus: WatcherPorts['bus']): WatcherPorts => ({
      bus, openSource,
      settings: {
        'policy-enforcement-mode': role.config.enforcementMode, 'policy-cidr-match-mode': role.config.cidrMatchMode,
        'enable-ipv4-masquerade': role.config.ipv4Masquerade, 'enable-ipv6-masquerade': role.config.ipv6Masquerade, 'bpf-lb-mode': role.config.lbMode,
      },
      instance: `${role.config.instance}/${role.name}`, log: role.log, metrics: role.metrics(WATCHER_METRICS), now: () => new Date(),
    }), [BUS]);
    const caughtUp = Promise.withResolvers<void>();
    role.background('watcher', (signal) => serveWatcher(container.get<WatcherPorts>(PORTS), signal, caughtUp.resolve));
    await caughtUp.promise;
  },
});
