/** Where objects come from: a folder of manifests, an API server. One source serves one term as the lane's writer. */
import type { KubeObject, RefusedObject } from '@seine/objects';

import type { SeenPart } from '../core/index.ts';

export interface News {
  readonly objects: readonly KubeObject[];
  readonly refused: readonly RefusedObject[];
  readonly warnings: readonly string[];
  /** Absent: this is all that there is. */
  readonly part?: SeenPart;
}

export interface Source {
  /** Looks until the signal aborts, and calls `changed` whenever there is something to take. Begins with everything. */
  readonly run: (signal: AbortSignal, changed: () => void) => Promise<void>;
  /** What is new since the last time; undefined: nothing. */
  readonly take: () => Promise<News | undefined>;
}
