export * from './manifest.ts';
export * from './names.ts';
export * from './network-policy.ts';
export * from './object.ts';
export * from './refusal.ts';
export * from './policy.ts';
export * from './settings.ts';
export * from './workload.ts';
