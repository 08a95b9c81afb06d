/** The past decided again: what the log's facts make this build decide, against what is stored. Pure but for reading. */
import { createRederivation, type DecidedCommit, type Lane, type Rederivation } from '@seine/events';
import { identityDecider } from '@seine/identity-allocator';
import { DEFAULT_BLOCK_LENGTH, DEFAULT_POD_CIDR, ipamDecider } from '@seine/ipam';
import { policyDecider } from '@seine/policy-compiler';
import { serviceDecider } from '@seine/service-compiler';

/** Every lane of decisions, as its role decides; each reads the fact lane and its own. */
const rederivations = () => [
  { lane: 'identity', ...createRederivation(identityDecider, 'identity') },
  { lane: 'ipam', ...createRederivation(ipamDecider(DEFAULT_POD_CIDR, DEFAULT_BLOCK_LENGTH), 'ipam') },
  { lane: 'policy', ...createRederivation(policyDecider(), 'policy') },
  { lane: 'service', ...createRederivation(serviceDecider, 'service') },
] as const;

export type Rederived = Rederivation & { readonly lane: Lane };

/** @param commits of all lanes, in the stream's order */
export const rederive = async (commits: AsyncIterable<DecidedCommit> | Iterable<DecidedCommit>): Promise<readonly Rederived[]> => {
  const lanes = rederivations();
  for await (const commit of commits) for (const { lane, take } of lanes) if (commit.lane === 'fact' || commit.lane === lane) take(commit);
  return lanes.map(({ lane, verdict }) => ({ lane, ...verdict() }));
};

const said = (event: { readonly type: string; readonly key: string; readonly data: unknown } | undefined): string =>
  (event === undefined ? 'nothing' : `${event.type} ${event.key} ${JSON.stringify(event.data).slice(0, 200)}`);

export const rederivedText = (rederived: Rederived): string => (rederived.ok ?
  `${rederived.lane}: ${rederived.decisions} decisions, this build decides the same\n` :
  `${rederived.lane}: differs at #${rederived.at}\n  stored   ${said(rederived.stored)}\n  decided  ${said(rederived.decided)}\n`);
