export * from './config.ts';
export * from './health.ts';
export * from './log.ts';
export * from './metrics.ts';
export * from './run-decider.ts';
export * from './run.ts';
export * from './telemetry.ts';
