import { describe, expect, test } from '@jest/globals';

import { COMMON_FIELDS, describeConfig, oneOf, parseConfig, text, wholeNumber, yesOrNo, type Fields } from './config.ts';

const FIELDS = {
  folder: { env: 'SEINE_FOLDER', description: 'Where manifests lie.', parse: text },
  every: { env: 'SEINE_EVERY_MS', description: 'How often to look.', unit: 'ms', default: '500', parse: wholeNumber({ min: 10, max: 60_000 }) },
  repair: { env: 'SEINE_REPAIR', description: 'Whether drift is repaired.', default: 'true', parse: yesOrNo },
  mode: { env: 'SEINE_MODE', description: 'How.', default: 'slow', parse: oneOf('slow', 'fast') },
} as const satisfies Fields;

describe('configuration', () => {
  test('takes what is set, and the defaults of what is not', () => {
    expect(parseConfig(FIELDS, { SEINE_FOLDER: '/m', SEINE_MODE: 'fast' })).toEqual({ folder: '/m', every: 500, repair: true, mode: 'fast' });
  });

  test('names every bad value at once, with what was expected', () => {
    expect(() => parseConfig(FIELDS, { SEINE_EVERY_MS: '5', SEINE_REPAIR: 'maybe', SEINE_MODE: 'x' })).toThrow(expect.objectContaining({
      code: 'SEINE_CONFIG_INVALID',
      details: { wrong: [
        'SEINE_FOLDER is not set, it is required: Where manifests lie.',
        'SEINE_EVERY_MS is "5", a whole number 10..60000 was expected',
        'SEINE_REPAIR is "maybe", true or false was expected',
        'SEINE_MODE is "x", one of slow, fast was expected',
      ] },
    }));
  });

  test('describes each field with its unit and default', () => {
    expect(describeConfig('watcher', FIELDS)).toBe([
      'watcher: configured by the environment', '',
      '  SEINE_FOLDER', '      Where manifests lie. Required.',
      '  SEINE_EVERY_MS (ms)', '      How often to look. Default: 500',
      '  SEINE_REPAIR', '      Whether drift is repaired. Default: true',
      '  SEINE_MODE', '      How. Default: slow', '',
    ].join('\n'));
  });

  test.each([
    { value: 'nats://127.0.0.1:4222', fits: true },
    { value: 'nats://a:1,tls://b:2', fits: true },
    { value: 'http://127.0.0.1', fits: false },
    { value: '', fits: false },
  ])('the broker may be $value: $fits', ({ value, fits }) => {
    const parse = () => parseConfig({ natsUrl: COMMON_FIELDS.natsUrl }, { SEINE_NATS_URL: value });
    if (fits) expect(parse()).toEqual({ natsUrl: value });
    else expect(parse).toThrow('SEINE_NATS_URL');
  });
});
