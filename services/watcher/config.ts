import { parseSetting, SETTINGS, type SettingName } from '@seine/objects';
import { text, type Field, type Fields } from '@seine/role';

const settingField = (name: SettingName): Field<string> => ({ env: SETTINGS[name].env, description: SETTINGS[name].description, default: SETTINGS[name].fallback, parse: parseSetting(name) });

export const WATCHER_FIELDS = {
  manifests: { env: 'SEINE_MANIFESTS', description: 'Folder of manifests that stands for the API server.', parse: text },
  enforcementMode: settingField('policy-enforcement-mode'),
  cidrMatchMode: settingField('policy-cidr-match-mode'),
} as const satisfies Fields;
