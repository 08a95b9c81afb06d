/** Memory of a node's processes with very many Services: each is a process as on a node, the log comes from a real broker. */
import type { Figure } from './lib/line.ts';
import { measureRoles } from './lib/roles.ts';
import { sizesWanted } from './lib/wanted.ts';

const MANY = 50_000;
const ENDPOINTS = 2;
const AIM_MB = 300;

export const measure = async (): Promise<readonly Figure[]> => {
  const figures: Figure[] = [];
  for (const services of sizesWanted([MANY])) {
    const { memory, filledMs, addedMs, restarted } = await measureRoles(services, ENDPOINTS);
    const name = `${services.toLocaleString('en')} Services with ${ENDPOINTS} endpoints each`;
    for (const [role, { residentMb, peakMb }] of memory) {
      figures.push(
        { figure: `${role}, ${name}, at rest`, unit: 'MB resident', ours: residentMb, yardstick: { name: `the aim of ${AIM_MB} MB`, values: [AIM_MB] }, aim: { relation: '<=', ratio: 1 } },
        { figure: `${role}, ${name}, at most`, unit: 'MB resident', ours: [peakMb], yardstick: { name: 'at rest', values: residentMb }, aim: undefined },
      );
    }
    const start = { name: 'from an empty node', values: [filledMs] };
    figures.push(
      { figure: `${name}: one more, from its objects through both lanes of the log into the kernel`, unit: 'ms', ours: addedMs, yardstick: { name: 'the aim without a broker, 2.6 ms', values: [2.6] }, aim: undefined },
      { figure: `datapath-writer started again, ${name}, at rest`, unit: 'MB resident', ours: restarted.memory.residentMb, yardstick: { name: `the aim of ${AIM_MB} MB`, values: [AIM_MB] }, aim: { relation: '<=', ratio: 1 } },
      { figure: `${name}: entries that a writer started again writes or deletes`, unit: 'entries', ours: [restarted.writes], yardstick: { name: 'one', values: [1] }, aim: { relation: '<=', ratio: 0 } },
      { figure: `${name}: from the writer's start until it vouches for the maps`, unit: 'ms', ours: [restarted.readyMs], yardstick: start, aim: undefined },
      { figure: `${name}: from the start of a node's processes until all is in the kernel`, unit: 'ms', ours: [filledMs], yardstick: { name: 'a millisecond a Service', values: [services] }, aim: undefined },
    );
  }
  return figures;
};
