/** Ways from one namespace to another that Seine is set beside. Each cell has fresh namespaces: a namespace remembers netfilter. */
import { attempt, ipBatch, run } from './shell.ts';

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
  const down = (): void => { for (const name of Object.values(names)) attempt('ip', 'netns', 'del', name); };
  down();
  for (const name of Object.values(names)) run('ip', 'netns', 'add', name);
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

/** Two namespaces routed by the kernel, with iptables' conntrack in the path: what most clusters run. */
export const routedByIptables = (tag: string): Cell => {
  const { client, server, node, down } = wire(tag);
  const iptables = (...args: readonly string[]): string => run('nsenter', `--net=/run/netns/${node}`, 'iptables', ...args);
  iptables('-P', 'FORWARD', 'DROP');
  iptables('-A', 'FORWARD', '-m', 'conntrack', '--ctstate', 'ESTABLISHED,RELATED', '-j', 'ACCEPT');
  iptables('-A', 'FORWARD', '-s', CLIENT, '-d', SERVER, '-p', 'tcp', '-j', 'ACCEPT');
  return { name: 'kernel routing with iptables conntrack', client, server, address: SERVER, down };
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
