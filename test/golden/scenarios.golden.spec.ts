/**
 * Golden scenarios: one readable file each. `=== apply` holds manifests, `=== delete` names (Kind/namespace/name), `=== set` settings
 * (name=value), `=== events` what was decided (type and key), `=== refusals` what was refused in that step, `=== rows NODE` what that node's
 * maps hold, `=== services NODE` those of Services alone, `=== health NODE` what it tells a balancer; `=== cluster dual` in front: a cluster
 * of both families. UPDATE_GOLDEN=1 rewrites expectations: the diff is the review.
 * Every scenario ends by deleting all it made: nothing but the cluster's own rows may be left.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

import { describe, expect, test } from '@jest/globals';

import type { SeineEvent } from '@seine/events';
import { IP_FAMILIES, type IpFamilyName } from '@seine/lab';
import { objectKey, parseManifests, type KubeObject } from '@seine/objects';

import { openCluster } from './engine.ts';

const FOLDER = new URL('.', import.meta.url);
const UPDATE = process.env['UPDATE_GOLDEN'] === '1';

interface Section { readonly head: string; readonly body: string }

const sectionsOf = (text: string): { readonly title: string; readonly sections: readonly Section[] } => {
  const [title, ...rest] = text.split(/^=== /m);
  return { title: title!.trim(), sections: rest.map((part) => ({ head: part.slice(0, part.indexOf('\n')).trim(), body: part.slice(part.indexOf('\n') + 1).trimEnd() })) };
};

describe('golden', () => {
  test.each(readdirSync(FOLDER).filter((name) => name.endsWith('.golden')).sort())('%s', (name) => {
    const file = new URL(name, FOLDER);
    const { title, sections } = sectionsOf(readFileSync(file, 'utf8'));
    const familyName = /^cluster (\w+)$/.exec(sections[0]?.head ?? '')?.[1] ?? 'ipv4';
    if (!Object.hasOwn(IP_FAMILIES, familyName)) throw new Error(`${name}: === cluster ${familyName}: expected one of ${Object.keys(IP_FAMILIES).join(', ')}`);
    const cluster = openCluster(2, IP_FAMILIES[familyName as IpFamilyName]); // holds: just checked
    const bare = ['n1', 'n2'].map((node) => { cluster.apply([]); return cluster.rows(node); });
    const given = new Map<string, KubeObject>();
    const settings: Record<string, string> = {};
    const apply = (): readonly SeineEvent[] => cluster.apply([...given.values()], settings);
    let events: readonly SeineEvent[] = [];
    const written: Section[] = sections.map(({ head, body }) => {
      const [verb, argument] = head.split(' ') as [string, string | undefined]; // a head is never empty
      switch (verb) {
        case 'apply': {
          const { objects, refused } = parseManifests(body, name);
          expect(refused).toEqual([]);
          for (const object of objects) given.set(objectKey(object), object);
          events = apply();
          return { head, body };
        }
        case 'set':
          for (const pair of body.split('\n')) settings[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);
          events = apply();
          return { head, body };
        case 'delete':
          for (const key of body.split('\n')) expect([key, given.delete(key)]).toEqual([key, true]);
          events = apply();
          return { head, body };
        case 'cluster': return { head, body };
        case 'events': return { head, body: events.map((event) => `${event.type.replace(/\.v\d+$/, '')} ${event.key}`).join('\n') };
        case 'refusals': return { head, body: events.flatMap((event) => ('refusals' in event.data ? event.data.refusals.map(({ message }) => `${event.key}  ${message}`) : [])).join('\n') };
        case 'services': return { head, body: cluster.rows(argument ?? 'n1', true).join('\n') };
        case 'health': return { head, body: cluster.health(argument ?? 'n1').join('\n') };
        case 'rows': return { head, body: cluster.rows(argument ?? 'n1').join('\n') };
        default: throw new Error(`${name}: === ${head}: expected cluster FAMILY, apply, delete, set, events, refusals, rows NODE, services NODE or health NODE`);
      }
    });
    const text = `${title}\n\n${written.map(({ head, body }) => `=== ${head}\n${body === '' ? '' : `${body}\n`}`).join('\n')}`;
    if (UPDATE) writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, 'utf8'));
    cluster.apply([]);
    expect(['n1', 'n2'].map((node) => cluster.rows(node))).toEqual(bare);
  });
});
