/** What a verb of `seine` is, and how all verbs read their arguments. */
import { parseArgs, type ParseArgsConfig } from 'node:util';

import { IP_FAMILIES, type IpFamilyName } from '@seine/lab';
import { SeineError, type IpFamily } from '@seine/model';
import { isSettingName, SETTING_NAMES, SETTINGS, type Settings } from '@seine/objects';

export interface Io {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Standard output is a terminal: colours and live tables are welcome. */
  readonly terminal: boolean;
  readonly signal: AbortSignal;
}

export interface Verb {
  readonly name: string;
  /** One line of the verb table. */
  readonly summary: string;
  /** The text of `seine VERB --help`: forms, then sentences, then the exit codes. */
  readonly usage: string;
  /** Command lines that can be tried as they stand, and what they are for. */
  readonly examples: readonly (readonly [string, string])[];
  /** @returns the exit code: 0 yes or done, 1 no or different, 2 bad input, 3 cannot reach or not converged */
  readonly run: (args: readonly string[], io: Io) => Promise<number>;
}

export const EXIT = { yes: 0, no: 1, badInput: 2, unreachable: 3 } as const;

/** Bad input of a person: exit 2, one sentence. */
export const badInput = (sentence: string, details: Readonly<Record<string, unknown>> = {}): SeineError =>
  new SeineError('SEINE_INPUT_INVALID', sentence, details);

/** Nobody answers, or not in time: exit 3, one sentence. */
export const unreachable = (sentence: string, details: Readonly<Record<string, unknown>> = {}): SeineError =>
  new SeineError('SEINE_PEER_UNREACHABLE', sentence, details);

/** Exit code of a failed verb. */
export const exitCodeOf = (error: unknown): number =>
  error instanceof SeineError && error.code === 'SEINE_PEER_UNREACHABLE' ? EXIT.unreachable : EXIT.badInput;

type Options = NonNullable<ParseArgsConfig['options']>;

/** `node:util` parseArgs, strict, with its complaint as bad input. */
export const readArgs = <const O extends Options>(args: readonly string[], options: O) => {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    throw badInput((error as Error).message.split('\n')[0]!.replace(/\. To specify.*$/, ''));
  }
};

export const OUTPUTS = ['table', 'wide', 'json', 'jsonl', 'yaml'] as const;
export type Output = (typeof OUTPUTS)[number];

/** Checks `-o`. */
export const readOutput = (value: string | undefined, allowed: readonly Output[] = OUTPUTS): Output => {
  const output = value ?? 'table';
  if (!(allowed as readonly string[]).includes(output)) throw badInput(`-o ${output}: expected one of ${allowed.join(', ')}`);
  return output as Output; // holds: it is in `allowed`
};

/** A whole number in a range, or bad input that names the option. */
export const readInteger = (option: string, value: string, { min, max }: { readonly min: number; readonly max: number }): number => {
  const number = /^[0-9]+$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= min && number <= max)) throw badInput(`${option} ${value}: expected a whole number from ${min} to ${max}`);
  return number;
};

/** `--family 6`: the one in which both ends of a probe speak. */
export const readFamily = (value: string | undefined): IpFamily | undefined => {
  if (value !== undefined && value !== '4' && value !== '6') throw badInput(`--family ${value}: expected 4 or 6`);
  return value === undefined ? undefined : value === '4' ? 4 : 6;
};

/** `--xdp auto`: as SEINE_XDP. */
const XDP_SETTINGS: readonly string[] = ['off', 'auto', 'native', 'generic'];
export const readXdp = (value: string): string => {
  if (!XDP_SETTINGS.includes(value)) throw badInput(`--xdp: ${JSON.stringify(value)}: expected one of ${XDP_SETTINGS.join(', ')}`);
  return value;
};

/** `--ip-family dual`: those of the lab, or of the cluster on paper. */
export const readIpFamily = (value: string): IpFamilyName => {
  if (!Object.hasOwn(IP_FAMILIES, value)) throw badInput(`--ip-family ${value}: expected one of ${Object.keys(IP_FAMILIES).join(', ')}`);
  return value as IpFamilyName; // a name of IP_FAMILIES
};

/** `--set policy-enforcement-mode=always` */
export const readSettings = (given: readonly string[] = []): Settings => Object.fromEntries(given.map((text) => {
  const [name, value] = [text.slice(0, Math.max(text.indexOf('='), 0)), text.slice(text.indexOf('=') + 1)];
  if (!isSettingName(name)) throw badInput(`--set ${text}: expected NAME=VALUE, NAME one of ${SETTING_NAMES.join(', ')}`);
  const normal = SETTINGS[name].normal(value);
  if (normal === undefined) throw badInput(`--set ${text}: expected ${SETTINGS[name].expected}`);
  return [name, normal];
}));

/** `500ms`, `30s`, `5m`, `2h`, `7d` → milliseconds. */
export const readDuration = (option: string, value: string): number => {
  const match = /^([0-9]+)(ms|s|m|h|d)$/.exec(value);
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match?.[2] ?? ''];
  if (match === null || unit === undefined) throw badInput(`${option} ${value}: expected a duration such as 500ms, 30s, 5m, 2h, 7d`);
  return Number(match[1]) * unit;
};
