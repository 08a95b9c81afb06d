/**
 * Settings of the whole cluster that change verdicts, or what packets become. They are facts: the watcher is given them and says so, the policy-compiler
 * and the nodes read them from the log, so that a replay needs nobody's environment (docs/adr/0007-settings-are-facts.md). Pure.
 */
import { LB_MODES, LB_MODE_SETTING, MASQUERADE_SETTINGS, type CidrPeer } from '@seine/events';

/** In-cluster addresses that Cilium's CIDR rules do not mean. */
export interface PolicyOptions { readonly cidrNot: NonNullable<CidrPeer['not']> }
const CIDR_KINDS = ['pods', 'nodes'] as const;
export const DEFAULT_POLICY_OPTIONS: PolicyOptions = { cidrNot: CIDR_KINDS };

/**
 * default: a pod is isolated by the policies that select it; always: every pod is isolated both ways, whether a policy selects it or not;
 * never: no policy is enforced.
 */
export const ENFORCEMENT_MODES = ['default', 'always', 'never'] as const;
export type EnforcementMode = (typeof ENFORCEMENT_MODES)[number];

interface Setting { /** of the watcher */ readonly env: string; readonly description: string; readonly expected: string; readonly fallback: string; /** Its one spelling, or undefined. */ readonly normal: (text: string) => string | undefined }

const BOOLEANS = ['true', 'false'] as const;
const masqueradeSetting = <F extends 4 | 6>(family: F) => ({
  env: `SEINE_ENABLE_IPV${family}_MASQUERADE`,
  description: `Whether what pods send to the world over IPv${family} leaves with their node's address: true, false. Ranges of ip-masq-agent's ConfigMap do not.`, expected: 'true or false', fallback: 'false',
  normal: (text: string) => BOOLEANS.find((word) => word === text),
}) as const;

const wordsOf = (text: string): readonly string[] => text.split(',').map((word) => word.trim()).filter((word) => word !== '');

export const SETTINGS = {
  'policy-enforcement-mode': {
    env: 'SEINE_POLICY_ENFORCEMENT_MODE',
    description: 'Whether policies are enforced: default (on whom they select), always (whoever no rule allows is denied, on every pod), never.', expected: `one of ${ENFORCEMENT_MODES.join(', ')}`, fallback: 'default',
    normal: (text) => ENFORCEMENT_MODES.find((mode) => mode === text),
  },
  'policy-cidr-match-mode': {
    env: 'SEINE_POLICY_CIDR_MATCH_MODE',
    description: "Kinds in the cluster that CIDR rules of Cilium's policies mean as well: nodes, pods, or both with a comma.", expected: `some of ${CIDR_KINDS.join(', ')}, separated by commas, or nothing`, fallback: '',
    normal: (text) => { const words = wordsOf(text); return words.every((word) => (CIDR_KINDS as readonly string[]).includes(word)) ? CIDR_KINDS.filter((kind) => words.includes(kind)).join(',') : undefined; },
  },
  [MASQUERADE_SETTINGS[4]]: masqueradeSetting(4),
  [MASQUERADE_SETTINGS[6]]: masqueradeSetting(6),
  [LB_MODE_SETTING]: {
    env: 'SEINE_BPF_LB_MODE',
    description: 'Who answers a client outside for a pod on another node than the one it asked: snat (that node), dsr (the pod\'s node itself), hybrid (dsr for TCP, snat for the rest).', expected: `one of ${LB_MODES.join(', ')}`, fallback: 'snat',
    normal: (text) => LB_MODES.find((mode) => mode === text),
  },
} as const satisfies Readonly<Record<string, Setting>>;

export type SettingName = keyof typeof SETTINGS;
export type Settings = Readonly<Partial<Record<SettingName, string>>>;
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[]; // Object.keys widens; SETTINGS is closed

/** @throws Error saying what was expected */
export const parseSetting = (name: SettingName) => (text: string): string => {
  const normal = SETTINGS[name].normal(text);
  if (normal === undefined) throw new Error(SETTINGS[name].expected);
  return normal;
};

/** As the environment of the watcher. */
export const settingsEnv = (settings: Settings): Readonly<Record<string, string>> => Object.fromEntries(SETTING_NAMES.flatMap((name) => (settings[name] === undefined ? [] : [[SETTINGS[name].env, settings[name]]])));

export const isSettingName = (name: string): name is SettingName => Object.hasOwn(SETTINGS, name);

export const enforcementModeOf = (value: string): EnforcementMode => ENFORCEMENT_MODES.find((mode) => mode === value) ?? 'default';
export const policyOptionsOf = (value: string): PolicyOptions => ({ cidrNot: CIDR_KINDS.filter((kind) => !wordsOf(value).includes(kind)) });
