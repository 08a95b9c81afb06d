/** A real lab for tests: the command line as a person uses it, real processes, real packets. */
import { execFile, execFileSync } from 'node:child_process';

export const ROOT = new URL('../../', import.meta.url).pathname;
export const SEINE = `${ROOT}node_modules/.bin/seine`;
export const SHOP = `${ROOT}infra/examples/shop`;

export interface Ran { readonly code: number; readonly out: string; readonly err: string }

export const seine = (...args: readonly string[]): Promise<Ran> => new Promise((resolve) => {
  execFile(SEINE, args, { cwd: ROOT, maxBuffer: 256 << 20, encoding: 'utf8' }, (error, out, err) => {
    resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, out, err });
  });
});

export const json = async <T>(...args: readonly string[]): Promise<T> => {
  const { out, err } = await seine(...args, '-o', 'json');
  if (out === '') throw new Error(`seine ${args.join(' ')}: ${err}`);
  return JSON.parse(out) as T;
};

export const bpftool = (...args: readonly string[]): string => execFileSync('bpftool', args, { encoding: 'utf8', maxBuffer: 256 << 20 });

export interface Endpoint { readonly pod: string; readonly workload: string | null; readonly node: string; readonly nodeNetns: string; readonly podNetns: string; readonly hostInterface: string; readonly address: string; readonly identity: number }
export interface MapItem { readonly node: string; readonly name: string; readonly id: number; readonly fold: boolean; readonly rows: number }
export interface ProbeReport {
  readonly total: number; readonly ok: number; readonly mismatched: number; readonly unexplained: number;
  readonly probes: readonly { readonly from: string; readonly to: string; readonly got: string; readonly ok: boolean; readonly unexplained: boolean; readonly evidence: { readonly engine: string; readonly source: string; readonly node: string } }[];
}
export interface Verified { readonly nodes: readonly { readonly node: string; readonly differences: readonly { readonly map: string; readonly key: string; readonly kind: string; readonly event: { readonly seq: number; readonly type: string; readonly subject: string } | null }[]; readonly programs: readonly unknown[] }[] }

/** Keys of a map as bpftool wants them back: `hex 0a f4 …`. */
export const keysOf = (id: number): readonly (readonly string[])[] =>
  (JSON.parse(bpftool('-j', 'map', 'dump', 'id', String(id))) as readonly { readonly key: readonly string[] }[]).map(({ key }) => key.map((byte) => byte.replace('0x', '')));

export const removeKey = (id: number, key: readonly string[]): void => { bpftool('map', 'delete', 'id', String(id), 'key', 'hex', ...key); };
