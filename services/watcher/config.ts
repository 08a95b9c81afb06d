import { parseSetting, SETTINGS, type SettingName } from '@seine/objects';
import { oneOf, text, type Field, type Fields } from '@seine/role';

const settingField = (name: SettingName): Field<string> => ({ env: SETTINGS[name].env, description: SETTINGS[name].description, default: SETTINGS[name].fallback, parse: parseSetting(name) });

export const WATCHER_FIELDS = {
  source: { env: 'SEINE_SOURCE', description: 'Where objects come from: folder (SEINE_MANIFESTS), kubernetes (an API server: list and watch).', default: 'folder', parse: oneOf('folder', 'kubernetes') },
  manifests: { env: 'SEINE_MANIFESTS', description: 'Folder of manifests that stands for the API server.', default: '', parse: text },
  kubeconfig: { env: 'SEINE_KUBECONFIG', description: 'How to reach the API server; empty: as kubectl finds it, or the service account of the pod.', default: '', parse: text },
  context: { env: 'SEINE_CONTEXT', description: 'Context of the kubeconfig; empty: its current one.', default: '', parse: text },
  enforcementMode: settingField('policy-enforcement-mode'),
  cidrMatchMode: settingField('policy-cidr-match-mode'),
  ipv4Masquerade: settingField('enable-ipv4-masquerade'),
  ipv6Masquerade: settingField('enable-ipv6-masquerade'),
  lbMode: settingField('bpf-lb-mode'),
} as const satisfies Fields;
