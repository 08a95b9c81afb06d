/** Prefixes that have rows: those that policies mention, ranges of pod addresses, and the world of each family. Pure. */
import { CIDR_IDENTITY_BASE, familyOf, formatPrefix, parsePrefix, prefixContains, prefixCovers, prefixFamily, RESERVED_IDENTITY, type IpFamily, type Prefix, type ReservedIdentityName } from '@seine/model';

import { classRow, prefixRow } from '../address.rows.ts';
import { ALL_OF, FAMILIES, WORLD_LABEL, worldIdentity } from '../cluster.ts';
import { keyText } from '../order.ts';
import { createClaims, says } from './claims.ts';
import type { Holds } from './holds.ts';
import type { Kind, Kinds } from './kinds.ts';
import { createPrefixTable, type MentionedPrefix } from './prefix-table.ts';
import type { RowStore } from './row-store.ts';

interface Mentioned extends MentionedPrefix { readonly kind: Kind }

const OUTSIDE = { variant: 0, bindings: new Map<string, readonly number[]>(), cidrClass: 0, prefix: undefined, view: undefined, nodeLabels: undefined } as const;

/** Of such as can be parsed, by canonical text. */
export const prefixesByText = (texts: Iterable<string>): ReadonlyMap<string, Prefix> =>
  new Map([...texts].flatMap((text) => { const prefix = parsePrefix(text); return prefix === undefined ? [] : [[formatPrefix(prefix), prefix] as const]; }));

