/** Probes and cases as people and suites write them. */
import { readFileSync } from 'node:fs';

import { SeineError, type IpFamily } from '@seine/model';
import { isObject, isRefused, itemsOfList, member, mergeObjects, toObject, type KubeObject, type RefusedObject } from '@seine/objects';

import { badInput } from './verb/verb.ts';

export interface Probe {
  readonly from: string; readonly to: string; readonly protocol: string; readonly port?: number;
  /** `overMtu`: an echo as large as the route takes in one piece and this many bytes more, not to be fragmented; only packets can tell. */
  readonly icmp?: { readonly type: number; readonly code: number; readonly overMtu?: number };
  /** TCP: what to ask for once connected; the answer's status is evidence. */
  readonly http?: { readonly method: string; readonly path: string };
  readonly want?: 'allow' | 'deny'; readonly family?: IpFamily;
}
/** What was written where a probe was expected, and what is wrong with it. */
export interface BadProbe { readonly given: unknown; readonly error: string }
export interface Case { readonly name: string; readonly objects: readonly KubeObject[]; readonly refused: readonly RefusedObject[]; readonly probes: readonly (Probe | BadProbe)[] }
/** A line that is no case. */
export interface BadCase { readonly name: string; readonly error: string }

const PROTOCOLS = ['TCP', 'UDP', 'SCTP', 'ICMP'] as const;

const isInteger = (value: unknown, min: number, max: number): value is number => typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
const MOST_OVER_MTU = 1000;

const toHttp = (value: unknown, place: string): NonNullable<Probe['http']> => {
  const [method, path] = isObject(value) ? [member(value, 'method') ?? 'GET', member(value, 'path') ?? '/'] : [undefined, undefined];
  if (typeof method !== 'string' || typeof path !== 'string' || !/^[A-Z]{1,16}$/.test(method) || !/^\/[!-~]{0,1000}$/.test(path)) throw badInput(`${place}.http: ${JSON.stringify(value)}: expected {"method":"GET","path":"/…"}`);
  return { method, path };
};

/** @throws SEINE_INPUT_INVALID naming place, field, value and expectation */
export const toProbe = (value: unknown, place: string): Probe => {
  if (!isObject(value)) throw badInput(`${place}: ${JSON.stringify(value)}: expected a probe {"from","to","protocol","port"}`);
  const [from, to, want] = ['from', 'to', 'want'].map((name) => member(value, name));
  if (typeof from !== 'string') throw badInput(`${place}.from: ${JSON.stringify(from)}: expected ns/pod, svc:ns/name, node:NAME, external or an address`);
  if (typeof to !== 'string') throw badInput(`${place}.to: ${JSON.stringify(to)}: expected ns/pod, svc:ns/name, node:NAME, external or an address`);
  if (want !== undefined && want !== 'allow' && want !== 'deny') throw badInput(`${place}.want: ${JSON.stringify(want)}: expected allow or deny`);
  const protocolText = String(member(value, 'protocol') ?? 'TCP').toUpperCase();
  const protocol = PROTOCOLS.find((known) => known === protocolText);
  if (protocol === undefined) throw badInput(`${place}.protocol: ${protocolText}: expected one of ${PROTOCOLS.join(', ')}`);
  const port = member(value, 'port') ?? undefined;
  const icmp = member(value, 'icmp');
  const family = member(value, 'family') ?? undefined;
  if (family !== undefined && family !== 4 && family !== 6) throw badInput(`${place}.family: ${JSON.stringify(family)}: expected 4 or 6`);
  const wanted = { ...(want === undefined ? {} : { want: want as 'allow' | 'deny' }), ...(family === undefined ? {} : { family: family as IpFamily }) }; // both checked above
  if (protocol === 'ICMP') {
    if (!isObject(icmp)) return { from, to, protocol, ...wanted }; // an echo of its family
    const [type, code, overMtu] = [member(icmp, 'type') ?? (family === 6 ? 128 : 8), member(icmp, 'code') ?? 0, member(icmp, 'overMtu')];
    if (!isInteger(type, 0, 255) || !isInteger(code, 0, 255) || (overMtu !== undefined && !isInteger(overMtu, 0, MOST_OVER_MTU))) throw badInput(`${place}.icmp: ${JSON.stringify(icmp)}: expected {"type":0..255,"code":0..255}`);
    return { from, to, protocol, icmp: { type, code, ...(overMtu === undefined ? {} : { overMtu }) }, ...wanted };
  }
  if (!isInteger(port, 1, 65535)) throw badInput(`${place}.port: ${JSON.stringify(port)}: expected a number from 1 to 65535`);
  const http = member(value, 'http');
  return { from, to, protocol, port, ...(http === undefined ? {} : { http: toHttp(http, place) }), ...wanted };
};

