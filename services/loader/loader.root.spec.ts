/** The loader as a process, in a namespace of its own, on the real kernel: what it wires, writes, keeps over kill -9, and puts back. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import {
  addressAdd, ATTACH, BPF_F_BEFORE, cgroupRoot, closeFd, createCgroup, createNetns, deleteNetns, filterDelete, inNetnsAt, linkCreate, linkDelete, linkDetach, linkUp, loadObject, mapHandle, mapKernel, netnsPath, openNetlink,
  openSocket, pinned, programInfo, queryPrograms, receiveFrom, removeCgroup, sendTo, vethAdd, type LoadedObject, type Netlink,
} from '@seine/kernel';
import { addEntries, decode, decodeAll, echoOf, MAPS, NO_ENTRIES } from '@seine/layout';
import { connectUnix, type Abandoned, type Applied, type Attachment, type Flows, type Hello, type MapEntry, type MapSums, type Packed, type Plumbed, type UnixClient } from '@seine/node';
import { eventually } from '@seine/testkit';

const NAME = `seine-loader-${process.pid}`;
const PINS = `/sys/fs/bpf/${NAME}`;
const POD = 'sn0123456789ab';
const HOST_MAC = '02:5e:1e:00:00:01';
const UPLINK = 'up0';

let uplinks = UPLINK;
let xdp = 'off';
let directory: string;
let cgroup: string;
let loader: ChildProcess;
let client: UnixClient;
let netlink: Netlink;

const start = async (): Promise<void> => {
  loader = spawn('nsenter', [`--net=${netnsPath(NAME)}`, process.execPath, 'services/loader/main.ts'], {
    stdio: 'ignore',
    env: { ...process.env, NODE_OPTIONS: '', SEINE_NODE: 'n1', SEINE_RUN_DIR: directory, SEINE_STATE_DIR: directory, SEINE_PIN_ROOT: PINS, SEINE_CGROUP_ROOT: cgroup, SEINE_CT_SIZE: '1024', SEINE_UPLINKS: uplinks, SEINE_XDP: xdp },
  });
  client = await eventually(() => connectUnix(join(directory, 'loader.sock')), 30_000);
};
const kill = async (): Promise<void> => {
  const gone = once(loader, 'exit');
  loader.kill('SIGKILL');
  await gone;
  client.close();
};

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'seine-loader-'));
  cgroup = join(cgroupRoot(), NAME);
  createCgroup(cgroup);
  createNetns(NAME);
  createNetns(`${NAME}-pod`);
  netlink = inNetnsAt(netnsPath(NAME), openNetlink);
  netlink.transact([vethAdd({ near: { name: UPLINK }, far: { name: 'far0' } })]);
  await start();
}, 60_000);

afterAll(async () => {
  await kill();
  netlink.close();
  deleteNetns(`${NAME}-pod`);
  deleteNetns(NAME);
  rmSync(PINS, { recursive: true, force: true });
  rmSync(directory, { recursive: true });
  await eventually(() => { removeCgroup(cgroup); return true; });
});

const endpointRow = (address: string, identity: number): MapEntry => ({
  key: { address },
  value: { identity, echo: echoOf(MAPS.sn_endpoint_01.key, { address }), ifindex: 9, endpointId: 1, variant: 0, podMac: '0a:58:0a:f4:01:02', hostMac: HOST_MAC, flags: 1 },
});
const dump = (map: string): Promise<readonly MapEntry[]> => client.call('dump', { map });
const attachments = (): Promise<readonly Attachment[]> => client.call('attachments', { interfaces: [POD] });

test('looks for sockets of gone backends in namespaces, and passes over those that have ended', async () => {
  expect(await client.call<Abandoned>('abandoned', { netns: [netnsPath(`${NAME}-pod`), '/run/netns/seine-long-gone'] })).toEqual({ destroyed: 0 });
});

describe('a pod\'s wire', () => {
  test('is laid with programs on it, closed from the first packet', async () => {
    const { ifindex } = await client.call<Plumbed>('plumb', { netns: netnsPath(`${NAME}-pod`), podInterface: 'eth0', hostInterface: POD, addresses: ['10.244.1.2', 'fd00:10:244:1::2'], podMac: '0a:58:0a:f4:01:02', mtu: 1400 });
    expect(netlink.links().find(({ name }) => name === POD)).toEqual({ index: ifindex, name: POD, mac: HOST_MAC, mtu: 1400, up: true, kind: 'veth' });
    const inside = inNetnsAt(netnsPath(`${NAME}-pod`), openNetlink);
    expect(inside.links().map(({ name, mac, mtu, up }) => ({ name, mac, mtu, up }))).toContainEqual({ name: 'eth0', mac: '0a:58:0a:f4:01:02', mtu: 1400, up: true });
    inside.close();
    expect(await attachments()).toEqual([]);
  });

  test('has an address of each family, a gateway whose MAC it need not ask for, and no address on the node\'s side', () => {
    const ip = (netns: string, ...args: readonly string[]): unknown => JSON.parse(execFileSync('ip', ['-n', netns, '-j', '-6', ...args], { encoding: 'utf8' }));
    const pod = `${NAME}-pod`;
    const global = ip(pod, 'address', 'show', 'dev', 'eth0', 'scope', 'global') as readonly { readonly addr_info: readonly { readonly local?: string; readonly prefixlen: number; readonly nodad?: boolean }[] }[]; // ip writes {} for what it leaves out
    expect(global.flatMap(({ addr_info }) => addr_info).filter(({ local }) => local !== undefined).map(({ local, prefixlen, nodad }) => ({ local, prefixlen, nodad }))).toEqual([{ local: 'fd00:10:244:1::2', prefixlen: 128, nodad: true }]);
    expect(ip(pod, 'route', 'show', 'default')).toMatchObject([{ gateway: 'fe80::1', dev: 'eth0', metrics: [{ mtu: 1400 }] }]);
    expect(ip(pod, 'neighbour', 'show', 'dev', 'eth0')).toContainEqual(expect.objectContaining({ dst: 'fe80::1', lladdr: HOST_MAC, state: ['PERMANENT'] }));
    expect(ip(NAME, 'route', 'show', 'fd00:10:244:1::2')).toMatchObject([{ dev: POD }]);
    expect(ip(NAME, 'neighbour', 'show', 'dev', POD)).toMatchObject([{ dst: 'fd00:10:244:1::2', lladdr: '0a:58:0a:f4:01:02', state: ['PERMANENT'] }]);
    expect((ip(NAME, 'address', 'show', 'dev', POD) as readonly { readonly addr_info?: readonly unknown[] }[]).flatMap(({ addr_info = [] }) => addr_info)).toEqual([]);
    const sysctl = (name: string): string => inNetnsAt(netnsPath(NAME), () => readFileSync(`/proc/sys/net/ipv6/conf/${name}`, 'utf8').trim());
    expect([sysctl('all/forwarding'), sysctl(`${UPLINK}/accept_ra`)]).toEqual(['1', '2']); // else the uplink would lose a default route that a router advertises
  });

  test('is refused for a namespace that is not there, and nothing is left', async () => {
    await expect(client.call('plumb', { netns: '/run/netns/none', podInterface: 'eth0', hostInterface: 'snnone', addresses: ['10.244.1.3'], podMac: '0a:58:0a:f4:01:03', mtu: 1500 }))
      .rejects.toMatchObject({ code: 'SEINE_NETNS_UNKNOWN', message: 'CNI_NETNS: "/run/netns/none": expected a network namespace that can be opened' });
    expect(netlink.linkIndex('snnone')).toBeUndefined();
  });

  test('that loses a filter or a slot is reported by place, and put back', async () => {
    netlink.transact([filterDelete(netlink.linkIndex(POD)!, 'ingress')]);
    expect(await attachments()).toEqual([{ hook: `${POD} tc ingress`, want: expect.stringMatching(/^program \d+$/), have: 'nothing' }]);
    expect(await client.call('reattach', { interfaces: [POD] })).toEqual([`filters of ${POD}`]);
    expect(await attachments()).toEqual([]);
  });
});

/** Pods of no policy are closed (203): what arrives has passed no program of Seine's. */
describe('a pod that is closed', () => {
  const ADDRESS = '10.244.1.2';
  const NODE = '192.168.7.1';
  const inNode = <T>(act: () => T): T => inNetnsAt(netnsPath(NAME), act);
  let foreign: LoadedObject;
  let foreignId: number;
  let index: number;
  let links: number[] = [];
  let sender: number;
  let receiver: number;
  const standing = () => inNode(() => [ATTACH.tcxIngress, ATTACH.tcxEgress].map((hook) => queryPrograms(index, hook)!));
  const firstAgain = async (): Promise<void> => { await eventually(async () => (await attachments()).length === 0); };
  /** One datagram from the node to the pod, and whether the pod has it. */
  const arrives = async (): Promise<boolean> => {
    const text = Buffer.from(`${process.hrtime.bigint()}`);
    expect(sendTo(sender, text, ADDRESS, 53)).toBeUndefined();
    const end = performance.now() + 100;
    do {
      for (let got = receiveFrom(receiver, Buffer.alloc(64)); got !== undefined; got = receiveFrom(receiver, Buffer.alloc(64))) if (got.data.equals(text)) return true;
      await new Promise((resolve) => { setTimeout(resolve, 5); });
    } while (performance.now() < end);
    return false;
  };
  const standInFront = (): void => { links.push(inNode(() => linkCreate(foreign.programFd('foreign_ok'), index, ATTACH.tcxEgress, BPF_F_BEFORE))); };
  beforeAll(async () => {
    foreign = loadObject('bpf/build/foreign.o');
    foreignId = programInfo(foreign.programFd('foreign_ok')).id;
    index = netlink.linkIndex(POD)!;
    netlink.transact([linkUp(1), addressAdd({ index: 1, address: NODE, length: 32 })]);
    sender = inNode(() => openSocket({ type: 'datagram', address: NODE }));
    receiver = inNetnsAt(netnsPath(`${NAME}-pod`), () => openSocket({ type: 'datagram', address: ADDRESS, port: 53 }));
    await eventually(() => standing().every((ids) => ids.length === 1));
  });
  afterEach(async () => {
    links.forEach(closeFd);
    links = [];
    netlink.transact([filterDelete(index, 'egress')]);
    await client.call('reattach', { interfaces: [POD] });
    await firstAgain();
  });
  afterAll(() => {
    closeFd(sender);
    closeFd(receiver);
    foreign.close();
  });

  test('has links at TCX beside its filters, and hears nothing', async () => {
    expect(standing()).toEqual([[expect.any(Number)], [expect.any(Number)]]);
    expect(standing().map(([id]) => id)).toEqual((['ingress', 'egress'] as const).map((direction) => netlink.filterProgram(index, direction)));
    expect(await arrives()).toBe(false);
  });
  test('stays closed behind a foreign program at TCX that says OK to everything, once it is put back in front', async () => {
    standInFront();
    expect(await arrives()).toBe(true); // that is the danger: neither link nor filter was asked
    const ours = netlink.filterProgram(index, 'egress')!;
    expect(await attachments()).toEqual([{ hook: `${POD} tcx egress`, want: `program ${ours} first`, have: `programs ${foreignId}, ${ours}` }]);
    expect(await client.call('reattach', { interfaces: [POD] })).toEqual([`tcx links of ${POD}`]);
    await firstAgain();
    expect(standing()[1]).toEqual([ours, foreignId]);
    expect(await arrives()).toBe(false);
  });
  test('stays closed where such a program came first, while nobody of ours was there', async () => {
    await kill();
    for (const direction of ['ingress', 'egress']) rmSync(join(PINS, `tcx_${POD}_${direction}`));
    await eventually(() => standing().every((ids) => ids.length === 0));
    standInFront();
    await start();
    await client.call('reattach', { interfaces: [POD] }); // or the loader has got to it by itself
    await firstAgain();
    expect(standing()[1]).toEqual([netlink.filterProgram(index, 'egress'), foreignId]);
    expect(await arrives()).toBe(false);
  }, 60_000);
  test('stays closed without its qdisc, by its links alone', async () => {
    execFileSync('nsenter', [`--net=${netnsPath(NAME)}`, 'tc', 'qdisc', 'del', 'dev', POD, 'clsact']);
    expect(await arrives()).toBe(false);
    expect((await attachments()).map(({ hook }) => hook)).toEqual([`${POD} tc ingress`, `${POD} tc egress`]);
  });
  test('stays closed without its links, by its filters alone', async () => {
    for (const direction of ['ingress', 'egress']) {
      const link = pinned(join(PINS, `tcx_${POD}_${direction}`))!;
      await linkDetach(link);
      closeFd(link);
    }
    expect(standing()).toEqual([[], []]);
    expect(await arrives()).toBe(false);
    expect((await attachments()).map(({ hook, have }) => [hook, have])).toEqual([[`${POD} tcx ingress`, 'nothing'], [`${POD} tcx egress`, 'nothing']]);
  });
  test('and whoever touches its programs is told of at once, others\' and Seine\'s own changes are not', async () => {
    const told: string[] = [];
    const watcher = await connectUnix(join(directory, 'loader.sock'), (name) => { told.push(name); });
    await watcher.call('watch');
    netlink.transact([vethAdd({ near: { name: 'other' }, far: { name: 'otherp' } }), linkDelete('other')]);
    await client.call('plumb', { netns: netnsPath(`${NAME}-pod`), podInterface: 'eth1', hostInterface: 'sn000000000001', addresses: ['10.244.1.9'], podMac: '0a:58:0a:f4:01:09', mtu: 1400 });
    await client.call('unplumb', { hostInterface: 'sn000000000001' });
    await watcher.call('hello');
    expect(told).toEqual([]);
    netlink.transact([filterDelete(index, 'egress')]);
    await eventually(() => told.includes('touched'));
    watcher.close();
  });
  test('and a foreign filter that came in front of Seine\'s is found, and moved behind it', async () => {
    execFileSync('nsenter', [`--net=${netnsPath(NAME)}`, 'tc', 'filter', 'add', 'dev', POD, 'egress', 'prio', '1', 'handle', '7', 'bpf', 'da', 'obj', 'bpf/build/foreign.o', 'sec', 'tc']);
    expect(await attachments()).toEqual([{ hook: `${POD} tc egress`, want: expect.any(String), have: expect.stringMatching(/^\d+$/) }]);
    expect(await client.call('reattach', { interfaces: [POD] })).toEqual([`filters of ${POD}`]);
    expect(await attachments()).toEqual([]);
  });
});

