/** The echo of a peer key without a buffer for each: there are hundreds of thousands. Pure. */
import { echoOfBytes, MAPS } from '@seine/layout';
import type { AnyRow } from '@seine/node';

const bytes = new Uint8Array(MAPS.sn_peer_01.key.size);
const view = new DataView(bytes.buffer);
const FIELDS = MAPS.sn_peer_01.key.fields;

/** @param key of a row of the peer map */
export const peerEcho = (key: AnyRow): number => {
  for (const { name, offset } of FIELDS) view.setUint32(offset, key[name] as number, true); // three numbers of 32 bits
  return echoOfBytes(bytes);
};
