/**
 * rtnetlink: messages as bytes, many in one send. Numbers are those of the kernel's uapi headers (rtnetlink.h, if_link.h, pkt_sched.h).
 * Every function that makes a message is pure; `transact` is the only one that talks.
 */
import { isV4, parseAddress, SeineError } from '@seine/model';

import type { XdpMode } from './bpf.ts';
import { c, closeFd, ERRNO, kernelError, must } from './libc.ts';

const RTM = {
  newLink: 16, delLink: 17, getLink: 18, newAddress: 20, newRoute: 24, delRoute: 25, getRoute: 26, newNeighbour: 28, delNeighbour: 29,
  newQdisc: 36, delQdisc: 37, newFilter: 44, delFilter: 45, getFilter: 46,
} as const;
const NLM = { request: 1, ack: 4, dump: 0x300, replace: 0x100, excl: 0x200, create: 0x400 } as const;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const HEADER = 16;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;

/** A request and the words that name it in an error. */
export interface Request { readonly what: string; readonly bytes: Buffer; /** errno names that are no error here */ readonly unless?: readonly string[] }

const align = (size: number): number => (size + 3) & ~3;
const attribute = (type: number, data: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(align(4 + data.length));
  bytes.writeUInt16LE(4 + data.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(data, 4);
  return bytes;
};
const u32 = (value: number): Buffer => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(value >>> 0); return bytes; };
const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const NESTED = 0x8000;
const nested = (type: number, ...inner: readonly Buffer[]): Buffer => attribute(type | NESTED, Buffer.concat(inner));
const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

interface Family { readonly family: number; readonly bytes: Uint8Array }
const familyOf = (address: string): Family => {
  const bytes = parseAddress(address);
  if (bytes === undefined) throw new SeineError('SEINE_ADDRESS_INVALID', `${address}: expected an IP address`);
  return isV4(bytes) ? { family: AF_INET, bytes: bytes.subarray(12) } : { family: AF_INET6, bytes };
};

