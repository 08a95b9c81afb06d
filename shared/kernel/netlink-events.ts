/** What others do to links, qdiscs and filters of a namespace, as the kernel announces it: looked for, never waited for. */
import { c, closeFd, ERRNO, lastErrno, must } from './libc.ts';

const AF_NETLINK = 16;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const RTMGRP_LINK = 1;
const RTMGRP_TC = 8;
const HEADER = 16;
const PORT = 12;
const INDEX = HEADER + 4;
/** Messages that may take a program off its place: a link, qdisc or filter gone, a filter put. */
const TELLING: ReadonlySet<number> = new Set([17 /* RTM_DELLINK */, 37 /* RTM_DELQDISC */, 44 /* RTM_NEWTFILTER */, 45 /* RTM_DELTFILTER */]);

export interface NetlinkEvents {
  /** Interfaces whose links, qdiscs or filters were changed since the last call; 'all' when the kernel had to drop messages. */
  readonly changed: () => ReadonlySet<number> | 'all';
  readonly close: () => void;
}

/** Hears the namespace that the thread is in at the call. @param own the port of a socket whose own requests are no news */
export const openNetlinkEvents = (own: number): NetlinkEvents => {
  const fd = must('netlink socket', c.socket(AF_NETLINK, SOCK_RAW_NONBLOCK_CLOEXEC, 0) as number);
  const local = Buffer.alloc(12);
  local.writeUInt16LE(AF_NETLINK, 0);
  local.writeUInt32LE(RTMGRP_LINK | RTMGRP_TC, 8);
  must('netlink bind', c.bind(fd, local, local.length) as number);
  const buffer = Buffer.alloc(64 * 1024);
  return {
    changed: () => {
      const indexes = new Set<number>();
      let lost = false;
      for (;;) {
        const length = Number(c.recvfrom(fd, buffer, buffer.length, 0, null, null));
        if (length < 0) {
          if (ERRNO[lastErrno()] !== 'ENOBUFS') return lost ? 'all' : indexes;
          lost = true;
          continue;
        }
        for (let offset = 0; offset + INDEX + 4 <= length;) {
          if (TELLING.has(buffer.readUInt16LE(offset + 4)) && buffer.readUInt32LE(offset + PORT) !== own) indexes.add(buffer.readInt32LE(offset + INDEX));
          offset += Math.max(HEADER, (buffer.readUInt32LE(offset) + 3) & ~3);
        }
      }
    },
    close: () => { closeFd(fd); },
  };
};
