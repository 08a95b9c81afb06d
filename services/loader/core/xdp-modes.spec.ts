import { expect, test } from '@jest/globals';

import { xdpModes } from './xdp-modes.ts';

test.each([
  { setting: 'off', kind: '', modes: [] },
  { setting: 'auto', kind: '', modes: ['native', 'generic'] },
  { setting: 'auto', kind: 'bond', modes: ['native', 'generic'] },
  { setting: 'auto', kind: 'veth', modes: ['generic'] },
  { setting: 'native', kind: 'veth', modes: ['native'] },
  { setting: 'generic', kind: '', modes: ['generic'] },
] as const)('$setting at an interface of kind "$kind" is tried as $modes', ({ setting, kind, modes }) => { expect(xdpModes(setting, kind)).toEqual(modes); });
