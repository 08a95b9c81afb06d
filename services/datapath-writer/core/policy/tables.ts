/**
 * Node-local numbers for what the kernel's rows refer to: content in, number out, the same content the same number for as long as it is
 * used. They are names of this node only; a dump shows what they stand for. Kept on disk so that a restart renumbers nothing.
 */
import { SeineError } from '@seine/model';

/** One space of numbers. */
export interface Numbering {
  readonly numberOf: Map<string, number>;
  readonly textOf: Map<number, string>;
  /** Where the search for a free number goes on: a number just freed is not the next to be given. */
  next: number;
  readonly min: number;
  readonly max: number;
}

export interface Tables {
  readonly revision: Numbering;
  readonly row: Numbering;
  readonly rule: Numbering;
  readonly cidrClass: Numbering;
  /** Other nodes, while some policy selects nodes by label. */
  readonly nodes: Numbering;
}

const SPACES = {
  revision: { min: 1, max: 0xffffffff },
  row: { min: 1, max: 0x00ffffff },
  rule: { min: 1, max: 0xffffffff },
  cidrClass: { min: 1, max: 0xffff },
  nodes: { min: 1, max: 0xffffff },
} as const;
const NAMES = Object.keys(SPACES) as (keyof Tables)[]; // Object.keys widens; SPACES is closed

const numbering = ({ min, max }: { readonly min: number; readonly max: number }): Numbering => ({ numberOf: new Map(), textOf: new Map(), next: min, min, max });

export const emptyTables = (): Tables => ({
  revision: numbering(SPACES.revision), row: numbering(SPACES.row), rule: numbering(SPACES.rule), cidrClass: numbering(SPACES.cidrClass), nodes: numbering(SPACES.nodes),
});

/** @throws SEINE_NUMBERS_EXHAUSTED */
export const numberFor = (space: Numbering, text: string): number => {
  const known = space.numberOf.get(text);
  if (known !== undefined) return known;
  for (let tries = space.min; tries <= space.max; tries += 1) {
    const number = space.next;
    space.next = number === space.max ? space.min : number + 1;
    if (!space.textOf.has(number)) {
      space.numberOf.set(text, number);
      space.textOf.set(number, text);
      return number;
    }
  }
  throw new SeineError('SEINE_NUMBERS_EXHAUSTED', `all ${space.max - space.min + 1} node-local numbers are in use; fewer distinct rules or prefixes are needed`);
};

/** Forgets what nothing refers to any more; called only once the kernel's references are gone. */
export const keepOnly = (space: Numbering, used: ReadonlySet<string>): void => {
  for (const [text, number] of space.numberOf) {
    if (used.has(text)) continue;
    space.numberOf.delete(text);
    space.textOf.delete(number);
  }
};

export type StoredTables = Readonly<Record<keyof Tables, { readonly next: number; readonly entries: readonly (readonly [string, number])[] }>>;

export const storeTables = (tables: Tables): StoredTables => {
  const stored = (name: keyof Tables) => ({ next: tables[name].next, entries: [...tables[name].numberOf] });
  return { revision: stored('revision'), row: stored('row'), rule: stored('rule'), cidrClass: stored('cidrClass'), nodes: stored('nodes') };
};

export const restoreTables = (stored: StoredTables): Tables => {
  const tables = emptyTables();
  for (const name of NAMES) {
    tables[name].next = stored[name].next;
    for (const [text, number] of stored[name].entries) {
      tables[name].numberOf.set(text, number);
      tables[name].textOf.set(number, text);
    }
  }
  return tables;
};
