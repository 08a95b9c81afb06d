/** A pod's wire: veth, programs, addresses, routes, neighbours. Programs stand before the link goes up: closed from the first packet. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import {
  addressAdd, clsactAdd, closeFd, filterDelete, filterReplace, inNetns, linkDelete, linkUp, neighbourReplace, openFd, openNetlink, routeDelete, routeReplace, vethAdd, type Netlink, type Request, type TcDirection,
} from '@seine/kernel';
import { familyOf, SeineError, type IpFamily } from '@seine/model';
import type { NodeRoute, Plumbed, PlumbOrder } from '@seine/node';

import type { NodeObjects, Place } from './objects.ts';

/** Of a pod: its address is whole, and all else is behind a gateway that the link's program answers for. */
const GATEWAY = { 4: '169.254.1.1', 6: 'fe80::1' } as const satisfies Record<IpFamily, string>;
const WHOLE = { 4: 32, 6: 128 } as const satisfies Record<IpFamily, number>;
const HOST_MAC = '02:5e:1e:00:00:01';
const LOOPBACK = 1;

const sysctl = (name: string, value: string): void => { writeFileSync(`/proc/sys/net/${name}`, value); };

/** The node forwards, and trusts its programs rather than the reverse path filter. */
export const prepareNode = (): void => {
  sysctl('ipv4/ip_forward', '1');
  sysctl('ipv4/conf/all/rp_filter', '0');
  sysctl('ipv4/conf/default/rp_filter', '0');
};

const ipv6Of = (name: string): string => `ipv6/conf/${name}`;
const hasIpv6 = (): boolean => existsSync('/proc/sys/net/ipv6');

/**
 * A node forwards IPv6 from its first pod or route of it on. To one that forwards, router advertisements mean nothing unless it asks for
 * them all the same: an uplink that lives by them would lose its default route.
 * @throws SEINE_KERNEL_UNSUPPORTED
 */
export const prepareIpv6 = (uplinks: readonly string[]): void => {
  if (!hasIpv6()) throw new SeineError('SEINE_KERNEL_UNSUPPORTED', 'IPv6: expected a kernel that has it (ipv6.disable=1 was given, or it was built without)');
  for (const uplink of uplinks) {
    const accepts = `${ipv6Of(uplink)}/accept_ra`;
    if (existsSync(`/proc/sys/net/${accepts}`) && readFileSync(`/proc/sys/net/${accepts}`, 'utf8').trim() === '1') sysctl(accepts, '2');
  }
  sysctl(`${ipv6Of('all')}/forwarding`, '1');
};

/** The host's side has no address, not even of the link: a pod would reach the node there, and no policy would know whom it asks. */
const ADDRESSES_NONE = '1';
const prepareHostSide = (name: string, families: readonly IpFamily[]): void => {
  sysctl(`ipv4/conf/${name}/rp_filter`, '0');
  if (hasIpv6()) sysctl(`${ipv6Of(name)}/addr_gen_mode`, ADDRESSES_NONE);
  if (families.includes(6)) sysctl(`${ipv6Of(name)}/disable_ipv6`, '0');
};

/** A container runtime may have switched IPv6 off; nobody on the link advertises anything. */
const preparePodSide = (name: string, families: readonly IpFamily[]): void => {
  if (!families.includes(6)) return;
  for (const each of ['lo', name]) sysctl(`${ipv6Of(each)}/disable_ipv6`, '0');
  sysctl(`${ipv6Of(name)}/accept_ra`, '0');
};

const FILTER_NAMES = { pod: { ingress: 'seine_from_pod', egress: 'seine_to_pod' }, uplink: { ingress: 'seine_from_netdev', egress: 'seine_to_netdev' } } as const;

export const FILTER_DIRECTIONS = ['ingress', 'egress'] as const satisfies readonly TcDirection[];

/** Do both stubs stand at the interface, and first? */
export const stubsAttached = (netlink: Netlink, objects: NodeObjects, place: Place, index: number): boolean =>
  FILTER_DIRECTIONS.every((direction) => netlink.filterProgram(index, direction) === objects.stub(place, direction).id);

export const attachStubs = (netlink: Netlink, objects: NodeObjects, place: Place, index: number): void => {
  const filter = (direction: TcDirection): Request => filterReplace({ index, direction, programFd: objects.stub(place, direction).fd, name: FILTER_NAMES[place][direction] });
  netlink.transact([clsactAdd(index), ...FILTER_DIRECTIONS.map(filter)]);
};

