export * from './identity.decider.ts';
export * from './label-filter.ts';
