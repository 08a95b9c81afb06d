/** What the loader does to maps, as an interface: the real kernel (bpf.ts) and a fake that behaves like it; one conformance suite for both. */

export interface MapHandle {
  readonly fd: number;
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

export interface MapSpec {
  readonly name: string;
  /** `hash`, `lru_hash`, `array`, `lpm_trie` */
  readonly type: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

/** Keys and values are whole entries one after the other. */
export interface Entries { readonly keys: Uint8Array; readonly values: Uint8Array; readonly count: number }

export interface MapKernel {
  readonly createMap: (spec: MapSpec) => MapHandle;
  /** Inserts or overwrites, in order. @throws SEINE_KERNEL_E2BIG on a full map; `details.done` entries were written */
  readonly updateBatch: (map: MapHandle, entries: Entries) => void;
  /** Keys that are not there are no error. */
  readonly deleteBatch: (map: MapHandle, keys: Uint8Array, count: number) => void;
  readonly lookup: (map: MapHandle, key: Uint8Array) => Uint8Array | undefined;
  /** Every entry; one that comes or goes during the dump may or may not be in it. */
  readonly dump: (map: MapHandle) => Entries;
  readonly closeMap: (map: MapHandle) => void;
}
