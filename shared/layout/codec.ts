/**
 * Rows ↔ bytes, by the generated layouts. Little-endian machines (x86-64, arm64). Pure.
 * Addresses are text in a row (`10.244.1.7`), MACs `aa:bb:…`, other byte arrays lower-case hex, 64-bit numbers bigint, all else numbers in host order.
 */
import { formatAddressAt, parseAddressInto, SeineError } from '@seine/model';

export interface FieldLayout {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly kind: 'int' | 'address' | 'mac' | 'bytes';
  readonly order: 'host' | 'big';
}
export interface StructLayout {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly FieldLayout[];
}

type Cell<F extends FieldLayout> = F['kind'] extends 'int' ? (F['size'] extends 8 ? bigint : number) : string;

/** What a row of this layout is in TypeScript; a renamed C field is a compile error. */
export type Row<L extends StructLayout> = { readonly [F in L['fields'][number] as F['name']]: Cell<F> };

type AnyRow = Readonly<Record<string, number | bigint | string>>;
type Writer = (bytes: Uint8Array, view: DataView, base: number, row: AnyRow) => void;
type Reader = (bytes: Uint8Array, view: DataView, base: number) => number | bigint | string;

const outOfRange = (layout: StructLayout, field: FieldLayout, value: unknown, wants: string): SeineError =>
  new SeineError('SEINE_LAYOUT_RANGE', `${layout.name}.${field.name} = ${String(value)}, wants ${wants}`, { struct: layout.name, field: field.name });

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

const parseHex = (text: string, separator: string, size: number): Uint8Array | undefined => {
  const digits = separator === '' ? text : text.split(separator).join('');
  if (digits.length !== 2 * size || !/^[0-9a-f]*$/.test(digits)) return undefined;
  return Uint8Array.from({ length: size }, (_, index) => Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16));
};

const writerOf = (layout: StructLayout, field: FieldLayout): Writer => {
  const { name, offset, size, kind, order } = field;
  const little = order === 'host';
  if (kind === 'address') {
    return (bytes, _view, base, row) => {
      const value = row[name];
      if (typeof value !== 'string' || !parseAddressInto(value, bytes, base + offset)) throw outOfRange(layout, field, value, 'an IP address');
    };
  }
  if (kind !== 'int') {
    const wants = kind === 'mac' ? 'a MAC address' : `${2 * size} hex digits`;
    const parse = (text: string) => parseHex(text, kind === 'mac' ? ':' : '', size);
    return (bytes, _view, base, row) => {
      const value = row[name];
      const parsed = typeof value === 'string' ? parse(value) : undefined;
      if (parsed === undefined) throw outOfRange(layout, field, value, wants);
      bytes.set(parsed, base + offset);
    };
  }
  if (size === 8) {
    return (_bytes, view, base, row) => {
      const value = row[name];
      if (typeof value !== 'bigint' || value < 0n || value >= 1n << 64n) throw outOfRange(layout, field, value, '0..2^64-1 as bigint');
      view.setBigUint64(base + offset, value, little);
    };
  }
  const limit = 2 ** (8 * size);
  const set = { 1: DataView.prototype.setUint8, 2: DataView.prototype.setUint16, 4: DataView.prototype.setUint32 }[size];
  if (set === undefined) throw new SeineError('SEINE_LAYOUT_MISMATCH', `${layout.name}.${name}: ${size} bytes of integer are not supported`);
  return (_bytes, view, base, row) => {
    const value = row[name];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value >= limit) throw outOfRange(layout, field, value, `0..2^${8 * size}-1`);
    set.call(view, base + offset, value, little);
  };
};

