export * from './expand.ts';
export * from './names.ts';
export * from './seats.ts';
