/**
 * The skeleton of a process: configuration, logs, health, metrics, traces, a clean stop, and a loud end.
 *
 *   environment → config → start() → ready … SIGTERM → signal aborted → stops in reverse order → exit 0
 *                                          … anything unhandled → one line → exit 1
 */
import { flushCompileCache } from 'node:module';

import { connectBus, type Bus } from '@seine/bus';
import { isSeineError } from '@seine/model';

import { COMMON_FIELDS, describeConfig, parseConfig, type CommonConfig, type ConfigOf, type Fields } from './config.ts';
import { createReadiness, serveHealth, type Readiness } from './health.ts';
import { createLogger, errorFields, type Logger } from './log.ts';
import { createRegistry, type MetricDefinitions, type Metrics } from './metrics.ts';
import { startTelemetry } from './telemetry.ts';

/** All stops together; after it the process ends anyway. */
export const STOP_DEADLINE_MS = 8_000;
/** How long a role waits for a broker or a log that is not there yet, before it ends and its supervisor starts it again. */
const BUS_PATIENCE_MS = 60_000;

export const BUILD = '0.1.0';

const EXIT_FAILED = 1;
const EXIT_BAD_CONFIG = 2;

export const PROCESS_METRICS = {
  memory: { type: 'gauge', name: 'process_memory_bytes', help: 'Resident memory of this process.' },
  heap: { type: 'gauge', name: 'process_heap_bytes', help: 'JavaScript heap in use.' },
  cpu: { type: 'gauge', name: 'process_cpu_seconds', help: 'Processor time since the start, user and system.' },
  warnings: { type: 'counter', name: 'warnings_total', help: 'Warnings logged.' },
} as const satisfies MetricDefinitions;

export interface Role<Config> {
  readonly name: string;
  readonly config: Config & CommonConfig;
  readonly log: Logger;
  /** Aborted when the process is told to stop. */
  readonly signal: AbortSignal;
  readonly readiness: Readiness;
  readonly metrics: <const D extends MetricDefinitions>(definitions: D) => Metrics<D>;
  /** Before each print of the metrics, for gauges that are read. */
  readonly beforeMetrics: (read: () => void) => void;
  /** Before each answer of /metrics, for what another process knows. */
  readonly askForMetrics: (ask: () => Promise<void>) => void;
  /** What was started last is stopped first. */
  readonly onStop: (what: string, stop: () => Promise<void> | void) => void;
  /** Runs until the role stops; ends the process when it fails or ends before. Stopping waits for it. */
  readonly background: (what: string, work: (signal: AbortSignal) => Promise<void>) => void;
  /** The configured bus; closed when the role stops. */
  readonly connectBus: () => Promise<Bus>;
}

export interface RoleDefinition<F extends Fields> {
  /** As in the folder's name: `identity-allocator`. */
  readonly name: string;
  readonly config: F;
  /** Builds and starts everything; the role is ready when it resolves. */
  readonly start: (role: Role<ConfigOf<F>>) => Promise<void>;
}

interface Stop { readonly what: string; readonly stop: () => Promise<void> | void }

const stopAll = async (stops: readonly Stop[], log: Logger): Promise<void> => {
  for (const { what, stop } of stops.toReversed()) {
    try {
      await stop();
    } catch (error) {
      log.warn('a part did not stop cleanly', { part: what, ...errorFields(error) });
    }
  }
};

const readConfig = <F extends Fields>({ name, config: fields }: RoleDefinition<F>): ConfigOf<F> & CommonConfig => {
  const all = { ...COMMON_FIELDS, ...fields };
  if (process.argv.includes('--help')) {
    process.stdout.write(describeConfig(name, all));
    process.exit(0);
  }
  try {
    return parseConfig(all, process.env) as unknown as ConfigOf<F> & CommonConfig; // parsed from the union of both
  } catch (error) {
    if (!isSeineError(error, 'SEINE_CONFIG_INVALID')) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    process.exit(EXIT_BAD_CONFIG);
  }
};

/** Runs a process until it is told to stop. Called once, from main.ts. */
export const runRole = async <const F extends Fields>(definition: RoleDefinition<F>): Promise<void> => {
  const { name, start } = definition;
  const config = readConfig(definition);
  const quiet = createLogger({ process: name, node: config.node, level: config.logLevel });
  const registry = createRegistry(name);
  const own = registry.define(PROCESS_METRICS);
  const log: Logger = { ...quiet, warn: (text, fields) => { own.warnings.add(); quiet.warn(text, fields); } };
  registry.beforePrint(() => {
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    own.memory.set(rss);
    own.heap.set(heapUsed);
    own.cpu.set((user + system) / 1e6);
  });

  const stopping = new AbortController();
  const stops: Stop[] = [];
  let exiting = false;

  const stop = async (reason: string, exitCode: number): Promise<void> => {
    if (exiting) return;
    exiting = true;
    log.info('stopping', { reason });
    stopping.abort();
    const deadline = setTimeout(() => {
      log.error('did not stop in time', { deadlineMs: STOP_DEADLINE_MS });
      process.exit(EXIT_FAILED);
    }, STOP_DEADLINE_MS);
    await stopAll(stops, log);
    clearTimeout(deadline);
    log.info('stopped', { exitCode });
    process.exit(exitCode);
  };
  const crash = (text: string) => (error: unknown): void => {
    log.fatal(text, errorFields(error));
    process.exit(EXIT_FAILED);
  };
  process.on('uncaughtException', crash('uncaught exception'));
  process.on('unhandledRejection', crash('unhandled rejection'));
  for (const signalName of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signalName, () => {
      if (exiting) process.exit(EXIT_FAILED);
      void stop(signalName, 0); // ends in process.exit
    });
  }

  const readiness = createReadiness();
  readiness.set('start', 'starting');
  const health = await serveHealth({ host: config.healthHost, port: config.healthPort, readiness, metrics: registry.read });
  stops.push({ what: 'health', stop: health.close });
  stops.push({ what: 'telemetry', stop: await startTelemetry(name, config.node, process.env) });
  log.info('starting', { build: BUILD, healthHost: config.healthHost, healthPort: health.port });

  const role: Role<ConfigOf<F>> = {
    name, config, log, readiness,
    signal: stopping.signal,
    metrics: registry.define,
    beforeMetrics: registry.beforePrint,
    askForMetrics: registry.beforeRead,
    onStop: (what, action) => { stops.push({ what, stop: action }); },
    background: (what, work) => {
      const running = work(stopping.signal).then(
        () => { if (!stopping.signal.aborted) crash('a part ended by itself')(new Error(what)); },
        (error: unknown) => { if (!stopping.signal.aborted) crash(`${what} failed`)(error); },
      );
      stops.push({ what, stop: () => running });
    },
    connectBus: async () => {
      const bus = await connectBus({
        url: config.natsUrl, cluster: config.cluster, name: `${config.instance}/${name}`, build: BUILD, warn: log.warn, signal: stopping.signal,
        patienceMs: BUS_PATIENCE_MS,
      });
      stops.push({ what: 'bus', stop: bus.close });
      return bus;
    },
  };
  try {
    await start(role);
    readiness.set('start', true);
    log.info('started');
    flushCompileCache(); // a process that is killed would leave none, and the next start would pay for it in time and memory
  } catch (error) {
    if (!stopping.signal.aborted) crash('could not start')(error);
  }
};
