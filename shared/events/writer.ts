/** Events that every lane may hold: the terms of its writers. Their key is the lane's name. */
import Type from 'typebox';

export const WriterOpened = Type.Object({ epoch: Type.Integer({ minimum: 1 }), instance: Type.String(), build: Type.String() });
export const WriterClosed = Type.Object({ epoch: Type.Integer({ minimum: 1 }), instance: Type.String() });
export const WRITER_EVENT_TYPES = { opened: 'writer.opened.v1', closed: 'writer.closed.v1' } as const;

/** Written into each lane, so they are not of one lane's list. */
export const WRITER_EVENTS = [
  { type: WRITER_EVENT_TYPES.opened, key: '<lane>', summary: 'A process became the one writer of this lane: its term begins.', data: WriterOpened },
  { type: WRITER_EVENT_TYPES.closed, key: '<lane>', summary: 'The writer handed over: the next may begin at once.', data: WriterClosed },
] as const;

export interface WriterEvent {
  readonly type: 'writer.opened.v1' | 'writer.closed.v1';
  readonly key: string;
  readonly time: string;
  readonly traceparent?: string;
  readonly data: { readonly epoch: number; readonly instance: string; readonly build?: string };
}
