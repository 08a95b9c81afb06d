export * from './policy.decider.ts';
