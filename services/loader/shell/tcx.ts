/**
 * TCX. Where the kernel has it (6.6), its programs are asked before every tc filter, and one that says OK has the last word: a foreign one would
 * open what Seine's filters close. So each stub stands first at TCX too, by a pinned link. What it says is final, so no packet is judged twice;
 * the filter behind it is the second lock. A kernel without TCX keeps the filter alone.
 *
 *   ADD ──► filters, at once          a quiet moment later ──► links: each waits for RCU while the kernel's one lock over interfaces is held
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { ATTACH, queryPrograms, tcxLinkFirst, type TcDirection } from '@seine/kernel';
import type { Attachment } from '@seine/node';
import type { Logger } from '@seine/role';

import type { NodeObjects, Place } from './objects.ts';
import { createLine, interfaceOfPin, keepLink, pinNameOf, takeOffPinned } from './pinned-link.ts';

const DIRECTIONS = ['ingress', 'egress'] as const satisfies readonly TcDirection[];
const HOOK = { ingress: ATTACH.tcxIngress, egress: ATTACH.tcxEgress } as const;
const LOOPBACK = 1;
/** Links wait until no pod was wired for so long; while pods come without a pause, one interface gets its links at each pace. */
const QUIET_MS = 100;
const PACE_MS = 500;
const PIN = /^tcx_(.+)_(?:ingress|egress)$/;

export interface Interface { readonly name: string; readonly index: number; readonly place: Place }

export interface Tcx {
  /** A pod was wired: its links come when things are quiet. */
  readonly attachSoon: (to: Interface) => void;
  /** What is not first at its hook. A new interface's links are not missed as long as nobody else stands there. */
  readonly lost: (at: Interface) => readonly Attachment[];
  /** Begins to put links first that are not. @returns what is being put back */
  readonly repair: (at: Interface) => readonly string[];
  /** Takes the links of an interface off, before it goes: its end would wait for RCU on the main thread. */
  readonly leave: (name: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** The tc filters stand alone. */
export const WITHOUT_TCX: Tcx = { attachSoon: () => {}, lost: () => [], repair: () => [], leave: async () => {}, stop: async () => {} };

/**
 * @param options.pinRoot where links are pinned, by their interface's name
 * @param options.ours    interfaces that should have links, by name; links of others are taken off
 */
export const openTcx = ({ objects, pinRoot, ours, log }: { readonly objects: NodeObjects; readonly pinRoot: string; readonly ours: ReadonlyMap<string, Interface>; readonly log: Logger }): Tcx => {
  if (queryPrograms(LOOPBACK, HOOK.ingress) === undefined) {
    log.info('this kernel has no TCX: the tc filters stand alone');
    return WITHOUT_TCX;
  }
  const pinPath = (name: string, direction: TcDirection): string => join(pinRoot, `tcx_${pinNameOf(name)}_${direction}`);
  const standing = ({ index }: Interface, direction: TcDirection): readonly number[] => queryPrograms(index, HOOK[direction]) ?? [];
  const isFirst = (at: Interface, direction: TcDirection): boolean => standing(at, direction)[0] === objects.stub(at.place, direction).id;

  /** A link cannot be moved: it goes and comes again in front. Meanwhile the filter is asked, as far as those in front let it. */
  const putFirst = async (at: Interface, direction: TcDirection): Promise<void> => {
    if (isFirst(at, direction)) return;
    await takeOffPinned(pinPath(at.name, direction));
    keepLink(await tcxLinkFirst(objects.stub(at.place, direction).fd, at.index, HOOK[direction]), pinPath(at.name, direction));
  };

  const { inLine, end } = createLine();
  const stopped = new AbortController();
  const fresh = new Map<string, Interface>();
  const urgent = new Map<string, Interface>();
  let busySinceMs = -Infinity;
  let wiredMs = -Infinity;
  let linkedMs = -Infinity;
  let timer: NodeJS.Timeout | undefined;

  const put = async (from: Map<string, Interface>): Promise<void> => {
    const [next] = from.values();
    if (next === undefined || stopped.signal.aborted) return;
    try {
      for (const direction of DIRECTIONS) await putFirst(next, direction);
    } catch (error) {
      log.warn('a TCX link could not be attached', { interface: next.name, error: (error as Error).message });
    }
    if (from.get(next.name) === next) from.delete(next.name);
    linkedMs = performance.now();
  };
  const dueMs = (): number => Math.min(wiredMs + QUIET_MS, Math.max(linkedMs, busySinceMs) + PACE_MS);
  const later = (): void => {
    if (timer !== undefined || fresh.size === 0 || stopped.signal.aborted) return;
    timer = setTimeout(() => {
      timer = undefined;
      void (performance.now() < dueMs() ? Promise.resolve() : inLine(() => put(fresh))).then(later); // put does not fail
    }, Math.max(1, dueMs() - performance.now()));
  };
  const leave = async (name: string): Promise<void> => {
    fresh.delete(name);
    urgent.delete(name);
    await inLine(async () => { for (const direction of DIRECTIONS) await takeOffPinned(pinPath(name, direction)); });
  };

  const lost = (at: Interface): readonly Attachment[] => DIRECTIONS.flatMap((direction) => {
    const found = standing(at, direction);
    const { id } = objects.stub(at.place, direction);
    if (found[0] === id || (found.length === 0 && fresh.has(at.name))) return [];
    return [{ hook: `${at.name} tcx ${direction}`, want: `program ${id} first`, have: found.length === 0 ? 'nothing' : `programs ${found.join(', ')}` }];
  });

  const pinnedNames = new Set(readdirSync(pinRoot).flatMap((file) => PIN.exec(file)?.slice(1).map(interfaceOfPin) ?? []));
  for (const name of pinnedNames) {
    if (!ours.has(name)) leave(name).catch((error: unknown) => { log.warn('a TCX link of former times could not be taken off', { interface: name, error: String(error) }); });
  }
  for (const each of ours.values()) if (DIRECTIONS.some((direction) => standing(each, direction).length === 0)) fresh.set(each.name, each);
  later();
  return {
    attachSoon: (to) => {
      wiredMs = performance.now();
      if (fresh.size === 0) busySinceMs = wiredMs;
      fresh.set(to.name, to);
      later();
    },
    lost,
    repair: (at) => {
      if (lost(at).length === 0) return [];
      fresh.delete(at.name);
      if (!urgent.has(at.name)) {
        urgent.set(at.name, at);
        void inLine(() => put(urgent)); // put does not fail
      }
      return [`tcx links of ${at.name}`];
    },
    leave,
    stop: async () => {
      stopped.abort();
      clearTimeout(timer);
      await end();
    },
  };
};
