import { parseAddress } from './address.ts';
import { parsePrefix, prefixContains } from './prefix.ts';

/** Addresses that mean this machine, this link, a group or nobody: who is sent there reaches into the sender's own node. */
const SPECIAL = ['0.0.0.0/32', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '255.255.255.255/32', '::/128', '::1/128', 'fe80::/10', 'ff00::/8'].map((text) => parsePrefix(text)!); // constants

/** What is expected of an address that traffic is sent to. */
export const ORDINARY_ADDRESS = 'an address of one other machine: not unspecified, loopback, link-local, multicast or broadcast';

/** @param address text; what is none is not ordinary either */
export const isOrdinaryAddress = (address: string): boolean => {
  const bytes = parseAddress(address);
  return bytes !== undefined && !SPECIAL.some((prefix) => prefixContains(prefix, bytes));
};
