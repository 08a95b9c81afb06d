/**
 * Moments, as every verb reads them: `#142`, `142`, `03:12`, `2026-11-21T03:12`, `-7d`. One parser. Pure: now comes in.
 */
import { badInput } from './verb/verb.ts';

export type Moment = { readonly type: 'sequence'; readonly seq: number } | { readonly type: 'time'; readonly ms: number };

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * @param now the clock, ms since the epoch; `03:12` is the last time that it was 03:12 local time
 * @throws SEINE_INPUT_INVALID naming the forms
 */
export const parseMoment = (text: string, now: number): Moment => {
  if (/^#?[0-9]{1,15}$/.test(text)) return { type: 'sequence', seq: Number(text.replace('#', '')) };
  const ago = /^-([0-9]+)([smhd])$/.exec(text);
  if (ago !== null) return { type: 'time', ms: now - Number(ago[1]) * UNIT_MS[ago[2] as keyof typeof UNIT_MS] }; // holds: the pattern names the keys
  const clock = /^([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?$/.exec(text);
  if (clock !== null) {
    const at = new Date(now);
    at.setHours(Number(clock[1]), Number(clock[2]), Number(clock[3] ?? 0), 0);
    if (at.getTime() > now) at.setDate(at.getDate() - 1);
    return { type: 'time', ms: at.getTime() };
  }
  if (/^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9:]+)?)?$/.test(text)) {
    const ms = new Date(text.includes('T') || !text.includes(' ') ? text : text.replace(' ', 'T')).getTime();
    if (!Number.isNaN(ms)) return { type: 'time', ms };
  }
  throw badInput(`${text}: expected a moment such as '#142', 03:12, 2026-11-21T03:12 or -7d`);
};
