/** Receive-path cells: a namespace that is given UDP frames for a socket of its own, and something that decides which sources it hears. */
import { execFileSync } from 'node:child_process';

import {
  addressAdd, clsactAdd, closeFd, createNetns, deleteNetns, filterReplace, inNetns, injectFrames, linkUp, netnsPath, openFd, openNetlink, openSocket, routeReplace, vethAdd, type LoadedObject,
} from '@seine/kernel';
import { Direction, Verdict } from '@seine/layout';

import { Datapath } from '../../../bpf/test/datapath.ts';
import { ethernet, ipv4, PROTOCOL, udpDatagram } from '../../../bpf/test/packet.ts';

const NODE = '10.98.0.1';
const PORT = 9999;
const HOST = 1;
const FIRST_PEER = 1000;

/** The n-th address that may speak. */
const peerAddress = (index: number): string => `172.${16 + (index >>> 16)}.${(index >>> 8) & 255}.${index & 255}`;

export type Filter = 'none' | 'iptables' | 'ipset' | 'nft set' | 'seine';
export type Flows = 'same' | 'new';

export interface Receiver {
  readonly filter: Filter;
  /** Injects frames from the last source that may speak. @returns packets/s over the whole receive path */
  readonly rate: (flows: Flows, count: number) => number;
  readonly down: () => void;
}

const shell = (netns: string, input: string, ...command: readonly string[]): void => { execFileSync('nsenter', [`--net=${netnsPath(netns)}`, ...command], { input, stdio: ['pipe', 'pipe', 'pipe'] }); };

const setUp: Readonly<Record<Exclude<Filter, 'seine'>, (netns: string, addresses: readonly string[]) => void>> = {
  none: () => {},
  iptables: (netns, addresses) => { shell(netns, `*filter\n:INPUT DROP [0:0]\n${addresses.map((address) => `-A INPUT -s ${address}/32 -j ACCEPT\n`).join('')}COMMIT\n`, 'iptables-restore'); },
  ipset: (netns, addresses) => {
    shell(netns, `create peers hash:ip maxelem ${addresses.length + 1}\n${addresses.map((address) => `add peers ${address}\n`).join('')}`, 'ipset', 'restore');
    shell(netns, '*filter\n:INPUT DROP [0:0]\n-A INPUT -m set --match-set peers src -j ACCEPT\nCOMMIT\n', 'iptables-restore');
  },
  'nft set': (netns, addresses) => {
    shell(netns, `table ip bench {\nset peers { type ipv4_addr; elements = { ${addresses.join(', ')} } }\nchain input { type filter hook input priority 0; policy drop; ip saddr @peers accept; }\n}\n`, 'nft', '-f', '-');
  },
};

export const openReceiver = (filter: Filter, peers: number, injector: LoadedObject): Receiver => {
  const netns = `sbench-in-${filter.replace(' ', '-')}`;
  deleteNetns(netns);
  createNetns(netns);
  const fd = openFd(netnsPath(netns));
  const inside = <T>(act: () => T): T => inNetns(fd, act);
  const netlink = inside(openNetlink);
  netlink.transact([vethAdd({ near: { name: 'eth0' }, far: { name: 'far0' } })]);
  const ifindex = netlink.linkIndex('eth0')!;
  netlink.transact([
    linkUp(ifindex), linkUp(netlink.linkIndex('far0')!), addressAdd({ index: ifindex, address: NODE, length: 24 }), routeReplace({ destination: '172.16.0.0', length: 12, index: ifindex }),
  ]);
  const mac = netlink.links().find(({ index }) => index === ifindex)!.mac;
  /* Never read: once it is full the stack drops what was let in, the same in every cell. */
  const socket = inside(() => openSocket({ type: 'datagram', address: NODE, port: PORT }));
  const addresses = Array.from({ length: peers }, (_, index) => peerAddress(index));
  let datapath: Datapath | undefined;
  if (filter === 'seine') {
    datapath = new Datapath({ a: ifindex, b: ifindex, inside, close: () => {} }, { maxEntries: { sn_ipcache_01: 2 * peers, sn_peer_01: 2 * peers, sn_ctany_01: 1 << 14 } });
    datapath.remote(NODE, HOST);
    addresses.forEach((address, index) => { datapath!.remote(address, FIRST_PEER + index); });
    const row = datapath.row([{ protocol: PROTOCOL.udp, port: PORT, verdict: Verdict.ALLOW }]);
    datapath.subject({ identity: HOST, direction: Direction.INGRESS, row: datapath.row([], Verdict.DEFAULT_DENY), peers: Object.fromEntries(addresses.map((_, index) => [FIRST_PEER + index, row])) });
    datapath.open(HOST, Direction.EGRESS);
    datapath.program('FROM_NETDEV', 'from_netdev');
    netlink.transact([clsactAdd(ifindex), filterReplace({ index: ifindex, direction: 'ingress', programFd: datapath.fd('stub_from_netdev'), name: 'seine_from_netdev' })]);
  } else {
    setUp[filter](netns, addresses);
  }
  const flow = { source: addresses.at(-1)!, destination: NODE, sourcePort: 40_000, destinationPort: PORT };
  const data = ethernet(0x0800, ipv4(flow, PROTOCOL.udp, udpDatagram(flow, 18)), { to: mac });
  return {
    filter,
    rate: (flows, count) => {
      datapath?.samples();
      return count / (inside(() => injectFrames(injector.programFd(`inject_${flows}`), { data, ifindex, count })) / 1e9);
    },
    down: () => {
      netlink.close();
      closeFd(socket);
      datapath?.close();
      closeFd(fd);
      deleteNetns(netns);
    },
  };
};
