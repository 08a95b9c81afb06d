export * from './ipam.decider.ts';
export * from './pool.ts';