describe('the uplink', () => {
  const rows = async (): Promise<readonly unknown[]> => (await dump('sn_uplink_01')).map(({ key }) => key['value']);
  test('has its programs and its row from the start', async () => {
    const index = netlink.linkIndex(UPLINK)!;
    expect([netlink.filterProgram(index, 'ingress'), netlink.filterProgram(index, 'egress')]).toEqual([expect.any(Number), expect.any(Number)]);
    expect(await rows()).toEqual([index]);
  });
  test('that loses a filter is reported by place, and put back', async () => {
    netlink.transact([filterDelete(netlink.linkIndex(UPLINK)!, 'egress')]);
    expect(await attachments()).toEqual([{ hook: `${UPLINK} tc egress`, want: expect.stringMatching(/^program \d+$/), have: 'nothing' }]);
    expect(await client.call('reattach', { interfaces: [POD] })).toEqual([`filters of ${UPLINK}`]);
    expect(await attachments()).toEqual([]);
  });
  test('that was made anew under its name is another: its row too', async () => {
    const former = netlink.linkIndex(UPLINK)!;
    netlink.transact([linkDelete(UPLINK)]);
    expect(await attachments()).toContainEqual({ hook: `${UPLINK} tc ingress`, want: expect.any(String), have: 'no such interface' });
    netlink.transact([vethAdd({ near: { name: UPLINK }, far: { name: 'far0' } })]);
    expect(await attachments()).toContainEqual({ hook: `uplink ${UPLINK}`, want: `a row for interface ${netlink.linkIndex(UPLINK)!}`, have: 'nothing' });
    expect(await client.call('reattach', { interfaces: [POD] })).toEqual([`uplink ${former}, no more`, `filters of ${UPLINK}`, `uplink ${UPLINK}`, `tcx links of ${UPLINK}`]);
    await eventually(async () => (await attachments()).length === 0);
  });
  test('that the next process is not given loses row and filters', async () => {
    const index = netlink.linkIndex(UPLINK)!;
    await kill();
    uplinks = '';
    await start();
    expect(await rows()).toEqual([]);
    expect([netlink.filterProgram(index, 'ingress'), netlink.filterProgram(index, 'egress')]).toEqual([undefined, undefined]);
    await kill();
    uplinks = UPLINK;
    await start();
    expect(await rows()).toEqual([index]);
  }, 60_000);
});

