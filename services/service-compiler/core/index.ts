export { ANY_ADDRESS, frontendKey } from './asked.ts';
export * from './service.decider.ts';
