/** Readers while user space overwrites: no answer may be another key's, and none that is there may be missed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';

import { BPFFS, ensureBpffs, pin } from '@seine/kernel';
import { Direction, Verdict } from '@seine/layout';

import { Datapath, openInterfaces, type Interfaces } from './datapath.ts';
import { openProbe, type Question } from './probe.ts';

const SUBJECTS = 64;
const PEERS = 64;
/** Asked by default; the environment may ask for more. */
const QUESTIONS = Number(process.env['SEINE_OVERWRITE_QUESTIONS'] ?? 2_000_000);
const MAPS_WRITTEN = ['sn_subject_01', 'sn_peer_01'] as const;

let interfaces: Interfaces;
let datapath: Datapath;
let directory: string;
beforeAll(() => {
  ensureBpffs();
  directory = `${BPFFS}/seine-overwrite-${process.pid}`;
  mkdirSync(directory);
  interfaces = openInterfaces();
  datapath = new Datapath(interfaces, { maxEntries: { sn_peer_01: 2 * SUBJECTS * PEERS } });
});
afterAll(() => {
  datapath.close();
  interfaces.close();
  rmSync(directory, { recursive: true });
});

test(`${QUESTIONS} questions while subjects and peers are overwritten: 0 wrong, 0 missed`, async () => {
  const direction = Direction.INGRESS;
  const allow = datapath.row([], Verdict.ALLOW);
  const deny = datapath.row([], Verdict.DENY);
  // Each subject allows every second peer and denies the others. Its default is neither, so that a miss shows.
  const missed = datapath.row([], Verdict.AUDIT);
  for (let subject = 0; subject < SUBJECTS; subject += 1) {
    const peers = Object.fromEntries(Array.from({ length: PEERS }, (_, peer) => [2000 + peer, peer % 2 === 0 ? allow : deny]));
    datapath.subject({ identity: 1000 + subject, direction, row: missed, peers });
  }
  for (const name of MAPS_WRITTEN) pin(datapath.mapFd(name), `${directory}/${name}`);
  const writer = spawn(process.execPath, [new URL('./overwriter.ts', import.meta.url).pathname, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(writer.stdout, 'data');

  const probe = openProbe(datapath.maps());
  const questions: Question[] = Array.from({ length: SUBJECTS * PEERS }, (_, index) => {
    const peer = (index * 7) % PEERS;
    return { identity: 1000 + (index % SUBJECTS), direction, peerIdentity: 2000 + peer };
  });
  const want = Uint8Array.from(questions, ({ peerIdentity }) => (peerIdentity % 2 === 0 ? Verdict.ALLOW : Verdict.DENY));
  const ask = probe.verdicts(questions);
  let wrong = 0;
  for (let asked = 0; asked < QUESTIONS; asked += questions.length) {
    ask().forEach((verdict, index) => { if (verdict !== want[index]) wrong += 1; });
  }
  probe.close();
  writer.stdin.end();
  const [written] = await once(writer.stdout, 'data') as [Buffer];
  expect(Number(written)).toBeGreaterThan(100_000);
  expect({ wrong }).toEqual({ wrong: 0 });
}, 120_000);
