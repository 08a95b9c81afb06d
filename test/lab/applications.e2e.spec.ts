/** The real applications of a folder beside the checkout, one after the other in one lab. They are no part of the project: without them there is nothing to try. */
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { publishedManifests } from '../published/manifests.ts';
import { json, seine } from './lab.ts';

const LAB = 'e2eapps';

interface Status { readonly pods: { readonly total: number; readonly ready: number }; readonly services: { readonly total: number; readonly reachable: number } }
interface Why { readonly verdict: string; readonly direction: string; readonly reason: { readonly code: number } | null; readonly nearestMisses: readonly { readonly rule: { readonly name: string } }[] }

const APPLICATIONS = [
  { name: 'Online Boutique', path: 'online-boutique/release', pods: 12, services: 12 },
  { name: 'Bookinfo', path: 'bookinfo/samples/bookinfo/platform/kube/bookinfo.yaml', pods: 6, services: 4 },
  { name: 'Sock Shop', path: 'sock-shop/deploy/kubernetes/complete-demo.yaml', pods: 14, services: 14 },
] as const;
const SOCK_SHOP_POLICIES = 'sock-shop/deploy/kubernetes/manifests-policy';

const manifests = publishedManifests;
if (manifests === undefined) {
  test('no application is tried: there is no ../shared/manifests beside the checkout', () => { expect(manifests).toBeUndefined(); });
} else {
  describe('real applications, as they are published', () => {
    beforeAll(async () => { expect(await seine('lab', 'up', '--name', LAB)).toMatchObject({ code: 0 }); }, 90_000);
    afterAll(async () => { await seine('lab', 'down', '--name', LAB); }, 60_000);

    test.each(APPLICATIONS)('$name: $pods pods ready, $services Services reachable', async ({ path, pods, services }) => {
      const file = join(manifests, path);
      expect(await seine('lab', 'apply', '-f', file, '--name', LAB)).toMatchObject({ code: 0 });
      expect(await json<Status>('lab', 'status', '--name', LAB)).toMatchObject({ pods: { total: pods, ready: pods }, services: { total: services, reachable: services } });
      if (path === APPLICATIONS.at(-1)!.path) return; // its policies come next
      expect(await seine('lab', 'delete', '-f', file, '--name', LAB)).toMatchObject({ code: 0 });
      expect((await json<Status>('lab', 'status', '--name', LAB)).pods).toEqual({ total: 0, ready: 0 });
    }, 60_000);

    test('Sock Shop under its own policies: they say cart where the pods say carts', async () => {
      expect(await seine('lab', 'apply', '-f', join(manifests, SOCK_SHOP_POLICIES), '--name', LAB)).toMatchObject({ code: 0 });
      const why = await json<Why>('why', 'sock-shop/carts', 'sock-shop/carts-db', '27017', '--name', LAB);
      expect(why).toMatchObject({ verdict: 'deny', direction: 'ingress', reason: { code: 133 } });
      expect(why.nearestMisses[0]?.rule.name).toBe('carts-db-access');
    }, 60_000);
  });
}
