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
  /** Since they were last taken, in order: text → number, 0 = forgotten. What the disk does not know yet. */
  changes: (readonly [text: string, number: number])[];
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
export type Space = keyof Tables;
export const SPACE_NAMES = Object.keys(SPACES) as Space[]; // Object.keys widens; SPACES is closed

const numbering = ({ min, max }: { readonly min: number; readonly max: number }): Numbering => ({ numberOf: new Map(), textOf: new Map(), next: min, min, max, changes: [] });
const after = (space: Numbering, number: number): number => (number === space.max ? space.min : number + 1);

export const emptyTables = (): Tables => ({
  revision: numbering(SPACES.revision), row: numbering(SPACES.row), rule: numbering(SPACES.rule), cidrClass: numbering(SPACES.cidrClass), nodes: numbering(SPACES.nodes),
});

/** @throws SEINE_NUMBERS_EXHAUSTED */
export const numberFor = (space: Numbering, text: string): number => {
  const known = space.numberOf.get(text);
  if (known !== undefined) return known;
  for (let tries = space.min; tries <= space.max; tries += 1) {
    const number = space.next;
    space.next = after(space, number);
    if (!space.textOf.has(number)) {
      space.numberOf.set(text, number);
      space.textOf.set(number, text);
      space.changes.push([text, number]);
      return number;
    }
  }
  throw new SeineError('SEINE_NUMBERS_EXHAUSTED', `all ${space.max - space.min + 1} node-local numbers are in use; fewer distinct rules or prefixes are needed`);
};

/** Called only once nothing refers to the number any more, the kernel included. */
export const forget = (space: Numbering, number: number): void => {
  const text = space.textOf.get(number);
  if (text === undefined) return;
  space.textOf.delete(number);
  space.numberOf.delete(text);
  space.changes.push([text, 0]);
};

export type StoredTables = Readonly<Record<Space, { readonly next: number; readonly entries: readonly (readonly [string, number])[] }>>;

export const storeTables = (tables: Tables): StoredTables => {
  const stored = (name: Space) => ({ next: tables[name].next, entries: [...tables[name].numberOf] });
  return { revision: stored('revision'), row: stored('row'), rule: stored('rule'), cidrClass: stored('cidrClass'), nodes: stored('nodes') };
};

export const restoreTables = (stored: StoredTables): Tables => {
  const tables = emptyTables();
  for (const name of SPACE_NAMES) {
    tables[name].next = stored[name].next;
    for (const [text, number] of stored[name].entries) {
      tables[name].numberOf.set(text, number);
      tables[name].textOf.set(number, text);
    }
  }
  return tables;
};

/** One number given, or (0) forgotten. */
export type TableChange = readonly [space: Space, text: string, number: number];

/** What happened since the last take, each space in its order. */
export const takeTableChanges = (tables: Tables): readonly TableChange[] => SPACE_NAMES.flatMap((name) => {
  const { changes } = tables[name];
  tables[name].changes = [];
  return changes.map(([text, number]): TableChange => [name, text, number]);
});

/** Brings tables that were stored to what they became since. */
export const replayTableChange = (tables: Tables, [name, text, number]: TableChange): void => {
  const space = tables[name];
  if (number === 0) {
    const former = space.numberOf.get(text);
    space.numberOf.delete(text);
    if (former !== undefined) space.textOf.delete(former);
    return;
  }
  space.numberOf.set(text, number);
  space.textOf.set(number, text);
  space.next = after(space, number);
};
