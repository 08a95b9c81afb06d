/** A real nats-server on a free loopback port, with the shipped configuration, for integration tests. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { eventually } from './eventually.ts';

const SHIPPED_CONFIGURATION = new URL('../../infra/nats/nats-server.conf', import.meta.url).pathname;

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('a listening TCP server has a port');
  return address.port;
};

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('data', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });

export interface NatsServer {
  readonly url: string;
  readonly port: number;
  /** Where its streams lie. */
  readonly directory: string;
  /** SIGKILL; resolves when the process is gone. */
  readonly kill: () => Promise<void>;
  /** SIGSTOP and SIGCONT. */
  readonly pause: () => void;
  readonly resume: () => void;
  /** Starts again on the same port and the same streams. */
  readonly start: () => Promise<void>;
  /** Ends it and removes its streams. */
  readonly stop: () => Promise<void>;
}

export const startNatsServer = async (options: { readonly configuration?: string } = {}): Promise<NatsServer> => {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'seine-nats-'));
  const configuration = options.configuration === undefined ? SHIPPED_CONFIGURATION : `${directory}.conf`;
  if (options.configuration !== undefined) writeFileSync(configuration, options.configuration);
  let process: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    process = spawn('nats-server', ['-c', configuration, '-a', '127.0.0.1', '-p', String(port), '-sd', directory], { stdio: 'ignore' });
    process.once('error', () => {});
    await eventually(() => answers(port));
  };
  const kill = async (): Promise<void> => {
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
    process.kill('SIGKILL');
    await once(process, 'exit');
  };
  await start();
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    directory,
    kill,
    start,
    pause: () => { process?.kill('SIGSTOP'); },
    resume: () => { process?.kill('SIGCONT'); },
    stop: async () => {
      process?.kill('SIGCONT');
      await kill();
      rmSync(directory, { recursive: true, force: true });
      rmSync(`${directory}.conf`, { force: true });
    },
  };
};
