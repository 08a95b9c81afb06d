export * from './diff.ts';
export * from './report.ts';
export * from './to-fact.ts';
