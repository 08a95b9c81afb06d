/** How XDP is asked for, and in which ways an interface is then tried. */
export const XDP_SETTINGS = ['off', 'auto', 'native', 'generic'] as const;
export type XdpSetting = (typeof XDP_SETTINGS)[number];

export type XdpWay = 'native' | 'generic';

/** What a veth turns round natively it loses, unless its peer polls as well; nothing tells from here whether it does. */
const LOSES_NATIVELY = 'veth';

/** @param kind the interface's, as the kernel calls it; @returns the ways in order, the first that is taken stands */
export const xdpModes = (setting: XdpSetting, kind: string): readonly XdpWay[] => {
  switch (setting) {
    case 'off': return [];
    case 'auto': return kind === LOSES_NATIVELY ? ['generic'] : ['native', 'generic'];
    default: return [setting];
  }
};
