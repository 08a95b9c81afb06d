import { describe, expect, test } from '@jest/globals';

import { formatTraceparent, parseTraceparent, withSpan } from './telemetry.ts';

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('a trace', () => {
  test('goes on in what a span causes', async () => {
    expect(await withSpan('compile', { traceparent: TRACEPARENT }, (traceparent) => traceparent)).toBe(TRACEPARENT);
  });

  test('begins where there is none, anew each time', async () => {
    const first = await withSpan('observe', {}, (traceparent) => traceparent);
    const second = await withSpan('observe', {}, async (traceparent) => traceparent);
    expect(parseTraceparent(first)).toBeDefined();
    expect(second).not.toBe(first);
  });

  test('carries the failure of its work through', async () => {
    await expect(withSpan('compile', {}, () => { throw new Error('no'); })).rejects.toThrow('no');
  });

  test('reads and writes its text', () => {
    expect(formatTraceparent(parseTraceparent(TRACEPARENT)!)).toBe(TRACEPARENT);
  });

  test.each(['', 'x', '00-0-0-01', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`, TRACEPARENT.toUpperCase(), undefined])('%p is none', (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });
});
