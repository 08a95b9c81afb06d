export interface Asked { readonly from: string; readonly to: string; readonly family?: 4 | 6; readonly protocol: string; readonly port?: number; readonly icmp?: { readonly type: number; readonly code: number } }
export const insideCidr: (address: string, cidr: string) => boolean;
export const selectorMeets: (selector: unknown, labels: Readonly<Record<string, string>>) => boolean;
export const naive: (objects: readonly unknown[], probe: Asked, more?: { readonly defect?: string; readonly settings?: Readonly<Record<string, string>> }) => 'allow' | 'deny' | undefined;
export const triedDenials: (objects: readonly unknown[], probe: Asked, settings?: Readonly<Record<string, string>>) => Readonly<Record<'surely' | 'perhaps', readonly ('ingress' | 'egress')[]>>;
export const denialOf: (objects: readonly unknown[], probe: Asked, settings?: Readonly<Record<string, string>>) => { readonly direction: 'ingress' | 'egress'; readonly code: 133 | 181 } | undefined;
