/** Who refers to which node-local number: one goes free only when nothing refers to it any more, and the kernel does not either. Pure. */
import { forget, numberFor, SPACE_NAMES, type Space, type Tables } from '../policy/index.ts';

export interface Holds {
  /** The number of a text, held once more. @throws SEINE_NUMBERS_EXHAUSTED */
  readonly hold: (space: Space, text: string) => number;
  /** One reference less; the number stays taken until `settle`. */
  readonly drop: (space: Space, number: number) => void;
  /** The kernel holds what is wanted and nothing else: numbers without a reference are free. */
  readonly settle: () => void;
}

export const createHolds = (tables: Tables): Holds => {
  const counts = new Map<Space, Map<number, number>>(SPACE_NAMES.map((space) => [space, new Map()]));
  /* What stood on disk is free unless it is wanted again. */
  const idle = new Map<Space, Set<number>>(SPACE_NAMES.map((space) => [space, new Set(tables[space].textOf.keys())]));
  return {
    hold: (space, text) => {
      const number = numberFor(tables[space], text);
      const count = counts.get(space)!;
      count.set(number, (count.get(number) ?? 0) + 1);
      idle.get(space)!.delete(number);
      return number;
    },
    drop: (space, number) => {
      const count = counts.get(space)!;
      const left = count.get(number)! - 1;
      if (left > 0) { count.set(number, left); return; }
      count.delete(number);
      idle.get(space)!.add(number);
    },
    settle: () => {
      for (const [space, numbers] of idle) {
        for (const number of numbers) forget(tables[space], number);
        numbers.clear();
      }
    },
  };
};
