/** Events that every lane may hold: the terms of its writers. Their key is the lane's name. */
export const WRITER_EVENT_TYPES = { opened: 'writer.opened.v1', closed: 'writer.closed.v1' } as const;

export interface WriterEvent {
  readonly type: 'writer.opened.v1' | 'writer.closed.v1';
  readonly key: string;
  readonly time: string;
  readonly traceparent?: string;
  readonly data: { readonly epoch: number; readonly instance: string; readonly build?: string };
}
