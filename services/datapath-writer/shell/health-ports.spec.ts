import { afterEach, expect, test } from '@jest/globals';
import { createServer, type AddressInfo } from 'node:net';

import { eventually } from '@seine/testkit';

import { createHealthPorts, type NodeHealth } from './health-ports.ts';

const silent = (): void => {};
const LOG = { debug: silent, info: silent, warn: silent, error: silent, fatal: silent };
const freePort = (): Promise<number> => new Promise((resolve) => {
  const server = createServer().listen(0, () => { const { port } = server.address() as AddressInfo; server.close(() => { resolve(port); }); });
});
const get = async (port: number, path = '/'): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: response.status === 404 ? {} : await response.json() as Record<string, unknown> };
};

let stop = new AbortController();
afterEach(() => { stop.abort(); stop = new AbortController(); });

test('a node is well while it holds what the log says; a Service while the node has a backend of it; a port closes with its Service', async () => {
  const [own, check] = [await freePort(), await freePort()];
  let health: NodeHealth = { healthy: true, eligible: true, lastUpdatedMs: 0, checks: new Map([[check, { namespace: 'shop', name: 'web', localEndpoints: 2 }]]) };
  const ended = createHealthPorts(own, () => health, LOG).run(stop.signal);
  await eventually(async () => (await get(own, '/healthz')).status === 200);
  expect(await get(own, '/healthz')).toMatchObject({ body: { lastUpdated: '1970-01-01T00:00:00.000Z', nodeEligible: true } });
  expect((await get(own, '/other')).status).toBe(404);
  expect(await get(check)).toEqual({ status: 200, body: { service: { namespace: 'shop', name: 'web' }, localEndpoints: 2, serviceProxyHealthy: true } });
  health = { ...health, checks: new Map([[check, { namespace: 'shop', name: 'web', localEndpoints: 0 }]]) };
  expect((await get(check)).status).toBe(503);
  health = { ...health, eligible: false };
  expect(await get(own, '/healthz')).toMatchObject({ status: 503, body: { nodeEligible: false } });
  const live = await get(own, '/livez');
  expect([live.status, Object.keys(live.body)]).toEqual([200, ['lastUpdated', 'currentTime']]);
  health = { ...health, checks: new Map([[check, { namespace: 'shop', name: 'web', localEndpoints: 1 }]]) };
  expect(await get(check)).toMatchObject({ status: 200, body: { serviceProxyHealthy: true } }); // a Service's own check asks for its backends alone
  health = { healthy: false, eligible: true, lastUpdatedMs: 0, checks: health.checks };
  expect(await get(own, '/healthz')).toMatchObject({ status: 503, body: { nodeEligible: true } });
  expect((await get(own, '/livez')).status).toBe(503);
  health = { ...health, checks: new Map() };
  await eventually(async () => get(check).then(() => false, () => true));
  stop.abort();
  await ended;
  await expect(get(own, '/healthz')).rejects.toThrow('fetch failed');
});
