/** The list of every event; what else is known about events is derived from it. */
import { AUDIT_EVENTS, type AuditEvent } from './audit.ts';
import { FACTS, type FactEvent } from './fact/index.ts';
import { IDENTITY_EVENTS, type IdentityEvent } from './identity.ts';
import { IPAM_EVENTS, type IpamEvent } from './ipam.ts';
import { POLICY_EVENTS, type PolicyEvent } from './policy.ts';
import { FORMER_SERVICE_EVENTS, SERVICE_EVENTS, type ServiceEvent } from './service.ts';
import type { WriterEvent } from './writer.ts';

/** Every event that is defined, by lane; the order is that of docs/events.md. */
export const EVENT_DEFINITIONS = [
  ...FACTS, ...IDENTITY_EVENTS, ...IPAM_EVENTS, ...POLICY_EVENTS, ...SERVICE_EVENTS, ...AUDIT_EVENTS,
] as const;

/** What former builds wrote: its examples stay, and no fold knows of it. */
export const FORMER_DEFINITIONS = [...FORMER_SERVICE_EVENTS] as const;

export type SeineEvent = FactEvent | IdentityEvent | IpamEvent | PolicyEvent | ServiceEvent | AuditEvent | WriterEvent;
