/** Peers of rules and whom each of them means now. Equal peers are one selection, however many rules have it. Pure. */
import type { Peer } from '@seine/events';

import { peerMatches } from '../policy/index.ts';
import { createPartyFile, createSelectorFile, filingOf, reachOf, type Filing } from './label-index.ts';
import type { Kind } from './kinds.ts';

export interface Selection {
  readonly peer: Peer;
  readonly members: Set<Kind>;
  readonly filing: Filing;
  users: number;
}

export interface Selections {
  /** Whom this peer means, for as long as the caller does not release it. */
  readonly acquire: (peer: Peer) => Selection;
  readonly release: (selection: Selection) => void;
  /**
   * @param kinds that came, went or are described anew
   * @param touched called with every selection that meant such a kind before, or means it now
   */
  readonly update: (kinds: Iterable<Kind>, touched: (selection: Selection, kind: Kind) => void) => void;
}

const texts = new WeakMap<Peer, string>();
const textOf = (peer: Peer): string => {
  const known = texts.get(peer) ?? JSON.stringify(peer);
  texts.set(peer, known);
  return known;
};

export const createSelections = (): Selections => {
  const byText = new Map<string, Selection>();
  const selectors = createSelectorFile<Selection>();
  const parties = createPartyFile<Kind>();
  const join = (selection: Selection, kind: Kind): void => {
    selection.members.add(kind);
    kind.selections.add(selection);
  };
  const part = (selection: Selection, kind: Kind): void => {
    selection.members.delete(kind);
    kind.selections.delete(selection);
  };
  return {
    acquire: (peer) => {
      const text = textOf(peer);
      const known = byText.get(text);
      if (known !== undefined) { known.users += 1; return known; }
      const filing = filingOf(reachOf(peer), parties.crowd);
      const selection: Selection = { peer, members: new Set(), filing, users: 1 };
      byText.set(text, selection);
      selectors.add(selection, filing);
      for (const kind of parties.candidates(filing)) if (peerMatches(peer, kind)) join(selection, kind);
      return selection;
    },
    release: (selection) => {
      selection.users -= 1;
      if (selection.users > 0) return;
      byText.delete(textOf(selection.peer));
      selectors.remove(selection, selection.filing);
      for (const kind of selection.members) part(selection, kind);
    },
    update: (kinds, touched) => {
      for (const kind of kinds) {
        for (const selection of kind.selections) {
          part(selection, kind);
          touched(selection, kind);
        }
        if (kind.uses === 0) { parties.remove(kind); continue; }
        parties.file(kind);
        for (const selection of selectors.candidates(kind)) {
          if (!peerMatches(selection.peer, kind)) continue;
          join(selection, kind);
          touched(selection, kind);
        }
      }
    },
  };
};
