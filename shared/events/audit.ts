/** The audit lane: what people and the install job did to the log itself. */
import Type from 'typebox';

import { defineEvent, type EventOfEach } from './event.ts';

/** The first commit of every log. A successor log names here what it continues. */
export const logCreated = defineEvent({
  lane: 'audit', type: 'log.created.v1', key: '<log>', summary: 'The genesis of this log: its id, and what it adds to the stream\'s sequences.',
  data: Type.Object({
    log: Type.String(),
    cluster: Type.String(),
    /** A sequence in Seine is `base` plus the stream's. */
    base: Type.Integer({ minimum: 0 }),
    build: Type.String(),
  }),
});

export const AUDIT_EVENTS = [logCreated] as const;
export type AuditEvent = EventOfEach<(typeof AUDIT_EVENTS)[number]>;
