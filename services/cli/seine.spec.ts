import { describe, expect, test } from '@jest/globals';

import { runSeine, VERB_NAMES } from './seine.ts';

const run = async (...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> => {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runSeine(args, { stdout: (text) => { out.push(text); }, stderr: (text) => { err.push(text); }, terminal: false, signal: new AbortController().signal });
  return { code, out: out.join(''), err: err.join('') };
};

describe('seine', () => {
  test('without a verb names every verb in one line', async () => {
    const { code, out } = await run();
    expect(code).toBe(0);
    for (const name of VERB_NAMES) expect(out).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
  });

  test.each(VERB_NAMES)('%s --help: how it is called, what for, what its exit means, in 100 columns', async (name) => {
    const { code, out } = await run(name, '--help');
    expect(code).toBe(0);
    expect(out).toMatch(name === 'start' ? /^npm start / : new RegExp(`^seine ${name} `));
    expect(out).toMatch(/^Exit/m);
    expect(out).toMatch(name === 'start' ? /For instance:\n {2}npm start/ : new RegExp(`For instance:\\n(.*\\n)*.*seine ${name} `));
    expect(out.slice(0, out.indexOf('For instance:')).split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  test.each([
    { args: ['frobnicate'], want: /^frobnicate: expected one of lab, .*\nsee: seine --help\n$/ },
    { args: ['why', 'shop/carts'], want: /^expected FROM TO \[PORT\[\/PROTOCOL\]\]\nsee: seine why --help\n$/ },
    { args: ['check', '-f', '/nowhere'], want: /^-f \/nowhere: no such file or folder\nsee: seine check --help\n$/ },
    { args: ['check', '-f', new URL('../../infra/examples/shop', import.meta.url).pathname, 'shop/nobody', 'shop/carts', '80'], want: /shop\/nobody: no pod or workload.*\nsee: seine check --help\n$/ },
    { args: ['get', 'nothing'], want: /^nothing: expected one of endpoints.*\nsee: seine get --help\n$/ },
    { args: ['replay'], want: /--node: nothing: expected the name of a node\nsee: seine replay --help\n$/ },
    { args: ['log', 'burn'], want: /^log burn: expected one of tail, export, verify\nsee: seine log --help\n$/ },
  ])('$args: one sentence, then where to look, exit 2', async ({ args, want }) => {
    const { code, err } = await run(...args);
    expect(code).toBe(2);
    expect(err).toMatch(want);
  });
});
