/**
 * Namespaces and wires of a lab: a bridge in the hub, a wire from it to each node and to the external host, which owns every address that
 * is not the cluster's. Wires have no offloads: on veth a wrong checksum would otherwise never be seen.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';

import {
  addressAdd, bridgeAdd, closeFd, createCgroup, createNetns, deleteNetns, inNetnsAt, linkMaster, linkUp, netnsPath, openFd, openNetlink, routeReplace, vethAdd, type Netlink,
} from '@seine/kernel';

import { EXTERNAL_ADDRESS, type LabNode } from '../core/index.ts';
import type { Places } from './places.ts';

export const HUB_ADDRESS = '192.168.50.250';
const WIRE_LENGTH = 24;
const LOOPBACK = 1;
const ETHTOOL = '/usr/sbin/ethtool';

const sysctl = (name: string, value: string): void => { writeFileSync(`/proc/sys/net/${name}`, value); };

const offloadsOff = (netns: string, device: string): void => {
  if (!existsSync(ETHTOOL)) return;
  try {
    execFileSync('nsenter', [`--net=${netnsPath(netns)}`, ETHTOOL, '-K', device, 'rx', 'off', 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'], { stdio: 'ignore' });
  } catch {
    // some offloads are fixed on this kernel; ethtool has switched off the others
  }
};

const attachToWire = (hub: Netlink, netns: string, port: string, address: string): Netlink => {
  const fd = openFd(netnsPath(netns));
  hub.transact([vethAdd({ near: { name: port }, far: { name: 'eth0', netnsFd: fd } })]);
  closeFd(fd);
  hub.transact([linkMaster(hub.linkIndex(port)!, hub.linkIndex('wire')!), linkUp(hub.linkIndex(port)!)]);
  const inside = inNetnsAt(netns, openNetlink);
  const index = inside.linkIndex('eth0')!;
  inside.transact([linkUp(LOOPBACK), linkUp(index), addressAdd({ index, address, length: WIRE_LENGTH }), routeReplace({ destination: '192.168.50.0', length: WIRE_LENGTH, index })]);
  return inside;
};

export const buildWires = (places: Places, nodes: readonly LabNode[], offload: boolean): void => {
  createNetns(places.hub);
  const hub = inNetnsAt(places.hub, openNetlink);
  hub.transact([bridgeAdd('wire')]);
  const wire = hub.linkIndex('wire')!;
  hub.transact([linkUp(LOOPBACK), linkUp(wire), addressAdd({ index: wire, address: HUB_ADDRESS, length: WIRE_LENGTH }), routeReplace({ destination: '192.168.50.0', length: WIRE_LENGTH, index: wire })]);

  createNetns(places.external);
  const external = attachToWire(hub, places.external, 'w-ext', EXTERNAL_ADDRESS);
  inNetnsAt(places.external, () => {
    for (const device of ['all', 'eth0']) sysctl(`ipv4/conf/${device}/rp_filter`, '0');
    sysctl('ipv4/conf/all/accept_local', '1');
  });
  external.transact([routeReplace({ destination: '0.0.0.0', length: 0, index: LOOPBACK, type: 'local' })]);
  external.close();

  for (const { name, address } of nodes) {
    createNetns(places.nodeNetns(name));
    const node = attachToWire(hub, places.nodeNetns(name), `w-${name}`, address);
    node.transact([routeReplace({ gateway: EXTERNAL_ADDRESS })]);
    node.close();
    createCgroup(places.nodeCgroup(name));
  }
  hub.close();
  if (!offload) {
    for (const name of [places.external, ...nodes.map((node) => places.nodeNetns(node.name))]) offloadsOff(name, 'eth0');
    for (const port of ['w-ext', ...nodes.map(({ name }) => `w-${name}`)]) offloadsOff(places.hub, port);
  }
};

/** The external host's plain routes to pods, as an outside router has them. */
export const setExternalRoutes = (places: Places, routes: readonly { readonly destination: string; readonly length: number; readonly gateway: string }[]): void => {
  const netlink = inNetnsAt(places.external, openNetlink);
  netlink.transact(routes.map((route) => routeReplace(route)));
  netlink.close();
};

export { deleteNetns };
