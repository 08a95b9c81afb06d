/** The echo of a key: 32 bits that a value carries beside what it decides; bpf/lib/echo.h computes the same. Pure. */
import { encodeScratch, type Row, type StructLayout } from './codec.ts';

const echoOfView = (view: DataView, size: number): number => {
  let hash = 0x5e1e5e1e;
  for (let offset = 0; offset < size; offset += 4) hash = Math.imul(hash ^ view.getUint32(offset, true), 0x9e3779b1);
  return (hash ^ (hash >>> 16)) >>> 0;
};

/** @param bytes a whole number of 32-bit words */
export const echoOfBytes = (bytes: Uint8Array): number => echoOfView(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes.byteLength);

export const echoOf = <const L extends StructLayout>(layout: L, key: Row<L>): number => echoOfView(encodeScratch(layout, key), layout.size);
