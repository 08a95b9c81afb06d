/** Canonical entries as people read them. Pure. */
export const entriesText = (entries: readonly { readonly map: string; readonly key: string; readonly value: string }[]): string =>
  entries.map(({ map, key, value }) => `${map}  ${key}  →  ${value}\n`).join('');
