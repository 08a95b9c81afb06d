/** The ipam lane, written by ipam. */
import Type from 'typebox';

import { defineEvent, type EventOfEach } from './event.ts';

export const podcidrAssigned = defineEvent({
  lane: 'ipam', type: 'podcidr.assigned.v1', key: '<node>', summary: "A node's block of pod addresses.",
  data: Type.Object({ node: Type.String(), cidrs: Type.Array(Type.String()) }),
});
export const podcidrReleased = defineEvent({
  lane: 'ipam', type: 'podcidr.released.v1', key: '<node>', summary: 'The block is free again.',
  data: Type.Object({ node: Type.String() }), gone: true,
});

export const IPAM_EVENTS = [podcidrAssigned, podcidrReleased] as const;
export type IpamEvent = EventOfEach<(typeof IPAM_EVENTS)[number]>;
