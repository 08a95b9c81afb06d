/** The shim as kubelet starts it: environment and standard input in, output and exit code out. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { serveUnix, type UnixServer } from '@seine/node';

const FOLDER = new URL('.', import.meta.url).pathname;
const SHIM = join(FOLDER, 'build/seine-cni');

let directory: string;
let server: UnixServer;
let asked: unknown[] = [];
beforeAll(async () => {
  execFileSync('make', ['-s', '-C', FOLDER]);
  directory = mkdtempSync(join(tmpdir(), 'seine-shim-'));
  server = await serveUnix(join(directory, 'cni.sock'), async (op, body) => {
    asked.push({ op, body });
    const code = (body as { readonly env: Readonly<Record<string, string>> }).env['CNI_COMMAND'] === 'DEL' ? 11 : 0;
    return `${code} ${Buffer.from(`{"told":"${'é"'.length}"}\n`).toString('base64')}`;
  });
});
afterAll(async () => { await server.close(); rmSync(directory, { recursive: true }); });

const run = async (env: Readonly<Record<string, string>>, input = ''): Promise<{ readonly code: number; readonly out: string }> => {
  asked = [];
  const child = spawn(SHIM, { env: { SEINE_CNI_SOCKET: join(directory, 'cni.sock'), ...env }, stdio: ['pipe', 'pipe', 'inherit'] });
  const out: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => { out.push(chunk); });
  child.stdin.on('error', () => {}); // VERSION does not read
  child.stdin.end(input);
  const [code] = await once(child, 'close') as [number];
  return { code, out: Buffer.concat(out).toString() };
};

describe('the CNI shim', () => {
  test('answers VERSION by itself', async () => {
    const { code, out } = await run({ CNI_COMMAND: 'VERSION' });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ cniVersion: '1.1.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] });
    expect(asked).toEqual([]);
  });

  test('hands on what it got, byte for byte, and gives back output and success', async () => {
    const config = '{ "name": "sei\\"ne",\n\t"note": "é\u0001" }';
    const { code, out } = await run({ CNI_COMMAND: 'ADD', CNI_ARGS: 'A=1;B="2\\3"', CNI_IFNAME: 'eth0', HOME: '/root' }, config);
    expect({ code, out }).toEqual({ code: 0, out: '{"told":"2"}\n' });
    expect(asked).toEqual([{ op: 'cni', body: { env: { CNI_COMMAND: 'ADD', CNI_ARGS: 'A=1;B="2\\3"', CNI_IFNAME: 'eth0' }, stdin: config } }]);
  });

  test('exits 1 when the writer refuses', async () => {
    expect(await run({ CNI_COMMAND: 'DEL' })).toEqual({ code: 1, out: '{"told":"2"}\n' });
  });

  test('says try again when nobody answers', async () => {
    const { code, out } = await run({ CNI_COMMAND: 'ADD', SEINE_CNI_SOCKET: join(directory, 'none.sock') }, '{}');
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ cniVersion: '1.1.0', code: 11, msg: expect.stringContaining('try again') });
  });

  test.each([
    [{}, 4, 'CNI_COMMAND: nothing: expected ADD'],
    [{ CNI_COMMAND: 'ADD', SEINE_CNI_SOCKET: `/${'x'.repeat(120)}` }, 4, 'SEINE_CNI_SOCKET: expected a path of at most 107 bytes'],
  ])('with %j is refused with code %i', async (env, cni, message) => {
    const { code, out } = await run(env);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ code: cni, msg: expect.stringContaining(message) });
  });

  test('refuses a configuration that is too large', async () => {
    const { code, out } = await run({ CNI_COMMAND: 'ADD' }, ' '.repeat(1_100_000));
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ code: 7 });
  });
});
