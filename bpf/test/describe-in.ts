import { beforeAll, describe } from '@jest/globals';

import type { Family } from './families.ts';

/** `describe`, once for each family: `use` stands before everything else of the block. */
export const describeIn = (families: readonly Family[], use: (family: Family) => void) => (name: string, body: () => void): void => {
  describe.each(families.map((family) => [family.name, family] as const))(`%s: ${name}`, (_, family) => {
    beforeAll(() => { use(family); });
    body();
  });
};
