import { jest } from '@jest/globals';
import { eventually, startNatsServer, type NatsServer } from '@seine/testkit';

import { busConformance, type World } from './bus.conformance.ts';
import { connectBroker, connectBus, createLog } from './jetstream.ts';

jest.setTimeout(60_000);

let server: NatsServer;
const createWorld = async (): Promise<World> => {
  server = await startNatsServer();
  const options = { url: server.url, cluster: 'default', name: 'test' };
  await createLog(options);
  const closes: (() => Promise<void>)[] = [];
  return {
    connect: async (name) => {
      const bus = await connectBus({ ...options, name });
      closes.push(bus.close);
      return bus;
    },
    broker: async () => {
      const { broker } = await connectBroker(options);
      closes.push(broker.close);
      return broker;
    },
    eventually: (probe) => eventually(probe, 30_000),
    end: async () => {
      for (const close of closes) await close();
      await server.stop();
    },
  };
};

busConformance('the bus over a real broker', createWorld);
