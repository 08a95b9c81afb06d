/** The processes of a lab's nodes, asked over their unix sockets. */
import { connectObserver, connectWriter, withLab } from '@seine/lab/client';
import { placesOf } from '@seine/lab/places';
import type { UnixClient } from '@seine/node';

import { badInput } from './verb/verb.ts';

export interface LabNodeInfo { readonly name: string; readonly address: string; readonly netns: string; readonly run: string }

/** The lab's nodes, or the one that is named. @throws SEINE_INPUT_INVALID listing them */
export const labNodesOf = async (lab: string, only?: string): Promise<readonly LabNodeInfo[]> => {
  const nodes = await withLab(lab, (client) => client.call<readonly LabNodeInfo[]>('nodes'));
  if (only === undefined) return nodes;
  const found = nodes.filter(({ name }) => name === only);
  if (found.length === 0) throw badInput(`--node ${only}: expected one of ${nodes.map(({ name }) => name).join(', ')}`);
  return found;
};

const ask = async <T>(client: UnixClient, op: string, body: unknown): Promise<T> => {
  try { return await client.call<T>(op, body); } finally { client.close(); }
};

export const askWriter = async <T>(lab: string, node: string, op: string, body: unknown = {}): Promise<T> => ask<T>(await connectWriter(placesOf(lab), node), op, body);
export const askObserver = async <T>(lab: string, node: string, op: string, body: unknown = {}): Promise<T> => ask<T>(await connectObserver(placesOf(lab), node), op, body);
