/** Packets/s of a node port whose backend is elsewhere, one CPU: carried at XDP, by tc, and by iptables' DNAT and MASQUERADE. */
import type { Figure } from './lib/line.ts';
import { run } from './lib/shell.ts';
import { openTurning, requireTurners, TURNERS, type Turner, type Way } from './lib/turn.ts';

const OBJECT = new URL('./load/build/nodeport.o', import.meta.url).pathname;
const ROUNDS = 9;
/** The best of these is a round's figure: whatever else runs on that CPU only takes away. */
const BATCHES = 5;
const PACKETS = 100_000;
const WAYS = ['to the backend', 'back to the client'] as const satisfies readonly Way[];
const YARDSTICK = 'iptables';
const AIMS: Readonly<Partial<Record<Turner, number>>> = { xdp: 3, tc: 1.3 };

export const measure = async (): Promise<readonly Figure[]> => {
  requireTurners();
  /* What is sent is received where it was sent: all of it on one CPU. */
  run('taskset', '-p', '-c', process.env['BENCH_CPU'] ?? '1', String(process.pid));
  const cells = TURNERS.map((turner) => openTurning(turner, OBJECT));
  const rates = new Map<string, number[]>();
  const of = (turner: Turner, way: Way): number[] => rates.get(`${turner} ${way}`) ?? [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const way of WAYS) {
      for (const { turner, rate } of cells) {
        const packets = Math.max(...Array.from({ length: BATCHES }, () => rate(way, PACKETS)));
        if (round > 0) rates.set(`${turner} ${way}`, [...of(turner, way), packets]); // the first only warms up
      }
    }
  }
  for (const { down } of cells) down();
  return WAYS.flatMap((way) => TURNERS.filter((turner) => turner !== YARDSTICK).map((turner): Figure => {
    const ratio = AIMS[turner];
    return {
      figure: `a node port's packets ${way}, ${turner}, against ${YARDSTICK}`, unit: 'packets/s', ours: of(turner, way), yardstick: { name: `${YARDSTICK}-legacy DNAT and MASQUERADE`, values: of(YARDSTICK, way) },
      aim: ratio === undefined ? undefined : { relation: '>=', ratio },
    };
  }));
};
