import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import { brokenRules, importsOf } from './rules.ts';

const LARGEST_BLOB_BYTES = 64 * 1024;
const LARGE = new Set(['package-lock.json']);

describe('the house', () => {
  const paths = execFileSync('git', ['ls-files'], { encoding: 'utf8' }).trim().split('\n').filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true);
  const files = paths.filter((path) => /\.(ts|mjs|c|h)$/.test(path)).map((path) => ({ path, text: readFileSync(path, 'utf8') }));

  test('keeps its rules in every file', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(brokenRules(files)).toEqual([]);
  });

  test('holds no large blob', () => {
    expect(paths.filter((path) => !LARGE.has(path) && statSync(path).size > LARGEST_BLOB_BYTES)).toEqual([]);
  });
});

describe('the rules', () => {
  test.each([
    { name: 'notice a core that reads files', path: 'services/ipam/core/x.ts', text: "import { readFileSync } from 'node:fs';", want: /platform belongs to the shell/ },
    { name: 'notice a core that asks the clock', path: 'services/ipam/core/x.ts', text: 'const now = Date.now();', want: /take the time as an argument/ },
    { name: 'notice a core that imports its shell', path: 'services/ipam/core/x.ts', text: "import { a } from '../shell/a.ts';", want: /knows no shell/ },
    { name: 'notice a service that imports a service', path: 'services/ipam/main.ts', text: "import { a } from '@seine/watcher';", want: /services never import services/ },
    { name: 'notice a lab that imports a service', path: 'infra/lab/supervisor.ts', text: "import { a } from '@seine/loader';", want: /only services\/cli and test/ },
    { name: 'notice a model that imports', path: 'shared/model/x.ts', text: "export { a } from '@seine/events';", want: /imports nothing/ },
    { name: 'notice an oracle that imports ours', path: 'test/oracle/x.mjs', text: "import a from '../../services/cli/whole.ts';", want: /oracle imports nothing/ },
    { name: 'notice unfinished work', path: 'shared/bus/x.ts', text: `// TO${'DO'} later`, want: /an issue, not a comment/ },
  ])('$name', ({ path, text, want }) => {
    expect(brokenRules([{ path, text }])).toEqual([expect.stringMatching(want)]);
  });

  test('read every form of import', () => {
    expect(importsOf("import a from 'a';\nimport { b,\n c } from \"b\";\nexport * from 'c';\nimport 'd';\nawait import('e');\nimport type { F } from 'f';")).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });
});
