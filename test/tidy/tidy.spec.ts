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
    { name: 'notice a core that keeps a clock without calling it', path: 'services/ipam/core/x.ts', text: 'const clock = { now: Date.now };', want: /take the time as an argument/ },
    { name: 'notice a core that waits', path: 'services/ipam/core/x.ts', text: 'setTimeout(() => {}, 5);', want: /return what to do/ },
    { name: 'notice a core that asks for the platform without its prefix', path: 'services/ipam/core/x.ts', text: "import { readFileSync } from 'fs';", want: /platform belongs to the shell/ },
    { name: 'notice a core that requires', path: 'services/ipam/core/x.ts', text: "const koffi = require('koffi');", want: /kernel belongs to the shell/ },
    { name: 'notice a writer that connects to a cluster', path: 'services/datapath-writer/shell/x.ts', text: "import { connect } from '@seine/kube';", want: /only the watcher and the command line/ },
    { name: 'notice a verb that asks the cluster', path: 'services/cli/verb/why.ts', text: "const { KubeConfig } = await import('@kubernetes/client-node');", want: /may talk to an API server/ },
    { name: 'notice a lab that reaches into a service by path', path: 'infra/lab/supervisor.ts', text: "import { a } from '../../services/loader/core/a.ts';", want: /only services\/cli and test/ },
    { name: 'notice an oracle that climbs out', path: 'test/oracle/x.mjs', text: "import a from '../golden/engine.ts';", want: /oracle imports nothing/ },
    { name: 'notice a test that no suite runs', path: 'shared/bus/x.test.ts', text: '', want: /tests end in \.spec\.ts/ },
    { name: 'notice a test of a price without its suffix', path: 'test/lab/x.e2e.ts', text: '', want: /tests end in \.spec\.ts/ },
    { name: 'notice unfinished work', path: 'shared/bus/x.ts', text: `// TO${'DO'} later`, want: /an issue, not a comment/ },
  ])('$name', ({ path, text, want }) => {
    expect(brokenRules([{ path, text }])).toEqual([expect.stringMatching(want)]);
  });

  test('notice a core that asks the cluster', () => {
    expect(brokenRules([{ path: 'services/watcher/core/x.ts', text: "import { KubeConfig } from '@kubernetes/client-node';" }])).toEqual([
      expect.stringMatching(/cluster belongs to the shell/), expect.stringMatching(/may talk to an API server/),
    ]);
  });

  test('notice a service that reaches into another by path, however few the dots', () => {
    expect(brokenRules([{ path: 'services/ipam/main.ts', text: "import { a } from '../watcher/core/a.ts';" }])).toEqual([
      expect.stringMatching(/services never import services/), expect.stringMatching(/other packages by their name/),
    ]);
  });

  test.each([
    { name: 'a core that imports its neighbour and another package', path: 'services/ipam/core/x.ts', text: "import { a } from './a.ts';\nimport { b } from '@seine/model';" },
    { name: 'a shell that imports its core and the platform', path: 'services/ipam/shell/x.ts', text: "import { a } from '../core/a.ts';\nimport { readFileSync } from 'node:fs';" },
    { name: 'a command line that imports a core', path: 'services/cli/whole.ts', text: "import { ipamDecider } from '@seine/ipam';" },
    { name: 'a connection that asks the cluster', path: 'shared/kube/connect.ts', text: "const { KubeConfig } = await import('@kubernetes/client-node');" },
    { name: 'a watcher that connects to a cluster', path: 'services/watcher/main.ts', text: "import { connect } from '@seine/kube';" },
    { name: 'an oracle that imports its neighbour', path: 'test/oracle/x.mjs', text: "import { naive } from './naive.mjs';" },
    { name: 'a spec of a core that reads files', path: 'services/ipam/core/x.spec.ts', text: "import { readFileSync } from 'node:fs';" },
  ])('allow $name', ({ path, text }) => {
    expect(brokenRules([{ path, text }])).toEqual([]);
  });

  test('read every form of import', () => {
    expect(importsOf("import a from 'a';\nimport { b,\n c } from \"b\";\nexport * from 'c';\nimport 'd';\nawait import('e');\nimport type { F } from 'f';import{g}from'g';")).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
  });
});
