/** Which named ports pods bind, as far as policies mention the names, and the variant numbers that follow. Pure. */
import type { PodData } from '@seine/events';
import { PROTOCOL } from '@seine/model';

import { bindingKey, bindingsOf, bindingsText, variantNumbers, type Bindings } from '../policy/index.ts';

export interface Variant { readonly bindings: Bindings; readonly variant: number }

export interface Variants {
  readonly podChanged: (pod: string) => void;
  /** A name `6/http` came to be mentioned, or is no more. */
  readonly nameChanged: (name: string) => void;
  /** @returns pods whose variant is another now */
  readonly update: (pods: ReadonlyMap<string, PodData>, isMentioned: (name: string) => boolean) => ReadonlySet<string>;
  readonly of: (pod: string) => Variant;
}

const NONE: Variant = { bindings: new Map(), variant: 0 };

/** Pods that bind the same: their bindings are one object. */
interface Group { readonly text: string; readonly bindings: Bindings; readonly pods: Set<string>; variant: number }

const portsOf = (pod: PodData | undefined) => (pod?.ports ?? []).map(({ name, port, protocol }) => ({ name, port, protocol: PROTOCOL[protocol] }));

export const createVariants = (): Variants => {
  const dirty = new Set<string>();
  const podsByName = new Map<string, Set<string>>();
  const namesOfPod = new Map<string, readonly string[]>();
  const groupOfPod = new Map<string, Group>();
  const groups = new Map<string, Group>();

  const leave = (pod: string): void => {
    const group = groupOfPod.get(pod);
    if (group === undefined) return;
    groupOfPod.delete(pod);
    group.pods.delete(pod);
    if (group.pods.size === 0) groups.delete(group.text);
  };

  const rename = (pod: string, names: readonly string[]): void => {
    for (const name of namesOfPod.get(pod) ?? []) {
      podsByName.get(name)!.delete(pod);
      if (podsByName.get(name)!.size === 0) podsByName.delete(name);
    }
    if (names.length === 0) namesOfPod.delete(pod);
    else namesOfPod.set(pod, names);
    for (const name of names) {
      const pods = podsByName.get(name);
      if (pods === undefined) podsByName.set(name, new Set([pod]));
      else pods.add(pod);
    }
  };

  return {
    podChanged: (pod) => { dirty.add(pod); },
    nameChanged: (name) => { for (const pod of podsByName.get(name) ?? []) dirty.add(pod); },
    of: (pod) => groupOfPod.get(pod) ?? NONE,
    update: (pods, isMentioned) => {
      const changed = new Set<string>();
      const texts = groups.size;
      let regrouped = false;
      for (const pod of dirty) {
        const ports = portsOf(pods.get(pod));
        const names = [...new Set(ports.flatMap(({ name, protocol }) => (name === undefined ? [] : [bindingKey(protocol, name)])))];
        rename(pod, names);
        const bindings = bindingsOf(ports, new Set(names.filter(isMentioned)));
        const text = bindingsText(bindings);
        if (text === (groupOfPod.get(pod)?.text ?? '')) continue;
        leave(pod);
        changed.add(pod);
        if (text === '') continue;
        const group = groups.get(text) ?? { text, bindings, pods: new Set<string>(), variant: 0 };
        groups.set(text, group);
        group.pods.add(pod);
        groupOfPod.set(pod, group);
        regrouped ||= group.variant === 0;
      }
      dirty.clear();
      /* Numbers depend on all texts in use, and on nothing else. */
      if (regrouped || groups.size !== texts) {
        const numbers = variantNumbers(groups.keys());
        for (const group of groups.values()) {
          const variant = numbers.get(group.text)!;
          if (variant === group.variant) continue;
          group.variant = variant;
          for (const pod of group.pods) changed.add(pod);
        }
      }
      return changed;
    },
  };
};
