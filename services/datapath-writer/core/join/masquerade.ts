/** Rows of the ranges that are not masqueraded: of each node its pods', of the cluster those that its settings name. Pure. */
import { formatPrefix, prefixFamily, type IpFamily } from '@seine/model';

import type { NodeState } from '../fold.ts';
import { agentRanges, masqueradedFamilies, masqueradeRow, podRanges, type MasqueradeRange } from '../masquerade.rows.ts';
import { entryOf, keyText } from '../order.ts';
import { createClaims } from './claims.ts';
import type { Dirty } from './dirty.ts';
import type { RowStore } from './row-store.ts';

/** Sources of claims; a node's name stands behind its own. */
const AGENT = 'agent';
const podsOf = (node: string): string => `pods of ${node}`;

const byText = (ranges: readonly MasqueradeRange[]): ReadonlyMap<string, MasqueradeRange> => new Map(ranges.map((range) => [formatPrefix(range.prefix), range]));

export const createMasquerade = (state: Readonly<NodeState>, store: RowStore) => {
  const claims = createClaims<MasqueradeRange>();
  const placed = new Map<string, MasqueradeRange>();
  let families: ReadonlySet<IpFamily> = new Set();
  let agentSaid = false;

  const place = (text: string): void => {
    const range = claims.heard(text);
    if (range !== undefined && families.has(prefixFamily(range.prefix))) {
      placed.set(text, range);
      store.put(masqueradeRow(range));
    } else if (placed.has(text)) {
      store.remove('sn_nomasq_01', keyText(entryOf(masqueradeRow(placed.get(text)!)).key));
      placed.delete(text);
    }
  };

  return {
    update: (dirty: Dirty): void => {
      const touched = new Set<string>();
      const touch = (texts: Iterable<string>): void => { for (const text of texts) touched.add(text); };
      for (const node of dirty.podcidr) touch(claims.say(podsOf(node), byText(podRanges(state.podCidrs.get(node) ?? []))));
      if (dirty.ipmasqagent.size > 0 || !agentSaid) {
        agentSaid = true;
        touch(claims.say(AGENT, byText(agentRanges([...state.masqAgents.values()][0]))));
      }
      const now = masqueradedFamilies(state);
      if ([...now].join() !== [...families].join()) {
        families = now;
        touch(claims.keys());
      }
      for (const text of touched) place(text);
    },
  };
};
