import { describe, expect, test } from '@jest/globals';

import { listAll, type Answer, type Get } from './list.ts';

/** A server of a written dialogue: each GET takes the next answer. */
const scripted = (answers: readonly Answer[]): { readonly get: Get; readonly asked: string[] } => {
  const asked: string[] = [];
  const left = [...answers];
  return { asked, get: async (path) => { asked.push(path); return left.shift() ?? { status: 500, body: undefined }; } };
};
const page = (items: readonly unknown[] | null, next = ''): Answer => ({ status: 200, body: { kind: 'PodList', metadata: { resourceVersion: '7', continue: next }, items } });
const gone: Answer = { status: 410, body: { kind: 'Status', message: 'The provided continue parameter is too old' } };

const listed = (answers: readonly Answer[]) => { const { get, asked } = scripted(answers); return listAll(get, '/api/v1/pods', (item) => item, () => {}).then((list) => ({ list, asked })); };

describe('a list', () => {
  test.each<{ name: string; answers: readonly Answer[]; asked: readonly string[]; want: unknown }>([
    { name: 'goes on where the server says', answers: [page([1, 2], 'a b'), page([3])], asked: ['?limit=500', '?limit=500&continue=a%20b'], want: { state: 'listed', items: [1, 2, 3], pages: 2, resourceVersion: '7' } },
    { name: 'of nothing is empty, as Go writes it too', answers: [page(null)], asked: ['?limit=500'], want: { state: 'listed', items: [], pages: 1, resourceVersion: '7' } },
    { name: 'that expired begins again, without what it had', answers: [page([1], 'x'), gone, page([1, 2], 'y'), page([3])], asked: ['?limit=500', '?limit=500&continue=x', '?limit=500', '?limit=500&continue=y'], want: { state: 'listed', items: [1, 2, 3], pages: 2, resourceVersion: '7' } },
    { name: 'that expires again and again is asked for whole', answers: [gone, gone, gone, page([1, 2, 3])], asked: ['?limit=500', '?limit=500', '?limit=500', ''], want: { state: 'listed', items: [1, 2, 3], pages: 1, resourceVersion: '7' } },
    { name: 'that is not served is absent', answers: [{ status: 404, body: undefined }], asked: ['?limit=500'], want: { state: 'absent' } },
    { name: 'that may not be read says why', answers: [{ status: 403, body: { message: 'pods is forbidden' } }], asked: ['?limit=500'], want: { state: 'unread', status: 403, why: 'HTTP 403: pods is forbidden' } },
    { name: 'that is refused midway is not half a list', answers: [page([1], 'x'), { status: 403, body: {} }], asked: ['?limit=500', '?limit=500&continue=x'], want: { state: 'unread', status: 403, why: 'HTTP 403' } },
  ])('$name', async ({ answers, asked, want }) => {
    const found = await listed(answers);
    expect(found.list).toEqual(want);
    expect(found.asked).toEqual(asked.map((query) => `/api/v1/pods${query}`));
  });

  test.each<{ name: string; answers: readonly Answer[]; want: RegExp }>([
    { name: 'is text', answers: [{ status: 200, body: 'hello' }], want: /^GET \/api\/v1\/pods: "hello": expected a list/ },
    { name: 'has no items', answers: [{ status: 200, body: { kind: 'Pod', metadata: {} } }], want: /expected a list/ },
    { name: 'never is there', answers: [gone, gone, gone, gone, gone], want: /HTTP 410 again and again/ },
  ])('that $name is none', async ({ answers, want }) => { await expect(listed(answers)).rejects.toThrow(want); });

  test('has an end, whatever the server says', async () => {
    await expect(listAll(async () => page([], 'again'), '/api/v1/pods', (item) => item, () => {})).rejects.toThrow('10000 pages and no end');
  });
});
