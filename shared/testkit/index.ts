export * from './eventually.ts';
export * from './nats-server.ts';
export * from './manual-clock.ts';
export * from './unkindly.ts';
export * from './certificates.ts';
export * from './recorded-api.ts';
export * from './recorded-cluster.ts';
