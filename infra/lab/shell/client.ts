/** How the command line reaches a lab: its supervisor's socket. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { SeineError } from '@seine/model';
import { connectUnix, SOCKET, type UnixClient } from '@seine/node';

import type { IpFamilyName } from '../core/index.ts';
import { makePlaces, nodeBinary, placesOf, PROJECT, type Places } from './places.ts';
import { takeDown } from './takedown.ts';

export interface UpOptions { readonly nodes?: number; readonly repair?: boolean; readonly offload?: boolean; readonly ctSize?: number; readonly atOnce?: number; readonly ipFamily?: IpFamilyName; readonly xdp?: string; /** JSON of settings of the cluster */ readonly settings?: string }
const DEFAULTS: UpOptions = { nodes: 2, repair: true, offload: false, ipFamily: 'dual' };

/** @throws SEINE_PEER_UNREACHABLE saying how to start one */
export const connectLab = async (name: string): Promise<UnixClient> => {
  const places = placesOf(name);
  return connectUnix(places.socket).catch((cause: unknown) => {
    throw new SeineError('SEINE_PEER_UNREACHABLE', `no lab named ${name} is up: seine lab up --name ${name}`, { lab: name }, { cause });
  });
};

/** The connection ends with the work, whatever comes of it: an open one would keep the process. */
export const withLab = async <T>(name: string, work: (client: UnixClient) => Promise<T>): Promise<T> => {
  const client = await connectLab(name);
  try { return await work(client); } finally { client.close(); }
};

export const connectWriter = async (places: Places, node: string): Promise<UnixClient> => connectUnix(join(places.nodeRun(node), SOCKET.writer));
export const connectObserver = async (places: Places, node: string): Promise<UnixClient> => connectUnix(join(places.nodeRun(node), SOCKET.observer));

const UP_PATIENCE_MS = 60_000;

/** @throws SEINE_INPUT_INVALID when a running lab is not what was asked for */
const mustBe = (name: string, is: UpOptions, asked: UpOptions): void => {
  for (const [option, value] of Object.entries(asked)) {
    const has = is[option as keyof UpOptions]; // a key of `asked`
    if (has !== value) throw new SeineError('SEINE_INPUT_INVALID', `lab ${name} is up with ${option} ${String(has ?? 'as usual')}, not ${String(value)}: take it down first (seine lab down --name ${name}), or give another --name`);
  }
};

export interface Watching {
  /** One step is done. */
  readonly tell?: (step: string) => void;
  /** Whoever waits has lost patience: a lab that is not ready then is taken away again. */
  readonly signal?: AbortSignal;
}

/**
 * Starts a lab and waits until every role is ready. What a killed lab of that name left is taken away first; one that is up is used as it is.
 * @param asked what the lab must be, also if it is up already
 * @param preferred what a new lab is, where nothing is asked
 */
export const startLab = async (name: string, asked: UpOptions = {}, preferred: UpOptions = {}, { tell = () => {}, signal }: Watching = {}): Promise<{ readonly client: UnixClient; readonly times: Readonly<Record<string, number>>; readonly existed: boolean }> => {
  if (process.getuid?.() !== 0) throw new SeineError('SEINE_INPUT_INVALID', 'Seine\'s lab makes network namespaces and loads BPF programs: run it as root (sudo npm start).');
  const places = placesOf(name);
  const running = await connectUnix(places.socket).catch(() => undefined);
  if (running !== undefined) {
    try {
      mustBe(name, (await running.call<{ readonly order: UpOptions }>('ping')).order, asked);
    } catch (error) {
      running.close();
      throw error;
    }
    const { times } = await running.call<{ readonly times: Readonly<Record<string, number>> }>('ready');
    return { client: running, times, existed: true };
  }
  await takeDown(places);
  makePlaces(places);
  const log = openSync(join(places.logs, 'lab.log'), 'a');
  const child = spawn(nodeBinary(), ['--disable-warning=ExperimentalWarning', join(PROJECT, 'infra/lab/supervisor.ts'), JSON.stringify({ lab: name, ...DEFAULTS, ...preferred, ...asked })],
    { detached: true, stdio: ['ignore', log, log], cwd: PROJECT });
  closeSync(log);
  child.unref();
  tell(`namespaces and wires of lab ${name}`);
  const end = Date.now() + UP_PATIENCE_MS;
  for (;;) {
    if (existsSync(places.socket)) {
      const client = await connectUnix(places.socket).catch(() => undefined);
      if (client !== undefined) {
        tell('the log is there; waiting for every role');
        const left = (): void => { client.close(); };
        signal?.addEventListener('abort', left, { once: true });
        const ready = await client.call<{ readonly times: Readonly<Record<string, number>> }>('ready').catch((error: unknown) => { if (signal?.aborted !== true) throw error; });
        signal?.removeEventListener('abort', left);
        if (ready !== undefined) return { client, times: ready.times, existed: false };
      }
    }
    if (signal?.aborted === true) {
      await takeDown(places);
      throw new SeineError('SEINE_PEER_UNREACHABLE', `lab ${name} was not waited for: it is down again`, { lab: name });
    }
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > end) {
      const last = readFileSync(join(places.logs, 'lab.log'), 'utf8').trim().split('\n').slice(-3).join(' | ');
      await takeDown(places);
      throw new SeineError('SEINE_PEER_UNREACHABLE', `lab ${name} did not come up: ${last}`, { lab: name });
    }
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
};

const DOWN_PATIENCE_MS = 15_000;

/** Down, whatever state it is in. */
export const stopLab = async (name: string): Promise<void> => {
  const places = placesOf(name);
  const client = await connectUnix(places.socket).catch(() => undefined);
  if (client !== undefined) {
    const { pid } = await client.call<{ readonly pid: number }>('ping');
    await client.call('down');
    const end = Date.now() + DOWN_PATIENCE_MS;
    while (Date.now() < end && existsSync(`/proc/${pid}`)) await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  await takeDown(places);
};
