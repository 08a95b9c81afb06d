/** Lists of an API server, page by page, through a `Get` that somebody else connected. */
import { isObject, member } from '@seine/objects';

import { unreachable } from './error.ts';

export interface Answer { readonly status: number; /** JSON, or undefined where there was none */ readonly body: unknown }

/**
 * One GET. Retries what a busy server asks to retry.
 * @throws SEINE_PEER_UNREACHABLE when nobody answers, or not in time, or not with JSON
 */
export type Get = (path: string, options?: { readonly accept?: string; readonly patience?: 'long' | 'short'; /** Not JSON: only the status counts. */ readonly anyBody?: boolean }) => Promise<Answer>;

const PAGE_ITEMS = 500;
const MOST_PAGES = 10_000;
/** Times that a list may outlive its snapshot on the server before it is asked for in one piece. */
const MOST_RESTARTS = 3;
/** Names only: what is not judged does not leave the server. */
export const NAMES_ONLY = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io, application/json';

export type Listed =
  | { readonly state: 'listed'; readonly items: readonly unknown[]; readonly pages: number; readonly resourceVersion: string }
  | { readonly state: 'absent' }
  | { readonly state: 'unread'; readonly status: number; readonly why: string };

/** The server's own sentence, short. */
export const messageOf = ({ status, body }: Answer): string => {
  const message = isObject(body) ? member(body, 'message') : undefined;
  return `HTTP ${status}${typeof message === 'string' ? `: ${message.slice(0, 300)}` : ''}`;
};

const listMeta = (path: string, body: unknown): { readonly items: readonly unknown[]; readonly next: string; readonly resourceVersion: string } => {
  const items = isObject(body) ? member(body, 'items') ?? (String(member(body, 'kind')).endsWith('List') ? [] : undefined) : undefined;
  if (!isObject(body) || !Array.isArray(items)) throw unreachable(`GET ${path}: ${JSON.stringify(body)?.slice(0, 120) ?? 'nothing'}: expected a list of a Kubernetes API server`);
  const metadata = member(body, 'metadata');
  const text = (name: string): string => { const value = isObject(metadata) ? member(metadata, name) : undefined; return typeof value === 'string' ? value : ''; };
  return { items: items as readonly unknown[], next: text('continue'), resourceVersion: text('resourceVersion') }; // Array.isArray says any[]
};

/**
 * @param path with its own query, where it has one
 * @param take what to remember of an item; called for each page at once, so that no whole page outlives it
 * @param onPage told how many items are there so far
 */
export const listAll = async (get: Get, path: string, take: (item: unknown) => unknown, onPage: (items: number) => void, options: Parameters<Get>[1] = {}): Promise<Listed> => {
  for (let restarts = 0; ; restarts += 1) {
    const limit = restarts < MOST_RESTARTS ? `limit=${PAGE_ITEMS}` : '';
    const items: unknown[] = [];
    let next = '';
    let expired = false;
    for (let page = 1; !expired; page += 1) {
      if (page > MOST_PAGES) throw unreachable(`GET ${path}: ${MOST_PAGES} pages and no end: expected fewer`);
      const query = [limit, next === '' ? '' : `continue=${encodeURIComponent(next)}`].filter((part) => part !== '').join('&');
      const answer = await get(query === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${query}`, options);
      if (answer.status === 410) { expired = true; continue; }
      if (answer.status === 404) return { state: 'absent' };
      if (answer.status !== 200) return { state: 'unread', status: answer.status, why: messageOf(answer) };
      const list = listMeta(path, answer.body);
      for (const item of list.items) items.push(take(item));
      onPage(items.length);
      if (list.next === '') return { state: 'listed', items, pages: page, resourceVersion: list.resourceVersion };
      next = list.next;
    }
    if (restarts > MOST_RESTARTS) throw unreachable(`GET ${path}: HTTP 410 again and again: expected a list`);
  }
};
