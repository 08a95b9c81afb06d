/**
 * Is a text a regular expression of RE2's syntax, which HTTP rules are written in? One pass over it, nothing is compiled: strangers' expressions
 * cannot cost more than their length. JavaScript's own expressions differ (classes by name, inline flags, no back references). Pure.
 */
const MOST_REPEATS = 1000;

const GROUP = /\((?:\?(?:P?<[A-Za-z_][A-Za-z0-9_]*>|[imsU]*(?:-[imsU]+)?:))?/y;
const FLAGS = /\(\?(?:[imsU]+(?:-[imsU]+)?|-[imsU]+)\)/y;
const COUNT = /\{([0-9]{1,4})(,([0-9]{0,4}))?\}/y;
const ESCAPE = /\\(?:[afnrtvdDsSwWbBAzC]|[0-7]{1,3}|x[0-9A-Fa-f]{2}|x\{[0-9A-Fa-f]{1,6}\}|[pP](?:[A-Z]|\{\^?[A-Za-z_]+\})|[^A-Za-z0-9])/uy;
const NAMED_CLASS = /\[:\^?(?:alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit):\]/y;

const matchAt = (pattern: RegExp, text: string, at: number): RegExpExecArray | null => {
  pattern.lastIndex = at;
  return pattern.exec(text);
};

/** A back reference is no escape of RE2: `\1` to `\9` alone are not octal. */
const escapeAt = (text: string, at: number): number => {
  const found = matchAt(ESCAPE, text, at)?.[0];
  return found === undefined || /^\\[1-7]$/.test(found) ? 0 : found.length;
};

/** Length of the class that begins at `at`; 0 when it is none. */
const classLength = (text: string, at: number): number => {
  let next = at + (text[at + 1] === '^' ? 2 : 1);
  let low: string | undefined;
  for (let first = true; next < text.length; first = false) {
    if (text[next] === ']' && !first) return next + 1 - at;
    const named = matchAt(NAMED_CLASS, text, next)?.[0];
    if (named !== undefined) { next += named.length; low = undefined; continue; }
    const isRange = text[next] === '-' && low !== undefined && text[next + 1] !== ']';
    const start = isRange ? next + 1 : next;
    const length = text[start] === '\\' ? escapeAt(text, start) : 1;
    if (length === 0 || start >= text.length) return 0;
    const item = text.slice(start, start + length);
    if (isRange && low!.length === 1 && length === 1 && item < low!) return 0; // isRange says low is there
    low = isRange ? undefined : item;
    next = start + length;
  }
  return 0;
};

/** What stands at `at`: how long it is, and whether something to repeat has ended there. Undefined: nothing that may stand there. */
type Token = { readonly length: number; readonly kind: 'atom' | 'open' | 'close' | 'or' | 'flags' | 'repeat' };

const countToken = (text: string, at: number): Token | undefined => {
  const count = matchAt(COUNT, text, at);
  if (count === null) return { length: 1, kind: 'atom' };
  const least = Number(count[1]);
  const most = count[2] === undefined || count[3] === '' ? least : Number(count[3]);
  return most < least || most > MOST_REPEATS ? undefined : { length: count[0].length, kind: 'repeat' };
};

const escapeToken = (text: string, at: number): Token | undefined => {
  if (text[at + 1] === 'Q') {
    const end = text.indexOf('\\E', at + 2);
    return { length: (end < 0 ? text.length : end + 2) - at, kind: 'atom' };
  }
  const length = escapeAt(text, at);
  return length === 0 ? undefined : { length, kind: 'atom' };
};

const tokenAt = (text: string, at: number): Token | undefined => {
  switch (text[at]) {
    case '(': {
      const flags = matchAt(FLAGS, text, at);
      if (flags !== null) return { length: flags[0].length, kind: 'flags' };
      const group = matchAt(GROUP, text, at)![0]; // a lone bracket matches too
      return text[at + 1] === '?' && group.length === 1 ? undefined : { length: group.length, kind: 'open' };
    }
    case ')': return { length: 1, kind: 'close' };
    case '|': return { length: 1, kind: 'or' };
    case '[': { const length = classLength(text, at); return length === 0 ? undefined : { length, kind: 'atom' }; }
    case '*': case '+': case '?': return { length: 1, kind: 'repeat' };
    case '{': return countToken(text, at);
    case '\\': return escapeToken(text, at);
    default: return { length: 1, kind: 'atom' };
  }
};

export const isRegularExpression = (text: string): boolean => {
  let depth = 0;
  let repeatable = false;
  for (let at = 0; at < text.length;) {
    const token = tokenAt(text, at);
    if (token === undefined) return false;
    if (token.kind === 'repeat' && !repeatable) return false;
    depth += token.kind === 'open' ? 1 : token.kind === 'close' ? -1 : 0;
    if (depth < 0) return false;
    repeatable = token.kind === 'atom' || token.kind === 'close';
    at += token.length;
    if (token.kind === 'repeat' && text[at] === '?') at += 1; // as few as possible
  }
  return depth === 0;
};
