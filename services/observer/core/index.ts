export * from './flow.ts';
export * from './ring.ts';
