/** The row of a peer: for every protocol and port, what `decide` says, as the fewest port prefixes. Pure. */
import type { CompiledPolicy, PortItem } from '@seine/events';
import { PROTOCOL } from '@seine/model';

import { decide, type Outcome, type PlacedRule } from './decide.ts';
import { portPrefixes, prefixRange, type PortPrefix } from './port-prefix.ts';
import { bindingKey, type Bindings } from './variant.ts';

/** What a row's entry answers; `rule` names the first deciding rule. */
export interface RowAnswer { readonly verdict: 'allow' | 'deny' | 'default-deny' | 'audit' | 'full'; readonly rule: string | undefined }

export interface RowEntry extends RowAnswer, PortPrefix { /** 0 = every protocol */ readonly protocol: number }

export interface RowContent {
  /** Name of the content: equal rows are one row. */
  readonly text: string;
  /** Root first; every prefix after those that contain it. */
  readonly entries: readonly RowEntry[];
}

/** `NetworkPolicy/shop/carts-db-access ingress[0]`: the name of a rule in samples, flows and dumps. */
export const ruleName = ({ policy, rule }: PlacedRule): string =>
  `${policy.object.kind}/${policy.object.namespace}/${policy.object.name} ${rule.section}[${rule.index}]`;

interface Range { readonly protocol: number; readonly from: number; readonly to: number }

/** Named ports resolve on the destination pod; a name that it does not bind matches nothing. */
export const portRanges = (ports: 'any' | readonly PortItem[], bindings: Bindings): 'any' | readonly Range[] =>
  ports === 'any' ? 'any' : ports.flatMap((port): readonly Range[] => {
    if (port.type === 'range') return [port];
    return (bindings.get(bindingKey(port.protocol, port.name)) ?? []).map((number) => ({ protocol: port.protocol, from: number, to: number }));
  });

const rangeCovers = (range: Range, protocol: number, prefix: PortPrefix): boolean => {
  const { from, to } = prefixRange(prefix);
  return (range.protocol === 0 || range.protocol === protocol) && range.from <= from && to <= range.to;
};

/** Does a rule with these ports cover the whole of this protocol's prefix? */
export const portsCover = (ports: 'any' | readonly Range[], protocol: number, prefix: PortPrefix): boolean =>
  ports === 'any' || ports.some((range) => rangeCovers(range, protocol, prefix));

const answerOf = (outcome: Outcome): RowAnswer => {
  const rule = outcome.by[0];
  return { verdict: outcome.verdict === 'open' ? 'allow' : outcome.verdict, rule: rule === undefined ? undefined : ruleName(rule) };
};

const contains = (outer: PortPrefix, inner: PortPrefix): boolean => {
  if (outer.length > inner.length) return false;
  const { from, to } = prefixRange(outer);
  return from <= inner.port && inner.port <= to;
};

const sameAnswer = (a: RowAnswer, b: RowAnswer): boolean => a.verdict === b.verdict && a.rule === b.rule;

const contentOf = (entries: readonly RowEntry[]): RowContent => ({
  entries,
  text: entries.map(({ protocol, port, length, verdict, rule }) => `${protocol}/${port}/${length}=${verdict} ${rule ?? ''};`).join(''),
});

/** One verdict for everything. */
export const plainRow = (answer: RowAnswer): RowContent => contentOf([{ protocol: 0, port: 0, length: 0, ...answer }]);

/**
 * @param rules every rule of the subject's direction that matches the peer
 * @param bindings of the destination pod: the subject's own at ingress, the peer's at egress
 */
export const rowOf = (rules: readonly PlacedRule[], isolatedBy: readonly CompiledPolicy[], bindings: Bindings): RowContent => {
  const ranged = [...rules].sort((a, b) => a.order - b.order).map((placed) => ({ placed, ports: portRanges(placed.rule.ports, bindings) }));
  const at = (protocol: number, prefix: PortPrefix): RowAnswer =>
    answerOf(decide(ranged.filter(({ ports }) => portsCover(ports, protocol, prefix)).map(({ placed }) => placed), isolatedBy));

  const root = { port: 0, length: 0 };
  const protocols = new Map<number, Map<string, PortPrefix>>();
  for (const { ports } of ranged) {
    if (ports === 'any') continue;
    for (const { protocol, from, to } of ports) {
      for (const each of protocol === 0 ? Object.values(PROTOCOL) : [protocol]) {
        const prefixes = protocols.get(each) ?? new Map([['0/0', root]]);
        for (const prefix of portPrefixes(from, to)) prefixes.set(`${prefix.port}/${prefix.length}`, prefix);
        protocols.set(each, prefixes);
      }
    }
  }

  const entries: RowEntry[] = [{ protocol: 0, ...root, ...at(0, root) }];
  for (const [protocol, prefixes] of [...protocols].sort(([a], [b]) => a - b)) {
    const kept: RowEntry[] = [];
    for (const prefix of [...prefixes.values()].sort((a, b) => a.length - b.length || a.port - b.port)) {
      const answer = at(protocol, prefix);
      const ancestor = kept.findLast((entry) => contains(entry, prefix)) ?? entries[0]!;
      if (!sameAnswer(answer, ancestor)) kept.push({ protocol, ...prefix, ...answer });
    }
    entries.push(...kept);
  }
  return contentOf(entries);
};
