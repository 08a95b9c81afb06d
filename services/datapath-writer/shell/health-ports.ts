/** HTTP for those who balance in front of nodes, as kube-proxy answers: /healthz for the node, a health-check node port for a Service that stays on it. */
import { createServer, type Server } from 'node:http';

import type { Logger } from '@seine/role';

import type { HealthCheck } from '../core/index.ts';

export interface NodeHealth {
  /** The node holds what the log says, as far as it is known here. */
  readonly healthy: boolean;
  /** The node stays: balancers in front of it may send more. */
  readonly eligible: boolean;
  readonly lastUpdatedMs: number;
  readonly checks: ReadonlyMap<number, HealthCheck>;
}

const LOOK_EVERY_MS = 500;

interface Answer { readonly ok: boolean; readonly headers: Readonly<Record<string, string>>; readonly body: unknown }

/** @param port of the node's own health; 0: none */
export const createHealthPorts = (port: number, health: () => NodeHealth, log: Logger) => {
  const open = new Map<number, Server>();

  /** /healthz is for balancers, who are to leave a node that goes; /livez for who restarts processes that are stuck. */
  const ofNode = (path: string): Answer => {
    const { healthy, eligible, lastUpdatedMs } = health();
    const times = { lastUpdated: new Date(lastUpdatedMs).toISOString(), currentTime: new Date().toISOString() };
    return path === '/livez' ? { ok: healthy, headers: {}, body: times } : { ok: healthy && eligible, headers: {}, body: { ...times, nodeEligible: eligible } };
  };
  const ofService = (at: number): Answer => {
    const { healthy, checks } = health();
    const { namespace = '', name = '', localEndpoints = 0 } = checks.get(at) ?? {};
    return {
      ok: healthy && localEndpoints > 0, headers: { 'x-load-balancing-endpoint-weight': String(localEndpoints) },
      body: { service: { namespace, name }, localEndpoints, serviceProxyHealthy: healthy },
    };
  };

  const listen = (at: number): void => {
    const server = createServer((request, response) => {
      const path = (request.url ?? '').split('?', 1)[0]!;
      if (at === port && path !== '/healthz' && path !== '/livez') { response.writeHead(404).end(); return; }
      const { ok, headers, body } = at === port ? ofNode(path) : ofService(at);
      response.writeHead(ok ? 200 : 503, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff', ...headers }).end(`${JSON.stringify(body)}\n`);
    });
    server.on('error', (error) => {
      log.warn('a health port could not be opened; trying again', { port: at, error: error.message });
      if (open.get(at) === server) open.delete(at);
    });
    open.set(at, server);
    server.listen(at);
  };
  const close = (at: number): void => {
    const server = open.get(at);
    open.delete(at);
    server?.close();
    server?.closeAllConnections();
  };

  return {
    run: async (signal: AbortSignal): Promise<void> => {
      while (!signal.aborted) {
        const wanted = new Set([...(port === 0 ? [] : [port]), ...health().checks.keys()]);
        for (const at of open.keys()) if (!wanted.has(at)) close(at);
        for (const at of wanted) if (!open.has(at)) listen(at);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, LOOK_EVERY_MS);
          signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
        });
      }
      for (const at of [...open.keys()]) close(at);
    },
  };
};
