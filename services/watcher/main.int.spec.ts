/** The role as a process, with a real broker: SEINE_SOURCE=kubernetes over HTTPS, with a client certificate. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { connectBus, createLog } from '@seine/bus';
import { eventually, makeCertificates, recordedCluster, startNatsServer, startRecordedApi, type NatsServer, type RecordedApi } from '@seine/testkit';

import { WATCHED_KINDS } from './core/index.ts';

const MAIN = new URL('main.ts', import.meta.url).pathname;
const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('the watcher as a process', () => {
  let folder: string;
  let nats: NatsServer | undefined;
  let api: RecordedApi | undefined;
  let child: ChildProcess | undefined;
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'seine-watcher-main-')); });
  afterEach(async () => {
    if (child !== undefined && child.exitCode === null && child.signalCode === null) { child.kill('SIGKILL'); await once(child, 'close'); }
    await api?.close();
    await nats?.kill();
    rmSync(folder, { recursive: true });
  });

  const run = (environment: Readonly<Record<string, string>>) => {
    const started = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN], { env: { PATH: process.env['PATH'], SEINE_STATE_DIR: folder, SEINE_RUN_DIR: folder, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    let output = '';
    started.stdout.on('data', (chunk: Buffer) => { output += chunk.toString(); });
    started.stderr.on('data', (chunk: Buffer) => { output += chunk.toString(); });
    return { output: () => output, exited: once(started, 'close') as Promise<[number | null, string | null]> };
  };

  test('lists and watches the API server of a kubeconfig, and stops when it is told', async () => {
    const certificates = makeCertificates();
    api = await startRecordedApi({ resources: recordedCluster('cilium'), tls: { key: certificates.server.key, cert: certificates.server.cert, clientCa: certificates.ca.cert } });
    nats = await startNatsServer();
    await createLog({ url: nats.url, cluster: 'default', name: 'test' });
    writeFileSync(join(folder, 'config'), JSON.stringify({
      'current-context': 'c', contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }], clusters: [{ name: 'c', cluster: { server: api.url, 'certificate-authority-data': base64(certificates.ca.cert) } }],
      users: [{ name: 'u', user: { 'client-certificate-data': base64(certificates.client.cert), 'client-key-data': base64(certificates.client.key) } }],
    }));
    const role = run({ SEINE_NATS_URL: nats.url, SEINE_SOURCE: 'kubernetes', SEINE_KUBECONFIG: join(folder, 'config') });
    const bus = await connectBus({ url: nats.url, cluster: 'default', name: 'test', warn: () => {} });
    const facts = async (): Promise<readonly string[]> => { const found: string[] = []; for await (const { events } of bus.read({ lanes: ['fact'] })) found.push(...events.map(({ type, key }) => `${type} ${key}`)); return found; };
    await eventually(async () => (await facts()).filter((fact) => fact.startsWith('kind.listed.v1')).length === WATCHED_KINDS.length, 20_000);
    expect((await facts()).filter((fact) => fact.startsWith('pod.observed.v1'))).toHaveLength(512);
    api.remove('networkpolicies', 'carts-db-access', 'shop');
    await eventually(async () => (await facts()).includes('networkpolicy.vanished.v1 shop/carts-db-access'));
    await bus.close();
    child!.kill('SIGTERM');
    expect(await role.exited).toEqual([0, null]);
  }, 60_000);

  test.each([
    { name: 'no folder', environment: {}, want: 'SEINE_MANIFESTS is not set, it is required with SEINE_SOURCE=folder' },
    { name: 'no kubeconfig', environment: { SEINE_SOURCE: 'kubernetes', SEINE_KUBECONFIG: '/nowhere' }, want: 'kubeconfig /nowhere: ENOENT' },
    { name: 'another source', environment: { SEINE_SOURCE: 'etcd' }, want: 'SEINE_SOURCE is \\"etcd\\", one of folder, kubernetes was expected' },
  ])('ends with a sentence where there is $name', async ({ environment, want }) => {
    const role = run({ SEINE_NATS_URL: 'nats://127.0.0.1:1', ...environment });
    expect((await role.exited)[0]).not.toBe(0);
    expect(role.output().replaceAll('\\"', '"')).toContain(want.replaceAll('\\"', '"'));
  }, 30_000);
});