export const createPrefixes = (holds: Holds, store: RowStore, kinds: Kinds) => {
  const mentions = createClaims<Prefix>();
  const mentioned = new Map<string, Mentioned>();
  const classes = createPrefixTable();
  let touchedMentions = new Set<string>();
  const ranges = createClaims<Prefix>();
  const rangeTable = createPrefixTable();
  const rangesHeld = new Set<string>();
  const blocks = new Map<string, readonly Prefix[]>();
  /** The families that the cluster uses: those of its pod ranges and of its nodes. */
  const families = createClaims<true>();
  /** By the text of the prefix that has its row, '' where it needs none. */
  let worlds: ReadonlyMap<string, Kind> = new Map();
  let worldsText = '';
  let apiPrefixes: ReadonlySet<string> = new Set();

  const reservedOf = (text: string, prefix: Prefix): readonly ReservedIdentityName[] => [...(apiPrefixes.has(text) ? ['kube-apiserver' as const] : []), 'world', WORLD_LABEL[prefixFamily(prefix)]];

  /** Which row a prefix has: a range of pod addresses hides what is inside it, there its addresses are pods or nobody; what policies mention stands for its world. */
  const place = (text: string, prefix: Prefix): void => {
    const known = mentioned.get(text);
    if (rangesHeld.has(text)) store.put(prefixRow(prefix, RESERVED_IDENTITY.unknown));
    else if (known !== undefined && rangeTable.around(prefix.address, prefix.length) === undefined) store.put(prefixRow(prefix, CIDR_IDENTITY_BASE + known.cidrClass));
    else if (known === undefined && worlds.has(text)) store.put(prefixRow(prefix, worlds.get(text)!.identity));
    else store.remove('sn_ipprefix_01', keyText(prefixRow(prefix, 0).key));
  };

  const comeToBeMentioned = (text: string, prefix: Prefix): void => {
    const cidrClass = holds.hold('cidrClass', text);
    const kind = kinds.use({ ...OUTSIDE, identity: CIDR_IDENTITY_BASE + cidrClass, prefix, reserved: reservedOf(text, prefix) });
    mentioned.set(text, { prefix, cidrClass, kind });
    classes.add({ prefix, cidrClass });
    store.put(classRow(prefix, cidrClass));
  };
  const ceaseToBeMentioned = (text: string, { prefix, cidrClass, kind }: Mentioned): void => {
    mentioned.delete(text);
    classes.remove(prefix);
    store.remove('sn_class_01', keyText(classRow(prefix, 0).key));
    kinds.leave(kind);
    holds.drop('cidrClass', cidrClass);
  };

  return {
    /** All the prefixes that a source mentions; they count from the next `settle` on. */
    mention: (source: string, prefixes: ReadonlyMap<string, Prefix>): void => { for (const text of mentions.say(source, prefixes)) touchedMentions.add(text); },
    /** @returns whether addresses may have another class */
    settle: (): boolean => {
      let changed = false;
      for (const text of touchedMentions) {
        const [prefix, known] = [mentions.heard(text), mentioned.get(text)];
        if ((prefix === undefined) === (known === undefined)) continue;
        changed = true;
        if (known === undefined) comeToBeMentioned(text, prefix!); // one of the two is there
        else ceaseToBeMentioned(text, known);
        place(text, prefix ?? known!.prefix);
      }
      touchedMentions = new Set();
      return changed;
    },
    /** Families of a node's addresses. */
    sayFamilies: (node: string, addresses: readonly string[]): void => { families.say(`node ${node}`, says(addresses.map((address) => String(familyOf(address))))); },
    /** Ranges of pod addresses, by node. */
    readRanges: (nodes: Iterable<string>, cidrsOf: (node: string) => readonly string[]): void => {
      const touched = new Set<string>();
      for (const node of nodes) {
        const cidrs = prefixesByText(cidrsOf(node));
        if (cidrs.size === 0) blocks.delete(node);
        else blocks.set(node, [...cidrs.values()]);
        families.say(`range ${node}`, says([...cidrs.keys()].map((text) => String(familyOf(text)))));
        for (const text of ranges.say(node, cidrs)) touched.add(text);
      }
      const changed = new Map<string, Prefix>();
      for (const text of touched) {
        if (ranges.has(text) === rangesHeld.has(text)) continue;
        const prefix = parsePrefix(text)!; // as formatted
        changed.set(text, prefix);
        if (ranges.has(text)) { rangesHeld.add(text); rangeTable.add({ prefix, cidrClass: 0 }); } else { rangesHeld.delete(text); rangeTable.remove(prefix); }
      }
      for (const [text, prefix] of changed) place(text, prefix);
      if (changed.size === 0) return;
      for (const [text, { prefix }] of mentioned) if (!changed.has(text) && [...changed.values()].some((range) => prefixCovers(range, prefix))) place(text, prefix);
    },
    /** What is nobody's and in no prefix: one identity for each family where both are in use, which the longest prefix tells apart, else one for all (contracts.md 2.2). */
    readFamilies: (): void => {
      const used = FAMILIES.filter((family) => families.has(String(family)));
      const wanted = new Map<string, IpFamily>(used.length > 1 ? used.map((family) => [ALL_OF[family], family]) : [['', used[0] ?? 4]]);
      const wantedText = [...wanted.values()].join();
      if (wantedText === worldsText) return;
      worldsText = wantedText;
      const former = worlds;
      worlds = new Map([...wanted].map(([text, family]) => [text, kinds.use({ ...OUTSIDE, identity: worldIdentity(used, family), reserved: ['world', WORLD_LABEL[family]] })]));
      for (const kind of former.values()) kinds.leave(kind);
      for (const family of FAMILIES) place(ALL_OF[family], parsePrefix(ALL_OF[family])!); // a constant
    },
    /** Where the API server answers, as whole prefixes. */
    setApiServers: (addresses: Iterable<string>): void => {
      apiPrefixes = new Set(prefixesByText(addresses).keys());
      for (const [text, { kind, prefix }] of mentioned) {
        const reserved = reservedOf(text, prefix);
        if (reserved.join() !== kind.reserved.join()) kinds.describe(kind, { reserved });
      }
    },
    /** The longest mentioned prefix around an address. */
    around: classes.around,
    /** Is the address of a block of this node? */
    isInBlock: (node: string, address: Uint8Array): boolean => blocks.get(node)?.some((block) => prefixContains(block, address)) === true,
    mentioned: (): Iterable<MentionedPrefix> => mentioned.values(),
  };
};
export type Prefixes = ReturnType<typeof createPrefixes>;
