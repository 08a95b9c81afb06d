/**
 * The last of many Services, connected to: Seine with its whole datapath, flat from ten Services to fifty thousand, beside kube-proxy's layouts and beside
 * no translation at all. Each cell has namespaces of its own: a namespace remembers netfilter.
 */
import { routed, CELL_SERVER, type Cell } from './lib/cells.ts';
import type { Figure } from './lib/line.ts';
import { openNode } from './lib/node.ts';
import { iptablesAll, proxied } from './lib/proxies.ts';
import { loadNft } from './lib/nft.ts';
import { compileServices, PORT, serviceAddress, TARGET_PORT } from './lib/services.ts';
import { feed, requireCommands, run, runIn, serve } from './lib/shell.ts';
import { methodsWanted, sizesWanted } from './lib/wanted.ts';

const LOAD = new URL('./load/build/load', import.meta.url).pathname;
const ROUNDS = 7;
const SECONDS = '1';
/** Both ends on one CPU: a wake-up across CPUs costs more than what is measured. */
const ENV = { LOAD_CPU: '1' };
const MODES = [['connect', 'us, median of a second'], ['crr', 'connections/s']] as const;
type Mode = (typeof MODES)[number][0];

/** How many Services stand beside others' layouts. */
const AT = 20_000;
const SIZES = [10, 1_000, 5_000, AT, 50_000] as const;
const OTHERS = ['iptables-legacy', 'iptables-nft', 'nftables'] as const;
type Other = (typeof OTHERS)[number];
/** How many times the other's rate; undefined: only reported. */
const TIMES: Readonly<Record<Other, number>> = { 'iptables-legacy': 2, 'iptables-nft': 4, nftables: 1.1 };
const OVER_DIRECT = { connect: 1.10, crr: 0.90 } as const;
const FLAT = 1.05;

interface Target { readonly name: string; readonly client: string; readonly server: string; readonly address: string; readonly port: number; readonly cgroup?: string; readonly down: () => Promise<void> | void }

const target = (cell: Cell, translated: boolean, at: number): Target => ({ ...cell, address: translated ? serviceAddress(at - 1) : cell.address, port: translated ? PORT : TARGET_PORT });

const set: Readonly<Record<Other, (node: string, count: number) => void>> = {
  'iptables-legacy': (node, count) => { feed(node, iptablesAll(proxied(count, CELL_SERVER)), 'iptables-legacy-restore'); },
  'iptables-nft': (node, count) => { feed(node, iptablesAll(proxied(count, CELL_SERVER)), 'iptables-nft-restore'); },
  nftables: (node, count) => { loadNft(node, proxied(count, CELL_SERVER)); },
};

const openSeine = async (count: number): Promise<readonly Target[]> => {
  const node = await openNode(`s${count}`);
  const { events } = compileServices(count, 1, node.serverAddress);
  await node.apply(node.mind.pass(events).ordered.steps);
  const service = { client: node.client, server: node.server, address: serviceAddress(count - 1), port: PORT };
  return [
    { name: `seine ${count}`, ...service, cgroup: node.cgroup, down: node.down },
    ...(count === AT ? [
      { name: 'seine, packet by packet', ...service, down: () => {} },
      { name: 'seine, the pod itself', ...service, address: node.serverAddress, port: TARGET_PORT, down: () => {} },
    ] : []),
  ];
};

/** The client's process in the cgroup whose sockets are translated, or in none of Seine's. */
const ask = ({ client, address, port, cgroup }: Target, mode: Mode): number => {
  const command = [LOAD, mode, address, String(port), SECONDS];
  return Number(cgroup === undefined ? runIn(client, ENV, ...command) : runIn(client, ENV, 'sh', '-c', 'echo $$ > "$0"/cgroup.procs && exec "$@"', cgroup, ...command));
};

const grouped = (count: number): string => count.toLocaleString('en');

export const measure = async (): Promise<readonly Figure[]> => {
  const sizes = sizesWanted(SIZES);
  const others = methodsWanted(OTHERS);
  requireCommands(...others.map((other) => (other === 'nftables' ? 'nft' : `${other}-restore` as const)));
  const at = sizes.includes(AT) ? AT : sizes.at(-1)!; // never empty
  const targets: Target[] = [];
  const servers: { readonly kill: () => void }[] = [];
  const values = new Map<string, number[]>();
  const of = (name: string, mode: Mode): readonly number[] => values.get(`${name} ${mode}`)!;
  try {
    for (const size of sizes) targets.push(...await openSeine(size));
    targets.push(target(routed('sv-direct', 'direct'), false, at));
    for (const other of others) targets.push(target(routed(`sv-${other}`, other, (node) => { set[other](node, at); }), true, at));
    for (const { client } of targets) run('nsenter', `--net=/run/netns/${client}`, 'sysctl', '-qw', 'net.ipv4.ip_local_port_range=1024 60999');
    for (const netns of new Set(targets.map(({ server }) => server))) servers.push(await serve(netns, ENV, LOAD, 'server', '0.0.0.0', String(TARGET_PORT)));
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const [mode] of MODES) {
        for (const each of targets) {
          const value = ask(each, mode);
          if (round > 0) values.set(`${each.name} ${mode}`, [...values.get(`${each.name} ${mode}`) ?? [], value]); // the first only warms up
        }
      }
    }
  } finally {
    for (const server of servers) server.kill();
    for (const { down } of targets) await down();
  }
  const against = (name: string, other: string, mode: Mode, aim: Figure['aim']): Figure => ({
    figure: `${mode} to the last of ${grouped(Number(/\d+$/.exec(name)?.[0] ?? at))} Services${name.includes(',') ? ` (${name})` : ''}, against ${other}`, unit: MODES.find(([each]) => each === mode)![1], ours: of(name, mode), yardstick: { name: other, values: of(other, mode) }, aim,
  });
  const ours = `seine ${at}`;
  const first = `seine ${sizes[0]!}`;
  return [
    against(ours, 'direct', 'connect', { relation: '<=', ratio: OVER_DIRECT.connect }),
    ...sizes.slice(1).map((size): Figure => against(`seine ${size}`, first, 'connect', { relation: '<=', ratio: FLAT })),
    against(ours, 'direct', 'crr', { relation: '>=', ratio: OVER_DIRECT.crr }),
    ...others.flatMap((other): readonly Figure[] => [against(ours, other, 'crr', { relation: '>=', ratio: TIMES[other] }), against(ours, other, 'connect', undefined)]),
    ...sizes.includes(AT) ? ['seine, packet by packet', 'seine, the pod itself'].flatMap((name) => MODES.map(([mode]) => against(name, 'direct', mode, undefined))) : [],
  ];
};
