/** Events of former builds, as this one writes them: no fold knows of them. Pure. */
import { packBackends } from './backends.ts';
import type { CompiledBackends } from './service.ts';

interface Stored { readonly type: string; readonly data: unknown }

const UPCASTS: Readonly<Record<string, (data: never) => Stored>> = {
  'backends.compiled.v1': (data: CompiledBackends) => ({ type: 'backends.compiled.v2', data: packBackends(data) }),
};

/** @param event whose data the door of its type has checked. @throws SEINE_EVENT_MALFORMED */
export const upcast = <Event extends Stored>(event: Event): Event => (Object.hasOwn(UPCASTS, event.type) ? { ...event, ...UPCASTS[event.type]!(event.data as never) } : event); // as the door checked it
