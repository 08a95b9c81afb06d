/** `-o json|jsonl|yaml`. Pure. */
import { stringify } from 'yaml';

import type { Output } from '../verb/verb.ts';

/** @returns undefined when `output` is for people */
export const structured = (output: Output, value: unknown, items?: readonly unknown[]): string | undefined => {
  switch (output) {
    case 'json': return `${JSON.stringify(value, undefined, 2)}\n`;
    case 'jsonl': return (items ?? [value]).map((item) => `${JSON.stringify(item)}\n`).join('');
    case 'yaml': return stringify(value);
    default: return undefined;
  }
};
