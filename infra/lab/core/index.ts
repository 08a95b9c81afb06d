export * from './expand.ts';
export * from './names.ts';
