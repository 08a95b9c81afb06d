import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:net';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { SeineError } from '@seine/model';
import { eventually } from '@seine/testkit';

import { connectUnix, serveUnix, type Connection, type UnixServer } from './frame.ts';

describe('a unix socket of a node', () => {
  let directory: string;
  let server: UnixServer;
  const path = (): string => join(directory, 'x.sock');
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'seine-frame-'));
    server = await serveUnix(path(), async (op, body, connection) => {
      if (op === 'fail') throw new SeineError('SEINE_TEST', 'it failed', { why: 1 });
      if (op === 'push') connection.push('news', body);
      return body;
    });
  });
  afterEach(async () => { await server.close(); rmSync(directory, { recursive: true }); });

  test('answers many calls at once, large ones too', async () => {
    const client = await connectUnix(path());
    const large = 'x'.repeat(3_000_000);
    expect(await Promise.all([client.call('echo', 1), client.call('echo', large), client.call('echo', { a: [2] })])).toEqual([1, large, { a: [2] }]);
    client.close();
  });

  test('passes an error on with its code and details', async () => {
    const client = await connectUnix(path());
    await expect(client.call('fail')).rejects.toMatchObject({ code: 'SEINE_TEST', message: 'it failed', details: { why: 1 } });
    client.close();
  });

  test('pushes news beside answers', async () => {
    const news: unknown[] = [];
    const client = await connectUnix(path(), (name, body) => { news.push([name, body]); });
    await client.call('push', 7);
    expect(news).toEqual([['news', 7]]);
    client.close();
  });

  test('knows what the other side has not taken yet', async () => {
    let connection: Connection | undefined;
    const slow = await serveUnix(join(directory, 'slow.sock'), async (_op, _body, from) => { connection = from; return null; });
    const client = connect(join(directory, 'slow.sock'));
    const request = Buffer.from('{"id":1,"op":"hear"}');
    const head = Buffer.alloc(4);
    head.writeUInt32LE(request.length);
    client.write(Buffer.concat([head, request]));
    client.pause();
    await eventually(() => connection !== undefined);
    await eventually(() => connection!.backlogBytes() === 0);
    for (let many = 0; many < 20; many += 1) connection!.push('news', 'x'.repeat(1_000_000));
    expect(connection!.backlogBytes()).toBeGreaterThan(10_000_000);
    client.resume();
    await eventually(() => connection!.backlogBytes() === 0);
    client.destroy();
    await slow.close();
  });

  test('tells a caller when the other side has gone', async () => {
    await expect(connectUnix(join(directory, 'none.sock'))).rejects.toMatchObject({ code: 'SEINE_PEER_UNREACHABLE' });
  });

  test('survives a stranger that speaks nonsense', async () => {
    const socket = connect(path());
    await new Promise((resolve) => { socket.once('connect', resolve); });
    socket.write(Buffer.from([5, 0, 0, 0, 0x7b, 0x7b, 0x7b, 0x7b, 0x7b]));
    await new Promise((resolve) => { socket.once('close', resolve); });
    const client = await connectUnix(path());
    expect(await client.call('echo', 1)).toBe(1);
    client.close();
  });
});
