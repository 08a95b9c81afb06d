/** A short name for a text: 53 bits as 14 hex digits. For names and caches, never for trust (the log's hashes are SHA-256). Pure. */
export const digest = (text: string): string => {
  const { high, low } = digestWords(text);
  return high.toString(16).padStart(6, '0') + low.toString(16).padStart(8, '0');
};

/** The same as two numbers: 21 bits above 32. */
export const digestWords = (text: string): { readonly high: number; readonly low: number } => {
  let high = 0xdeadbeef;
  let low = 0x41c6ce57;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    high = Math.imul(high ^ code, 2654435761);
    low = Math.imul(low ^ code, 1597334677);
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  return { high: low & 0x1fffff, low: high >>> 0 };
};