describe('XDP at the uplink', () => {
  const inNode = <T>(act: () => T): T => inNetnsAt(netnsPath(NAME), act);
  const uplink = () => netlink.links().find(({ name }) => name === UPLINK)!;
  const again = async (setting: string): Promise<void> => {
    await kill();
    xdp = setting;
    await start();
  };
  const stub = (): number => {
    const fd = pinned(join(PINS, 'prog_stub_netdev_early'))!;
    try {
      return programInfo(fd).id;
    } finally {
      closeFd(fd);
    }
  };
  /** The program stands a moment before its link is pinned. */
  const isKept = (): boolean => {
    const fd = pinned(join(PINS, `xdp_${UPLINK}`));
    if (fd !== undefined) closeFd(fd);
    return fd !== undefined;
  };
  const stands = async (mode: string): Promise<void> => {
    await eventually(async () => { expect(uplink().xdp).toEqual({ programId: stub(), mode }); expect(isKept()).toBe(true); expect(await attachments()).toEqual([]); return true; });
  };
  const reattach = (): Promise<unknown> => client.call('reattach', { interfaces: [POD] });
  afterAll(async () => { await again('off'); }, 60_000);

  test('is nobody\'s unless it is asked for', async () => {
    expect(uplink().xdp).toBeUndefined();
    expect(await attachments()).toEqual([]);
  });
  test('stands in the generic way at a veth, and over kill -9', async () => {
    await again('auto');
    await stands('generic');
    await kill();
    expect(uplink().xdp).toEqual({ programId: stub(), mode: 'generic' });
    await start();
    await stands('generic');
  }, 60_000);
  test('that is taken off is reported by place, and put back', async () => {
    const link = pinned(join(PINS, `xdp_${UPLINK}`))!;
    await linkDetach(link);
    closeFd(link);
    expect(await attachments()).toEqual([{ hook: `${UPLINK} xdp`, want: `program ${stub()}`, have: 'nothing' }]);
    expect(await reattach()).toEqual([`xdp link of ${UPLINK}`]);
    await stands('generic');
  });
  test('whose slot is emptied is reported, and put back', async () => {
    const fd = pinned(join(PINS, 'sn_xdp_01'))!;
    mapKernel.deleteBatch(mapHandle(fd), new Uint8Array(4), 1);
    closeFd(fd);
    expect(await attachments()).toEqual([{ hook: 'slot 0 (netdev_early)', want: expect.stringMatching(/^program \d+$/), have: 'nothing' }]);
    expect(await reattach()).toEqual(['program netdev_early']);
    expect(await attachments()).toEqual([]);
  });
  test('comes back at an uplink that was made anew under its name', async () => {
    netlink.transact([linkDelete(UPLINK), vethAdd({ near: { name: UPLINK }, far: { name: 'far0' } })]);
    await reattach();
    await stands('generic');
  });
  test('stands natively where that is asked for, and is off once it is not', async () => {
    await again('native');
    await stands('native');
    await again('off');
    await eventually(() => uplink().xdp === undefined && !readdirSync(PINS).includes(`xdp_${UPLINK}`));
  }, 60_000);
  test('that the driver refuses is reported with its reason; tc has everything', async () => {
    execFileSync('ip', ['-n', NAME, 'link', 'set', 'far0', 'mtu', '9000']);
    await again('native');
    await eventually(async () => {
      expect(await attachments()).toEqual([{ hook: `${UPLINK} xdp`, want: `program ${stub()}`, have: 'attach native XDP: ERANGE' }]);
      return true;
    });
    expect(await reattach()).toEqual([]);
    execFileSync('ip', ['-n', NAME, 'link', 'set', 'far0', 'mtu', '1500']);
    await reattach();
    await stands('native');
    await again('off');
    await eventually(() => uplink().xdp === undefined);
  }, 60_000);
  test('of somebody else is reported and stays; once it is gone Seine\'s comes', async () => {
    const foreign = loadObject('bpf/build/foreign.o');
    const { index } = uplink();
    const theirs = inNode(() => linkCreate(foreign.programFd('foreign_pass'), index, ATTACH.xdp));
    const { id } = programInfo(foreign.programFd('foreign_pass'));
    await again('auto');
    expect(await attachments()).toEqual([{ hook: `${UPLINK} xdp`, want: `program ${stub()}`, have: `program ${id}, which is not Seine's` }]);
    expect(await reattach()).toEqual([]);
    expect(uplink().xdp?.programId).toBe(id);
    closeFd(theirs);
    foreign.close();
    await eventually(() => uplink().xdp === undefined);
    await eventually(async () => { await reattach(); return uplink().xdp?.programId === stub(); });
    await stands('generic');
  }, 60_000);
});

