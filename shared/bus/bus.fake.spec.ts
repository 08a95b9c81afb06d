import { createManualClock } from '@seine/testkit';

import { busConformance, type World } from './bus.conformance.ts';
import { createFakeLog } from './fake.ts';

const createWorld = async (): Promise<World> => {
  const clock = createManualClock();
  const log = createFakeLog({ clock });
  return {
    connect: async (name) => log.connect(name),
    broker: async () => log.broker(),
    eventually: async <T>(probe: () => T | Promise<T>) => {
      for (let step = 0; step < 2_000; step += 1) {
        const value = await probe();
        if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>; // the two were excluded
        await clock.advance(20);
      }
      throw new Error(`the condition did not hold within 40 s of the clock: ${probe.toString()}`);
    },
    end: async () => {},
  };
};

busConformance('the fake bus', createWorld);
