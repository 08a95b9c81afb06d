/**
 * All rules of one direction that apply to a subject, and what they say of each kind of peer. Subjects to whom the same rules apply share it.
 * Peers come and go under one rule set; rules that change make another. Pure.
 */
import type { CompiledPolicy, Peer } from '@seine/events';
import { digest, RESERVED_IDENTITY } from '@seine/model';

import {
  bindingsText, isolatingPolicies, LOCALHOST_RULE, placedRules, plainRow, policyKey, rowOf, ruleName, type Bindings, type DirectionName, type PlacedRule, type RowContent,
} from '../policy/index.ts';
import type { Kind } from './kinds.ts';
import type { Parties } from './parties.ts';
import type { Selection, Selections } from './selections.ts';

/** What a rule set says of a peer, where that is not what it says of anybody. */
export interface PeerEntry { readonly identity: number; /** class << 16 | variant, as far as the rules tell them apart */ readonly classVariant: number; readonly row: RowContent }

export interface RuleSet {
  /** Names the rules and nothing of who is there. */
  readonly name: string;
  readonly direction: DirectionName;
  readonly enforced: boolean;
  readonly needsClass: boolean;
  readonly needsVariant: boolean;
  readonly peerDeny: boolean;
  readonly defaultRow: RowContent;
  /** By `identity classVariant`. */
  readonly peers: ReadonlyMap<string, PeerEntry>;
  /** Contents of its rows, each once. */
  readonly contents: () => Iterable<RowContent>;
  /** Does some peer, or the default, have a row of this content? */
  readonly hasContent: (row: RowContent) => boolean;
  /** Rules tell apart what every pod binds, so every pod that binds anything is a peer. */
  readonly watchesBindings: boolean;
  readonly selections: Iterable<Selection>;
  /** Says anew what holds for a kind that came, went or is described anew. @returns the peer's key and what was said before, where that changed */
  readonly judge: (kind: Kind) => { readonly key: string; readonly former: PeerEntry | undefined } | undefined;
  readonly release: () => void;
}

const isCidr = (peer: Peer): boolean => peer.type === 'cidr' || (peer.type === 'group' && peer.members.some(isCidr));
const hasCidr = ({ rule }: PlacedRule): boolean => rule.peers !== 'any' && rule.peers.some(isCidr);
const hasName = ({ rule }: PlacedRule): boolean => rule.ports !== 'any' && rule.ports.some((port) => port.type === 'named');
const selectsPeersToDeny = ({ policy, rule }: PlacedRule): boolean => rule.peers !== 'any' && (rule.action === 'deny' || policy.tier === 'admin');

interface Part { readonly text: string; readonly speaks: boolean; readonly hasName: boolean }
const parts = new WeakMap<CompiledPolicy, Readonly<Record<DirectionName, Part>>>();

/** One policy's part of a name: the policy, and a digest of what it says in a direction. Only its own versions could meet in one digest. */
const partOf = (policy: CompiledPolicy, direction: DirectionName): Part => {
  const known = parts.get(policy);
  if (known !== undefined) return known[direction];
  const make = (each: DirectionName): Part => {
    const rules = placedRules([policy], each);
    const said = [policy.tier, policy.priority, policy.audit, policy.isolates[each], rules.map((placed) => [ruleName(placed), placed.rule.action, placed.rule.peers, placed.rule.ports])];
    return { text: `${policyKey(policy)}${policy.part === undefined ? '' : `/${policy.part}`}@${digest(JSON.stringify(said))}`, speaks: rules.length > 0 || policy.isolates[each], hasName: rules.some(hasName) };
  };
  const made = { ingress: make('ingress'), egress: make('egress') };
  parts.set(policy, made);
  return made[direction];
};

/** @param bindings of the subject: at ingress named ports are its own */
export const ruleSetName = (policies: readonly CompiledPolicy[], direction: DirectionName, bindings: Bindings): string => {
  const speaking = policies.map((policy) => partOf(policy, direction)).filter(({ speaks }) => speaks);
  if (speaking.length === 0) return `${direction} open`;
  const bound = direction === 'ingress' && bindings.size > 0 && speaking.some((part) => part.hasName) ? ` ${bindingsText(bindings)}` : '';
  return `${direction} ${speaking.map(({ text }) => text).join(' ')}${bound}`;
};

const NOTHING = { enforced: false, needsClass: false, needsVariant: false, peerDeny: false, peers: new Map<string, PeerEntry>(), contents: () => [], hasContent: () => true, watchesBindings: false, selections: [], judge: () => undefined, release: () => {} } as const;

/** Nothing isolates, nothing is denied. */
export const openRuleSet = (direction: DirectionName): RuleSet => ({ ...NOTHING, name: `${direction} open`, direction, defaultRow: plainRow({ verdict: 'allow', rule: undefined }) });

/** Stands for a rule set that does not fit into the maps. */
export const fullRuleSet = (direction: DirectionName): RuleSet => ({ ...NOTHING, name: `${direction} full`, direction, enforced: true, defaultRow: plainRow({ verdict: 'full', rule: undefined }) });

const NO_BINDINGS: Bindings = new Map();

/** Told when a rule set begins or ceases to have a row of some content. */
export interface ContentLedger { readonly came: (row: RowContent) => void; readonly went: (row: RowContent) => void }

export interface RuleSetPorts { readonly selections: Selections; readonly parties: Parties; readonly ledger: ContentLedger }

