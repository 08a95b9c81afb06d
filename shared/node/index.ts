export * from './frame.ts';
export * from './protocol.ts';
