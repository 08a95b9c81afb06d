/**
 * An API server, listed and then watched, kind by kind: a list says everything of a kind, a watch what changed since. What comes faster than
 * it is taken is told once, as it is then.
 *
 *   list ──► watch ──(410: the past is gone)──► list …          404: the kind is not served; asked again now and then
 *              └──(broken, ended)──► watch from where it was
 */
import { setTimeout as wait } from 'node:timers/promises';

import { IP_MASQ_AGENT_KIND, JUDGED_KINDS, keep, listAll, watchedPath, type Connection, type JudgedKind } from '@seine/kube';
import { isSeineError, SeineError } from '@seine/model';
import { isObject, isRefused, member, objectKey, refOf, toObject, type KubeObject, type RefusedObject } from '@seine/objects';
import type { ObjectRef } from '@seine/events';
import type { Logger, MetricDefinitions, Metrics } from '@seine/role';

import { WATCHED_KINDS, type Listing, type WatchedKind } from '../core/index.ts';
import type { News, Source } from './source.ts';

export const API_METRICS = {
  lists: { type: 'counter', name: 'lists_total', help: 'Full lists of a kind that an API server gave.' },
  watchBreaks: { type: 'counter', name: 'watch_breaks_total', help: 'Watches that broke; each goes on from where it was, or begins with a list.' },
} as const satisfies MetricDefinitions;

export interface ApiTiming { readonly firstPauseMs: number; readonly longestPauseMs: number; /** Between two questions whether an absent kind is there by now. */ readonly recheckMs: number; /** After which the server is asked to end a watch. */ readonly watchS: number }
const TIMING: ApiTiming = { firstPauseMs: 250, longestPauseMs: 30_000, recheckMs: 30_000, watchS: 290 };

export interface ApiPorts { readonly connection: Pick<Connection, 'get' | 'watch'>; readonly log: Logger; readonly metrics: Metrics<typeof API_METRICS>; readonly timing?: ApiTiming }

type Told = KubeObject | RefusedObject;
/** Of one kind, not taken yet. With a listing `told` is all that there is. */
interface Pending { readonly told: Map<string, Told>; readonly gone: Map<string, ObjectRef>; listing: Listing | undefined }

const keyOf = (told: Told): string => objectKey(isRefused(told) ? told.object : refOf(told));

/** Coalesces by key until somebody takes. */
const createPending = () => {
  let kinds = new Map<WatchedKind, Pending>();
  const of = (kind: WatchedKind): Pending => {
    const known = kinds.get(kind) ?? { told: new Map(), gone: new Map(), listing: undefined };
    kinds.set(kind, known);
    return known;
  };
  return {
    list: (kind: WatchedKind, all: readonly Told[], listing: Listing): void => { kinds.set(kind, { told: new Map(all.map((told) => [keyOf(told), told])), gone: new Map(), listing }); },
    tell: (kind: WatchedKind, told: Told): void => {
      const pending = of(kind);
      pending.gone.delete(keyOf(told));
      pending.told.set(keyOf(told), told);
    },
    leave: (kind: WatchedKind, ref: ObjectRef): void => {
      const pending = of(kind);
      pending.told.delete(objectKey(ref));
      if (pending.listing === undefined) pending.gone.set(objectKey(ref), ref);
    },
    take: (): News | undefined => {
      if (kinds.size === 0) return undefined;
      const taken = kinds;
      kinds = new Map();
      const all = [...taken.values()].flatMap(({ told }) => [...told.values()]);
      return {
        objects: all.filter((told): told is KubeObject => !isRefused(told)), refused: all.filter(isRefused), warnings: [],
        part: { whole: new Map([...taken].flatMap(([kind, { listing }]) => (listing === undefined ? [] : [[kind, listing] as const]))), gone: [...taken.values()].flatMap(({ gone }) => [...gone.values()]) },
      };
    },
  };
};

const resourceVersionOf = (object: unknown): string | undefined => {
  const metadata = isObject(object) ? member(object, 'metadata') : undefined;
  const version = isObject(metadata) ? member(metadata, 'resourceVersion') : undefined;
  return typeof version === 'string' && version !== '' ? version : undefined;
};

type Change = { readonly type: 'told' | 'gone'; readonly object: unknown } | { readonly type: 'bookmark' } | { readonly type: 'expired' };

/** @throws SEINE_PEER_UNREACHABLE for what is no event of a watch, or an error other than that the past is gone */
const toChange = (event: unknown, path: string): { readonly change: Change; readonly resourceVersion: string | undefined } => {
  const [type, object] = isObject(event) ? [member(event, 'type'), member(event, 'object')] : [undefined, undefined];
  const at = (change: Change): { readonly change: Change; readonly resourceVersion: string | undefined } => ({ change, resourceVersion: resourceVersionOf(object) });
  switch (type) {
    case 'ADDED': case 'MODIFIED': return at({ type: 'told', object });
    case 'DELETED': return at({ type: 'gone', object });
    case 'BOOKMARK': return at({ type: 'bookmark' });
    default: {
      const [code, message] = isObject(object) ? [member(object, 'code'), member(object, 'message')] : [undefined, undefined];
      if (type === 'ERROR' && code === 410) return { change: { type: 'expired' }, resourceVersion: undefined };
      throw new SeineError('SEINE_PEER_UNREACHABLE', `GET ${path}: ${JSON.stringify(type)} ${String(message ?? '').slice(0, 200)}: expected ADDED, MODIFIED, DELETED or BOOKMARK`);
    }
  }
};

