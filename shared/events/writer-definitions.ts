/** The schemas of writer.ts. */
import Type from 'typebox';

import { WRITER_EVENT_TYPES } from './writer.ts';

const WriterOpened = Type.Object({ epoch: Type.Integer({ minimum: 1 }), instance: Type.String(), build: Type.String() });
const WriterClosed = Type.Object({ epoch: Type.Integer({ minimum: 1 }), instance: Type.String() });

/** Written into each lane, so they are not of one lane's list. */
export const WRITER_EVENTS = [
  { type: WRITER_EVENT_TYPES.opened, key: '<lane>', summary: 'A process became the one writer of this lane: its term begins.', data: WriterOpened },
  { type: WRITER_EVENT_TYPES.closed, key: '<lane>', summary: 'The writer handed over: the next may begin at once.', data: WriterClosed },
] as const;
