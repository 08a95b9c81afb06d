/**
 * Maglev: a table in which each backend has nearly the same share, and in which the loss of one moves few other places (Eisenbud et al., NSDI 2016,
 * section 3.4). Backends fill it by turns, each in an order of its own. Pure.
 */
import { digest } from '@seine/model';

/** Primes, and few of them: a Service whose table takes another size draws nearly all its clients anew. */
const MAGLEV_SIZES = { few: 4093, many: 16_381 } as const;
/** As many as have a hundred places each. */
const MOST_OF_FEW = 40;

export const maglevSize = (backends: number): number => (backends <= MOST_OF_FEW ? MAGLEV_SIZES.few : MAGLEV_SIZES.many);

/** @param names of the backends, each once; the same names give the same table, whatever their order. @returns for each place the name that has it */
export const maglevTable = (names: readonly string[], size = maglevSize(names.length)): readonly string[] => {
  const turns = [...names].sort().map((name) => {
    const number = Number.parseInt(digest(name).slice(0, 13), 16);
    return { name, at: number % size, step: (Math.floor(number / size) % (size - 1)) + 1 };
  });
  const table = Array.from<string | undefined>({ length: size });
  for (let filled = 0; filled < size && turns.length > 0;) {
    for (const turn of turns) {
      while (table[turn.at] !== undefined) turn.at = (turn.at + turn.step) % size;
      table[turn.at] = turn.name;
      filled += 1;
      if (filled === size) break;
    }
  }
  return table.filter((name) => name !== undefined);
};
