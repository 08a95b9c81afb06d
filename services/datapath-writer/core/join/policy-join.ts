/**
 * Policies × who is there → what each local subject's policy says of each kind of peer, kept as policies and parties change.
 *
 *   policies ──► which select a subject ──► its rule sets ──► peers ──► placement
 *   kinds of peers ──► selections that mean them ──► rule sets that have these ──┘
 *
 * Pure.
 */
import type { CompiledPolicy } from '@seine/events';
import { RESERVED_IDENTITY } from '@seine/model';

import { policiesKnown, type NodeState } from '../fold.ts';
import { inOrder, subjectMatches, type Bindings, type DirectionName, type Party } from '../policy/index.ts';
import type { Dirty } from './dirty.ts';
import type { Holds } from './holds.ts';
import { createSelectorFile, filingOf, reachOf, type Filing } from './label-index.ts';
import type { Kind } from './kinds.ts';
import { subjectKey, type Parties, type PartyChanges } from './parties.ts';
import { createPlacement, type Capacity } from './placement.ts';
import type { RowStore } from './row-store.ts';
import { createRuleSet, ruleSetName, type PeerEntry, type RuleSet } from './rule-set.ts';
import { createSelections, type Selection } from './selections.ts';

/** A subject and the policies that apply to it, by key. */
interface Joined { readonly identity: number; readonly variant: number; readonly bindings: Bindings; readonly party: Party; readonly policies: Map<string, CompiledPolicy> }
interface Shared { readonly set: RuleSet; users: number }

const DIRECTIONS = ['ingress', 'egress'] as const satisfies readonly DirectionName[];
const HOST = subjectKey({ identity: RESERVED_IDENTITY.host, variant: 0 });

/** Sets by key, without empty ones. */
const addTo = <K, V>(sets: Map<K, Set<V>>, key: K, value: V): void => {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
};

