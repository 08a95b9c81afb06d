/** The folder of public manifests beside the checkout. It is no part of the project: tests that read it say so where it is not there. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = new URL('../../', import.meta.url).pathname;

/** A work tree has the folder beside the checkout that it belongs to. */
const checkouts = (): readonly string[] => {
  try {
    return [ROOT, dirname(execFileSync('git', ['rev-parse', '--path-format=absolute', '--git-common-dir'], { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim())];
  } catch {
    return [ROOT]; // a copy without git
  }
};

export const publishedManifests: string | undefined = checkouts().map((checkout) => join(checkout, '../shared/manifests')).find((folder) => existsSync(folder));
