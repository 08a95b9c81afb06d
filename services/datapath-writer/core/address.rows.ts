/** Rows of one address or prefix. Pure. */
import { digest, formatAddress, isV4, parseAddress, SeineError, type Prefix } from '@seine/model';
import { AddressFlag, echoOf, MAPS } from '@seine/layout';
import type { LocalEndpoint } from '@seine/node';

import type { DesiredRow } from './desired.ts';

/** Every host side veth has this MAC (bpf/layout/types.h). */
export const HOST_MAC = '02:5e:1e:00:00:01';

/** A pod's MAC from its first address, IPv4's bytes or a digest of IPv6's: nothing to remember. */
export const podMac = ([first]: readonly string[]): string => {
  const bytes = first === undefined ? undefined : parseAddress(first);
  if (first === undefined || bytes === undefined) throw new SeineError('SEINE_ADDRESS_INVALID', `${first ?? 'no address'}: expected the address of a pod`);
  const hex = isV4(bytes) ? [...bytes.subarray(12)].map((byte) => byte.toString(16).padStart(2, '0')).join('') : digest(first).slice(-8);
  return `0a:58:${hex.replace(/(..)(?!$)/g, '$1:')}`;
};

/** `sn` and 12 hex digits: the same name in the log and in the kernel. */
export const hostInterfaceName = (pod: string, uid: string): string => `sn${digest(`${pod} ${uid}`).slice(0, 12)}`;

export interface AddressIdentity { readonly identity: number; readonly variant: number }

export const endpointRow = (address: string, { identity, variant }: AddressIdentity, { ifindex, endpointId, addresses }: LocalEndpoint): DesiredRow => {
  const key = { address };
  return {
    map: 'sn_endpoint_01', key,
    value: { identity, echo: echoOf(MAPS.sn_endpoint_01.key, key), ifindex, endpointId, variant, podMac: podMac(addresses), hostMac: HOST_MAC, flags: AddressFlag.IN_CLUSTER },
  };
};

/** @param tunnel address of the node behind which the pod is; `::` where it is this node, or the address is a node's own */
export const ipcacheRow = (address: string, { identity, variant }: AddressIdentity, isPod: boolean, tunnel: string): DesiredRow => {
  const key = { address };
  const flags = AddressFlag.IN_CLUSTER | (isPod ? 0 : AddressFlag.HOST);
  return { map: 'sn_ipcache_01', key, value: { identity, echo: echoOf(MAPS.sn_ipcache_01.key, key), tunnel, variant, flags } };
};

const cidrKey = ({ address, length }: Prefix) => ({ prefixLength: length, address: formatAddress(address) });

export const prefixRow = (prefix: Prefix, identity: number): DesiredRow =>
  ({ map: 'sn_ipprefix_01', key: cidrKey(prefix), value: { identity, echo: 0, tunnel: '::', variant: 0, flags: 0 } });

export const classRow = (prefix: Prefix, cidrClass: number): DesiredRow => ({ map: 'sn_class_01', key: cidrKey(prefix), value: { value: cidrClass } });
