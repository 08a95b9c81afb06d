/** nftables with many Services: 20,000 of them in one transaction do not end in minutes, so a full load is chunks, as kube-proxy could do it. */
import { nftAdd, nftBase, type Proxied } from './proxies.ts';
import { feed } from './shell.ts';

const CHUNK = 1_000;

/** @returns milliseconds */
export const loadNft = (netns: string, services: readonly Proxied[]): number => {
  const started = performance.now();
  feed(netns, nftBase(), 'nft', '-f', '-');
  for (let from = 0; from < services.length; from += CHUNK) feed(netns, nftAdd(services.slice(from, from + CHUNK)), 'nft', '-f', '-');
  return performance.now() - started;
};
