/** Traffic from outside through a node that only passes it on, carried at XDP: real streams and datagrams, both families, real checksums. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { eventually } from '@seine/testkit';

import { bpftool, json, ROOT, seine, type Endpoint, type MapItem } from './lab.ts';

const LAB = 'e2exdp';
const EXTERNAL = `seine-${LAB}-ext`;
const NODE = `seine-${LAB}-node-n1`;
const FAMILIES = [{ name: 'IPv4', address: '192.168.50.1' }, { name: 'IPv6', address: 'fd00:192:168:50::1' }] as const;
const HEALTH_PORTS = Array.from({ length: 40 }, (_, index) => 9101 + index);
const ENOUGH = 100;
const PATIENCE_MS = 10_000;

const UDP_SERVER = `const s = require('node:dgram').createSocket({ type: 'udp6' });
s.on('message', (m, from) => s.send(m, from.port, from.address));
s.bind(5353, '::', () => console.log('listening'));`;

const denying = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'closed', namespace: 'shop' }, spec: { podSelector: { matchLabels: { app: 'far' } } } };
const file = (object: unknown): string => {
  const path = join(mkdtempSync(join(tmpdir(), 'seine-xdp-')), 'object.json');
  writeFileSync(path, JSON.stringify(object));
  return path;
};

describe('XDP at the nodes\' uplinks', () => {
  const children: ChildProcess[] = [];
  let metrics: number;
  /** Packets that n1 carried at XDP. */
  const carried = (): number => {
    const { formatted } = JSON.parse(bpftool('-j', 'map', 'lookup', 'id', String(metrics), 'key', 'hex', '00', '00', '00', '00')) as { readonly formatted: { readonly values: readonly { readonly value: { readonly packets: number } }[] } };
    return formatted.values.reduce((sum, { value }) => sum + value.packets, 0);
  };
  const asking = (kind: 'tcp' | 'udp', address: string, port: number) => {
    const child = spawn('nsenter', [`--net=/run/netns/${EXTERNAL}`, process.execPath, `${ROOT}test/lab/keep-asking.mjs`, kind, address, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    let told = '';
    child.stdout.on('data', (chunk: Buffer) => { told += chunk.toString(); });
    const last = (word: string): string | undefined => told.split('\n').slice(0, -1).findLast((line) => line.startsWith(`${word} `))?.slice(word.length + 1);
    return {
      answers: (): number => Number(last('answers') ?? 0),
      closed: (): string | undefined => last('closed'),
      wrong: (): string | undefined => last('wrong'),
    };
  };
  type Asking = ReturnType<typeof asking>;
  /** So many answers more, in time. */
  const answered = async (who: Asking, more: number): Promise<void> => {
    const from = who.answers();
    await eventually(() => who.answers() - from >= more, PATIENCE_MS);
  };
  const silent = async (who: Asking): Promise<void> => {
    let before = -1;
    await eventually(async () => {
      const now = who.answers();
      const stopped = now === before;
      before = now;
      if (!stopped) await new Promise((resolve) => { setTimeout(resolve, 500); });
      return stopped;
    }, PATIENCE_MS);
  };
  const applied = async (verb: 'apply' | 'delete', object: unknown): Promise<void> => { expect(await seine('lab', verb, '-f', file(object), '--name', LAB)).toMatchObject({ code: 0 }); };

  beforeAll(async () => {
    expect(await seine('lab', 'up', '-f', `${ROOT}test/lab/xdp.yaml`, '--name', LAB, '--xdp', 'auto', '--wait')).toMatchObject({ code: 0 });
    metrics = (await json<readonly MapItem[]>('get', 'maps', '--node', 'n1', '--name', LAB)).find(({ name }) => name === 'sn_metrics_01')!.id;
    const far = (await json<readonly Endpoint[]>('get', 'endpoints', '--name', LAB)).find(({ pod }) => pod === 'shop/far')!;
    const server = spawn('nsenter', [`--net=/run/netns/${far.podNetns}`, process.execPath, '-e', UDP_SERVER], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(server);
    await once(server.stdout, 'data'); // it listens
    expect(execFileSync('ip', ['-n', NODE, 'link', 'show', 'eth0'], { encoding: 'utf8' })).toContain('xdpgeneric');
  }, 90_000);
  afterEach(() => { for (const child of children.splice(1)) child.kill(); }); // the first is the server
  afterAll(async () => {
    for (const child of children) child.kill();
    await seine('lab', 'down', '--name', LAB);
  }, 60_000);

  test.each(FAMILIES.flatMap((family) => (['tcp', 'udp'] as const).map((kind) => ({ ...family, kind }))))('$kind over $name to a backend elsewhere is carried both ways, and whole', async ({ kind, address }) => {
    const who = asking(kind, address, kind === 'tcp' ? 30090 : 30053);
    await answered(who, ENOUGH);
    const before = carried();
    await answered(who, ENOUGH);
    /* A question and its answer are two packets at least; one of each direction in 4 s is tc's. */
    expect(carried() - before).toBeGreaterThan(2 * ENOUGH * 0.8);
    expect([who.wrong(), who.closed()]).toEqual([undefined, undefined]);
  });

  test('a stream to a backend of the node itself is not', async () => {
    const who = asking('tcp', FAMILIES[0].address, 30091);
    await answered(who, ENOUGH);
    const before = carried();
    await answered(who, ENOUGH);
    expect(carried()).toBe(before);
  });

  test('a policy that closes the backend cuts a stream that is carried; once it is gone the stream goes on', async () => {
    const who = asking('tcp', FAMILIES[0].address, 30090);
    await answered(who, ENOUGH);
    await applied('apply', denying);
    await silent(who);
    const before = carried();
    await new Promise((resolve) => { setTimeout(resolve, 500); }); // the stream asks on
    expect([carried(), who.closed()]).toEqual([before, undefined]);
    await applied('delete', denying);
    await answered(who, ENOUGH);
    expect(carried()).toBeGreaterThan(before);
  }, 60_000);

  test('a loader that is killed leaves it carried, and its successor takes it over', async () => {
    const who = asking('udp', FAMILIES[0].address, 30053);
    await answered(who, ENOUGH);
    expect((await seine('lab', 'kill', 'loader', '--node', 'n1', '--name', LAB)).code).toBe(0);
    const before = carried();
    await answered(who, ENOUGH);
    expect(carried() - before).toBeGreaterThan(ENOUGH);
    await eventually(async () => (await seine('verify', '--name', LAB)).code === 0, PATIENCE_MS);
  }, 60_000);

  test('and Prometheus is told how much', () => {
    const pages = HEALTH_PORTS.map((port) => {
      try {
        return execFileSync('nsenter', [`--net=/run/netns/${NODE}`, 'curl', '-s', '--max-time', '1', `http://${FAMILIES[0].address}:${port}/metrics`], { encoding: 'utf8' });
      } catch {
        return ''; // nobody listens there
      }
    });
    expect(Number(/^seine_loader_xdp_packets_total ([0-9]+)$/m.exec(pages.join('\n'))?.[1])).toBeGreaterThanOrEqual(carried() - 1_000);
  });

  test('a stream whose Service is deleted ends', async () => {
    const who = asking('tcp', FAMILIES[0].address, 30090);
    await answered(who, ENOUGH);
    await applied('delete', { apiVersion: 'v1', kind: 'Service', metadata: { name: 'far', namespace: 'shop' } });
    await eventually(() => who.closed() === 'ECONNRESET', PATIENCE_MS);
  }, 60_000);
});
