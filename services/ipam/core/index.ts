export * from './ipam.decider.ts';
