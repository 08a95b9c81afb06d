/** The two engines and the observer: the command line's `check`, a lab's real packets, `observe`. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import type { Flow } from '@seine/node';
import type { KubeObject } from '@seine/objects';

import type { Answer } from './judge.ts';
import type { Ask } from './scenario.ts';

export const ROOT = new URL('../../', import.meta.url).pathname;
const SEINE = join(ROOT, 'node_modules/.bin/seine');

/** What the command line prints, whatever its exit code. @throws what it complains of where it prints nothing */
const seine = (...args: readonly string[]): Promise<string> => new Promise((resolve, reject) => {
  execFile(SEINE, args, { encoding: 'utf8', maxBuffer: 256 << 20 }, (error, stdout, stderr) => {
    if (stdout === '') reject(new Error(`seine ${args.join(' ')}: ${stderr === '' ? String(error) : stderr}`));
    else resolve(stdout);
  });
});
export const json = async <T>(...args: readonly string[]): Promise<T> => JSON.parse(await seine(...args, '-o', 'json')) as T; // the caller names what the verb prints

/** A question as both engines read it. */
export const probeOf = ({ from, to, protocol, family, port, http, icmp }: Ask): Omit<Ask, 'want'> =>
  ({ from, to, protocol, ...(family === undefined ? {} : { family }), ...(port === undefined ? {} : { port }), ...(http === undefined ? {} : { http }), ...(icmp === undefined ? {} : { icmp }) });

export interface CheckCase { readonly name: string; readonly objects: readonly KubeObject[]; readonly asks: readonly Ask[] }
export interface Checked { readonly probes: readonly Answer[]; readonly rejected: readonly string[] }

/** All cases of one setting in one run of `seine check --batch`. */
export const checkAll = async (cases: readonly CheckCase[], cidrMatchMode: string): Promise<ReadonlyMap<string, Checked>> => {
  const folder = mkdtempSync(join(tmpdir(), 'seine-acceptance-'));
  const path = join(folder, 'cases.jsonl');
  writeFileSync(path, cases.map(({ name, objects, asks }) => JSON.stringify({ name, objects: objects.map(({ raw }) => raw), probes: asks.map(probeOf) })).join('\n'));
  try {
    const out = await seine('check', '--batch', path, '--set', `policy-cidr-match-mode=${cidrMatchMode}`);
    interface Line { readonly name: string; readonly probes: readonly Answer[]; readonly rejected: readonly { readonly kind: string; readonly name: string; readonly message: string }[] }
    return new Map(out.trim().split('\n').filter((line) => line !== '').map((line): readonly [string, Checked] => {
      const { name, probes, rejected } = JSON.parse(line) as Line; // what `check` prints (product.md section 5)
      return [name, { probes, rejected: rejected.map((each) => `${each.kind} ${each.name}: ${each.message}`) }];
    }));
  } finally {
    rmSync(folder, { recursive: true });
  }
};

export interface Observer { readonly flows: () => readonly Flow[]; /** Forgets what was told so far. */ readonly forget: () => void; readonly stop: () => void; readonly failure: () => string | undefined }

/** `seine observe -f`, for as long as the run takes. */
export const observe = (lab: string): Observer => {
  const child: ChildProcess = spawn(SEINE, ['observe', '-f', '-o', 'jsonl', '--name', lab], { stdio: ['ignore', 'pipe', 'pipe'] });
  let flows: Flow[] = [];
  let failure: string | undefined;
  createInterface({ input: child.stdout! }).on('line', (line) => { flows.push(JSON.parse(line) as Flow); }); // piped above; what `observe` prints
  child.stderr!.on('data', (chunk: Buffer) => { failure = `seine observe: ${chunk.toString().trim()}`; });
  return { flows: () => flows, forget: () => { flows = []; }, stop: () => { child.kill('SIGTERM'); }, failure: () => failure };
};
