/**
 * CNI ADD with the policy in force on return, one after the other, beside the same wiring by a process for each step, and beside the plugins
 * bridge and host-local where the machine has them (Debian: containernetworking-plugins).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { closeFd, inNetns, netnsPath, openFd } from '@seine/kernel';

import { admit, seine, withLab } from './lib/lab.ts';
import { percentile, type Figure } from './lib/line.ts';
import { attempt, run } from './lib/shell.ts';

const PODS = 200;
const FLOOR_ROUNDS = 20;

/** A namespace's wiring by `ip` and `tc`, a process for each step: address, routes, clsact. The namespace itself is the runtime's job. */
const floor = (index: number): number => {
  const [host, pod, device] = ['sbench-cni-h', `sbench-cni-${index}`, `lx${index}`];
  run('ip', 'netns', 'add', pod);
  const started = performance.now();
  run('ip', '-n', host, 'link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod);
  for (const step of [
    ['-n', pod, 'addr', 'add', `10.9.0.${index}/32`, 'dev', 'eth0'], ['-n', pod, 'link', 'set', 'lo', 'up'], ['-n', pod, 'link', 'set', 'eth0', 'up'], ['-n', host, 'link', 'set', device, 'up'],
    ['-n', pod, 'route', 'add', '169.254.1.1', 'dev', 'eth0', 'scope', 'link'], ['-n', pod, 'route', 'add', 'default', 'via', '169.254.1.1'], ['-n', host, 'route', 'add', `10.9.0.${index}/32`, 'dev', device],
  ]) run('ip', ...step);
  run('tc', '-n', host, 'qdisc', 'add', 'dev', device, 'clsact');
  const ms = performance.now() - started;
  run('ip', 'netns', 'del', pod);
  return ms;
};

const PLUGIN_FOLDERS = ['/usr/lib/cni', '/opt/cni/bin'] as const;

/** One ADD after the other by bridge and host-local, in a namespace that stands for the host; undefined where they are not installed. No policy is in force after it. */
const pluginsMs = (): readonly number[] | undefined => {
  const folder = PLUGIN_FOLDERS.find((each) => ['bridge', 'host-local'].every((name) => existsSync(join(each, name))));
  if (folder === undefined) return undefined;
  const host = 'sbench-cni-p';
  const dataDir = mkdtempSync(join(tmpdir(), 'seine-bench-cni-'));
  attempt('ip', 'netns', 'del', host);
  run('ip', 'netns', 'add', host);
  const fd = openFd(netnsPath(host));
  const input = JSON.stringify({ cniVersion: '1.0.0', name: 'sbench', type: 'bridge', bridge: 'sbench0', isGateway: true, ipMasq: false, ipam: { type: 'host-local', dataDir, ranges: [[{ subnet: '10.97.0.0/16' }]] } });
  try {
    return Array.from({ length: FLOOR_ROUNDS + 1 }, (_, index) => {
      const pod = `sbench-cni-p${index}`;
      attempt('ip', 'netns', 'del', pod);
      run('ip', 'netns', 'add', pod);
      const started = performance.now();
      inNetns(fd, () => execFileSync(join(folder, 'bridge'), { input, env: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: pod, CNI_NETNS: netnsPath(pod), CNI_IFNAME: 'eth0', CNI_PATH: folder, PATH: process.env['PATH'] ?? '' } }));
      const ms = performance.now() - started;
      run('ip', 'netns', 'del', pod);
      return ms;
    }).slice(1); // the first makes the bridge
  } finally {
    closeFd(fd);
    run('ip', 'netns', 'del', host);
    rmSync(dataDir, { recursive: true });
  }
};

export const measure = async (): Promise<readonly Figure[]> => {
  attempt('ip', 'netns', 'del', 'sbench-cni-h');
  run('ip', 'netns', 'add', 'sbench-cni-h');
  const floorMs = Array.from({ length: FLOOR_ROUNDS }, (_, index) => floor(index + 1));
  run('ip', 'netns', 'del', 'sbench-cni-h');
  const manifest = `apiVersion: apps/v1
kind: Deployment
metadata: {name: server, namespace: bench}
spec:
  replicas: ${PODS}
  selector: {matchLabels: {name: server}}
  template: {metadata: {labels: {name: server}}, spec: {containers: [{name: idle}]}}
${admit('server', 'client')}`;
  const addMs = await withLab('bench', manifest, ['--nodes', '1', '--at-once', '1'], async () => (JSON.parse(seine('lab', 'status', '--name', 'bench', '-o', 'json')) as { readonly cniAddMs: readonly number[] }).cniAddMs);
  const yardstick = { name: 'the same wiring, a process for each step', values: floorMs };
  const plugins = pluginsMs();
  if (plugins === undefined) process.stderr.write(`bridge and host-local are in none of ${PLUGIN_FOLDERS.join(', ')}: left out\n`);
  return [
    ...(plugins === undefined ? [] : [{ figure: 'ADD p50 against bridge and host-local', unit: 'ms', ours: addMs, yardstick: { name: 'bridge and host-local', values: plugins }, aim: { relation: '<=', ratio: 0.2 } } as const]),
    { figure: 'ADD p50', unit: 'ms', ours: addMs, yardstick, aim: { relation: '<=', ratio: 0.5 } },
    { figure: 'ADD p99', unit: 'ms', ours: [percentile(addMs, 0.99)], yardstick: { name: `${yardstick.name}, p99`, values: [percentile(floorMs, 0.99)] }, aim: undefined },
    { figure: 'ADD of the first pod, its identity never seen', unit: 'ms', ours: [addMs[0]!], yardstick, aim: undefined },
  ];
};
