export * from './attributions.ts';
export * from './flow.ts';
export * from './ring.ts';
export * from './select.ts';
