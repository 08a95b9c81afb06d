/** Bounds of what is stored (docs/limits.md says why). */
export const COMMIT_EVENTS_MAX = 512;
export const COMMIT_BYTES_MAX = 512 * 1024;
/** Of one event's envelope and data. Larger facts are refused visibly, never truncated. */
export const EVENT_BYTES_MAX = 64 * 1024;

/** `prev` of a lane's first commit. */
export const NO_PREVIOUS = '0'.repeat(64);
