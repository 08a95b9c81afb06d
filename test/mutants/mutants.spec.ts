/** What `npm run mutants` plants must still be a change of today's code: a defect that does not apply is caught by nobody. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

import { expect, test } from '@jest/globals';

const FOLDER = new URL('.', import.meta.url).pathname;
const ROOT = new URL('../../', import.meta.url).pathname;

test.each(readdirSync(FOLDER).filter((name) => name.endsWith('.patch')))('%s changes one line of today\'s code, and names who notices', (name) => {
  const text = readFileSync(`${FOLDER}${name}`, 'utf8');
  expect(text).toMatch(/^caught by: (unit|golden|int|root|e2e) \S+\n/);
  expect(text.match(/^[-+](?![-+])/gm)).toEqual(['-', '+']);
  execFileSync('git', ['apply', '--check', '--unidiff-zero', `${FOLDER}${name}`], { cwd: ROOT });
});
