/** The rows of a case in real maps: the kernel's own look-up answers its questions. */
import { emptyTables, endpointsOfLog, nodeRows, type DesiredRow } from '@seine/datapath-writer';
import { Direction, MAPS, Verdict, type KeyRow, type MapName, type ValueRow } from '@seine/layout';
import { parseAddress, prefixContains, PROTOCOL, RESERVED_IDENTITY, type Prefix } from '@seine/model';

import { Datapath, openInterfaces } from '../../bpf/test/datapath.ts';
import { openProbe, type Answer, type Question } from '../../bpf/test/probe.ts';
import { endsOf } from '../../services/cli/verdict.ts';
import type { Whole } from '../../services/cli/whole.ts';
import { naive, type Asked } from '../oracle/naive.mjs';
import type { PropertyCase } from './generate.ts';
import { clusterOf, wrongAbout, type Differently, type Disagreement, type Said } from './judge.ts';

const POLICY_MAPS: readonly MapName[] = ['sn_subject_01', 'sn_peer_01', 'sn_row_01', 'sn_shape_01', 'sn_class_01'];
const ROOM = Object.fromEntries(POLICY_MAPS.filter((name) => MAPS[name].type !== 'array').map((name) => [name, 16_384]));

type RowOf<M extends MapName> = Extract<DesiredRow, { readonly map: M }>;

/** One node's rows, and who is behind an address there. */
interface NodeView { readonly rows: readonly DesiredRow[]; readonly rowAt: <M extends MapName>(map: M, address: string) => RowOf<M> | undefined; readonly prefixes: readonly { readonly prefix: Prefix; readonly identity: number }[] }

const viewOf = ({ state }: Whole, node: string): NodeView => {
  const { rows } = nodeRows(node, state, endpointsOfLog(node, state, () => 1), emptyTables());
  const byAddress = new Map<string, DesiredRow>(rows.flatMap((row) => (row.map === 'sn_endpoint_01' || row.map === 'sn_ipcache_01' ? [[`${row.map} ${row.key.address}`, row] as const] : [])));
  return {
    rows, rowAt: <M extends MapName>(map: M, address: string) => byAddress.get(`${map} ${address}`) as RowOf<M> | undefined, // put in under its map
    prefixes: rows.flatMap((row) => (row.map === 'sn_ipprefix_01' ? [{ prefix: { address: parseAddress(row.key.address)!, length: row.key.prefixLength }, identity: row.value.identity }] : []))
      .sort((a, b) => b.prefix.length - a.prefix.length),
  };
};

const nodeAt = ({ state }: Whole, address: string): string | undefined =>
  state.addresses.get(address)?.node ?? [...state.nodes].find(([, { addresses }]) => addresses.includes(address))?.[0];

/** One side of a probe as the program would ask it; undefined where nobody judges there. */
const questionOf = (view: NodeView, direction: number, own: string, other: string, protocol: number, port: number): Question | undefined => {
  const endpoint = view.rowAt('sn_endpoint_01', own)?.value;
  const subject = endpoint ?? { identity: RESERVED_IDENTITY.host, variant: 0 };
  if (endpoint === undefined && !view.rows.some((row) => row.map === 'sn_subject_01' && row.key.identity === RESERVED_IDENTITY.host && row.key.direction === direction)) return undefined;
  const known = view.rowAt('sn_ipcache_01', other)?.value;
  const bytes = parseAddress(other)!; // the address of a probe
  return {
    identity: subject.identity, variant: subject.variant, direction, protocol, port, peerAddress: other, peerVariant: known?.variant ?? 0, peerInCluster: known === undefined ? 0 : 1,
    peerIdentity: known?.identity ?? view.prefixes.find(({ prefix }) => prefixContains(prefix, bytes))?.identity ?? RESERVED_IDENTITY.world,
  };
};

export interface Kernel {
  readonly ask: (cluster: Whole, made: PropertyCase) => { readonly answers: number; readonly disagreements: readonly Disagreement[] };
  /** For `shrunk`: is the kernel still wrong about this probe. */
  readonly differently: Differently;
  readonly close: () => void;
}

interface Side { readonly probe: number; readonly node: string; readonly direction: number; readonly own: string; readonly other: string; readonly protocol: number; readonly port: number }

