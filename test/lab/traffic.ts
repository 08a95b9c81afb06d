/** Real clients in a lab: curl and datagrams, from pods, nodes and outside, with sockets that Seine translates and with sockets that it does not see. */
import { execFile, spawn } from 'node:child_process';

import { cgroupRoot } from '@seine/kernel';

import { ROOT, SEINE } from './lab.ts';

export type Family = 4 | 6;
export const FAMILIES = [4, 6] as const;

/** Where a client runs. In a node's cgroup its sockets are translated; outside of one its packets are. */
export interface Place { readonly netns: string; readonly cgroup?: string }
export const externalOf = (lab: string): Place => ({ netns: `seine-${lab}-ext` });
export const nodeOf = (lab: string, node: string): Place => ({ netns: `seine-${lab}-node-${node}`, cgroup: `${cgroupRoot()}/seine-${lab}/${node}` });

const within = ({ netns, cgroup }: Place, command: readonly string[]): readonly [string, readonly string[]] => (cgroup === undefined
  ? ['nsenter', [`--net=/run/netns/${netns}`, ...command]]
  : ['sh', ['-c', `echo $$ > ${cgroup}/cgroup.procs && exec nsenter --net="$0" -- "$@"`, `/run/netns/${netns}`, ...command]]);

export const run = (place: Place, ...command: readonly string[]): Promise<{ readonly code: number; readonly out: string }> => new Promise((resolve) => {
  const [file, args] = within(place, command);
  execFile(file, [...args], { encoding: 'utf8', maxBuffer: 1 << 24 }, (error, out) => { resolve({ code: error === null ? 0 : Number(error.code), out }); });
});

export const urlOf = (address: string, port = 80, path = '/'): string => `http://${address.includes(':') ? `[${address}]` : address}:${port}${path}`;

export const CONNECT_REFUSED = 7;
const AT_ONCE = 4;
/** `code` is curl's; `client` is whom the server saw. */
export interface Answer { readonly code: number; readonly server: string; readonly client: string; readonly bytes: number }
export const ask = async (place: Place, url: string, ...options: readonly string[]): Promise<Answer> => {
  const { code, out } = await run(place, 'curl', '-s', '--max-time', '2', '-D', '-', ...options, url);
  const [head = '', body = ''] = out.split('\r\n\r\n').slice(-2);
  return { code, server: body.split(' ')[0] ?? '', client: (/x-client: (\S+)/.exec(head)?.[1] ?? '').replace('::ffff:', ''), bytes: body.length };
};

/** Names of those who answer, or how it fails: `refused`, `failed 28`. @param enough no more is asked once so many were seen */
export const serversOf = async (times: number, one: () => Promise<Answer>, enough = Infinity): Promise<readonly string[]> => {
  const seen = new Set<string>();
  for (let asked = 0; asked < times && seen.size < enough; asked += AT_ONCE) {
    for (const { code, server } of await Promise.all(Array.from({ length: Math.min(AT_ONCE, times - asked) }, one))) seen.add(code === 0 ? server : code === CONNECT_REFUSED ? 'refused' : `failed ${code}`);
  }
  return [...seen].sort();
};

const DATAGRAM = `${ROOT}test/lab/datagram.mjs`;
/** What came back: a name, a number of bytes, an errno, or `nothing`. */
export const datagram = async (place: Place, address: string, port: number, options: { readonly from?: string; readonly bytes?: number; readonly connected?: boolean } = {}): Promise<string> =>
  (await run(place, process.execPath, DATAGRAM, address, String(port), JSON.stringify(options))).out.trim();

/** A client that goes on asking from one port of its own. */
export const askingOn = (place: Place, address: string, port: number) => {
  const [file, args] = within(place, [process.execPath, DATAGRAM, address, String(port), JSON.stringify({ goesOn: true })]);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said: readonly string[] = [];
  child.stdout.on('data', (chunk: Buffer) => { said = [...said, ...chunk.toString().trim().split('\n')]; });
  return { last: (): string | undefined => said.at(-1), stop: (): void => { child.kill(); } };
};

/** `seine lab apply` or `delete` of objects as they are. @throws what it says, unless it succeeds */
export const give = (lab: string, verb: 'apply' | 'delete', objects: readonly object[]): Promise<void> => new Promise((resolve, reject) => {
  const child = spawn(SEINE, ['lab', verb, '-f', '-', '--name', lab], { cwd: ROOT, stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => { said += chunk.toString(); });
  child.stdin.end(objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  child.once('exit', (code) => { if (code === 0) resolve(); else reject(new Error(`lab ${verb}: exit ${code}\n${said}`)); });
});
