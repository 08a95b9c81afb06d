export * from './service.decider.ts';
