/** Configuration of a process: one object, parsed once from the environment, each field declared with what it means. Pure. */
import { hostname } from 'node:os';

import { SeineError } from '@seine/model';

export interface Field<T> {
  /** `SEINE_…` */
  readonly env: string;
  readonly description: string;
  /** `ms`, `bytes`, …; absent for names and texts. */
  readonly unit?: string;
  /** As it would stand in the environment; absent: required. */
  readonly default?: string;
  /** Returns the value, or throws what was expected: `a whole number 1..65535`. */
  readonly parse: (text: string) => T;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;
export type ConfigOf<F extends Fields> = { readonly [Name in keyof F]: F[Name] extends Field<infer T> ? T : never };

const expected = (what: string): never => { throw new Error(what); };

export const text = (value: string): string => value;

export const wholeNumber = ({ min, max }: { readonly min: number; readonly max: number }) => (value: string): number => {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  return number >= min && number <= max ? number : expected(`a whole number ${min}..${max}`);
};

export const oneOf = <const Choice extends string>(...choices: readonly Choice[]) => (value: string): Choice =>
  choices.find((choice) => choice === value) ?? expected(`one of ${choices.join(', ')}`);

/** `true`, `false`, `1`, `0` */
export const yesOrNo = (value: string): boolean =>
  (value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : expected('true or false'));

const url = (value: string): string =>
  (value.split(',').every((part) => /^(nats|tls):\/\/[^\s/]+$/.test(part)) ? value : expected('nats://host:port, several separated by commas'));

/** Fields that every process has. */
export const COMMON_FIELDS = {
  natsUrl: { env: 'SEINE_NATS_URL', description: 'The broker.', default: 'nats://127.0.0.1:4222', parse: url },
  cluster: { env: 'SEINE_CLUSTER', description: 'Name of the cluster whose log this is.', default: 'default', parse: text },
  node: { env: 'SEINE_NODE', description: 'Name of the Kubernetes node that this process runs on.', default: hostname(), parse: text },
  instance: {
    env: 'SEINE_INSTANCE', description: 'Name of this replica among those of its role; a replica that comes back under its name writes again at once.',
    default: hostname(), parse: text,
  },
  runDir: { env: 'SEINE_RUN_DIR', description: 'Directory of the unix sockets.', default: '/run/seine', parse: text },
  stateDir: { env: 'SEINE_STATE_DIR', description: 'Directory of what survives a restart.', default: '/var/lib/seine', parse: text },
  logLevel: { env: 'SEINE_LOG_LEVEL', description: 'How much is logged.', default: 'info', parse: oneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent') },
  healthHost: { env: 'SEINE_HEALTH_HOST', description: 'Address of /healthz, /readyz and /metrics.', default: '127.0.0.1', parse: text },
  healthPort: { env: 'SEINE_HEALTH_PORT', description: 'Their port; 0 takes any free one and logs it.', default: '0', parse: wholeNumber({ min: 0, max: 65535 }) },
} as const satisfies Fields;

export type CommonConfig = ConfigOf<typeof COMMON_FIELDS>;

/** @throws SEINE_CONFIG_INVALID naming every bad value at once */
export const parseConfig = <F extends Fields>(fields: F, environment: Readonly<Record<string, string | undefined>>): ConfigOf<F> => {
  const wrong: string[] = [];
  const values = Object.entries(fields).map(([name, field]): [string, unknown] => {
    const given = environment[field.env] ?? field.default;
    if (given === undefined) {
      wrong.push(`${field.env} is not set, it is required: ${field.description}`);
      return [name, undefined];
    }
    try {
      return [name, field.parse(given)];
    } catch (error) {
      wrong.push(`${field.env} is ${JSON.stringify(given)}, ${error instanceof Error ? error.message : String(error)} was expected`);
      return [name, undefined];
    }
  });
  if (wrong.length > 0) throw new SeineError('SEINE_CONFIG_INVALID', wrong.join('\n'), { wrong });
  return Object.fromEntries(values) as ConfigOf<F>; // every field was parsed
};

/** What `--help` prints. */
export const describeConfig = (process: string, fields: Fields): string => {
  const lines = Object.values(fields).flatMap((field) => [
    `  ${field.env}${field.unit === undefined ? '' : ` (${field.unit})`}`,
    `      ${field.description} ${field.default === undefined ? 'Required.' : `Default: ${field.default === '' ? 'empty' : field.default}`}`,
  ]);
  return `${process}: configured by the environment\n\n${lines.join('\n')}\n`;
};
