/** What goes wrong on the way to an API server, for callers to branch on. Pure. */
import { SeineError } from '@seine/model';

/** What a person gave is wrong: a kubeconfig, a context, a file that it names. */
export const badAccess = (sentence: string): SeineError => new SeineError('SEINE_INPUT_INVALID', sentence);

/** Nobody answers, or not in time, or not as an API server does. */
export const unreachable = (sentence: string): SeineError => new SeineError('SEINE_PEER_UNREACHABLE', sentence);
