import { text, type Fields } from '@seine/role';

export const WATCHER_FIELDS = {
  manifests: { env: 'SEINE_MANIFESTS', description: 'Folder of manifests that stands for the API server.', parse: text },
} as const satisfies Fields;
