/**
 * Namespaces and wires of a lab: a bridge in the hub, a wire from it to each node and to the external host, which owns every address that
 * is not the cluster's. Wires have no offloads: on veth a wrong checksum would otherwise never be seen.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';

import {
  addressAdd, bridgeAdd, closeFd, createCgroup, createNetns, deleteNetns, inNetnsAt, linkMaster, linkUp, netnsPath, openFd, openNetlink, routeReplace, vethAdd, type Netlink, type Request,
} from '@seine/kernel';
import { familyOf, type IpFamily } from '@seine/model';

import { EXTERNAL_ADDRESSES, type LabNode } from '../core/index.ts';
import type { Places } from './places.ts';

export const HUB_ADDRESSES = { 4: '192.168.50.250', 6: 'fd00:192:168:50::250' } as const satisfies Record<IpFamily, string>;
/** The prefix of the wire, in each family. */
const WIRE = { 4: { destination: '192.168.50.0', length: 24 }, 6: { destination: 'fd00:192:168:50::', length: 64 } } as const satisfies Record<IpFamily, unknown>;
const EVERYTHING = { 4: '0.0.0.0', 6: '::' } as const satisfies Record<IpFamily, string>;
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

const onWire = (index: number, address: string): readonly Request[] => {
  const wire = WIRE[familyOf(address)];
  return [addressAdd({ index, address, length: wire.length }), ...(familyOf(address) === 4 ? [routeReplace({ ...wire, index })] : [])]; // IPv6's comes with the address
};

const attachToWire = (hub: Netlink, netns: string, port: string, addresses: readonly string[]): Netlink => {
  const fd = openFd(netnsPath(netns));
  hub.transact([vethAdd({ near: { name: port }, far: { name: 'eth0', netnsFd: fd } })]);
  closeFd(fd);
  hub.transact([linkMaster(hub.linkIndex(port)!, hub.linkIndex('wire')!), linkUp(hub.linkIndex(port)!)]);
  const inside = inNetnsAt(netns, openNetlink);
  const index = inside.linkIndex('eth0')!;
  inside.transact([linkUp(LOOPBACK), linkUp(index), ...addresses.flatMap((address) => onWire(index, address))]);
  return inside;
};

export const buildWires = (places: Places, nodes: readonly LabNode[], offload: boolean): void => {
  const families = [...new Set(nodes.flatMap(({ addresses }) => addresses).map(familyOf))];
  createNetns(places.hub);
  const hub = inNetnsAt(places.hub, openNetlink);
  hub.transact([bridgeAdd('wire')]);
  const wire = hub.linkIndex('wire')!;
  hub.transact([linkUp(LOOPBACK), linkUp(wire), ...families.flatMap((family) => onWire(wire, HUB_ADDRESSES[family]))]);

  createNetns(places.external);
  const external = attachToWire(hub, places.external, 'w-ext', families.map((family) => EXTERNAL_ADDRESSES[family]));
  inNetnsAt(places.external, () => {
    for (const device of ['all', 'eth0']) sysctl(`ipv4/conf/${device}/rp_filter`, '0');
    sysctl('ipv4/conf/all/accept_local', '1');
    sysctl('ipv6/ip_nonlocal_bind', '1'); // of IPv4 an address with a local route may be bound
  });
  external.transact(families.map((family) => routeReplace({ destination: EVERYTHING[family], length: 0, index: LOOPBACK, type: 'local' })));
  external.close();

  for (const { name, addresses } of nodes) {
    createNetns(places.nodeNetns(name));
    const node = attachToWire(hub, places.nodeNetns(name), `w-${name}`, addresses);
    node.transact(addresses.map((address) => routeReplace({ gateway: EXTERNAL_ADDRESSES[familyOf(address)] })));
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
