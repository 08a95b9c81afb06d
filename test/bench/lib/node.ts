/** A node of one: the real loader as a process in a namespace of its own, two pods that it wired, and the writer's mind in this process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cgroupRoot, createCgroup, createNetns, deleteNetns, netnsPath, removeCgroup } from '@seine/kernel';
import { hostInterfaceName, podMac } from '@seine/datapath-writer';
import { connectUnix, SOCKET, type Applied, type Plumbed, type Step } from '@seine/node';
import { eventually } from '@seine/testkit';

import { packSteps } from '../../../services/datapath-writer/shell/pack.ts';
import { compiled, event, nodeEvents, podEvents, SELF } from './cluster.ts';
import { openMind, stateOf, type Mind } from './mind.ts';
import { TARGET_PORT } from './services.ts';

const START_MS = 30_000;
const MTU = 1500;
const CT_SIZE = '65536';
const PODS = ['client', 'server'] as const;
type Pod = (typeof PODS)[number];

/** Each pod admits the other alone: a policy is in force wherever a packet goes. */
const POLICIES = compiled([
  { namespace: 'bench', name: 'server', spec: { podSelector: { matchLabels: { app: 'server' } }, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'client' } } }], ports: [{ port: TARGET_PORT }] }] } },
  { namespace: 'bench', name: 'client', spec: { podSelector: { matchLabels: { app: 'client' } }, policyTypes: ['Egress'], egress: [{ to: [{ podSelector: { matchLabels: { app: 'server' } } }], ports: [{ port: TARGET_PORT }] }] } },
]);

export interface BenchNode {
  readonly mind: Mind;
  /** Network namespaces by name. */
  readonly client: string;
  readonly server: string;
  readonly serverAddress: string;
  /** Whose processes have their Services translated at the socket. */
  readonly cgroup: string;
  /** As the writer hands steps over. */
  readonly apply: (steps: readonly Step[]) => Promise<Applied>;
  readonly down: () => Promise<void>;
}

export const openNode = async (tag: string): Promise<BenchNode> => {
  const name = `sbench-${tag}`;
  const netns = { node: `${name}-n`, client: `${name}-a`, server: `${name}-b` };
  const pins = `/sys/fs/bpf/seine-${name}`;
  const cgroup = join(cgroupRoot(), `seine-${name}`);
  const directory = mkdtempSync(join(tmpdir(), `${name}-`));
  for (const each of Object.values(netns)) { deleteNetns(each); createNetns(each); }
  createCgroup(cgroup);
  const loader = spawn('nsenter', [`--net=${netnsPath(netns.node)}`, process.execPath, '--disable-warning=ExperimentalWarning', '--max-semi-space-size=1', new URL('../../../services/loader/main.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '', SEINE_NODE: SELF, SEINE_RUN_DIR: directory, SEINE_STATE_DIR: directory, SEINE_PIN_ROOT: pins, SEINE_CGROUP_ROOT: cgroup, SEINE_CT_SIZE: CT_SIZE, SEINE_LOG_LEVEL: 'error' },
  });
  const client = await eventually(() => connectUnix(join(directory, SOCKET.loader)), START_MS);
  /* Somebody hears the samples, as the observer does. */
  const observer = await connectUnix(join(directory, SOCKET.loader));
  await observer.call('samples');

  const events = PODS.map((app, index) => podEvents({ index, namespace: 'bench', app, node: SELF }));
  const addressOf = (pod: Pod): string => (events[PODS.indexOf(pod)]!.find(({ type }) => type === 'address.bound.v1')!).key;
  const indexes = new Map<string, number>();
  for (const [at, pod] of PODS.entries()) {
    const hostInterface = hostInterfaceName(`bench/${pod}-${at}`, `uid-${at}`);
    const addresses = [addressOf(pod)];
    const { ifindex } = await client.call<Plumbed>('plumb', { netns: netnsPath(netns[pod]), podInterface: 'eth0', hostInterface, addresses, podMac: podMac(addresses), mtu: MTU });
    indexes.set(hostInterface, ifindex);
  }
  const wired = events.map((all, at) => all.map((each) => (each.type === 'endpoint.observed.v1' ? event('endpoint.observed.v1', each.key, { ...each.data, hostInterface: hostInterfaceName(each.key, `uid-${at}`) }) : each)));
  const mind = openMind(stateOf([...nodeEvents(), ...wired.flat(), ...POLICIES]), (hostInterface) => indexes.get(hostInterface)!);
  const apply = (steps: readonly Step[]): Promise<Applied> => client.call<Applied>('apply', { seq: 1, steps: packSteps(steps) });
  await apply(mind.pass([]).ordered.steps);
  return {
    mind, client: netns.client, server: netns.server, serverAddress: addressOf('server'), cgroup, apply,
    down: async () => {
      const gone = once(loader, 'exit');
      loader.kill('SIGKILL');
      await gone;
      client.close();
      observer.close();
      for (const each of Object.values(netns)) deleteNetns(each);
      rmSync(pins, { recursive: true, force: true });
      rmSync(directory, { recursive: true });
      await eventually(() => { removeCgroup(cgroup); return true; });
    },
  };
};
