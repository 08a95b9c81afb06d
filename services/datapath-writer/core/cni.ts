/** CNI requests: parsed whole or refused with field, value and expectation. Pure. */
import { familyOf, formatAddress, parseAddress, SeineError, type IpFamily } from '@seine/model';
import type { CniRequest } from '@seine/node';

/** Error codes of the CNI specification. */
export const CNI_ERROR = { incompatibleVersion: 1, unsupportedField: 2, unknownContainer: 3, badEnvironment: 4, io: 5, decode: 6, badConfig: 7, tryAgain: 11, notAvailable: 50 } as const;
export const CNI_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

export interface CniCall {
  readonly command: 'ADD' | 'DEL' | 'CHECK' | 'STATUS';
  readonly version: string;
  readonly containerId: string;
  readonly netns: string;
  readonly podInterface: string;
  /** `<namespace>/<name>`; '' where a DEL does not say. */
  readonly pod: string;
  readonly uid: string;
  /** Those that the caller wants: at most one of each family. */
  readonly addresses: readonly string[];
}

/** A refusal: `details.cni` is the CNI code. */
export const cniError = (cni: number, message: string): SeineError => new SeineError('SEINE_CNI_REFUSED', message, { cni });

const COMMANDS = ['ADD', 'DEL', 'CHECK', 'STATUS'] as const;
const CONTAINER_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,255}$/;
const POD_NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** `K=V;K=V`; unknown keys are allowed, as IgnoreUnknown asks. */
const parseArgs = (text: string): ReadonlyMap<string, string> =>
  new Map(text.split(';').filter((part) => part !== '').map((part) => {
    const equals = part.indexOf('=');
    if (equals <= 0) throw cniError(CNI_ERROR.badEnvironment, `CNI_ARGS: ${JSON.stringify(part)}: expected KEY=VALUE pairs separated by ";"`);
    return [part.slice(0, equals), part.slice(equals + 1)] as const;
  }));

/** `IP`: an address, or one of each family separated by a comma. */
const parseAddresses = (text: string | undefined): readonly string[] => {
  const addresses = (text === undefined ? [] : text.split(',')).map((part) => {
    const bytes = parseAddress(part);
    if (bytes === undefined || familyOf(formatAddress(bytes)) !== familyOf(part)) throw cniError(CNI_ERROR.badEnvironment, `CNI_ARGS IP: ${JSON.stringify(part)}: expected an IP address`);
    return formatAddress(bytes);
  });
  if (new Set(addresses.map(familyOf)).size < addresses.length) throw cniError(CNI_ERROR.badEnvironment, `CNI_ARGS IP: ${JSON.stringify(text)}: expected at most one address of each family`);
  return addresses;
};

/** @throws SEINE_CNI_REFUSED */
export const parseCni = ({ env, stdin }: CniRequest): CniCall => {
  const variable = (name: string): string => env[name] ?? '';
  const command = COMMANDS.find((known) => known === variable('CNI_COMMAND'));
  if (command === undefined) throw cniError(CNI_ERROR.badEnvironment, `CNI_COMMAND: ${JSON.stringify(variable('CNI_COMMAND'))}: expected one of ${COMMANDS.join(', ')}, VERSION`);
  let config: unknown;
  try {
    config = JSON.parse(stdin);
  } catch {
    throw cniError(CNI_ERROR.decode, `standard input: ${JSON.stringify(stdin.slice(0, 80))}: expected the network configuration as JSON`);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) throw cniError(CNI_ERROR.decode, 'standard input: expected a JSON object');
  const { cniVersion } = config as { readonly cniVersion?: unknown };
  const version = CNI_VERSIONS.find((known) => known === cniVersion);
  if (version === undefined) throw cniError(CNI_ERROR.incompatibleVersion, `cniVersion: ${JSON.stringify(cniVersion) ?? 'nothing'}: expected one of ${CNI_VERSIONS.join(', ')}`);
  const base = { command, version, containerId: '', netns: '', podInterface: '', pod: '', uid: '', addresses: [] };
  if (command === 'STATUS') return base;
  const containerId = variable('CNI_CONTAINERID');
  if (!CONTAINER_ID.test(containerId)) throw cniError(CNI_ERROR.badEnvironment, `CNI_CONTAINERID: ${JSON.stringify(containerId)}: expected letters, digits, "_", ".", "-", at most 256`);
  const podInterface = variable('CNI_IFNAME');
  if (!/^[^/\s:]{1,15}$/.test(podInterface) || podInterface === '.' || podInterface === '..') throw cniError(CNI_ERROR.badEnvironment, `CNI_IFNAME: ${JSON.stringify(podInterface)}: expected an interface name of 1 to 15 characters without "/", ":" or blanks`);
  const netns = variable('CNI_NETNS');
  if (command !== 'DEL' && !netns.startsWith('/')) throw cniError(CNI_ERROR.badEnvironment, `CNI_NETNS: ${JSON.stringify(netns)}: expected the absolute path of a network namespace`);
  const args = parseArgs(variable('CNI_ARGS'));
  if (command === 'DEL') return { ...base, containerId, podInterface, netns };
  const [namespace, name, uid] = ['K8S_POD_NAMESPACE', 'K8S_POD_NAME', 'K8S_POD_UID'].map((key) => args.get(key) ?? '') as [string, string, string]; // holds: three in, three out
  for (const [key, value] of [['K8S_POD_NAMESPACE', namespace], ['K8S_POD_NAME', name]] as const) {
    if (value.length > 253 || !POD_NAME.test(value)) throw cniError(CNI_ERROR.badEnvironment, `CNI_ARGS ${key}: ${JSON.stringify(value)}: expected a DNS name`);
  }
  if (uid === '') throw cniError(CNI_ERROR.badEnvironment, 'CNI_ARGS K8S_POD_UID: nothing: expected the uid of the pod');
  return { ...base, containerId, podInterface, netns, pod: `${namespace}/${name}`, uid, addresses: parseAddresses(args.get('IP')) };
};

export interface CniAttachment {
  readonly version: string; readonly hostInterface: string; readonly hostMac: string; readonly podInterface: string; readonly podMac: string; readonly netns: string; readonly addresses: readonly string[];
  readonly mtu: number;
}

/** What the loader's plumbing gives a pod (services/loader/shell/plumb.ts): whole addresses, a gateway that the link's program answers for. */
const BEHIND = { 4: { length: 32, gateway: '169.254.1.1', everything: '0.0.0.0/0' }, 6: { length: 128, gateway: 'fe80::1', everything: '::/0' } } as const satisfies Record<IpFamily, unknown>;

export const cniResult = ({ version, hostInterface, hostMac, podInterface, podMac, netns, addresses, mtu }: CniAttachment): unknown => ({
  cniVersion: version,
  interfaces: [{ name: hostInterface, mac: hostMac, mtu }, { name: podInterface, mac: podMac, mtu, sandbox: netns }],
  ips: addresses.map((address) => ({ address: `${address}/${BEHIND[familyOf(address)].length}`, gateway: BEHIND[familyOf(address)].gateway, interface: 1 })),
  routes: addresses.map((address) => ({ dst: BEHIND[familyOf(address)].everything, gw: BEHIND[familyOf(address)].gateway })),
  dns: {},
});
