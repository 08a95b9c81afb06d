import type { Asked } from './naive.mjs';

export interface MadeCase { readonly name: string; readonly objects: readonly unknown[]; readonly probes: readonly (Asked & { readonly want: 'allow' | 'deny' })[] }
export const randomOf: (seed: number) => { readonly below: (limit: number) => number; readonly chance: (share: number) => boolean; readonly pick: <T>(list: readonly T[]) => T };
export const readWorld: (folder: string) => unknown;
export const casesOf: (start: unknown, seed: number, edits: number) => Generator<MadeCase>;
