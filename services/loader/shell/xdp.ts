/**
 * XDP at the uplinks, where it is asked for: a pinned link with the stub that carries translated flows before the stack has them (bpf/xdp.bpf.c).
 * Whatever stands in the way, a foreign program or a driver that refuses, is said and reported as a lost attachment; what would have been
 * carried is tc's then, as it is of every node without XDP. Nobody else's program is replaced.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { xdpLink, type Link, type XdpMode } from '@seine/kernel';
import type { Attachment } from '@seine/node';
import type { Logger } from '@seine/role';

import { xdpModes, type XdpSetting } from '../core/xdp-modes.ts';
import type { NodeObjects } from './objects.ts';
import { createLine, interfaceOfPin, keepLink, pinNameOf, takeOffPinned } from './pinned-link.ts';

const PIN = /^xdp_(.+)$/;

export interface Xdp {
  readonly lost: (at: Link) => readonly Attachment[];
  /** Begins to put back what is lost. @returns what is being put back; nothing where somebody or something is in the way */
  readonly repair: (at: Link) => readonly string[];
  readonly stop: () => Promise<void>;
}

/**
 * @param options.links   interfaces as they are now
 * @param options.pinRoot where links are pinned, by their interface's name
 */
export const openXdp = ({ objects, links, uplinks, setting, pinRoot, log }: {
  readonly objects: NodeObjects; readonly links: () => readonly Link[]; readonly uplinks: readonly string[]; readonly setting: XdpSetting; readonly pinRoot: string; readonly log: Logger;
}): Xdp => {
  const { fd, id } = objects.earlyStub;
  const { inLine, end } = createLine();
  const pending = new Set<string>();
  const refused = new Map<string, string>();
  const pinPath = (name: string): string => join(pinRoot, `xdp_${pinNameOf(name)}`);

  const stands = ({ kind, xdp }: Link): boolean => xdp?.programId === id && xdpModes(setting, kind).includes(xdp.mode);
  const foreign = ({ xdp }: Link): string | undefined => (xdp === undefined || xdp.programId === id ? undefined : `program ${xdp.programId}, which is not Seine's`);
  const say = (name: string, reason: string): void => {
    if (refused.get(name) !== reason) log.warn('XDP is not there: tc carries everything', { interface: name, reason });
    refused.set(name, reason);
  };
  const attach = async (index: number, modes: readonly XdpMode[]): Promise<{ readonly link: number; readonly mode: XdpMode } | string> => {
    const reasons: string[] = [];
    for (const mode of modes) {
      try {
        return { link: await xdpLink(fd, index, mode), mode };
      } catch (error) {
        reasons.push((error as Error).message);
      }
    }
    return reasons.join('; ');
  };
  const put = async (name: string): Promise<void> => {
    const at = links().find((each) => each.name === name);
    if (at === undefined || stands(at)) return;
    const other = foreign(at);
    if (other !== undefined) { say(name, other); return; }
    await takeOffPinned(pinPath(name));
    const made = await attach(at.index, xdpModes(setting, at.kind));
    if (typeof made === 'string') { say(name, made); return; }
    keepLink(made.link, pinPath(name));
    refused.delete(name);
    log.info('XDP carries translated flows', { interface: name, mode: made.mode });
  };
  const putSoon = (name: string): void => {
    if (pending.has(name)) return;
    pending.add(name);
    inLine(() => put(name)).catch((error: unknown) => { say(name, (error as Error).message); }).finally(() => { pending.delete(name); }); // both do not fail
  };

  const wanted = setting === 'off' ? [] : uplinks;
  for (const file of readdirSync(pinRoot)) {
    const pin = PIN.exec(file)?.[1];
    if (pin === undefined || wanted.includes(interfaceOfPin(pin))) continue;
    inLine(() => takeOffPinned(join(pinRoot, file))).catch((error: unknown) => { log.warn('an XDP link of former times could not be taken off', { interface: interfaceOfPin(pin), error: String(error) }); });
  }
  wanted.forEach(putSoon);

  const lost = (at: Link): readonly Attachment[] => {
    if (!wanted.includes(at.name) || stands(at) || (pending.has(at.name) && !refused.has(at.name))) return [];
    return [{ hook: `${at.name} xdp`, want: `program ${id}`, have: foreign(at) ?? refused.get(at.name) ?? 'nothing' }];
  };
  return {
    lost,
    repair: (at) => {
      if (lost(at).length === 0) return [];
      putSoon(at.name);
      return refused.has(at.name) ? [] : [`xdp link of ${at.name}`];
    },
    stop: end,
  };
};
