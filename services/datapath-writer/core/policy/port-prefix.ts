/** Ranges of ports as prefixes, as the kernel's row look-up wants them. Pure. */

export interface PortPrefix {
  /** The first port of the prefix, host order; bits beyond `length` are zero. */
  readonly port: number;
  /** 0..16 */
  readonly length: number;
}

/** The fewest prefixes that cover exactly from..to (inclusive, 0..65535). */
export const portPrefixes = (from: number, to: number): readonly PortPrefix[] => {
  const prefixes: PortPrefix[] = [];
  for (let port = from; port <= to;) {
    let size = port === 0 ? 65536 : port & -port;
    while (port + size - 1 > to) size >>= 1;
    prefixes.push({ port, length: 16 - Math.log2(size) });
    port += size;
  }
  return prefixes;
};

export const prefixRange = ({ port, length }: PortPrefix): { readonly from: number; readonly to: number } => ({ from: port, to: port + (1 << (16 - length)) - 1 });
