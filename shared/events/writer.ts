/** Events that every lane may hold: the terms of its writers. */
import Type from 'typebox';

export const WriterOpened = Type.Object({ epoch: Type.Integer(), instance: Type.String(), build: Type.String() });
export const WriterClosed = Type.Object({ epoch: Type.Integer(), instance: Type.String() });
export const WRITER_EVENT_TYPES = { opened: 'writer.opened.v1', closed: 'writer.closed.v1' } as const;
export interface WriterEvent {
  readonly type: 'writer.opened.v1' | 'writer.closed.v1';
  readonly key: string;
  readonly time: string;
  readonly traceparent?: string;
  readonly data: { readonly epoch: number; readonly instance: string; readonly build?: string };
}
