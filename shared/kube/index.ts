export * from './connect.ts';
export * from './keep.ts';
export * from './kinds.ts';
export * from './list.ts';
