/**
 * Services as kube-proxy programs them, for one family and TCP: chains of iptables, and nftables' verdict map. Text for `iptables-restore` and `nft -f`;
 * the layouts are those of kube-proxy 1.33, its names shortened. Pure.
 */
import { backendAddress, PORT, serviceAddress, TARGET_PORT } from './services.ts';

export interface Proxied { readonly index: number; readonly backends: readonly string[] }

/** @param last where the last of them is really served */
export const proxied = (count: number, last: string): readonly Proxied[] => Array.from({ length: count }, (_, index) => ({ index, backends: [index === count - 1 ? last : backendAddress(index)] }));

/** Sources inside are not masqueraded. */
const INSIDE = '10.0.0.0/8';
const MASQUERADE_MARK = '0x4000';
const NAME_DIGITS = 16;
const svc = (index: number): string => `KUBE-SVC-${String(index).padStart(NAME_DIGITS, '0')}`;
const sep = (index: number, at: number): string => `KUBE-SEP-${String.fromCharCode(65 + at)}${String(index).padStart(NAME_DIGITS - 1, '0')}`;
const comment = (text: string): string => `-m comment --comment "${text}"`;

const dispatch = ({ index }: Proxied): string =>
  `-A KUBE-SERVICES -d ${serviceAddress(index)}/32 -p tcp ${comment(`shop/s${index} cluster IP`)} -m tcp --dport ${PORT} -j ${svc(index)}\n`;
const chainNames = ({ index, backends }: Proxied): string => `:${svc(index)} - [0:0]\n${backends.map((_, at) => `:${sep(index, at)} - [0:0]\n`).join('')}`;
const chainRules = ({ index, backends }: Proxied): string => [
  `-A ${svc(index)} ! -s ${INSIDE} -d ${serviceAddress(index)}/32 -p tcp ${comment(`shop/s${index} cluster IP`)} -m tcp --dport ${PORT} -j KUBE-MARK-MASQ\n`,
  ...backends.flatMap((backend, at) => {
    const left = backends.length - at;
    return [
      `-A ${svc(index)} ${comment(`shop/s${index} -> ${backend}:${TARGET_PORT}`)} ${left > 1 ? `-m statistic --mode random --probability ${(1 / left).toFixed(11)} ` : ''}-j ${sep(index, at)}\n`,
      `-A ${sep(index, at)} -s ${backend}/32 ${comment(`shop/s${index}`)} -j KUBE-MARK-MASQ\n`,
      `-A ${sep(index, at)} -p tcp ${comment(`shop/s${index}`)} -m tcp -j DNAT --to-destination ${backend}:${TARGET_PORT}\n`,
    ];
  }),
].join('');

/** A full sync. */
export const iptablesAll = (services: readonly Proxied[]): string => `*nat
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
${services.map(chainNames).join('')}-A PREROUTING ${comment('kubernetes service portals')} -j KUBE-SERVICES
-A OUTPUT ${comment('kubernetes service portals')} -j KUBE-SERVICES
-A POSTROUTING ${comment('kubernetes postrouting rules')} -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --or-mark ${MASQUERADE_MARK}
-A KUBE-POSTROUTING -m mark ! --mark ${MASQUERADE_MARK}/${MASQUERADE_MARK} -j RETURN
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
${services.map(dispatch).join('')}${services.map(chainRules).join('')}COMMIT
`;

/** A partial sync: the chain that leads to all Services as a whole, and the chains of those that changed. */
export const iptablesSync = (services: readonly Proxied[], changed: readonly Proxied[]): string =>
  `*nat\n:KUBE-SERVICES - [0:0]\n${changed.map(chainNames).join('')}${services.map(dispatch).join('')}${changed.map(chainRules).join('')}COMMIT\n`;

/** What stands before any Service. */
export const nftBase = (): string => `table ip kube-proxy {
  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
  chain mark-for-masquerade { meta mark set meta mark or ${MASQUERADE_MARK}; }
  chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
  chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }
  chain nat-output { type nat hook output priority -100; jump services; }
  chain nat-postrouting { type nat hook postrouting priority srcnat; meta mark and ${MASQUERADE_MARK} == ${MASQUERADE_MARK} masquerade fully-random; }
}
`;

const nftChain = (name: string, ...rules: readonly string[]): string =>
  `add chain ip kube-proxy ${name}\nflush chain ip kube-proxy ${name}\n${rules.map((rule) => `add rule ip kube-proxy ${name} ${rule}\n`).join('')}`;

/** The chains of Services, as they are added and as they are changed. */
export const nftChains = (services: readonly Proxied[]): string => services.map(({ index, backends }) => [
  ...backends.map((backend, at) => nftChain(`endpoint-${index}-${at}`, `ip saddr ${backend} jump mark-for-masquerade`, `meta l4proto tcp dnat to ${backend}:${TARGET_PORT}`)),
  nftChain(`service-${index}`,
    `ip daddr ${serviceAddress(index)} tcp dport ${PORT} ip saddr != ${INSIDE} jump mark-for-masquerade`,
    `numgen random mod ${backends.length} vmap { ${backends.map((_, at) => `${at} : goto endpoint-${index}-${at}`).join(', ')} }`),
].join('')).join('');

/** New Services. */
export const nftAdd = (services: readonly Proxied[]): string =>
  `${nftChains(services)}add element ip kube-proxy service-ips { ${services.map(({ index }) => `${serviceAddress(index)} . tcp . ${PORT} : goto service-${index}`).join(', ')} }\n`;
