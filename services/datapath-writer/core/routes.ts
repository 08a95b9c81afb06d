/** Where other nodes' pods are: routes of this node. Pure. */
import { compareCodeUnits, familyOf, formatPrefix, parseAddress, parsePrefix, prefixContains } from '@seine/model';
import type { NodeRoute } from '@seine/node';

import { nodeAddress, type NodeState } from './fold.ts';

export const nodeRoutes = (self: string, state: Readonly<NodeState>): readonly NodeRoute[] => {
  const routes: NodeRoute[] = [];
  const blocksOf = (node: string) => (state.podCidrs.get(node) ?? []).flatMap((cidr) => parsePrefix(cidr) ?? []);
  for (const [node, cidrs] of state.podCidrs) {
    for (const cidr of cidrs) {
      const via = nodeAddress(state, node, familyOf(cidr));
      if (node === self) routes.push({ cidr, unreachable: true });
      else if (via !== undefined) routes.push({ cidr, via });
    }
  }
  /* Pods whose address is not of their node's block (asked for by name): one route each. */
  for (const [address, { node }] of state.addresses) {
    const via = nodeAddress(state, node, familyOf(address));
    const bytes = parseAddress(address);
    if (node === self || via === undefined || bytes === undefined || blocksOf(node).some((block) => prefixContains(block, bytes))) continue;
    routes.push({ cidr: formatPrefix({ address: bytes, length: 128 }), via });
  }
  return routes.sort((a, b) => compareCodeUnits(a.cidr, b.cidr));
};
