export const forbidden: (policy: Readonly<Record<string, unknown>>) => readonly string[];