const message = (type: number, flags: number, head: Uint8Array, ...attributes: readonly Buffer[]): Buffer => {
  const body = Buffer.concat([head, ...attributes]);
  const bytes = Buffer.alloc(HEADER + body.length);
  bytes.writeUInt32LE(bytes.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(NLM.request | flags, 6);
  body.copy(bytes, HEADER);
  return bytes;
};

const IFLA = { address: 1, name: 3, mtu: 4, master: 10, linkInfo: 18, netnsFd: 28, xdp: 43 } as const;
const IFLA_INFO_KIND = 1;
const IFLA_XDP = { attached: 2, program: 4, driver: 5 } as const;
const XDP_ATTACHED = { none: 0, generic: 2, several: 4 } as const;
const IFF_UP = 1;

const linkHead = ({ index = 0, flags = 0, change = 0 }: { readonly index?: number; readonly flags?: number; readonly change?: number }): Buffer => {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(flags, 8);
  bytes.writeUInt32LE(change, 12);
  return bytes;
};

export interface VethEnd { readonly name: string; readonly mac?: string; readonly netnsFd?: number }
const vethEnd = ({ name, mac, netnsFd }: VethEnd, mtu: number | undefined): Buffer[] => [
  attribute(IFLA.name, text(name)),
  ...(mac === undefined ? [] : [attribute(IFLA.address, macBytes(mac))]),
  ...(mtu === undefined ? [] : [attribute(IFLA.mtu, u32(mtu))]),
  ...(netnsFd === undefined ? [] : [attribute(IFLA.netnsFd, u32(netnsFd))]),
];

/** Both ends in one message; neither is up yet (a peer that comes up first answers ENOTCONN). */
export const vethAdd = ({ near, far, mtu }: { readonly near: VethEnd; readonly far: VethEnd; readonly mtu?: number }): Request => ({
  what: `add veth ${near.name}`,
  bytes: message(RTM.newLink, NLM.ack | NLM.create | NLM.excl, linkHead({}), ...vethEnd(near, mtu),
    nested(IFLA.linkInfo, attribute(1, text('veth')), nested(2, nested(1, linkHead({}), ...vethEnd(far, mtu))))),
});

export const bridgeAdd = (name: string): Request => ({
  what: `add bridge ${name}`,
  bytes: message(RTM.newLink, NLM.ack | NLM.create | NLM.excl, linkHead({}), attribute(IFLA.name, text(name)), nested(IFLA.linkInfo, attribute(1, text('bridge')))),
});

export const linkUp = (index: number): Request => ({
  what: `bring up link ${index}`, bytes: message(RTM.newLink, NLM.ack, linkHead({ index, flags: IFF_UP, change: IFF_UP })),
});

export const linkMaster = (index: number, master: number): Request => ({
  what: `put link ${index} under ${master}`, bytes: message(RTM.newLink, NLM.ack, linkHead({ index }), attribute(IFLA.master, u32(master))),
});

export const linkDelete = (name: string): Request => ({
  what: `delete link ${name}`, unless: ['ENODEV'],
  bytes: message(RTM.delLink, NLM.ack, linkHead({}), attribute(IFLA.name, text(name))),
});

/** @param length prefix length in the address's own family */
export const addressAdd = ({ index, address, length }: { readonly index: number; readonly address: string; readonly length: number }): Request => {
  const { family, bytes } = familyOf(address);
  const head = Buffer.alloc(8);
  head.writeUInt8(family, 0);
  head.writeUInt8(length, 1);
  head.writeUInt32LE(index, 4);
  return {
    what: `add address ${address}`,
    bytes: message(RTM.newAddress, NLM.ack | NLM.create | NLM.replace, head, attribute(2, Buffer.from(bytes)), attribute(1, Buffer.from(bytes)), attribute(8, u32(2))),
  };
};

export interface Route {
  /** undefined = default, of the gateway's family */
  readonly destination?: string;
  readonly length?: number;
  readonly index?: number;
  readonly gateway?: string;
  readonly type?: 'unicast' | 'local' | 'unreachable';
  readonly onlink?: boolean;
  readonly mtu?: number;
}
const ROUTE_TYPE = { unicast: 1, local: 2, unreachable: 7 } as const;
const SCOPE = { universe: 0, host: 254, link: 253 } as const;

const routeMessage = (type: number, flags: number, route: Route): Buffer => {
  const { family } = familyOf(route.destination ?? route.gateway ?? '0.0.0.0');
  const kind = route.type ?? 'unicast';
  const head = Buffer.alloc(12);
  head.writeUInt8(family, 0);
  head.writeUInt8(route.length ?? 0, 1);
  head.writeUInt8(254, 4); // the main table, so that a longer prefix beats a local default
  head.writeUInt8(4, 5);
  head.writeUInt8(kind === 'local' ? SCOPE.host : route.gateway === undefined && kind === 'unicast' ? SCOPE.link : SCOPE.universe, 6);
  head.writeUInt8(ROUTE_TYPE[kind], 7);
  head.writeUInt32LE(route.onlink === true ? 4 : 0, 8);
  return message(type, flags, head,
    ...(route.destination === undefined ? [] : [attribute(1, Buffer.from(familyOf(route.destination).bytes))]),
    ...(route.index === undefined ? [] : [attribute(4, u32(route.index))]),
    ...(route.gateway === undefined ? [] : [attribute(5, Buffer.from(familyOf(route.gateway).bytes))]),
    ...(route.mtu === undefined ? [] : [nested(8, attribute(2, u32(route.mtu)))]));
};

const routeName = (route: Route): string => `route ${route.destination ?? 'default'}/${route.length ?? 0}`;
export const routeReplace = (route: Route): Request => ({ what: `set ${routeName(route)}`, bytes: routeMessage(RTM.newRoute, NLM.ack | NLM.create | NLM.replace, route) });
export const routeDelete = (route: Route): Request => ({ what: `delete ${routeName(route)}`, unless: ['ESRCH'], bytes: routeMessage(RTM.delRoute, NLM.ack, route) });

export const neighbourReplace = ({ index, address, mac }: { readonly index: number; readonly address: string; readonly mac: string }): Request => {
  const { family, bytes } = familyOf(address);
  const head = Buffer.alloc(12);
  head.writeUInt8(family, 0);
  head.writeInt32LE(index, 4);
  head.writeUInt16LE(0x80, 8); // NUD_PERMANENT
  return {
    what: `set neighbour ${address}`,
    bytes: message(RTM.newNeighbour, NLM.ack | NLM.create | NLM.replace, head, attribute(1, Buffer.from(bytes)), attribute(2, macBytes(mac))),
  };
};

const CLSACT = 0xfffffff1;
const PARENT = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const;
export type TcDirection = keyof typeof PARENT;
/** Seine's filters have one fixed place, so that a replacement is atomic. */
export const FILTER_PRIORITY = 1;
export const FILTER_HANDLE = 1;

const tcHead = ({ index, handle, parent, info }: { readonly index: number; readonly handle: number; readonly parent: number; readonly info: number }): Buffer => {
  const bytes = Buffer.alloc(20);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt32LE(handle >>> 0, 8);
  bytes.writeUInt32LE(parent >>> 0, 12);
  bytes.writeUInt32LE(info >>> 0, 16);
  return bytes;
};
const ETH_P_ALL_BE = 0x0300;

export const clsactAdd = (index: number): Request => ({
  what: `add clsact on link ${index}`, unless: ['EEXIST'],
  bytes: message(RTM.newQdisc, NLM.ack | NLM.create | NLM.excl, tcHead({ index, handle: 0xffff0000, parent: CLSACT, info: 0 }), attribute(1, text('clsact'))),
});

export const filterReplace = ({ index, direction, programFd, name }: { readonly index: number; readonly direction: TcDirection; readonly programFd: number; readonly name: string }): Request => ({
  what: `attach ${name} at ${direction} of link ${index}`,
  bytes: message(RTM.newFilter, NLM.ack | NLM.create | NLM.replace,
    tcHead({ index, handle: FILTER_HANDLE, parent: PARENT[direction], info: (FILTER_PRIORITY << 16) | ETH_P_ALL_BE }),
    attribute(1, text('bpf')), nested(2, attribute(6, u32(programFd)), attribute(7, text(name)), attribute(8, u32(1)))),
});

export const filterDelete = (index: number, direction: TcDirection): Request => ({
  what: `take filter off ${direction} of link ${index}`, unless: ['ENOENT', 'EINVAL'],
  bytes: message(RTM.delFilter, NLM.ack, tcHead({ index, handle: FILTER_HANDLE, parent: PARENT[direction], info: (FILTER_PRIORITY << 16) | ETH_P_ALL_BE }), attribute(1, text('bpf'))),
});

export interface Netlink {
  /** This socket's own number: what the kernel announces bears that of who asked for it. */
  readonly port: number;
  /** Sends all in one call; the first that fails throws, naming it (later ones were tried too). */
  readonly transact: (requests: readonly Request[]) => void;
  readonly links: () => readonly Link[];
  readonly linkIndex: (name: string) => number | undefined;
  /** Program ids of Seine's place at a hook: undefined where nothing is attached. */
  readonly filterProgram: (index: number, direction: TcDirection) => number | undefined;
  readonly close: () => void;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** `veth`, `bridge`, …; empty: a device of hardware, or the loopback. */
  readonly kind: string;
  /** The program that stands at XDP. */
  readonly xdp?: { readonly programId: number; readonly mode: XdpMode };
}

const attributesOf = (bytes: Buffer, start: number): ReadonlyMap<number, Buffer> => {
  const found = new Map<number, Buffer>();
  for (let offset = start; offset + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(offset);
    if (length < 4) break;
    found.set(bytes.readUInt16LE(offset + 2) & 0x3fff, bytes.subarray(offset + 4, offset + length));
    offset += align(length);
  }
  return found;
};

const cText = (bytes: Buffer | undefined): string => bytes?.toString('latin1').replace(/\0.*$/, '') ?? '';

const xdpOf = (attribute: Buffer | undefined): Pick<Link, 'xdp'> => {
  const found = attribute === undefined ? undefined : attributesOf(attribute, 0);
  const attached = found?.get(IFLA_XDP.attached)?.readUInt8(0) ?? XDP_ATTACHED.none;
  const programId = found?.get(attached === XDP_ATTACHED.several ? IFLA_XDP.driver : IFLA_XDP.program)?.readUInt32LE(0);
  return attached === XDP_ATTACHED.none || programId === undefined ? {} : { xdp: { programId, mode: attached === XDP_ATTACHED.generic ? 'generic' : 'native' } };
};

/** A netlink socket of the namespace that the thread is in at the call. */
export const openNetlink = (): Netlink => {
  const fd = must('netlink socket', c.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, 0) as number);
  const local = Buffer.alloc(12);
  local.writeUInt16LE(AF_NETLINK, 0);
  must('netlink bind', c.bind(fd, local, local.length) as number);
  must('netlink name', c.getsockname(fd, local, Buffer.from([local.length, 0, 0, 0])) as number);
  const port = local.readUInt32LE(4);
  const buffer = Buffer.alloc(256 * 1024);
  let sequence = 0;

  const receive = (): Buffer[] => {
    const length = must('netlink receive', c.recvfrom(fd, buffer, buffer.length, 0, null, null) as number);
    const messages: Buffer[] = [];
    for (let offset = 0; offset + HEADER <= length;) {
      const size = buffer.readUInt32LE(offset);
      messages.push(Buffer.from(buffer.subarray(offset, offset + size)));
      offset += align(size);
    }
    return messages;
  };

  const transact = (requests: readonly Request[]): void => {
    if (requests.length === 0) return;
    const first = sequence + 1;
    for (const request of requests) request.bytes.writeUInt32LE((sequence += 1), 8);
    const all = Buffer.concat(requests.map((request) => request.bytes));
    must('netlink send', c.sendto(fd, all, all.length, 0, null, 0) as number);
    let failure: SeineError | undefined;
    for (let answered = 0; answered < requests.length;) {
      for (const answer of receive()) {
        if (answer.readUInt16LE(4) !== NLMSG_ERROR) continue;
        const request = requests[answer.readUInt32LE(8) - first];
        if (request === undefined) continue;
        answered += 1;
        const errno = -answer.readInt32LE(HEADER);
        if (errno !== 0 && failure === undefined && request.unless?.includes(ERRNO[errno] ?? '') !== true) failure = kernelError(request.what, errno);
      }
    }
    if (failure !== undefined) throw failure;
  };

  const dump = (request: Buffer): readonly Buffer[] => {
    request.writeUInt32LE((sequence += 1), 8);
    must('netlink send', c.sendto(fd, request, request.length, 0, null, 0) as number);
    const found: Buffer[] = [];
    for (;;) {
      for (const answer of receive()) {
        if (answer.readUInt32LE(8) !== sequence) continue;
        const type = answer.readUInt16LE(4);
        if (type === NLMSG_DONE) return found;
        if (type === NLMSG_ERROR) return found;
        found.push(answer);
      }
    }
  };

  const links = (): readonly Link[] => dump(message(RTM.getLink, NLM.dump, linkHead({}))).map((answer) => {
    const attributes = attributesOf(answer, HEADER + 16);
    const mac = attributes.get(IFLA.address);
    const info = attributes.get(IFLA.linkInfo);
    return {
      index: answer.readInt32LE(HEADER + 4),
      name: cText(attributes.get(IFLA.name)),
      mac: mac === undefined ? '' : mac.toString('hex').replace(/(..)(?!$)/g, '$1:'),
      mtu: attributes.get(IFLA.mtu)?.readUInt32LE(0) ?? 0,
      up: (answer.readUInt32LE(HEADER + 8) & IFF_UP) !== 0,
      kind: info === undefined ? '' : cText(attributesOf(info, 0).get(IFLA_INFO_KIND)),
      ...xdpOf(attributes.get(IFLA.xdp)),
    };
  });

  return {
    port,
    transact,
    links,
    linkIndex: (name) => links().find((link) => link.name === name)?.index,
    filterProgram: (index, direction) => {
      for (const answer of dump(message(RTM.getFilter, NLM.dump, tcHead({ index, handle: 0, parent: PARENT[direction], info: 0 })))) {
        if (answer.readUInt32LE(HEADER + 16) >>> 16 !== FILTER_PRIORITY) continue;
        const options = attributesOf(answer, HEADER + 20).get(2);
        const id = options === undefined ? undefined : attributesOf(options, 0).get(11);
        if (id !== undefined) return id.readUInt32LE(0);
      }
      return undefined;
    },
    close: () => { closeFd(fd); },
  };
};
