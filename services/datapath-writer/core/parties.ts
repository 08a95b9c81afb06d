/** Who is behind every address that the cluster knows, as rows need it. Pure. */
import { CIDR_IDENTITY_BASE, compareCodeUnits, formatPrefix, parseAddress, parsePrefix, prefixContains, prefixCovers, PROTOCOL, RESERVED_IDENTITY, type Prefix } from '@seine/model';

import type { NodeState } from './fold.ts';
import { bindingsOf, bindingsText, identityView, mentionedNames, numberFor, variantNumbers, type Bindings, type PeerKind, type Tables } from './policy/index.ts';

/** An address of a pod or a node. */
export interface KnownAddress {
  readonly address: string;
  readonly identity: number;
  readonly node: string;
  readonly pod: string | undefined;
  readonly variant: number;
  readonly bindings: Bindings;
  readonly cidrClass: number;
  readonly prefix: Prefix | undefined;
}

export interface Parties {
  readonly addresses: readonly KnownAddress[];
  readonly variantOfPod: (pod: string) => { readonly variant: number; readonly bindings: Bindings };
  /** Every prefix that some policy mentions, with its class number, in text order. */
  readonly prefixes: readonly { readonly prefix: Prefix; readonly cidrClass: number }[];
  readonly kinds: readonly PeerKind[];
}

const NO_BINDINGS: Bindings = new Map();

const mentionedPrefixes = (state: Readonly<NodeState>): readonly Prefix[] => {
  const texts = new Set<string>();
  for (const policy of state.policies.values()) {
    for (const rule of policy.rules) {
      if (rule.peers === 'any') continue;
      for (const peer of rule.peers) {
        if (peer.type !== 'cidr') continue;
        texts.add(peer.cidr);
        for (const except of peer.except) texts.add(except);
      }
    }
  }
  return [...texts].sort(compareCodeUnits).flatMap((text) => parsePrefix(text) ?? []);
};

/** Bound addresses of the log, and those of the node's own table that the log does not have yet. */
export interface OwnAddress { readonly address: string; readonly pod: string; readonly uid: string }

export const partiesOf = (state: Readonly<NodeState>, self: string, own: readonly OwnAddress[], tables: Tables): Parties => {
  const mentioned = mentionedNames(state.policies.values());
  const bindingsByPod = new Map<string, Bindings>();
  if (mentioned.size > 0) {
    for (const [pod, { ports }] of state.pods) {
      bindingsByPod.set(pod, bindingsOf(ports.map(({ name, port, protocol }) => ({ name, port, protocol: PROTOCOL[protocol] })), mentioned));
    }
  }
  const numbers = variantNumbers([...bindingsByPod.values()].map(bindingsText));
  const variantOfPod = (pod: string) => {
    const bindings = bindingsByPod.get(pod) ?? NO_BINDINGS;
    return { bindings, variant: numbers.get(bindingsText(bindings)) ?? 0 };
  };

  const prefixes = mentionedPrefixes(state).map((prefix) => ({ prefix, cidrClass: numberFor(tables.cidrClass, formatPrefix(prefix)) }));
  const longestFirst = [...prefixes].sort((a, b) => b.prefix.length - a.prefix.length);
  const around = (address: string) => {
    const bytes = parseAddress(address);
    const found = bytes === undefined ? undefined : longestFirst.find(({ prefix }) => prefixContains(prefix, bytes));
    return { cidrClass: found?.cidrClass ?? 0, prefix: found?.prefix };
  };

  const byAddress = new Map<string, KnownAddress>();
  for (const [name, { addresses }] of state.nodes) {
    const identity = name === self ? RESERVED_IDENTITY.host : RESERVED_IDENTITY['remote-node'];
    for (const address of addresses) byAddress.set(address, { address, identity, node: name, pod: undefined, variant: 0, bindings: NO_BINDINGS, ...around(address) });
  }
  for (const [address, { identity, node, pod }] of state.addresses) byAddress.set(address, { address, identity, node, pod, ...variantOfPod(pod), ...around(address) });
  for (const { address, pod, uid } of own) {
    const assigned = state.podIdentities.get(pod);
    if (assigned?.uid === uid) byAddress.set(address, { address, identity: assigned.identity, node: self, pod, ...variantOfPod(pod), ...around(address) });
  }
  const addresses = [...byAddress.values()].sort((a, b) => compareCodeUnits(a.address, b.address));

  const kinds = new Map<string, PeerKind>();
  for (const { identity, variant, bindings, cidrClass, prefix } of addresses) {
    const labels = state.identities.get(identity);
    kinds.set(`${identity}/${variant}/${cidrClass}`, { identity, variant, bindings, cidrClass, prefix, view: labels === undefined ? undefined : identityView(labels) });
  }
  for (const { prefix, cidrClass } of prefixes) {
    const identity = CIDR_IDENTITY_BASE + cidrClass;
    kinds.set(`${identity}/0/0`, { identity, variant: 0, bindings: NO_BINDINGS, cidrClass: 0, prefix, view: undefined });
  }
  return { addresses, variantOfPod, prefixes, kinds: [...kinds.values()] };
};

/** Is this prefix wholly inside a range of pod addresses? There its addresses are pods or nobody, never the world. */
export const insidePodRange = (state: Readonly<NodeState>, prefix: Prefix): boolean =>
  [...state.podCidrs.values()].flat().some((cidr) => { const range = parsePrefix(cidr); return range !== undefined && prefixCovers(range, prefix); });
