/** Ways from one namespace to another that Seine is set beside. Each cell has fresh namespaces: a namespace remembers netfilter. */
import { createNetns, deleteNetns } from '@seine/kernel';

import { ipBatch, run } from './shell.ts';

export interface Cell {
  readonly name: string;
  readonly client: string;
  readonly server: string;
  readonly address: string;
  readonly down: () => void;
}

const CLIENT = '10.99.1.2';
const SERVER = '10.99.2.2';

const wire = (tag: string) => {
  const names = { client: `sbench-${tag}-a`, server: `sbench-${tag}-b`, node: `sbench-${tag}-r` };
  const down = (): void => { for (const name of Object.values(names)) deleteNetns(name); };
  down();
  for (const name of Object.values(names)) createNetns(name);
  const join = (netns: string, host: string, index: number, last: string, address: string, gateway: string): void => {
    ipBatch(`link add ${host} index ${index} netns ${names.node} type veth peer name eth0 address 02:00:00:00:00:${last} netns ${netns}`);
    run('ip', '-n', names.node, 'addr', 'add', `${gateway}/24`, 'dev', host);
    run('ip', '-n', names.node, 'link', 'set', host, 'up');
    run('ip', '-n', netns, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    run('ip', '-n', netns, 'link', 'set', 'eth0', 'up');
    run('ip', '-n', netns, 'link', 'set', 'lo', 'up');
    run('ip', '-n', netns, 'route', 'add', 'default', 'via', gateway);
  };
  join(names.client, 'va', 2, '0a', CLIENT, '10.99.1.1');
  join(names.server, 'vb', 3, '0b', SERVER, '10.99.2.1');
  run('nsenter', `--net=/run/netns/${names.node}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  return { ...names, down };
};

/** Where a cell's server answers. */
export const CELL_SERVER = SERVER;

/** Two namespaces routed by the kernel, nothing else; `onNode` then changes the node between them. */
export const routed = (tag: string, name: string, onNode: (node: string) => void = () => {}): Cell & { readonly node: string } => {
  const { client, server, node, down } = wire(tag);
  onNode(node);
  return { name, client, server, node, address: SERVER, down };
};

const admitByIptables = (node: string): void => {
  const iptables = (...args: readonly string[]): string => run('nsenter', `--net=/run/netns/${node}`, 'iptables', ...args);
  iptables('-P', 'FORWARD', 'DROP');
  iptables('-A', 'FORWARD', '-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT');
  iptables('-A', 'FORWARD', '-s', CLIENT, '-d', SERVER, '-p', 'tcp', '-j', 'ACCEPT');
};

/** Two namespaces routed by the kernel, with iptables' conntrack in the path: what most clusters run. */
export const routedByIptables = (tag: string): Cell => {
  const { client, server, node, down } = wire(tag);
  admitByIptables(node);
  return { name: 'kernel routing with iptables conntrack', client, server, address: SERVER, down };
};

/** The same over two nodes on one bridge, as the lab's nodes are: each routes, each has its conntrack. */
export const routedAcross = (tag: string): Cell => {
  const names = { client: `sbench-${tag}-a`, server: `sbench-${tag}-b`, near: `sbench-${tag}-n`, far: `sbench-${tag}-f`, hub: `sbench-${tag}-h` };
  const down = (): void => { for (const name of Object.values(names)) deleteNetns(name); };
  down();
  for (const name of Object.values(names)) createNetns(name);
  ipBatch(`link add wire netns ${names.hub} type bridge`);
  run('ip', '-n', names.hub, 'link', 'set', 'wire', 'up');
  const sides = [
    { node: names.near, pod: names.client, address: CLIENT, gateway: '10.99.1.1', own: '10.99.0.1', block: '10.99.2.0/24', via: '10.99.0.2' },
    { node: names.far, pod: names.server, address: SERVER, gateway: '10.99.2.1', own: '10.99.0.2', block: '10.99.1.0/24', via: '10.99.0.1' },
  ];
  for (const { node, pod, address, gateway, own } of sides) {
    ipBatch(`link add v0 netns ${node} type veth peer name eth0 netns ${pod}`, `link add ${node} netns ${names.hub} type veth peer name eth0 netns ${node}`);
    run('ip', '-n', names.hub, 'link', 'set', node, 'master', 'wire', 'up');
    for (const [netns, device, cidr] of [[node, 'v0', `${gateway}/24`], [node, 'eth0', `${own}/24`], [pod, 'eth0', `${address}/24`]] as const) {
      run('ip', '-n', netns, 'addr', 'add', cidr, 'dev', device);
      run('ip', '-n', netns, 'link', 'set', device, 'up');
    }
    run('ip', '-n', pod, 'link', 'set', 'lo', 'up');
    run('ip', '-n', pod, 'route', 'add', 'default', 'via', gateway);
    run('nsenter', `--net=/run/netns/${node}`, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    admitByIptables(node);
  }
  for (const { node, block, via } of sides) run('ip', '-n', node, 'route', 'add', block, 'via', via);
  return { name: 'kernel routing over the same wires', client: names.client, server: names.server, address: SERVER, down };
};

/** Two namespaces joined by a program that only redirects to the peer: the floor of every veth datapath. */
export const bareRedirect = (tag: string, object: string): Cell => {
  const { client, server, node, down } = wire(tag);
  for (const device of ['va', 'vb']) {
    run('nsenter', `--net=/run/netns/${node}`, 'tc', 'qdisc', 'add', 'dev', device, 'clsact');
    run('nsenter', `--net=/run/netns/${node}`, 'tc', 'filter', 'add', 'dev', device, 'ingress', 'bpf', 'da', 'obj', object, 'sec', `tc/${device}`);
  }
  return { name: 'bare redirect_peer', client, server, address: SERVER, down };
};
