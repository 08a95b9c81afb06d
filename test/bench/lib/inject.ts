/** Receive-path cells: a namespace that is given UDP frames for a socket of its own, and something that decides which sources it hears. */
import { execFileSync } from 'node:child_process';

import {
  addressAdd, clsactAdd, closeFd, createNetns, deleteNetns, filterReplace, inNetns, injectFrames, linkUp, netnsPath, openFd, openNetlink, openSocket, receiveFrom, routeReplace, vethAdd, type LoadedObject,
} from '@seine/kernel';
import { Direction, Verdict } from '@seine/layout';
import { SeineError } from '@seine/model';

import { Datapath } from '../../../bpf/test/datapath.ts';
import { ethernet, ipv4, PROTOCOL, udpDatagram } from '../../../bpf/test/packet.ts';
import { requireCommands } from './shell.ts';

const NODE = '10.98.0.1';
const PORT = 9999;
const HOST = 1;
const FIRST_PEER = 1000;
/** Has a route, and no rule. */
const STRANGER = '172.31.255.1';
/** As many as a loader makes by default (services/loader/config.ts). */
const CT_SIZE = 65_536;

/** As many peers as test/bench/load/inject.bpf.c knows. */
export const PEERS = 20_000;
/** The n-th address that may speak. */
const peerAddress = (index: number): string => `172.${16 + (index >>> 16)}.${(index >>> 8) & 255}.${index & 255}`;

export type Filter = 'none' | 'iptables' | 'ipset' | 'nft set' | 'nft set with conntrack' | 'seine';
/** One flow of the last peer; ever new flows of all peers; one flow of somebody who may not. */
export type Flows = 'one flow' | 'ever new flows' | 'denied';

export interface Receiver {
  readonly filter: Filter;
  /** @returns packets/s over the whole receive path */
  readonly rate: (flows: Flows, count: number) => number;
  readonly down: () => void;
}

const shell = (netns: string, input: string, ...command: readonly string[]): void => { execFileSync('nsenter', [`--net=${netnsPath(netns)}`, ...command], { input, stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 64 << 20 }); };

const nftSet = (addresses: readonly string[], first: string): string =>
  `table ip bench {\nset peers { type ipv4_addr; elements = { ${addresses.join(', ')} } }\nchain input { type filter hook input priority 0; policy drop; ${first} ip saddr @peers accept; }\n}\n`;

const setUp: Readonly<Record<Exclude<Filter, 'seine'>, (netns: string, addresses: readonly string[]) => void>> = {
  none: () => {},
  iptables: (netns, addresses) => { shell(netns, `*filter\n:INPUT DROP [0:0]\n${addresses.map((address) => `-A INPUT -s ${address}/32 -j ACCEPT\n`).join('')}COMMIT\n`, 'iptables-legacy-restore'); },
  ipset: (netns, addresses) => {
    shell(netns, `create peers hash:ip maxelem ${addresses.length + 1}\n${addresses.map((address) => `add peers ${address}\n`).join('')}`, 'ipset', 'restore');
    shell(netns, '*filter\n:INPUT DROP [0:0]\n-A INPUT -m set --match-set peers src -j ACCEPT\nCOMMIT\n', 'iptables-legacy-restore');
  },
  'nft set': (netns, addresses) => { shell(netns, nftSet(addresses, ''), 'nft', '-f', '-'); },
  'nft set with conntrack': (netns, addresses) => { shell(netns, nftSet(addresses, 'ct state established accept;'), 'nft', '-f', '-'); },
};

/** @throws SEINE_BENCH_INCOMPLETE naming the packages that the yardsticks need */
export const requireFilters = (): void => { requireCommands('iptables-legacy-restore', 'ipset', 'nft'); };

const openSeine = (ifindex: number, inside: <T>(act: () => T) => T, addresses: readonly string[]): Datapath => {
  const peers = addresses.length;
  const datapath = new Datapath({ a: ifindex, b: ifindex, inside, close: () => {} }, { maxEntries: { sn_ipcache_01: 2 * peers, sn_peer_01: 2 * peers, sn_ctany_01: CT_SIZE } });
  datapath.remote(NODE, HOST);
  addresses.forEach((address, index) => { datapath.remote(address, FIRST_PEER + index); });
  const row = datapath.row([{ protocol: PROTOCOL.udp, port: PORT, verdict: Verdict.ALLOW }]);
  datapath.subject({ identity: HOST, direction: Direction.INGRESS, row: datapath.row([], Verdict.DEFAULT_DENY), peers: Object.fromEntries(addresses.map((_, index) => [FIRST_PEER + index, row])) });
  datapath.open(HOST, Direction.EGRESS);
  datapath.program('FROM_NETDEV', 'from_netdev');
  return datapath;
};

export const openReceiver = (filter: Filter, injector: LoadedObject): Receiver => {
  const netns = `sbench-in-${filter.replaceAll(' ', '-')}`;
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
  const socket = inside(() => openSocket({ type: 'datagram', address: NODE, port: PORT }));
  const addresses = Array.from({ length: PEERS }, (_, index) => peerAddress(index));
  const datapath = filter === 'seine' ? openSeine(ifindex, inside, addresses) : undefined;
  if (datapath !== undefined) netlink.transact([clsactAdd(ifindex), filterReplace({ index: ifindex, direction: 'ingress', programFd: datapath.fd('stub_from_netdev'), name: 'seine_from_netdev' })]);
  else setUp[filter as Exclude<Filter, 'seine'>](netns, addresses); // the one without a datapath

  const frame = (source: string): Buffer => {
    const flow = { source, destination: NODE, sourcePort: 40_000, destinationPort: PORT };
    return ethernet(0x0800, ipv4(flow, PROTOCOL.udp, udpDatagram(flow, 18)), { to: mac });
  };
  const frames: Readonly<Record<Flows, Buffer>> = { 'one flow': frame(addresses.at(-1)!), 'ever new flows': frame(addresses.at(-1)!), denied: frame(STRANGER) };
  const inject = (flows: Flows, count: number): number => inside(() => injectFrames(injector.programFd(flows === 'ever new flows' ? 'inject_new' : 'inject_same'), { data: frames[flows], ifindex, count }));

  /* A figure counts only if the cell does what it says: its peers are heard, and nobody else. */
  const TRIES = 20;
  for (const flows of ['one flow', 'ever new flows', 'denied'] as const) {
    inject(flows, TRIES);
    const buffer = Buffer.alloc(64);
    let heard = 0;
    while (receiveFrom(socket, buffer) !== undefined) heard += 1;
    const want = flows === 'denied' && filter !== 'none' ? 0 : TRIES;
    if (heard !== want) throw new SeineError('SEINE_BENCH_INCOMPLETE', `${filter}, ${flows}: ${heard} of ${TRIES} frames were heard, expected ${want}`, { filter, flows, heard });
  }
  return {
    filter,
    /* From here on the socket is not read: once it is full the stack drops what was let in, the same in every cell. */
    rate: (flows, count) => {
      datapath?.samples();
      return count / (inject(flows, count) / 1e9);
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
