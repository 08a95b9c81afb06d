import { describe, expect, test } from '@jest/globals';

import type { PodData } from '@seine/events';

import { variantNumbers } from '../policy/index.ts';
import { createVariants } from './variants.ts';

const pod = (...ports: readonly number[]): PodData => ({
  uid: 'u', nodeName: 'n1', labels: {}, serviceAccount: 'default', hostNetwork: false, addresses: [], phase: 'running', ports: ports.map((port) => ({ name: 'http', port, protocol: 'TCP' as const })),
});

/** Two bindings whose digests meet in one number: the later moves on. */
const meeting = (): readonly [number, number] => {
  const byNumber = new Map<number, number>();
  for (let port = 1; port < 65536; port += 1) {
    const number = variantNumbers([`6/http=${port};`]).get(`6/http=${port};`)!;
    const other = byNumber.get(number);
    if (other !== undefined) return [other, port];
    byNumber.set(number, port);
  }
  throw new Error('none meet');
};

describe('the variants of pods', () => {
  test('are none before a policy mentions a name', () => {
    const variants = createVariants();
    variants.podChanged('shop/a');
    expect([[...variants.update(new Map([['shop/a', pod(80)]]), () => false)], variants.of('shop/a').variant]).toEqual([[], 0]);
  });

  test('come with the first mention and go with the last', () => {
    const pods = new Map([['shop/a', pod(80)], ['shop/b', pod()]]);
    const variants = createVariants();
    for (const name of pods.keys()) variants.podChanged(name);
    variants.update(pods, () => false);
    variants.nameChanged('6/http');
    expect([...variants.update(pods, (name) => name === '6/http')]).toEqual(['shop/a']);
    expect(variants.of('shop/a')).toMatchObject({ bindings: new Map([['6/http', [80]]]) });
    variants.nameChanged('6/http');
    expect([[...variants.update(pods, () => false)], variants.of('shop/a').variant]).toEqual([['shop/a'], 0]);
  });

  test('that meet in one number are told apart, and take their own again when the other goes', () => {
    const [first, second] = meeting();
    const texts = [`6/http=${first};`, `6/http=${second};`].sort();
    const pods = new Map(texts.map((text, index) => [`shop/${index}`, pod(Number(text.slice('6/http='.length, -1)))]));
    const variants = createVariants();
    for (const name of pods.keys()) variants.podChanged(name);
    variants.update(pods, () => true);
    const own = variants.of('shop/0').variant;
    expect(variants.of('shop/1').variant).toBe((own % 65535) + 1);
    pods.delete('shop/0');
    variants.podChanged('shop/0');
    expect([...variants.update(pods, () => true)].sort()).toEqual(['shop/0', 'shop/1']);
    expect(variants.of('shop/1').variant).toBe(own);
  });
});
