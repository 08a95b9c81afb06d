/** CloudEvents 1.0 structured, inside a commit: the schemas of the door. */
import Type from 'typebox';

import { LANES } from './event.ts';
import { COMMIT_EVENTS_MAX } from './limits.ts';

export const CloudEvent = Type.Object({
  specversion: Type.Literal('1.0'),
  id: Type.String({ minLength: 1 }),
  source: Type.String({ minLength: 1 }),
  type: Type.String(),
  subject: Type.String(),
  time: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d+)?(Z|[+-]\\d\\d:\\d\\d)$' }),
  traceparent: Type.Optional(Type.String()),
  data: Type.Object({}),
});

export const CommitEnvelope = Type.Object({
  log: Type.String({ minLength: 1 }),
  lane: Type.Union(LANES.map((lane) => Type.Literal(lane))),
  laneSeq: Type.Integer({ minimum: 1 }),
  epoch: Type.Integer({ minimum: 0 }),
  prev: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  seen: Type.Integer({ minimum: 0 }),
  writer: Type.String(),
  events: Type.Array(CloudEvent, { maxItems: COMMIT_EVENTS_MAX }),
});