export const createPolicyJoin = (state: Readonly<NodeState>, parties: Parties, holds: Holds, store: RowStore, capacity: Capacity) => {
  const placement = createPlacement(holds, store, capacity);
  const selections = createSelections();
  /** Policies by whom they select. */
  const selectors = createSelectorFile<string>();
  const filed = new Map<string, { readonly policy: CompiledPolicy; readonly filing: Filing }>();
  const subjects = new Map<string, Joined>();
  const ruleSets = new Map<string, Shared>();
  const wanted = new Map<string, RuleSet>();
  const setsOf = new Map<Selection, Set<RuleSet>>();
  const watchers = new Set<RuleSet>();
  const isolating = new Set<RuleSet>();
  let known = false;

  const acquire = (name: string, policies: readonly CompiledPolicy[], direction: DirectionName, bindings: Bindings): RuleSet => {
    const shared = ruleSets.get(name);
    if (shared !== undefined) { shared.users += 1; return shared.set; }
    const set = createRuleSet(name, policies, direction, bindings, { selections, parties, ledger: placement.ledger });
    ruleSets.set(name, { set, users: 1 });
    for (const selection of set.selections) addTo(setsOf, selection, set);
    if (set.watchesBindings) watchers.add(set);
    if (set.enforced && direction === 'ingress') isolating.add(set);
    return set;
  };
  const release = (set: RuleSet): void => {
    const shared = ruleSets.get(set.name)!;
    shared.users -= 1;
    if (shared.users > 0) return;
    ruleSets.delete(set.name);
    for (const selection of set.selections) {
      const sets = setsOf.get(selection)!;
      sets.delete(set);
      if (sets.size === 0) setsOf.delete(selection);
    }
    watchers.delete(set);
    isolating.delete(set);
    set.release();
  };

  /** What rule sets in use say of kinds that came, went or are described anew. */
  const judgeKinds = (kinds: ReadonlySet<Kind>): void => {
    const suspects = new Map<RuleSet, Set<Kind>>();
    selections.update(kinds, (selection, kind) => { for (const set of setsOf.get(selection) ?? []) addTo(suspects, set, kind); });
    for (const kind of kinds) {
      if (kind.variant !== 0) for (const set of watchers) addTo(suspects, set, kind);
      if (kind.identity === RESERVED_IDENTITY.host) for (const set of isolating) addTo(suspects, set, kind);
    }
    for (const [set, suspected] of suspects) {
      const changed = new Map<string, PeerEntry | undefined>();
      for (const kind of suspected) {
        const judged = set.judge(kind);
        if (judged !== undefined && !changed.has(judged.key)) changed.set(judged.key, judged.former);
      }
      if (changed.size > 0) placement.changePeers(set, changed);
    }
  };

  /** Files policies anew. @returns subjects to which other policies apply */
  const readPolicies = (keys: ReadonlySet<string>): Set<string> => {
    const changed = new Set<string>();
    for (const key of keys) {
      const former = filed.get(key);
      if (former !== undefined) selectors.remove(key, former.filing);
      const policy = state.policies.get(key);
      if (policy === undefined) filed.delete(key);
      else {
        const filing = filingOf(reachOf(policy.subject), () => 0);
        filed.set(key, { policy, filing });
        selectors.add(key, filing);
      }
      for (const [name, { party, policies }] of subjects) {
        const applies = policy !== undefined && subjectMatches(policy.subject, party);
        if (applies) policies.set(key, policy);
        else if (!policies.delete(key)) continue;
        changed.add(name);
      }
    }
    return changed;
  };

  const readSubject = (name: string, subject: Omit<Joined, 'policies'> | undefined): void => {
    if (subject === undefined) { subjects.delete(name); return; }
    const policies = new Map<string, CompiledPolicy>();
    for (const key of selectors.candidates(subject.party)) {
      const { policy } = filed.get(key)!;
      if (subjectMatches(policy.subject, subject.party)) policies.set(key, policy);
    }
    subjects.set(name, { ...subject, policies });
  };

  /** The node itself, by one of its addresses. */
  const hostSubject = (): Omit<Joined, 'policies'> | undefined => {
    for (const kind of parties.kindsOf(RESERVED_IDENTITY.host)) return { identity: kind.identity, variant: 0, bindings: kind.bindings, party: kind };
    return undefined;
  };

  const localSubject = (name: string): Omit<Joined, 'policies'> | undefined => {
    const subject = parties.subjects.get(name);
    if (subject === undefined) return undefined;
    const { identity, variant, bindings, view } = subject;
    return { identity, variant, bindings, party: { identity, view, reserved: [], nodeLabels: undefined, prefix: undefined } };
  };

  const chooseRuleSet = (name: string, direction: DirectionName): void => {
    const key = `${name} ${direction}`;
    const subject = subjects.get(name);
    const former = wanted.get(key);
    /* Closed until known; and the node itself is a subject only while a policy selects it: no row, no judgement. */
    const judged = subject !== undefined && known && !(name === HOST && subject.policies.size === 0);
    const policies = judged ? inOrder(subject.policies.values()) : [];
    const set = judged ? acquire(ruleSetName(policies, direction, subject.bindings), policies, direction, subject.bindings) : undefined;
    if (set === undefined) wanted.delete(key);
    else wanted.set(key, set);
    const [identity, variant] = name.split('/').map(Number) as [number, number]; // as subjectKey wrote it
    if (set !== former) placement.want({ identity, variant, direction }, set);
    if (former !== undefined) releases.push(former);
  };
  /** Rule sets that lose a user, let go when what replaces them is placed. */
  let releases: RuleSet[] = [];

  return {
    full: placement.full,
    update: (dirty: Dirty, changes: PartyChanges): void => {
      judgeKinds(changes.kinds);
      const changed = readPolicies(dirty.policy);
      for (const name of changes.subjects) { readSubject(name, localSubject(name)); changed.add(name); }
      if ([...changes.kinds].some(({ identity }) => identity === RESERVED_IDENTITY.host)) { readSubject(HOST, hostSubject()); changed.add(HOST); }
      if (policiesKnown(state) !== known) {
        known = !known;
        for (const name of subjects.keys()) changed.add(name);
      }
      for (const name of changed) for (const direction of DIRECTIONS) chooseRuleSet(name, direction);
      placement.settleRoom([...changed].flatMap((name) => DIRECTIONS.map((direction) => `${name} ${direction}`)));
      for (const set of releases) release(set);
      releases = [];
    },
  };
};
