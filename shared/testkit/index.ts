export * from './eventually.ts';
export * from './nats-server.ts';
export * from './manual-clock.ts';
export * from './unkindly.ts';
