/** The roles of a node as processes, beside a broker that holds the log of many Services. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { cgroupRoot, createCgroup, createNetns, deleteNetns, inNetnsAt, linkUp, netnsPath, openNetlink, removeCgroup } from '@seine/kernel';
import { SeineError } from '@seine/model';
import { connectUnix, SOCKET } from '@seine/node';
import { eventually } from '@seine/testkit';

import { SELF } from './cluster.ts';
import { runIn } from './shell.ts';

const ROLES = ['loader', 'datapath-writer', 'observer'] as const;
export type NodeRole = (typeof ROLES)[number];
const NAME = 'sbench-roles';
const ROOT = new URL('../../../', import.meta.url).pathname;
const START_MS = 60_000;
/** Patience with the log: it is read, folded and written to the maps. */
const LOG_MS = 120_000;
/** What is left when the start is over, and drift was looked for. */
const SETTLE_MS = 8_000;
const LOOKS = 5;
/** Services that come one by one: those that count, and those before them. */
const ADDED = 9;
const WARM = 15;
const LOOK_EVERY_MS = 1_000;

export interface RoleMemory { readonly residentMb: number[]; /** the most that it ever had */ peakMb: number }

const statusMb = (pid: number, field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

export interface Measured {
  /** At rest. */
  readonly memory: ReadonlyMap<NodeRole, RoleMemory>;
  /** From the start of the processes until all was in the maps. */
  readonly filledMs: number;
  /** One Service more, so often: from its objects through both lanes into the maps. */
  readonly addedMs: readonly number[];
  /** The writer, killed and started again over maps that hold everything. */
  readonly restarted: { readonly memory: RoleMemory; readonly readyMs: number; /** entries that it wrote or deleted */ readonly writes: number };
}

const LOADER_PORT = '9101';

export const measureRoles = async (services: number, endpoints: number): Promise<Measured> => {
  const directory = mkdtempSync(join(tmpdir(), `${NAME}-`));
  const pins = `/sys/fs/bpf/seine-${NAME}`;
  const cgroup = join(cgroupRoot(), `seine-${NAME}`);
  deleteNetns(NAME);
  createNetns(NAME);
  createCgroup(cgroup);
  const netlink = inNetnsAt(netnsPath(NAME), openNetlink);
  netlink.transact([linkUp(netlink.linkIndex('lo')!)]);
  netlink.close();
  const children: ChildProcess[] = [];
  const start = (command: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess => {
    const child = spawn('nsenter', [`--net=${netnsPath(NAME)}`, ...command], { stdio: ['pipe', 'pipe', command[0] === 'nats-server' ? 'ignore' : 'inherit'], env: { ...process.env, NODE_OPTIONS: '', MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '65536', NODE_COMPILE_CACHE: join(ROOT, '.seine/compile-cache'), ...env } });
    children.push(child);
    return child;
  };
  const node = (...args: readonly string[]): readonly string[] => [process.execPath, '--disable-warning=ExperimentalWarning', ...args];
  try {
    start(['nats-server', '-c', join(ROOT, 'infra/nats/nats-server.conf'), '-a', '127.0.0.1', '-p', '4222', '-sd', join(directory, 'nats')]);
    const log = start(node(new URL('log-of-services.ts', import.meta.url).pathname, String(services), String(endpoints)));
    const [said] = await once(log.stdout!, 'data') as [Buffer]; // of its pipe
    const seq = Number(said.toString());
    const startedMs = performance.now();
    const startRole = (role: NodeRole): ChildProcess => {
      const child = start(node('--max-semi-space-size=1', join(ROOT, `services/${role}/main.ts`)), {
        SEINE_CLUSTER: 'bench', SEINE_INSTANCE: NAME, SEINE_NODE: SELF, SEINE_RUN_DIR: directory, SEINE_STATE_DIR: join(directory, role), SEINE_PIN_ROOT: pins, SEINE_CGROUP_ROOT: cgroup, SEINE_PROXY_HEALTH_PORT: '0', SEINE_LOG_LEVEL: 'warn', SEINE_HEALTH_PORT: role === 'loader' ? LOADER_PORT : '0',
      });
      child.stdout!.resume();
      return child;
    };
    const untilFilled = async (): Promise<void> => {
      const writer = await eventually(() => connectUnix(join(directory, SOCKET.writer)), START_MS);
      await writer.call('wait', { seq, timeoutMs: LOG_MS });
      writer.close();
    };
    const look = async (children: ReadonlyMap<NodeRole, ChildProcess>): Promise<ReadonlyMap<NodeRole, RoleMemory>> => {
      await pause(SETTLE_MS);
      const memory = new Map([...children.keys()].map((role): [NodeRole, RoleMemory] => [role, { residentMb: [], peakMb: 0 }]));
      for (let at = 0; at < LOOKS; at += 1) {
        for (const [role, { pid }] of children) {
          memory.get(role)!.residentMb.push(statusMb(pid!, 'VmRSS')); // it runs
          memory.get(role)!.peakMb = statusMb(pid!, 'VmHWM');
        }
        await pause(LOOK_EVERY_MS);
      }
      return memory;
    };
    /** As the loader's metrics tell it. */
    const written = (): number => {
      const text = runIn(NAME, {}, process.execPath, '-e', `fetch('http://127.0.0.1:${LOADER_PORT}/metrics').then((answer) => answer.text()).then((text) => process.stdout.write(text))`);
      return [...text.matchAll(/^seine_loader_map_(?:writes|deletes)_total (\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    const roles = new Map(ROLES.map((role) => [role, startRole(role)]));
    await untilFilled();
    const filledMs = performance.now() - startedMs;
    const memory = await look(roles);
    const addedMs: number[] = [];
    const asked = await connectUnix(join(directory, SOCKET.writer));
    for (let round = 0; round < WARM + ADDED; round += 1) {
      const began = performance.now();
      log.stdin!.write('one more\n');
      const [answer] = await once(log.stdout!, 'data') as [Buffer]; // of its pipe
      await asked.call('wait', { seq: Number(answer.toString()), timeoutMs: LOG_MS });
      if (round >= WARM) addedMs.push(performance.now() - began);
    }
    asked.close();
    const before = written();
    if (before < services) throw new SeineError('SEINE_BENCH_INCOMPLETE', `the loader says that it wrote ${before} entries for ${services} Services`);
    const former = roles.get('datapath-writer')!;
    const gone = once(former, 'exit');
    former.kill('SIGKILL');
    await gone;
    rmSync(join(directory, SOCKET.writer));
    const againMs = performance.now();
    const again = startRole('datapath-writer');
    await untilFilled();
    const readyMs = performance.now() - againMs;
    const restarted = (await look(new Map([['datapath-writer', again]]))).get('datapath-writer')!;
    return { memory, filledMs, addedMs, restarted: { memory: restarted, readyMs, writes: written() - before } };
  } finally {
    for (const child of children.reverse()) {
      const gone = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGKILL');
      await gone;
    }
    deleteNetns(NAME);
    rmSync(pins, { recursive: true, force: true });
    rmSync(directory, { recursive: true, force: true });
    await eventually(() => { removeCgroup(cgroup); return true; });
  }
};
