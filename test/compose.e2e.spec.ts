import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';

import { eventually, startNatsServer, type NatsServer } from '@seine/testkit';

interface Service { readonly command?: readonly string[]; readonly environment?: Readonly<Record<string, string>> }

const ROOT = new URL('..', import.meta.url).pathname;
const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as { readonly services: Readonly<Record<string, Service>> };
const DECIDING = ['watcher', 'identity-allocator', 'ipam', 'policy-compiler', 'service-compiler'] as const;
const ON_NODES = ['loader', 'datapath-writer', 'observer'] as const;

describe('docker-compose.yml', () => {
  let broker: NatsServer;
  let folder: string;
  let port = 0;
  beforeAll(async () => {
    broker = await startNatsServer();
    folder = mkdtempSync(join(tmpdir(), 'seine-compose-'));
    const install = start('install', {});
    expect((await once(install, 'exit'))[0]).toBe(0);
  }, 60_000);
  afterAll(async () => {
    await broker.stop();
    rmSync(folder, { recursive: true });
  });

  /** The service's own command and environment, with the machine's places in the place of the container's. */
  const start = (name: string, extra: Readonly<Record<string, string>>): ChildProcess => {
    const [program, ...args] = services[name]!.command!;
    expect(program).toBe('node');
    return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
      cwd: ROOT, stdio: 'ignore',
      env: { ...process.env, ...services[name]!.environment, SEINE_NATS_URL: broker.url, SEINE_MANIFESTS: folder, SEINE_HEALTH_HOST: '127.0.0.1', NODE_COMPILE_CACHE: join(ROOT, '.seine/compile-cache'), ...extra },
    });
  };

  test('names every role', () => {
    for (const role of [...DECIDING, ...ON_NODES]) expect(services[role]?.command).toEqual(['node', `services/${role}/main.ts`]);
  });

  test.each([...DECIDING])('starts %s until it is ready, and stops it cleanly', async (role) => {
    port = port === 0 ? broker.port + 1 : port + 1;
    const child = start(role, { SEINE_HEALTH_PORT: String(port) });
    const exit = once(child, 'exit');
    try {
      await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok, 30_000);
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      expect(metrics).toContain(`seine_${role.replaceAll('-', '_')}_process_memory_bytes`);
      child.kill('SIGTERM');
      expect(await exit).toEqual([0, null]);
    } finally {
      child.kill('SIGKILL');   // a role that failed the test must not outlive it
    }
  }, 60_000);

  test.each([...ON_NODES])('says how %s is configured', async (role) => {
    const [, ...args] = services[role]!.command!;
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args, '--help'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] });
    const text: string[] = [];
    child.stdout.on('data', (chunk: Buffer) => { text.push(chunk.toString()); });
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(text.join('')).toContain('SEINE_RUN_DIR');
  }, 30_000);
});
