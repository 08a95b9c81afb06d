/** The lab's kubelet: a namespace, a CNI ADD and a server for each pod; the reverse when it goes. The CNI binary is the one that ships. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';

import { createNetns, deleteNetns, netnsExists, netnsPath } from '@seine/kernel';
import { digest, SeineError } from '@seine/model';
import { SOCKET } from '@seine/node';
import type { KubeObject } from '@seine/objects';

import { containerPorts, isFinished, isHostNetwork, nodeOf, podAddresses } from '../core/index.ts';
import { PROJECT, type Places } from './places.ts';

export interface AttachedPod { readonly key: string; readonly uid: string; readonly node: string; readonly netns: string; readonly addresses: readonly string[]; readonly spec: string; readonly containerId: string }

const CNI = join(PROJECT, 'services/loader/cni/build/seine-cni');
const AT_ONCE = 8;
const MOST_TIMES = 1000;
const TRIES = 6;
const TRY_AGAIN = 11;

const podKey = ({ namespace, name }: KubeObject): string => `${namespace}/${name}`;
/** What a change of means a new pod. */
export const podShape = (pod: KubeObject): string => JSON.stringify([nodeOf(pod), containerPorts(pod), podAddresses(pod), pod.uid]);

/** It lives in its node's namespace: there is nothing to attach, only something to serve. */
const wantsNode = (pod: KubeObject): boolean => pod.kind === 'Pod' && nodeOf(pod) !== undefined && isHostNetwork(pod) && !isFinished(pod);
export const wantsPod = (pod: KubeObject): boolean => pod.kind === 'Pod' && nodeOf(pod) !== undefined && !isHostNetwork(pod) && !isFinished(pod);

const cni = (places: Places, command: 'ADD' | 'DEL', { node, netns, containerId, args }: { readonly node: string; readonly netns: string; readonly containerId: string; readonly args: string }): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = execFile(CNI, {
      env: {
        CNI_COMMAND: command, CNI_CONTAINERID: containerId, CNI_NETNS: netnsPath(netns), CNI_IFNAME: 'eth0', CNI_PATH: '/opt/cni/bin', CNI_ARGS: args,
        SEINE_CNI_SOCKET: join(places.nodeRun(node), SOCKET.cni),
      },
      timeout: 30_000,
    }, (error, stdout) => {
      if (error === null) { resolve(stdout); return; }
      let answer: { readonly code?: number; readonly msg?: string } = {};
      try { answer = JSON.parse(stdout) as typeof answer; } catch { /* nothing was said: the exit itself is the error */ }
      reject(new SeineError('SEINE_CNI_FAILED', `CNI ${command} on ${node}: ${answer.msg ?? error.message}`, { code: answer.code ?? 0 }));
    });
    child.stdin?.on('error', () => {}); // it may have refused before reading
    child.stdin?.end(JSON.stringify({ cniVersion: '1.1.0', name: 'seine', type: 'seine-cni' }));
  });

export interface PodServers {
  readonly open: (node: string, order: { /** undefined: the node's own */ readonly netns?: string; readonly addresses: readonly string[]; readonly name: string; readonly ports: readonly { readonly port: number; readonly protocol: string }[] }) => Promise<readonly string[]>;
  readonly close: (node: string, name: string) => Promise<void>;
}

