/** Kinds of peers: what the kernel's keys can tell apart, each kept for as long as some address or prefix has it. Pure. */
import type { Labels, ReservedIdentityName } from '@seine/model';

import type { Bindings, IdentityView, PeerKind } from '../policy/index.ts';
import type { Selection } from './selections.ts';

export interface Kind extends PeerKind {
  readonly key: string;
  bindings: Bindings;
  view: IdentityView | undefined;
  reserved: readonly ReservedIdentityName[];
  nodeLabels: Labels | undefined;
  /** How many addresses and prefixes have it. */
  uses: number;
  /** Those in use that mean it. */
  readonly selections: Set<Selection>;
}

export type KindDescription = Omit<Kind, 'key' | 'uses' | 'selections'>;

export interface Kinds {
  /** One use more; a kind that is described otherwise than before is described anew, for all who have it. */
  readonly use: (wanted: KindDescription) => Kind;
  readonly leave: (kind: Kind) => void;
  readonly describe: (kind: Kind, change: Partial<Pick<Kind, 'view' | 'reserved'>>) => void;
  readonly all: () => Iterable<Kind>;
  readonly of: (identity: number) => Iterable<Kind>;
  /** Kinds that came, went (`uses` 0) or are described anew since the last take. */
  readonly takeTouched: () => ReadonlySet<Kind>;
}

export const createKinds = (): Kinds => {
  const kinds = new Map<string, Kind>();
  const ofIdentity = new Map<number, Set<Kind>>();
  let touched = new Set<Kind>();
  return {
    use: (wanted) => {
      const key = `${wanted.identity}/${wanted.variant}/${wanted.cidrClass}`;
      const known = kinds.get(key);
      if (known === undefined) {
        const kind: Kind = { key, uses: 1, selections: new Set(), ...wanted };
        kinds.set(key, kind);
        const others = ofIdentity.get(kind.identity);
        if (others === undefined) ofIdentity.set(kind.identity, new Set([kind]));
        else others.add(kind);
        touched.add(kind);
        return kind;
      }
      known.uses += 1;
      const { bindings, view, nodeLabels, reserved } = wanted;
      if (known.bindings === bindings && known.view === view && known.nodeLabels === nodeLabels && known.reserved.join() === reserved.join()) return known;
      Object.assign(known, { bindings, view, nodeLabels, reserved });
      touched.add(known);
      return known;
    },
    leave: (kind) => {
      kind.uses -= 1;
      if (kind.uses > 0) return;
      kinds.delete(kind.key);
      const others = ofIdentity.get(kind.identity)!;
      others.delete(kind);
      if (others.size === 0) ofIdentity.delete(kind.identity);
      touched.add(kind);
    },
    describe: (kind, change) => {
      Object.assign(kind, change);
      touched.add(kind);
    },
    all: () => kinds.values(),
    of: (identity) => ofIdentity.get(identity) ?? [],
    takeTouched: () => {
      const taken = touched;
      touched = new Set();
      return taken;
    },
  };
};
