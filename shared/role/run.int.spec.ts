/** A role as a process: its start, its end, and the lane it writes, over a real broker. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { connectBus, createLog, verifyChain, type Bus, type LaneWriter } from '@seine/bus';
import { LANES, createRederivation, type SeineEvent } from '@seine/events';
import { eventually, startNatsServer, type NatsServer } from '@seine/testkit';

import { numberAllocator } from './fixture/number-allocator.ts';

jest.setTimeout(60_000);

const MAIN = new URL('fixture/main.ts', import.meta.url).pathname;
const MISBEHAVING = new URL('fixture/misbehaving.ts', import.meta.url).pathname;

interface Line { readonly level: string; readonly msg: string; readonly healthPort?: number; readonly error?: string; readonly code?: string }

const run = (environment: Readonly<Record<string, string>>, args: readonly string[] = [], main = MAIN) => {
  const child: ChildProcess = spawn(process.execPath, [main, ...args], { env: { PATH: process.env['PATH'], ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout!.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  child.stderr!.on('data', (chunk: Buffer) => { errors += chunk.toString(); });
  const exited = once(child, 'close') as Promise<[number | null, string | null]>;
  const lines = (): Line[] => output.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Line);
  const line = (msg: string): Promise<Line> => eventually(() => lines().find((found) => found.msg === msg), 20_000);
  return { child, lines, line, output: () => output, errors: () => errors, exited };
};
type Running = ReturnType<typeof run>;

const get = async (role: Running, path: string): Promise<{ status: number; text: string }> => {
  const { healthPort } = await role.line('starting');
  const response = await fetch(`http://127.0.0.1:${healthPort}${path}`);
  return { status: response.status, text: await response.text() };
};

describe('a role', () => {
  test('prints its configuration with --help', async () => {
    const role = run({}, ['--help']);
    expect(await role.exited).toEqual([0, null]);
    expect(role.output()).toContain('SEINE_HEALTH_PORT');
  });

  test('says every bad value in a sentence and exits 2', async () => {
    const role = run({ SEINE_HEALTH_PORT: 'x', SEINE_LOG_LEVEL: 'loud' });
    expect(await role.exited).toEqual([2, null]);
    expect(role.errors()).toBe('identity-allocator: SEINE_LOG_LEVEL is "loud", one of fatal, error, warn, info, debug, trace, silent was expected\n'
      + 'SEINE_HEALTH_PORT is "x", a whole number 0..65535 was expected\n');
  });

  test('is alive but not ready while it waits for its broker, and stops at once', async () => {
    const role = run({ SEINE_NATS_URL: 'nats://127.0.0.1:1' });
    expect((await get(role, '/healthz')).status).toBe(200);
    expect(await get(role, '/readyz')).toEqual({ status: 503, text: '{"ready":false,"missing":{"start":"starting"}}\n' });
    expect((await get(role, '/nothing')).status).toBe(404);
    role.child.kill('SIGTERM');
    expect(await role.exited).toEqual([0, null]);
  });
});

describe('the end of a role', () => {
  test.each([
    { fault: 'start', msg: 'could not start', error: 'no start' },
    { fault: 'rejection', msg: 'unhandled rejection', error: 'nobody listens' },
    { fault: 'exception', msg: 'uncaught exception', error: 'out of nowhere' },
    { fault: 'background', msg: 'failing failed', error: 'worn out' },
    { fault: 'early-end', msg: 'a part ended by itself', error: 'ending' },
  ])('is loud and in one line: $msg', async ({ fault, msg, error }) => {
    const role = run({ SEINE_FAULT: fault }, [], MISBEHAVING);
    expect(await role.exited).toEqual([1, null]);
    expect(role.lines().filter(({ level }) => level === 'fatal')).toMatchObject([{ msg, error }]);
  });

  test('stops what was started last first', async () => {
    const role = run({ SEINE_FAULT: 'nothing' }, [], MISBEHAVING);
    await role.line('started');
    role.child.kill('SIGINT');
    expect(await role.exited).toEqual([0, null]);
    expect(role.lines().map(({ msg }) => msg)).toEqual(['starting', 'started', 'stopping', 'second stopped', 'first stopped', 'stopped']);
  });

  test('goes on stopping when a part does not stop cleanly', async () => {
    const role = run({ SEINE_FAULT: 'stop' }, [], MISBEHAVING);
    await role.line('started');
    role.child.kill('SIGTERM');
    expect(await role.exited).toEqual([0, null]);
    expect(role.lines().map(({ msg }) => msg).slice(2)).toEqual(['stopping', 'a part did not stop cleanly', 'second stopped', 'first stopped', 'stopped']);
  });

  test('comes by a deadline when a part hangs', async () => {
    const role = run({ SEINE_FAULT: 'hang' }, [], MISBEHAVING);
    await role.line('started');
    role.child.kill('SIGTERM');
    expect(await role.exited).toEqual([1, null]);
    expect(role.lines().at(-1)).toMatchObject({ level: 'error', msg: 'did not stop in time' });
  });

  test('comes at once with a second signal', async () => {
    const role = run({ SEINE_FAULT: 'hang' }, [], MISBEHAVING);
    await role.line('started');
    role.child.kill('SIGTERM');
    await role.line('stopping');
    role.child.kill('SIGTERM');
    expect(await role.exited).toEqual([1, null]);
    expect(role.lines().at(-1)).toMatchObject({ msg: 'stopping' });
  });
});

describe('a deciding role', () => {
  let server: NatsServer;
  let bus: Bus;
  let facts: LaneWriter;
  let roles: Running[] = [];
  const never = new AbortController().signal;
  const start = (instance: string, environment: Readonly<Record<string, string>> = {}): Running => {
    const role = run({ ...environment, SEINE_NATS_URL: server.url, SEINE_INSTANCE: instance });
    roles.push(role);
    return role;
  };
  const observe = (name: string, traceparent?: string) => {
    const event: SeineEvent = { type: 'namespace.observed.v1', key: name, time: '2026-01-01T00:00:00Z', ...(traceparent === undefined ? {} : { traceparent }), data: { uid: name, labels: {} } };
    return facts.commit([event], 0);
  };
  const decisions = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { events } of bus.read({ lanes: ['identity'] })) for (const event of events) if (event.type === 'identity.allocated.v1') found.push(`${event.data.identity} ${event.data.labels[0]}`);
    return found;
  };
  const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `n${index}`);
  const expected = (count: number): string[] => names(count).map((name, index) => `${256 + index} ${name}`);
  const holds = async (): Promise<void> => {
    const rederivation = createRederivation(numberAllocator, 'identity');
    for await (const commit of bus.read({ lanes: ['fact', 'identity'] })) rederivation.take(commit);
    expect(rederivation.verdict()).toMatchObject({ ok: true });
    const commits = [];
    for await (const commit of bus.stored({ lanes: LANES })) commits.push(commit);
    expect(verifyChain(commits)).toMatchObject({ ok: true });
  };

  beforeEach(async () => {
    server = await startNatsServer();
    const options = { url: server.url, cluster: 'default', name: 'test' };
    await createLog(options);
    bus = await connectBus(options);
    facts = await bus.openLane('fact', 'test', never);
  });
  afterEach(async () => {
    for (const { child } of roles) {
      child.kill('SIGCONT');
      child.kill('SIGKILL');
    }
    await Promise.all(roles.map(({ exited }) => exited));
    roles = [];
    await bus.close();
    await server.stop();
  });

  test('is ready when it has caught up, counts what it does, and hands over on SIGTERM', async () => {
    const role = start('a');
    await role.line('writing');
    expect(await get(role, '/readyz')).toEqual({ status: 200, text: '{"ready":true,"missing":{}}\n' });
    for (const name of names(5)) await observe(name);
    await eventually(async () => (await decisions()).length === 5);
    expect((await get(role, '/metrics')).text).toContain('seine_identity_allocator_decisions_total 5\n');
    role.child.kill('SIGTERM');
    expect(await role.exited).toEqual([0, null]);
    expect(role.lines().filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    const last = (await bus.head('identity'))!;
    for await (const { events } of bus.read({ lanes: ['identity'], after: last.seq - 1 })) expect(events.map(({ type }) => type)).toEqual(['writer.closed.v1']);
  });

  test('exports its spans where an endpoint is configured, in the trace of the fact', async () => {
    const bodies: string[] = [];
    const collector = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => { body += chunk.toString(); });
      request.on('end', () => {
        bodies.push(`${request.url} ${body}`);
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    }).listen(0, '127.0.0.1');
    await once(collector, 'listening');
    const role = start('a', { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}` });
    await role.line('writing');
    await observe('n0', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01');
    await eventually(async () => (await decisions()).length === 1);
    role.child.kill('SIGTERM');
    expect(await role.exited).toEqual([0, null]);
    expect(bodies.join('\n')).toMatch(/^\/v1\/traces .*4bf92f3577b34da6a3ce929d0e0e4736.*decide identity/);
    collector.closeAllConnections();
    collector.close();
  });

  test('decides the same after kill -9 in the middle, in one chain, and every decision can be derived again', async () => {
    let role = start('a');
    await role.line('writing');
    const offered = Promise.all(names(300).map((name) => observe(name)));
    for (let round = 0; round < 3; round += 1) {
      role.child.kill('SIGKILL');
      await role.exited;
      role = start('a');
      await role.line('writing');
    }
    await offered;
    await eventually(async () => (await decisions()).length === 300, 20_000);
    expect(await decisions()).toEqual(expected(300));
    await holds();
  });

  test('that sleeps through a takeover wakes up fenced and stands by', async () => {
    const sleeper = start('a');
    await sleeper.line('writing');
    await observe('n0');
    await eventually(async () => (await decisions()).length === 1);
    const standby = start('b');
    await standby.line('started');
    sleeper.child.kill('SIGSTOP');
    await observe('n1');
    await standby.line('writing');
    await eventually(async () => (await decisions()).length === 2);
    sleeper.child.kill('SIGCONT');
    await observe('n2');
    await sleeper.line('the lane has another writer; standing by');
    await eventually(async () => (await decisions()).length === 3);
    expect(await decisions()).toEqual(expected(3));
    await holds();
  });

  test('outlives a broker that is killed, and decides on', async () => {
    const role = start('a');
    await role.line('writing');
    await observe('n0');
    await eventually(async () => (await decisions()).length === 1);
    await server.kill();
    await role.line('the broker is away');
    await server.start();
    await observe('n1');
    await eventually(async () => (await decisions()).length === 2);
    expect(await decisions()).toEqual(expected(2));
    expect(role.child.exitCode).toBeNull();
    await holds();
  });
});