test('flows of a frontend are counted over all CPUs, and forgotten by its id', async () => {
  const fd = pinned(join(PINS, 'sn_flows_01'))!;
  const map = mapHandle(fd);
  const cpus = mapKernel.lookup(mapHandle(pinned(join(PINS, 'sn_metrics_01'))!), new Uint8Array(4))!.length / MAPS.sn_metrics_01.value.size;
  /* Of a per-CPU map a write has one value for each CPU. */
  for (const [id, each] of [[7, 3n], [8, 1n]] as const) mapKernel.updateBatch({ ...map, valueSize: cpus * 8 }, { keys: new Uint8Array(Uint32Array.of(id).buffer), values: new Uint8Array(BigUint64Array.from({ length: cpus }, () => each).buffer), count: 1 });
  expect(new Map((await client.call<Flows>('flows')).flows)).toEqual(new Map([[7, 3 * cpus], [8, cpus]]));
  await client.call('forgetFlows', { ids: [7, 9] });
  expect((await client.call<Flows>('flows')).flows).toEqual([[8, cpus]]);
  await client.call('forgetFlows', { ids: [8] });
  closeFd(fd);
});

describe('an ordered batch', () => {
  test('is written, counted, and its position kept', async () => {
    expect(await client.call<Applied>('apply', { seq: 7, steps: [
      { step: 'upsert', map: 'sn_endpoint_01', rows: [endpointRow('10.244.1.2', 300), endpointRow('10.244.1.3', 301)] },
      { step: 'bump' }, { step: 'grace' }, { step: 'delete', map: 'sn_endpoint_01', keys: [{ address: '10.244.1.3' }] },
    ] })).toEqual({ upserted: 2, deleted: 1 });
    expect(await dump('sn_endpoint_01')).toEqual([endpointRow('10.244.1.2', 300)]);
    expect(await dump('sn_epoch_01')).toEqual([{ key: { value: 0 }, value: { value: 2 } }]);
  });

  test('that is cut short by kill -9 says so, and what stood of it stands; asked again it is whole', async () => {
    const state = (): { readonly applying: bigint; readonly applied: bigint } => {
      const fd = pinned(join(PINS, 'sn_state_01'))!;
      const { applying, applied } = decode(MAPS.sn_state_01.value, mapKernel.lookup(mapHandle(fd), new Uint8Array(4))!);
      closeFd(fd);
      return { applying, applied };
    };
    const [first, last] = [endpointRow('10.244.1.40', 340), endpointRow('10.244.1.41', 341)];
    const order = { seq: 9, steps: [{ step: 'upsert', map: 'sn_endpoint_01', rows: [first] }, ...Array.from({ length: 500 }, () => ({ step: 'grace' })), { step: 'upsert', map: 'sn_endpoint_01', rows: [last] }] };
    const cut = client.call('apply', order).then(() => 'whole', () => 'cut');
    await eventually(async () => (await dump('sn_endpoint_01')).some(({ key }) => key['address'] === '10.244.1.40'));
    await kill();
    expect(await cut).toBe('cut');
    expect(state()).toEqual({ applying: 9n, applied: 7n });
    await start();
    expect(state()).toEqual({ applying: 9n, applied: 7n });
    expect(new Set((await dump('sn_endpoint_01')).map(({ key }) => key['address']))).toEqual(new Set(['10.244.1.2', '10.244.1.40']));
    expect(await client.call<Applied>('apply', { seq: 9, steps: order.steps.filter(({ step }) => step === 'upsert') })).toEqual({ upserted: 2, deleted: 0 });
    expect(state()).toEqual({ applying: 9n, applied: 9n });
    expect(await dump('sn_endpoint_01')).toEqual(expect.arrayContaining([first, last]));
    await client.call('apply', { seq: 9, steps: [{ step: 'delete', map: 'sn_endpoint_01', keys: [first.key, last.key] }] });
  }, 60_000);

  test('that names a value out of range is refused whole, naming it', async () => {
    await expect(client.call('apply', { seq: 8, steps: [{ step: 'delete', map: 'sn_endpoint_01', keys: [{ address: '10.244.1.2' }] }, { step: 'upsert', map: 'sn_endpoint_01', rows: [{ ...endpointRow('10.244.1.9', 300), value: { ...endpointRow('10.244.1.9', 300).value, endpointId: 70_000 } }] }] }))
      .rejects.toMatchObject({ code: 'SEINE_LAYOUT_RANGE', message: expect.stringContaining('endpointId') });
    expect(await dump('sn_endpoint_01')).toHaveLength(1);
  });

  test('that was written is told by checksum, by bytes and in words alike', async () => {
    const rows = [1, 2].map((value) => ({ key: { value }, value: { address: `10.244.1.${value}`, port: 8080, protocol: 6 } }));
    const before = (await client.call<MapSums>('sums'))['sn_backend_01']!;
    await client.call('apply', { seq: 9, steps: [{ step: 'upsert', map: 'sn_backend_01', rows }] });
    const { key, value } = MAPS.sn_backend_01;
    const { keys, values, count } = await client.call<Packed>('dumpPacked', { map: 'sn_backend_01' });
    const bytes = { keys: Buffer.from(keys, 'base64'), values: Buffer.from(values, 'base64'), count };
    expect(decodeAll(key, bytes.keys, count).map((each, index) => ({ key: each, value: decodeAll(value, bytes.values, count)[index]! })).sort((a, b) => a.key.value - b.key.value)).toEqual(rows);
    expect((await client.call<MapSums>('sums'))['sn_backend_01']).toEqual(addEntries(NO_ENTRIES, bytes));
    await client.call('apply', { seq: 9, steps: [{ step: 'delete', map: 'sn_backend_01', keys: rows.map((row) => row.key) }] });
    expect((await client.call<MapSums>('sums'))['sn_backend_01']).toEqual(before);
  });

  test('of an unknown kind of order is refused', async () => {
    await expect(client.call('format')).rejects.toMatchObject({ code: 'SEINE_ORDER_UNKNOWN' });
  });
});

