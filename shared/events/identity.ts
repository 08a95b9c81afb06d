/** The identity lane, written by the identity-allocator. */
import Type from 'typebox';

import { defineEvent, type EventOfEach } from './event.ts';

const IdentityNumber = Type.Integer({ minimum: 1, maximum: 65535 });

export const identityAllocated = defineEvent({
  lane: 'identity', type: 'identity.allocated.v1', key: '<identity>', summary: 'A label set has this number.',
  data: Type.Object({ identity: IdentityNumber, labels: Type.Array(Type.String()) }),
});
export const identityRetired = defineEvent({
  lane: 'identity', type: 'identity.retired.v1', key: '<identity>', summary: 'No new bindings; the same labels may revive it.',
  data: Type.Object({ identity: IdentityNumber, labels: Type.Array(Type.String()) }),
});
export const identityFreed = defineEvent({
  lane: 'identity', type: 'identity.freed.v1', key: '<identity>', summary: 'The number may be given to other labels.',
  data: Type.Object({ identity: IdentityNumber }), gone: true,
});

/** Committed when the pod is scheduled, normally before its CNI ADD. */
export const podidentityAssigned = defineEvent({
  lane: 'identity', type: 'podidentity.assigned.v1', key: '<namespace>/<pod>', summary: "This pod's identity, for this uid.",
  data: Type.Object({ uid: Type.String(), identity: IdentityNumber }),
});
export const podidentityRemoved = defineEvent({
  lane: 'identity', type: 'podidentity.removed.v1', key: '<namespace>/<pod>', summary: 'The pod is gone.',
  data: Type.Object({ uid: Type.String() }), gone: true,
});

export const addressBound = defineEvent({
  lane: 'identity', type: 'address.bound.v1', key: '<address>', summary: 'Who is behind a pod address, and on which node.',
  data: Type.Object({ identity: IdentityNumber, node: Type.String(), pod: Type.String(), uid: Type.String() }),
});
export const addressUnbound = defineEvent({
  lane: 'identity', type: 'address.unbound.v1', key: '<address>', summary: 'Nobody is behind the address.', data: Type.Object({}), gone: true,
});

export const IDENTITY_EVENTS = [
  identityAllocated, identityRetired, identityFreed, podidentityAssigned, podidentityRemoved, addressBound, addressUnbound,
] as const;
export type IdentityEvent = EventOfEach<(typeof IDENTITY_EVENTS)[number]>;
