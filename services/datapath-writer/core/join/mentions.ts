/** What a policy distinguishes, and so rows must. Pure. */
import type { CompiledPolicy, Peer } from '@seine/events';
import { formatPrefix, parsePrefix, type Prefix } from '@seine/model';

import { mentionedNames } from '../policy/index.ts';

export interface Mentions {
  /** By canonical text. */
  readonly prefixes: ReadonlyMap<string, Prefix>;
  /** `6/http` */
  readonly names: ReadonlySet<string>;
  /** Nodes are told apart as peers. */
  readonly nodesByLabel: boolean;
  /** The API server is told apart. */
  readonly apiServer: boolean;
}

const peersOf = (policy: CompiledPolicy): readonly Peer[] => [policy.subject, ...policy.rules.flatMap(({ peers }) => (peers === 'any' ? [] : peers))];

const prefixTexts = (peer: Peer): readonly string[] => {
  switch (peer.type) {
    case 'cidr': return [peer.cidr, ...peer.except];
    case 'labels': return peer.labels.flatMap(({ key }) => (key.startsWith('cidr:') ? [key.slice('cidr:'.length)] : []));
    case 'group': return peer.members.flatMap(prefixTexts);
    default: return [];
  }
};

const API_SERVER_ENTITIES: readonly string[] = ['kube-apiserver', 'cluster', 'cluster-mesh'];
const speaksOfApiServer = (peer: Peer): boolean =>
  (peer.type === 'entity' && API_SERVER_ENTITIES.includes(peer.entity)) || (peer.type === 'labels' && peer.labels.some(({ key }) => key === 'reserved:kube-apiserver' || key === 'any:kube-apiserver'));

export const mentionsOf = (policy: CompiledPolicy): Mentions => {
  const prefixes = new Map<string, Prefix>();
  let nodesByLabel = false;
  let apiServer = false;
  for (const peer of peersOf(policy)) {
    for (const text of prefixTexts(peer)) {
      const prefix = parsePrefix(text);
      if (prefix !== undefined) prefixes.set(formatPrefix(prefix), prefix);
    }
    nodesByLabel ||= peer.type === 'nodes' && peer !== policy.subject;
    apiServer ||= speaksOfApiServer(peer);
  }
  return { prefixes, names: mentionedNames([policy]), nodesByLabel, apiServer };
};