test('routes come and go', async () => {
  await client.call('routes', { routes: [{ cidr: '10.244.1.0/24', unreachable: true }, { cidr: 'fd00:10:244:1::/64', unreachable: true }] });
  expect(execFileSync('ip', ['-n', NAME, '-6', 'route', 'show', 'type', 'unreachable'], { encoding: 'utf8' })).toContain('unreachable fd00:10:244:1::/64');
  expect(await client.call('routes', { routes: [{ cidr: '10.244.2.0/24', via: '203.0.113.1' }] })).toEqual({ failed: [expect.stringContaining('10.244.2.0/24 via 203.0.113.1')] });
});

test('kill -9 leaves maps, rows and attachments; the next process takes them over and writes nothing', async () => {
  const before = await client.call<Hello>('hello');
  const rows = await dump('sn_endpoint_01');
  await kill();
  await start();
  expect(await client.call<Hello>('hello')).toEqual(before);
  expect(await dump('sn_endpoint_01')).toEqual(rows);
  expect(await attachments()).toEqual([]);
  expect(readdirSync(PINS)).toContain('sn_endpoint_01');
}, 60_000);

test('a wire is taken away, twice if asked twice', async () => {
  await client.call('unplumb', { hostInterface: POD });
  await client.call('unplumb', { hostInterface: POD });
  expect(netlink.linkIndex(POD)).toBeUndefined();
  expect(await attachments()).toContainEqual({ hook: `${POD} tc ingress`, want: expect.any(String), have: 'no such interface' });
});
