/** The echo of a key: 32 bits that a value carries beside what it decides; bpf/lib/echo.h computes the same. Pure. */
import { encode, type Row, type StructLayout } from './codec.ts';

/** @param bytes a whole number of 32-bit words */
export const echoOfBytes = (bytes: Uint8Array): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let hash = 0x5e1e5e1e;
  for (let offset = 0; offset < bytes.byteLength; offset += 4) hash = Math.imul(hash ^ view.getUint32(offset, true), 0x9e3779b1);
  return (hash ^ (hash >>> 16)) >>> 0;
};

export const echoOf = <const L extends StructLayout>(layout: L, key: Row<L>): number => echoOfBytes(encode(layout, key));
