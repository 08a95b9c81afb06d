/**
 * What a process needs at run time. The schemas themselves are in the files of each lane and in definitions.ts; roles see only their
 * types and the generated doors, so that no schema library is loaded into every process.
 */
export type * from './audit.ts';
export * from './backends.ts';
export * from './decider-fold.ts';
export * from './decider.ts';
export type * from './definitions.ts';
export * from './envelope.ts';
export * from './event.ts';
export type * from './fact/index.ts';
export { EVENT_CATALOGUE, type CatalogueEntry } from './catalogue.ts';
export type * from './identity.ts';
export type * from './ipam.ts';
export * from './limits.ts';
export * from './load-balancing.ts';
export * from './masquerade.ts';
export * from './policy-kinds.ts';
export type * from './policy.ts';
export type * from './service.ts';
export type * from './words.ts';
export * from './writer.ts';
