import { expect, test } from '@jest/globals';

import { differences, logStreamConfig } from './stream.ts';

const WANTED = logStreamConfig({ cluster: 'default' });

test('a stream as it was wanted has no differences, whatever else the broker adds', () => {
  expect(differences(WANTED, { ...WANTED, allow_direct: false, mirror_direct: false })).toEqual([]);
});

test('every member that the broker dropped or changed is named', () => {
  const { republish: _, ...dropped } = WANTED;
  expect(differences(WANTED, { ...dropped, deny_delete: false, discard: 'old' })).toEqual([
    'discard is "old", must be "new"',
    'deny_delete is false, must be true',
    'republish is absent, must be {"src":"seine.log.default.>","dest":"seine.live.default.>"}',
  ]);
});
