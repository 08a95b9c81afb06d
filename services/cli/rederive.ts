/** The past decided again: what the log's facts make this build decide, against what is stored. Pure. */
import { createRederivation, type DecidedCommit, type Lane, type Rederivation } from '@seine/events';
import { identityDecider } from '@seine/identity-allocator';
import { DEFAULT_POD_CIDR, ipamDecider, parsePools, type Pool } from '@seine/ipam';
import { POD_CIDRS } from '@seine/lab';
import { familyOf } from '@seine/model';
import { policyDecider } from '@seine/policy-compiler';
import { serviceDecider } from '@seine/service-compiler';

/** The ranges that the log's first block tells of: which families the cluster has is configuration, and no fact. */
const poolsOf = (commits: readonly DecidedCommit[]): readonly Pool[] => {
  const first = commits.flatMap(({ events }) => events).find(({ type }) => type === 'podcidr.assigned.v1');
  const families = first?.type === 'podcidr.assigned.v1' ? [...new Set(first.data.cidrs.map(familyOf))] : [];
  return parsePools(families.length === 0 ? DEFAULT_POD_CIDR : families.map((family) => POD_CIDRS[family]).join(','));
};

/** Every lane of decisions, as its role decides; each reads the fact lane and its own. */
const rederivations = (pools: readonly Pool[]) => [
  { lane: 'identity', ...createRederivation(identityDecider, 'identity') },
  { lane: 'ipam', ...createRederivation(ipamDecider(pools), 'ipam') },
  { lane: 'policy', ...createRederivation(policyDecider(), 'policy') },
  { lane: 'service', ...createRederivation(serviceDecider, 'service') },
] as const;

export type Rederived = Rederivation & { readonly lane: Lane };

/** @param commits of all lanes, in the stream's order */
export const rederive = (commits: readonly DecidedCommit[]): readonly Rederived[] => {
  const lanes = rederivations(poolsOf(commits));
  for (const commit of commits) for (const { lane, take } of lanes) if (commit.lane === 'fact' || commit.lane === lane) take(commit);
  return lanes.map(({ lane, verdict }) => ({ lane, ...verdict() }));
};

const said = (event: { readonly type: string; readonly key: string; readonly data: unknown } | undefined): string =>
  (event === undefined ? 'nothing' : `${event.type} ${event.key} ${JSON.stringify(event.data).slice(0, 200)}`);

export const rederivedText = (rederived: Rederived): string => (rederived.ok ?
  `${rederived.lane}: ${rederived.decisions} decisions, this build decides the same\n` :
  `${rederived.lane}: differs at #${rederived.at}\n  stored   ${said(rederived.stored)}\n  decided  ${said(rederived.decided)}\n`);
