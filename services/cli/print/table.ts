/** Columns of text. Pure. */

/** Left-aligned columns, two spaces between, no trailing blanks; the first row is the head. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, index) => { widths[index] = Math.max(widths[index] ?? 0, cell.length); });
  return rows
    .map((row) => row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index]!))).join('  ').trimEnd())
    .map((line) => `${line}\n`)
    .join('');
};
