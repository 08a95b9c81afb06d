/**
 * The pages of a store in a real browser outside: Debian's Chromium opens them at a port of each node, while and after every process of a node
 * is killed. The servers are the lab's own; the Services behind the front end are asked by its pod.
 */
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chromium, type Browser, type Page } from 'playwright-core';

import { publishedManifests } from '../published/manifests.ts';
import { json, ROOT, seine } from './lab.ts';

const LAB = 'e2ebrowser';
const STORE = publishedManifests === undefined
  ? { name: 'a store of three Services', file: `${ROOT}test/lab/store.yaml`, behind: ['cartservice', 'productcatalogservice'] }
  : { name: 'Online Boutique, as it is published', file: join(publishedManifests, 'online-boutique/release'), behind: ['adservice', 'cartservice', 'checkoutservice', 'currencyservice', 'productcatalogservice', 'recommendationservice', 'shippingservice'] };
const FLAGS = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PATIENCE_MS = 10_000;

const PATHS = ['/', '/product/OLJCESPC7Z', '/cart'] as const;
const WAYS = [
  { name: 'n1', base: 'http://192.168.50.1:30080' }, { name: 'n2', base: 'http://192.168.50.2:30080' },
  { name: 'n1 over IPv6', base: 'http://[fd00:192:168:50::1]:30080' }, { name: 'n2 over IPv6', base: 'http://[fd00:192:168:50::2]:30080' },
] as const;

interface Role { readonly name: string; readonly node: string | null; readonly pid: number | null }

describe(`the pages of ${STORE.name}`, () => {
  let browser: Browser | undefined;
  const number = async (page: Page, id: string): Promise<number> => Number(await page.locator(`#${id}`).textContent());
  const rounds = async (page: Page, more: number): Promise<void> => {
    const wanted = await number(page, 'rounds') + more;
    await page.waitForFunction(`Number(document.getElementById('rounds').textContent) >= ${wanted}`, undefined, { timeout: PATIENCE_MS });
  };
  const open = async (url: string): Promise<Page> => {
    const page = await browser!.newPage();
    expect((await page.goto(url, { timeout: PATIENCE_MS }))?.status()).toBe(200);
    await rounds(page, 1);
    return page;
  };
  /** What the page shows of each Service behind; its style has come too. */
  const shown = async (page: Page): Promise<Readonly<Record<string, string>>> => {
    expect(await page.evaluate('getComputedStyle(document.querySelector("h1")).color')).toBe('rgb(0, 90, 120)');
    return Object.fromEntries(await page.locator('#told tr').evaluateAll((rows) => rows.map((row) => [row.children[0]!.textContent, row.children[1]!.textContent] as const)));
  };
  const wanted = Object.fromEntries(STORE.behind.map((service) => [service, expect.stringMatching(new RegExp(`^default/${service}-\\S+ GET /$`))]));
  const opensAll = async (): Promise<void> => {
    for (const { base } of WAYS) {
      for (const path of PATHS) {
        const page = await open(base + path);
        expect({ url: page.url(), heading: await page.locator('h1').textContent(), told: await shown(page), failed: await number(page, 'failed') }).toEqual({ url: base + path, heading: path, told: wanted, failed: 0 });
        await page.close();
      }
    }
  };
  const processes = async (): Promise<readonly Role[]> => (await json<{ readonly roles: readonly Role[] }>('status', '--name', LAB)).roles.filter(({ node }) => node === 'n1');

  beforeAll(async () => {
    expect(await seine('lab', 'up', '-f', STORE.file, '-f', `${ROOT}test/lab/browser.yaml`, '--name', LAB)).toMatchObject({ code: 0 });
    browser = await chromium.launch({ executablePath: `${ROOT}test/lab/chromium-outside`, chromiumSandbox: false, args: FLAGS, env: { ...process.env, SEINE_BROWSER_NETNS: `/run/netns/seine-${LAB}-ext` } });
  }, 90_000);
  afterAll(async () => {
    await browser?.close();
    await seine('lab', 'down', '--name', LAB);
  }, 60_000);

  test('open at a port of each node, in each family, with their style, their script and what the Services behind say', opensAll, 60_000);

  test('go on while every process of a node is killed, by the connections that they have, and open after it', async () => {
    const pages = await Promise.all(WAYS.map(({ base }) => open(`${base}/cart`)));
    const clients = (): Promise<readonly (string | null)[]> => Promise.all(pages.map((page) => page.locator('#client').textContent()));
    await Promise.all(pages.map((page) => rounds(page, 3)));
    const [before, connections] = [await processes(), await clients()];
    expect(before.map(({ name }) => name).sort()).toEqual(['datapath-writer', 'loader', 'observer']);

    for (const { pid } of before) process.kill(pid!, 'SIGKILL');
    await Promise.all(pages.map((page) => rounds(page, 3)));
    expect(await seine('status', '--wait', '--timeout', '20s', '--name', LAB)).toMatchObject({ code: 0 });
    expect((await processes()).filter(({ pid }) => pid === null || before.some((former) => former.pid === pid))).toEqual([]);
    await Promise.all(pages.map((page) => rounds(page, 3)));

    expect(await Promise.all(pages.map((page) => number(page, 'failed')))).toEqual(pages.map(() => 0));
    expect(await clients()).toEqual(connections);
    for (const page of pages) expect(await shown(page)).toEqual(wanted);
    await Promise.all(pages.map((page) => page.close()));
    await opensAll();
    expect((await seine('verify', '--name', LAB)).code).toBe(0);
  }, 90_000);
});