/** `FROM TO PORT[/PROTOCOL]`, or `FROM TO icmp`. */
export const probeOfWords = ([from, to, portText]: readonly string[], family?: IpFamily): Probe => {
  if (from === undefined || to === undefined) throw badInput('expected FROM TO [PORT[/PROTOCOL]]');
  const [port, protocol] = (portText ?? '').split('/');
  if (portText === undefined || port?.toLowerCase() === 'icmp') return toProbe({ from, to, protocol: 'ICMP', family }, 'probe');
  if (!/^[0-9]+$/.test(port!)) throw badInput(`${portText}: expected PORT or PORT/PROTOCOL, such as 80, 53/UDP, icmp`);
  return toProbe({ from, to, port: Number(port), protocol: protocol ?? 'TCP', family }, 'probe');
};

const parseJson = (text: string, place: string): unknown => {
  try { return JSON.parse(text); } catch (error) { throw badInput(`${place}: ${(error as Error).message}`); }
};

const readText = (path: string): string => {
  try { return readFileSync(path === '-' ? 0 : path, 'utf8'); } catch (error) { throw badInput(`${path}: ${(error as Error).message}`); }
};

/** A list of probes, or {"probes": [...]}. */
export const readProbes = (path: string): readonly Probe[] => {
  const parsed = parseJson(readText(path), path);
  const list = Array.isArray(parsed) ? parsed as readonly unknown[] : isObject(parsed) ? member(parsed, 'probes') : undefined; // Array.isArray says any[]
  if (!Array.isArray(list)) throw badInput(`${path}: expected a list of probes`);
  return (list as readonly unknown[]).map((probe, index) => toProbe(probe, `${path} [${index}]`));
};

/** What a thrown sentence says; anything but bad input is thrown on. */
const orError = <T>(make: () => T): T | { readonly error: string } => {
  try { return make(); } catch (error) {
    if (!(error instanceof SeineError) || error.code !== 'SEINE_INPUT_INVALID') throw error;
    return { error: error.message };
  }
};

const toCase = (line: string, place: string): Case => {
  const parsed = parseJson(line, place);
  if (!isObject(parsed)) throw badInput(`${place}: expected {"name","objects","probes"}`);
  const [objects, probes] = [member(parsed, 'objects'), member(parsed, 'probes') ?? []];
  if (!Array.isArray(objects) || !Array.isArray(probes)) throw badInput(`${place}: expected lists objects and probes`);
  const made = (objects as readonly unknown[]).flatMap((raw) => itemsOfList(raw) ?? [raw]).map((raw) => toObject(raw));
  return {
    name: String(member(parsed, 'name') ?? place), objects: mergeObjects(made.filter((each): each is KubeObject => !isRefused(each))).objects, refused: made.filter(isRefused),
    probes: (probes as readonly unknown[]).map((given, at) => { const probe = orError(() => toProbe(given, `${place} probes[${at}]`)); return 'error' in probe ? { given, ...probe } : probe; }),
  };
};

/** One case a line. What is none, a line or a probe in it, is named by its place and keeps nobody else from being judged. */
export const readCases = (path: string): readonly (Case | BadCase)[] => readText(path).split('\n').flatMap((line, index): readonly (Case | BadCase)[] => {
  if (line.trim() === '') return [];
  const place = `${path}:${index + 1}`;
  const made = orError(() => toCase(line, place));
  return ['error' in made ? { name: place, ...made } : made];
});

export const isBadProbe = (probe: Probe | BadProbe): probe is BadProbe => 'error' in probe;

/** A line of results for what could not be asked. */
export const badCaseResult = ({ name, error }: BadCase) => ({ name, pass: false, got: 'error', message: error, probes: [], rejected: [] } as const);

/** A result for a probe that could not be asked, with what can be read of it. */
export const badProbeResult = ({ given, error }: BadProbe, engine: 'compiler' | 'kernel') => {
  const text = (name: string): string => { const value = isObject(given) ? member(given, name) : undefined; return typeof value === 'string' ? value : ''; };
  return {
    from: text('from'), to: text('to'), got: 'error', ok: false, direction: null, reason: null, rule: null, isolatedBy: [], audit: false, connected: null, message: error,
    evidence: { engine, sent: 0, arrived: 0, replied: 0, drops: 0, source: '', destination: '', node: '', seq: 0 },
  } as const;
};

export interface Rejection { readonly kind: string; readonly namespace: string; readonly name: string; readonly field: string; readonly value: string; readonly expected: string; readonly message: string }
export const rejections = (refused: readonly RefusedObject[]): readonly Rejection[] =>
  refused.flatMap(({ object, refusals }) => refusals.map(({ field, value, expected, message }) => ({ ...object, field, value, expected, message })));