/** Of filters with one priority the newest is asked first: where a foreign one came in front, ours goes and comes again. */
export const reattachStubs = (netlink: Netlink, objects: NodeObjects, place: Place, index: number): void => {
  netlink.transact(FILTER_DIRECTIONS.map((direction) => filterDelete(index, direction)));
  attachStubs(netlink, objects, place, index);
};

/** All or nothing: a failure leaves no link behind. @throws SEINE_NETNS_UNKNOWN, SEINE_KERNEL_… naming the step */
export const plumb = (netlink: Netlink, objects: NodeObjects, order: PlumbOrder): Plumbed => {
  let podFd: number;
  try {
    podFd = openFd(order.netns);
  } catch (cause) {
    throw new SeineError('SEINE_NETNS_UNKNOWN', `CNI_NETNS: ${JSON.stringify(order.netns)}: expected a network namespace that can be opened`, { netns: order.netns }, { cause });
  }
  try {
    netlink.transact([
      linkDelete(order.hostInterface),
      vethAdd({ near: { name: order.hostInterface, mac: HOST_MAC }, far: { name: order.podInterface, mac: order.podMac, netnsFd: podFd }, mtu: order.mtu }),
    ]);
    const index = netlink.linkIndex(order.hostInterface)!;
    try {
      attachStubs(netlink, objects, 'pod', index);
      const families = order.addresses.map(familyOf);
      prepareHostSide(order.hostInterface, families);
      netlink.transact([linkUp(index), ...order.addresses.flatMap((address) => [
        routeReplace({ destination: address, length: WHOLE[familyOf(address)], index }), neighbourReplace({ index, address, mac: order.podMac }),
      ])]);
      const inside = inNetns(podFd, () => { preparePodSide(order.podInterface, families); return openNetlink(); });
      try {
        const podIndex = inside.linkIndex(order.podInterface)!;
        inside.transact([
          linkUp(LOOPBACK), linkUp(podIndex), ...order.addresses.map((address) => addressAdd({ index: podIndex, address, length: WHOLE[familyOf(address)] })),
          ...families.flatMap((family) => [
            routeReplace({ destination: GATEWAY[family], length: WHOLE[family], index: podIndex }), neighbourReplace({ index: podIndex, address: GATEWAY[family], mac: HOST_MAC }),
            routeReplace({ gateway: GATEWAY[family], index: podIndex, mtu: order.mtu }),
          ]),
        ]);
      } finally {
        inside.close();
      }
      return { ifindex: index };
    } catch (error) {
      netlink.transact([linkDelete(order.hostInterface)]);
      throw error;
    }
  } finally {
    closeFd(podFd);
  }
};

export const unplumb = (netlink: Netlink, hostInterface: string): void => { netlink.transact([linkDelete(hostInterface)]); };

const splitCidr = (cidr: string): { readonly destination: string; readonly length: number } => {
  const slash = cidr.indexOf('/');
  return { destination: cidr.slice(0, slash), length: Number(cidr.slice(slash + 1)) };
};

/** Other nodes' pods by their node; the node's own block is unreachable where no pod has the address, or packets would go in circles. */
export const setRoutes = (netlink: Netlink, routes: readonly NodeRoute[], former: readonly NodeRoute[]): readonly string[] => {
  const failed: string[] = [];
  const text = (route: NodeRoute): string => JSON.stringify(route);
  const kept = new Set(routes.map(text));
  const had = new Set(former.map(text));
  const kernelRoute = ({ cidr, via, unreachable }: NodeRoute) => ({ ...splitCidr(cidr), ...(via === undefined ? {} : { gateway: via }), ...(unreachable === true ? { type: 'unreachable' as const } : {}) });
  for (const route of former) if (!kept.has(text(route)) && !routes.some(({ cidr }) => cidr === route.cidr)) netlink.transact([routeDelete(kernelRoute(route))]);
  for (const route of routes) {
    if (had.has(text(route))) continue;
    try {
      netlink.transact([routeReplace(kernelRoute(route))]);
    } catch (error) {
      failed.push(`${route.cidr} via ${route.via ?? 'nothing'}: ${(error as Error).message}`);
    }
  }
  return failed;
};
