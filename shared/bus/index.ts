export * from './chain.ts';
export { systemClock, sleep, type Clock } from './clock.ts';
export * from './export.ts';
export { createFakeLog, type FakeFaults, type FakeLog } from './fake.ts';
export { connectBus, createLog, type ConnectOptions } from './jetstream.ts';
export * from './port.ts';
export * from './subject.ts';