const readerOf = ({ offset, size, kind, order }: FieldLayout): Reader => {
  const little = order === 'host';
  switch (kind) {
    case 'address': return (bytes, _view, base) => formatAddressAt(bytes, base + offset);
    case 'mac': return (bytes, _view, base) => Array.from(bytes.subarray(base + offset, base + offset + 6), (byte) => HEX[byte]).join(':');
    case 'bytes': return (bytes, _view, base) => Array.from(bytes.subarray(base + offset, base + offset + size), (byte) => HEX[byte]).join('');
    case 'int':
      if (size === 8) return (_bytes, view, base) => view.getBigUint64(base + offset, little);
      if (size === 4) return (_bytes, view, base) => view.getUint32(base + offset, little);
      if (size === 2) return (_bytes, view, base) => view.getUint16(base + offset, little);
      return (_bytes, view, base) => view.getUint8(base + offset);
  }
};

interface Compiled { readonly writers: readonly Writer[]; readonly readers: readonly (readonly [string, Reader])[] }
const compiled = new WeakMap<StructLayout, Compiled>();

const compile = (layout: StructLayout): Compiled => {
  const known = compiled.get(layout);
  if (known !== undefined) return known;
  const made = {
    writers: layout.fields.map((field) => writerOf(layout, field)),
    readers: layout.fields.map((field) => [field.name, readerOf(field)] as const),
  };
  compiled.set(layout, made);
  return made;
};

/**
 * Rows into one buffer, one after the other; padding is zero.
 * @throws SEINE_LAYOUT_RANGE naming struct, field, value and range
 */
export const encodeAll = <const L extends StructLayout>(layout: L, rows: readonly Row<L>[]): Uint8Array => {
  const { writers } = compile(layout);
  const bytes = new Uint8Array(layout.size * rows.length);
  const view = new DataView(bytes.buffer);
  rows.forEach((row, index) => { for (const write of writers) write(bytes, view, index * layout.size, row as AnyRow); }); // a Row is such a record by construction
  return bytes;
};

export const encode = <const L extends StructLayout>(layout: L, row: Row<L>): Uint8Array => encodeAll(layout, [row]);

/** Larger than any struct. */
const SCRATCH = Buffer.alloc(1024);
const SCRATCH_VIEW = new DataView(SCRATCH.buffer, SCRATCH.byteOffset, SCRATCH.length);

/** @returns bytes that the next call overwrites. @throws SEINE_LAYOUT_RANGE */
export const encodeScratch = <const L extends StructLayout>(layout: L, row: Row<L>): DataView => {
  for (let at = 0; at < layout.size; at += 1) SCRATCH[at] = 0;
  for (const write of compile(layout).writers) write(SCRATCH, SCRATCH_VIEW, 0, row as AnyRow); // a Row is such a record by construction
  return SCRATCH_VIEW;
};

/** The same bytes as a text of one character each (latin1): the smallest way to keep very many rows. @throws SEINE_LAYOUT_RANGE */
export const encodeText = <const L extends StructLayout>(layout: L, row: Row<L>): string => {
  encodeScratch(layout, row);
  return SCRATCH.toString('latin1', 0, layout.size);
};

/** Of `encodeText`. */
export const decodeText = <const L extends StructLayout>(layout: L, text: string): Row<L> => {
  SCRATCH.write(text, 0, 'latin1');
  return decodeFrom<L>(compile(layout), SCRATCH, SCRATCH_VIEW, 0);
};

const decodeFrom = <const L extends StructLayout>({ readers }: Compiled, bytes: Uint8Array, view: DataView, offset: number): Row<L> => {
  const row: Record<string, number | bigint | string> = {};
  for (const [name, read] of readers) row[name] = read(bytes, view, offset);
  return row as Row<L>; // holds: each field of the layout was read by its kind
};
const viewOver = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** @param offset in bytes */
export const decode = <const L extends StructLayout>(layout: L, bytes: Uint8Array, offset = 0): Row<L> => decodeFrom<L>(compile(layout), bytes, viewOver(bytes), offset);

export const decodeAll = <const L extends StructLayout>(layout: L, bytes: Uint8Array, count: number): readonly Row<L>[] => {
  const made = compile(layout);
  const view = viewOver(bytes);
  return Array.from({ length: count }, (_, index) => decodeFrom<L>(made, bytes, view, index * layout.size));
};