const sidesOf = (cluster: Whole, probe: Asked, index: number): readonly Side[] | 'denied' => {
  const { sourceAddress, destination, destinationPort, draw } = endsOf(cluster.state, cluster.objects, probe);
  if (draw?.refusal !== undefined) return 'denied';
  if (sourceAddress === destination) return [];
  const head = { probe: index, protocol: PROTOCOL[probe.protocol as keyof typeof PROTOCOL], port: destinationPort };
  const [from, to] = [nodeAt(cluster, sourceAddress), nodeAt(cluster, destination)];
  return [
    ...(from === undefined ? [] : [{ ...head, node: from, direction: Direction.EGRESS, own: sourceAddress, other: destination }]),
    ...(to === undefined ? [] : [{ ...head, node: to, direction: Direction.INGRESS, own: destination, other: sourceAddress }]),
  ];
};

const directionOf = ({ direction }: Side): string => (direction === Direction.EGRESS ? 'egress' : 'ingress');
const UNSENT: Said = { got: 'deny', direction: 'egress', code: undefined, audited: false };

/** Of one probe: its sides in the order in which a packet meets them. */
const saidOf = (sides: readonly Side[], answers: ReadonlyMap<Side, Answer>): Said => {
  const of = (side: Side): number => answers.get(side)?.verdict ?? Verdict.ALLOW;
  const denied = sides.find((side) => ![Verdict.ALLOW, Verdict.AUDIT].some((verdict) => verdict === of(side)));
  if (denied !== undefined) return { got: 'deny', direction: directionOf(denied), code: answers.get(denied)?.reason, audited: false };
  const tried = sides.findLast((side) => of(side) === Verdict.AUDIT);
  return { got: 'allow', direction: tried === undefined ? null : directionOf(tried), code: undefined, audited: tried !== undefined };
};

export const openKernel = (): Kernel => {
  const interfaces = openInterfaces();
  const datapath = new Datapath(interfaces, { maxEntries: ROOM });
  const program = openProbe(datapath.maps());
  const withRows = <T>(view: NodeView, act: () => T): T => {
    const rows = view.rows.filter(({ map }) => POLICY_MAPS.includes(map));
    for (const { map, key, value } of rows) datapath.put(map, key as KeyRow<MapName>, value as ValueRow<MapName>);
    datapath.bumpEpoch(); // rows' numbers are given anew
    try {
      return act();
    } finally {
      for (const { map, key } of rows) if (MAPS[map].type !== 'array') datapath.remove(map, key as KeyRow<MapName>);
    }
  };
  const ask: Kernel['ask'] = (cluster, { name, objects, settings, probes }) => {
    const unsent = new Set<number>();
    const said = new Map<Side, Answer>();
    const sides = probes.flatMap((probe, index): readonly Side[] => {
      const found = sidesOf(cluster, probe, index);
      if (found !== 'denied') return found;
      unsent.add(index);
      return [];
    });
    for (const node of new Set(sides.map((side) => side.node))) {
      const view = viewOf(cluster, node);
      const asked = sides.filter((side) => side.node === node)
        .flatMap((side) => { const question = questionOf(view, side.direction, side.own, side.other, side.protocol, side.port); return question === undefined ? [] : [{ side, question }]; });
      if (asked.length === 0) continue;
      const answers = withRows(view, () => program.ask(asked.map(({ question }) => question)));
      answers.forEach((answer, index) => { said.set(asked[index]!.side, answer); });
    }
    const disagreements = probes.flatMap(({ want, ...probe }, index): readonly Disagreement[] => {
      const own = sides.filter((side) => side.probe === index);
      const wrong = wrongAbout(unsent.has(index) ? UNSENT : saidOf(own, said), { objects, settings }, probe, want);
      return wrong === undefined ? [] : [{ name, objects, settings, probe, want, got: `kernel: ${wrong}` }];
    });
    return { answers: probes.length, disagreements };
  };
  const differently: Differently = (given, probe) => {
    try {
      const want = naive(given.objects, probe, given);
      const cluster = clusterOf(given);
      if (want === undefined || cluster.refused.length > 0) return undefined;
      return ask(cluster, { name: '', ...given, probes: [{ ...probe, want }], features: [] }).disagreements[0];
    } catch {
      /* What is left is no cluster. */
      return undefined;
    }
  };
  return {
    ask, differently,
    close: () => { program.close(); datapath.close(); interfaces.close(); },
  };
};
