/** What masquerade depends on: a setting for each family, and that the one ConfigMap which names its ranges was looked for. */
export const MASQUERADE_SETTINGS = { 4: 'enable-ipv4-masquerade', 6: 'enable-ipv6-masquerade' } as const;

/** Until the log says that it was listed nobody knows which ranges are not masqueraded: nothing is. */
export const MASQUERADE_KIND = 'ConfigMap';