const kindOf = (name: WatchedKind): JudgedKind => [...JUDGED_KINDS, IP_MASQ_AGENT_KIND].find(({ kind }) => kind === name)!; // every watched kind is there

export const apiSource = ({ connection, log, metrics, timing = TIMING }: ApiPorts): Source => {
  const pending = createPending();

  /** Ends with the signal only. @param tried after the first list, whatever came of it */
  const reflect = async (name: WatchedKind, signal: AbortSignal, changed: () => void, tried: () => void): Promise<void> => {
    const judged = kindOf(name);
    let pauseMs = timing.firstPauseMs;
    const rest = (ms: number): Promise<void> => wait(ms, undefined, { signal }).catch(() => {});
    const pause = async (): Promise<void> => {
      await rest(pauseMs);
      pauseMs = Math.min(pauseMs * 2, timing.longestPauseMs);
    };
    const object = (apiVersion: string, raw: unknown): Told => toObject(keep(apiVersion, name, judged.kept, raw, true));

    /** The list of the first version that is served; undefined: it may not be read, or the server cannot be believed yet. */
    const list = async (): Promise<{ readonly apiVersion: string; readonly resourceVersion: string; readonly all: readonly Told[] | 'absent' } | undefined> => {
      for (const apiVersion of judged.apiVersions) {
        const listed = await listAll(connection.get, watchedPath(apiVersion, judged), (item) => object(apiVersion, item), () => {}, { patience: 'short' });   // this loop is patient itself
        if (listed.state === 'listed') return { apiVersion, resourceVersion: listed.resourceVersion, all: listed.items as readonly Told[] }; // `object` made them
        if (listed.state === 'unread') { log.warn('a kind may not be listed: it counts as not listed', { kind: name, so: name === 'ConfigMap' ? judged.unknown : 'pods get no policy', reason: listed.why }); return undefined; }
      }
      /* A server that starts does not know its custom kinds yet: only one that is ready is believed that it has none. */
      const { status } = await connection.get('/readyz', { anyBody: true, patience: 'short' });
      if (status >= 500) { log.warn('an API server that is not ready does not know a kind', { kind: name, status }); return undefined; }
      return { apiVersion: judged.apiVersions[0]!, resourceVersion: '0', all: 'absent' };
    };

    /** Until the past is gone. */
    const follow = async (apiVersion: string, from: string): Promise<void> => {
      let version = from;
      while (!signal.aborted) {
        const all = watchedPath(apiVersion, judged);
        const path = `${all}${all.includes('?') ? '&' : '?'}watch=1&allowWatchBookmarks=true&timeoutSeconds=${timing.watchS}&resourceVersion=${encodeURIComponent(version)}`;
        let heard = false;
        try {
          for await (const event of connection.watch(path, signal)) {
            const { change, resourceVersion } = toChange(event, path);
            if (change.type === 'expired') return;
            heard = true;
            pauseMs = timing.firstPauseMs;
            version = resourceVersion ?? version;
            if (change.type === 'bookmark') continue;
            const told = object(apiVersion, change.object);
            if (change.type === 'told') pending.tell(name, told);
            else pending.leave(name, isRefused(told) ? told.object : refOf(told));
            changed();
          }
          if (!heard) await pause();   // a server that ends watches at once is not asked in a circle
        } catch (error) {
          if (signal.aborted) return;
          if (!isSeineError(error)) throw error;
          metrics.watchBreaks.add();
          log.warn('a watch broke', { kind: name, reason: error.message });
          const status = error.code === 'SEINE_WATCH_REFUSED' ? error.details['status'] : undefined;
          if (status === 410 || status === 404 || status === 403) return;
          await pause();
        }
      }
    };

    while (!signal.aborted) {
      try {
        const found = await list();
        if (found === undefined) { tried(); await pause(); continue; }
        metrics.lists.add();
        pauseMs = timing.firstPauseMs;
        pending.list(name, found.all === 'absent' ? [] : found.all, { resourceVersion: found.resourceVersion, absent: found.all === 'absent' });
        changed();
        tried();
        if (found.all === 'absent') await rest(timing.recheckMs);
        else await follow(found.apiVersion, found.resourceVersion);
      } catch (error) {
        tried();
        if (signal.aborted) return;
        if (!isSeineError(error)) throw error;
        log.warn('a list failed', { kind: name, reason: error.message });
        await pause();
      }
    }
  };

  return {
    run: async (signal, changed) => {
      const running: Promise<void>[] = [];
      /* What others refer to is listed first, so that its facts come first. */
      for (const kind of WATCHED_KINDS) {
        const tried = Promise.withResolvers<void>();
        const reflecting = reflect(kind, signal, changed, tried.resolve);
        running.push(reflecting);
        await Promise.race([tried.promise, reflecting]);
      }
      await Promise.all(running);
    },
    take: async () => pending.take(),
  };
};
