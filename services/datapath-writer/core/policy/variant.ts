/**
 * Named-port variants: two pods of one identity may bind `http` to different numbers. A variant is what a pod binds of the names that
 * some policy mentions. Its number depends on nothing but that, so every node and every replay give the same. Pure.
 */
import type { CompiledPolicy } from '@seine/events';
import { compareCodeUnits, digest } from '@seine/model';

/** `TCP-number/name` → ports, sorted: `6/http` → [8080]. */
export type Bindings = ReadonlyMap<string, readonly number[]>;

export const bindingKey = (protocol: number, name: string): string => `${protocol}/${name}`;

/** Every (protocol, name) that a rule of any policy mentions. */
export const mentionedNames = (policies: Iterable<CompiledPolicy>): ReadonlySet<string> => {
  const names = new Set<string>();
  for (const policy of policies) {
    for (const rule of policy.rules) {
      if (rule.ports === 'any') continue;
      for (const port of rule.ports) if (port.type === 'named') names.add(bindingKey(port.protocol, port.name));
    }
  }
  return names;
};

export interface NamedContainerPort { readonly name?: string | undefined; readonly port: number; readonly protocol: number }

export const bindingsOf = (ports: readonly NamedContainerPort[], mentioned: ReadonlySet<string>): Bindings => {
  const bindings = new Map<string, number[]>();
  for (const { name, port, protocol } of ports) {
    if (name === undefined) continue;
    const key = bindingKey(protocol, name);
    if (!mentioned.has(key)) continue;
    const bound = bindings.get(key) ?? [];
    if (!bound.includes(port)) bound.push(port);
    bindings.set(key, bound.sort((a, b) => a - b));
  }
  return new Map([...bindings].sort(([a], [b]) => compareCodeUnits(a, b)));
};

/** `6/http=8080;` … ; empty for a pod that binds nothing mentioned. */
export const bindingsText = (bindings: Bindings): string => [...bindings].map(([key, ports]) => `${key}=${ports.join(',')};`).join('');

/**
 * Numbers for all binding texts in use: 1..65535 from the text's digest; 0 for the empty text.
 * Of two texts that meet in one number, the later in code unit order moves on.
 */
export const variantNumbers = (texts: Iterable<string>): ReadonlyMap<string, number> => {
  const numbers = new Map<string, number>([['', 0]]);
  const taken = new Set<number>();
  for (const text of [...new Set(texts)].filter((candidate) => candidate !== '').sort(compareCodeUnits)) {
    let number = (Number.parseInt(digest(text).slice(-4), 16) % 65535) + 1;
    while (taken.has(number)) number = (number % 65535) + 1;
    taken.add(number);
    numbers.set(text, number);
  }
  return numbers;
};
