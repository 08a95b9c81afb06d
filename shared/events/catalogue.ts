/** Every event type as a process knows it at run time: lane, key, and whether the aggregate is gone after it. */
import type { Lane } from './event.ts';
import { DOORS } from './generated/doors.ts';

export interface CatalogueEntry {
  readonly type: string;
  /** `*`: every lane may hold it. */
  readonly lane: Lane | '*';
  readonly key: string;
  readonly summary: string;
  readonly gone: boolean;
  /** Of a former type: what it is read as. */
  readonly now?: string;
}

export const EVENT_CATALOGUE: readonly CatalogueEntry[] = DOORS;