/** @param policies that apply, in the order of attribution */
export const createRuleSet = (name: string, policies: readonly CompiledPolicy[], direction: DirectionName, bindings: Bindings, { selections, parties, ledger }: RuleSetPorts): RuleSet => {
  const rules = placedRules(policies, direction);
  const isolatedBy = isolatingPolicies(policies, direction);
  if (rules.length === 0 && isolatedBy.length === 0) return openRuleSet(direction);
  const needsClass = rules.some(hasCidr);
  const needsVariant = direction === 'egress' && rules.some(hasName);
  const anyPeer = rules.filter(({ rule }) => rule.peers === 'any');
  const watchesBindings = direction === 'egress' && anyPeer.some(hasName);
  const defaultRow = rowOf(anyPeer, isolatedBy, direction === 'ingress' ? bindings : NO_BINDINGS);

  /** Rules that have a selection among their peers, in their order. */
  const rulesOf = new Map<Selection, number[]>();
  const acquired: Selection[] = [];
  for (const { rule, order } of rules) {
    for (const peer of rule.peers === 'any' ? [] : rule.peers) {
      const selection = selections.acquire(peer);
      acquired.push(selection);
      const orders = rulesOf.get(selection);
      if (orders === undefined) rulesOf.set(selection, [order]);
      else if (orders.at(-1) !== order) orders.push(order);
    }
  }

  const matching = (kind: Kind): readonly number[] => {
    const ofKind = kind.selections;
    const [few, many] = ofKind.size < rulesOf.size ? [ofKind, rulesOf] : [rulesOf.keys(), ofKind];
    let orders: readonly number[] = [];
    let merged = false;
    for (const selection of few) {
      if (!many.has(selection)) continue;
      const more = rulesOf.get(selection)!;
      merged = orders.length > 0;
      orders = merged ? [...orders, ...more] : more;
    }
    return merged || orders.length > 1 ? [...new Set(orders)].sort((a, b) => a - b) : orders;
  };

  /** By which rules match; undefined: what is said is the default. */
  const rows = new Map<string, RowContent | undefined>();
  const byText = new Map<string, RowContent>();
  const rowFor = (kind: Kind): RowContent | undefined => {
    const orders = matching(kind);
    const isHost = direction === 'ingress' && kind.identity === RESERVED_IDENTITY.host;
    const binds = needsVariant && kind.variant !== 0;
    if (orders.length === 0 && !isHost && !(binds && watchesBindings)) return undefined;
    const key = `${orders.join()}${isHost ? ' host' : ''}${binds ? ` ${bindingsText(kind.bindings)}` : ''}`;
    if (rows.has(key)) return rows.get(key);
    const placed = [...anyPeer, ...orders.map((order) => rules[order]!), ...(isHost ? [LOCALHOST_RULE] : [])];
    const made = rowOf(placed, isolatedBy, direction === 'ingress' ? bindings : kind.bindings);
    const row = made.text === defaultRow.text ? undefined : byText.get(made.text) ?? made;
    if (row !== undefined) byText.set(row.text, row);
    rows.set(key, row);
    return row;
  };

  const peers = new Map<string, PeerEntry>();
  const uses = new Map<RowContent, number>();
  const count = (row: RowContent, by: 1 | -1): void => {
    const now = (uses.get(row) ?? 0) + by;
    if (now === 0) { uses.delete(row); ledger.went(row); return; }
    if (now === 1 && by === 1) ledger.came(row);
    uses.set(row, now);
  };
  count(defaultRow, 1);
  const classVariantOf = (kind: Kind): number => (((needsClass ? kind.cidrClass : 0) << 16) | (needsVariant ? kind.variant : 0)) >>> 0;
  const keyOf = (kind: Kind): string => `${kind.identity} ${classVariantOf(kind)}`;
  const say = (key: string, kind: Kind, row: RowContent | undefined): { readonly key: string; readonly former: PeerEntry | undefined } | undefined => {
    const former = peers.get(key);
    if (former?.row === row) return undefined;
    if (row === undefined) peers.delete(key);
    else {
      peers.set(key, { identity: kind.identity, classVariant: classVariantOf(kind), row });
      count(row, 1);
    }
    if (former !== undefined) count(former.row, -1);
    return { key, former };
  };
  const judge = (kind: Kind): ReturnType<typeof say> => {
    const key = keyOf(kind);
    /* Kinds that the key does not tell apart are meant by the same rules: any of them speaks for all. */
    let speaker: Kind | undefined = kind.uses > 0 ? kind : undefined;
    if (speaker === undefined) for (const other of parties.kindsOf(kind.identity)) if (keyOf(other) === key) { speaker = other; break; }
    return say(key, kind, speaker === undefined ? undefined : rowFor(speaker));
  };

  const judgeFirst = (kind: Kind): void => {
    const key = keyOf(kind);
    const row = peers.has(key) ? undefined : rowFor(kind);
    if (row !== undefined) say(key, kind, row);
  };
  for (const selection of rulesOf.keys()) for (const kind of selection.members) judgeFirst(kind);
  if (watchesBindings) for (const kind of parties.kinds()) if (kind.variant !== 0) judgeFirst(kind);
  if (direction === 'ingress') for (const kind of parties.kindsOf(RESERVED_IDENTITY.host)) judgeFirst(kind);

  return {
    name, direction, enforced: true, needsClass, needsVariant, watchesBindings, peerDeny: rules.some(selectsPeersToDeny), defaultRow, peers, judge,
    contents: () => uses.keys(), hasContent: (row) => uses.has(row),
    selections: [...rulesOf.keys()],
    release: () => {
      for (const selection of acquired) selections.release(selection);
      for (const row of uses.keys()) ledger.went(row);
    },
  };
};
