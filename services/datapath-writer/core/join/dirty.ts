/** Keys whose state may be another than when they were last looked at. Pure. */
import type { SeineEvent } from '@seine/events';

import type { NodeState } from '../fold.ts';

/** Nouns of events that a node's rows depend on. */
export const NOUNS = ['pod', 'node', 'endpoint', 'identity', 'podidentity', 'address', 'podcidr', 'policy', 'service', 'backends', 'hostports', 'ipmasqagent'] as const;
export type Noun = (typeof NOUNS)[number];

export type Dirty = Readonly<Record<Noun, Set<string>>>;

export const noDirt = (): Dirty => Object.fromEntries(NOUNS.map((noun) => [noun, new Set<string>()])) as unknown as Dirty; // fromEntries widens; every noun is there

/** What an event may have changed. */
export const soil = (dirty: Dirty, { type, key }: Pick<SeineEvent, 'type' | 'key'>): void => {
  const noun = type.slice(0, type.indexOf('.'));
  if (Object.hasOwn(dirty, noun)) dirty[noun as Noun].add(key); // as just asked
};

/** Everything there is: a join that starts from here is made from scratch. */
export const soilAll = (dirty: Dirty, state: Readonly<NodeState>): void => {
  const keys: Readonly<Record<Noun, Iterable<string | number>>> = {
    pod: state.pods.keys(), node: state.nodes.keys(), endpoint: state.endpoints.keys(), identity: state.identities.keys(), podidentity: state.podIdentities.keys(),
    address: state.addresses.keys(), podcidr: state.podCidrs.keys(), policy: state.policies.keys(), service: state.services.keys(), backends: state.slices.keys(),
    hostports: state.hostPorts.keys(), ipmasqagent: state.masqAgents.keys(),
  };
  for (const noun of NOUNS) for (const key of keys[noun]) dirty[noun].add(String(key));
};

export const clean = (dirty: Dirty): void => { for (const noun of NOUNS) dirty[noun].clear(); };
