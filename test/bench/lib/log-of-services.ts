/** A process: `log-of-services.ts COUNT ENDPOINTS` writes the log of a cluster with so many Services to the broker at hand, says its last sequence, and ticks until it is killed. */
import { connectBus, createLog } from '@seine/bus';
import { LANES, type Lane, type SeineEvent } from '@seine/events';

import { nodeEvents } from './cluster.ts';
import { compileServices } from './services.ts';

const [count, endpoints] = process.argv.slice(2).map(Number) as [number, number];
const PATIENCE_MS = 10_000;
const signal = new AbortController().signal;
const options = { url: 'nats://127.0.0.1:4222', cluster: 'bench', name: 'bench/log', build: 'bench', signal, patienceMs: PATIENCE_MS };

await createLog(options);
const bus = await connectBus(options);
const laneOf = ({ type }: SeineEvent): Lane => (type.startsWith('policykind') ? 'policy' : type.startsWith('node') ? 'fact' : 'service');
const events = [...nodeEvents(), ...compileServices(count, endpoints).events];
for (const lane of LANES.filter((each) => each !== 'audit')) {
  const writer = await bus.openLane(lane, 'bench', signal);
  const own = events.filter((event) => laneOf(event) === lane);
  if (own.length > 0) await writer.commit(own, 0);
  setInterval(() => { void bus.lastSeq().then(writer.folded); }, 500);
}
process.stdout.write(`${await bus.lastSeq()}\n`);
