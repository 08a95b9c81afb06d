export interface Asked { readonly from: string; readonly to: string; readonly protocol: string; readonly port?: number; readonly icmp?: { readonly type: number; readonly code: number } }
export const insideCidr: (address: string, cidr: string) => boolean;
export const selectorMeets: (selector: unknown, labels: Readonly<Record<string, string>>) => boolean;
export const naive: (objects: readonly unknown[], probe: Asked, defect?: string) => 'allow' | 'deny' | undefined;
export const triedDenials: (objects: readonly unknown[], probe: Asked) => readonly ('ingress' | 'egress')[];