export const createKubelet = (places: Places, servers: PodServers, warn: (text: string) => void, atOnce = AT_ONCE) => {
  const addMs: number[] = [];
  const attached = new Map<string, AttachedPod>();
  /** Pods on the nodes' own network that have servers, and what those were made for. */
  const onHost = new Map<string, { readonly node: string; readonly spec: string }>();

  const add = async (pod: KubeObject): Promise<void> => {
    const key = podKey(pod);
    const node = nodeOf(pod)!;
    const netns = places.podNetns(pod.namespace, pod.name);
    const containerId = digest(`${key} ${podShape(pod)}`);
    const wanted = podAddresses(pod);
    if (!netnsExists(netns)) createNetns(netns);
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${pod.namespace};K8S_POD_NAME=${pod.name};K8S_POD_INFRA_CONTAINER_ID=${containerId};K8S_POD_UID=${pod.uid}${wanted.length === 0 ? '' : `;IP=${wanted.join()}`}`;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const startedMs = performance.now();
        const result = JSON.parse(await cni(places, 'ADD', { node, netns, containerId, args })) as { readonly ips: readonly { readonly address: string }[] };
        addMs.push(performance.now() - startedMs);
        if (addMs.length > MOST_TIMES) addMs.shift();
        const addresses = result.ips.map(({ address }) => address.slice(0, address.indexOf('/')));
        attached.set(key, { key, uid: pod.uid, node, netns, addresses, spec: podShape(pod), containerId });
        for (const skipped of await servers.open(node, { netns, addresses, name: key, ports: containerPorts(pod) })) warn(skipped);
        return;
      } catch (error) {
        if (attempt >= TRIES || (error as SeineError).details?.['code'] !== TRY_AGAIN) throw error;
      }
    }
  };

  const remove = async (pod: AttachedPod): Promise<void> => {
    await servers.close(pod.node, pod.key).catch(() => {}); // the server process may be starting again
    for (let attempt = 1; ; attempt += 1) {
      try {
        await cni(places, 'DEL', { node: pod.node, netns: pod.netns, containerId: pod.containerId, args: '' });
        break;
      } catch (error) {
        if (attempt >= TRIES) throw error;
      }
    }
    deleteNetns(pod.netns);
    attached.delete(pod.key);
  };

  const each = async <T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<readonly string[]> => {
    const failed: string[] = [];
    const queue = [...items];
    await Promise.all(Array.from({ length: Math.min(atOnce, queue.length) }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
        try { await work(item); } catch (error) { failed.push((error as Error).message); }
      }
    }));
    return failed;
  };

  return {
    attached: (): ReadonlyMap<string, AttachedPod> => attached,
    /** How long the last ADDs took, spawn and answer included. */
    addMs: (): readonly number[] => addMs,
    /** Pods that are gone or have become other pods. */
    stopped: async (pods: readonly KubeObject[]): Promise<readonly string[]> => {
      const wanted = new Map(pods.filter(wantsPod).map((pod) => [podKey(pod), podShape(pod)]));
      return each([...attached.values()].filter(({ key, spec }) => wanted.get(key) !== spec), remove);
    },
    started: async (pods: readonly KubeObject[]): Promise<readonly string[]> => each(pods.filter((pod) => wantsPod(pod) && !attached.has(podKey(pod))), add),
    /** Servers of pods on the nodes' own network: at the node's address. */
    serveHosts: async (pods: readonly KubeObject[]): Promise<readonly string[]> => {
      const wanted = new Map(pods.filter(wantsNode).map((pod) => [podKey(pod), pod]));
      const gone = [...onHost].filter(([key, { spec }]) => { const pod = wanted.get(key); return pod === undefined || podShape(pod) !== spec; });
      const closed = await each(gone, async ([key, { node }]) => { await servers.close(node, key); onHost.delete(key); });
      return [...closed, ...await each([...wanted].filter(([key]) => !onHost.has(key)), async ([key, pod]) => {
        for (const skipped of await servers.open(nodeOf(pod)!, { addresses: podAddresses(pod), name: key, ports: containerPorts(pod) })) warn(skipped);
        onHost.set(key, { node: nodeOf(pod)!, spec: podShape(pod) });
      })];
    },
    /** Servers of a node whose server process has come back. */
    reopen: async (node: string, pods: readonly KubeObject[]): Promise<void> => {
      for (const pod of pods) {
        const key = podKey(pod);
        if (onHost.get(key)?.node === node) await servers.open(node, { addresses: podAddresses(pod), name: key, ports: containerPorts(pod) });
        const entry = attached.get(key);
        if (entry?.node === node) await servers.open(node, { netns: entry.netns, addresses: entry.addresses, name: entry.key, ports: containerPorts(pod) });
      }
    },
  };
};
export type Kubelet = ReturnType<typeof createKubelet>;
