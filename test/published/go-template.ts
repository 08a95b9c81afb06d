/**
 * As much of Go's text/template as published manifests use: `.Field`, `.`, variables of `range`, pipes and calls of given functions, and
 * the trimming dashes. Anything else is an error, so that a template is never half filled in.
 */
export type Values = Readonly<Record<string, unknown>>;
export type Functions = Readonly<Record<string, (...args: readonly string[]) => string>>;
type Scope = { readonly dot: unknown; readonly variables: Values };

type Part = { readonly text: string } | { readonly action: string };

const partsOf = (template: string): readonly Part[] => {
  const parts: Part[] = [];
  let trimNext = false;
  let rest = template;
  for (;;) {
    const open = rest.indexOf('{{');
    const close = rest.indexOf('}}', open);
    const text = open < 0 ? rest : rest.slice(0, open);
    if (open >= 0 && close < 0) throw new Error(`unclosed action: ${rest.slice(open, open + 40)}`);
    const inner = open < 0 ? '' : rest.slice(open + 2, close);
    const [trimBefore, trimAfter] = [inner.startsWith('- '), inner.endsWith(' -')];
    const left = trimNext ? text.trimStart() : text;
    parts.push({ text: trimBefore ? left.trimEnd() : left });
    if (open < 0) return parts;
    parts.push({ action: inner.slice(trimBefore ? 2 : 0, trimAfter ? -2 : undefined).trim() });
    trimNext = trimAfter;
    rest = rest.slice(close + 2);
  }
};

const member = (value: unknown, name: string): unknown => {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) throw new Error(`.${name}: no such value`);
  return (value as Values)[name]; // an object that has it
};

/** `f .A "x" (g .B) | h` */
const evaluate = (expression: string, scope: Scope, functions: Functions): unknown => {
  const tokens = expression.match(/"[^"]*"|[()|]|[^\s()|"]+/g) ?? [];
  let at = 0;
  const term = (token: string): unknown => {
    if (token === '(') { const value = pipeline(); at += 1; return value; }
    if (token.startsWith('"')) return token.slice(1, -1);
    const [head, ...path] = token.split('.');
    const root = head === '' ? scope.dot : head!.startsWith('$') ? member(scope.variables, head!) : undefined;
    if (head !== '' && !head!.startsWith('$')) throw new Error(`${token}: cannot be evaluated`);
    return path.filter((name) => name !== '').reduce(member, root);
  };
  const command = (piped: readonly unknown[]): unknown => {
    const first = tokens[at]!;
    at += 1;
    const isCall = /^[A-Za-z]/.test(first);
    const values = isCall ? [] : [term(first)];
    while (at < tokens.length && tokens[at] !== ')' && tokens[at] !== '|') { at += 1; values.push(term(tokens[at - 1]!)); }
    if (!isCall) return values[0];
    const call = functions[first];
    if (call === undefined) throw new Error(`${first}: no such function`);
    return call(...[...values, ...piped].map(String));
  };
  const pipeline = (): unknown => {
    let value = command([]);
    while (tokens[at] === '|') { at += 1; value = command([value]); }
    return value;
  };
  return pipeline();
};

/** The `end` that belongs to a `range`. */
const endOf = (parts: readonly Part[], range: number): number => {
  let depth = 0;
  for (let at = range; at < parts.length; at += 1) {
    const part = parts[at]!;
    if ('text' in part) continue;
    depth += part.action === 'end' ? -1 : part.action.startsWith('range ') ? 1 : 0;
    if (depth === 0) return at;
  }
  throw new Error('range without end');
};

/** @throws for anything that the template asks and `values` or `functions` do not have */
export const fillIn = (template: string, values: unknown, functions: Functions): string => {
  const parts = partsOf(template);
  const render = (from: number, scope: Scope): { readonly text: string; readonly next: number } => {
    let text = '';
    for (let at = from; at < parts.length; at += 1) {
      const part = parts[at]!;
      if ('text' in part) { text += part.text; continue; }
      if (part.action === 'end') return { text, next: at };
      const range = /^range (?:(\$\w+) := )?(.+)$/.exec(part.action);
      if (range === null) { text += String(evaluate(part.action, scope, functions)); continue; }
      const items = evaluate(range[2]!, scope, functions);
      if (!Array.isArray(items)) throw new Error(`${part.action}: expected a list`);
      let next = at;
      for (const item of items as readonly unknown[]) { // Array.isArray says any[]
        const inner = render(at + 1, { dot: item, variables: range[1] === undefined ? scope.variables : { ...scope.variables, [range[1]]: item } });
        text += inner.text;
        ({ next } = inner);
      }
      at = items.length === 0 ? endOf(parts, at) : next;
    }
    return { text, next: parts.length };
  };
  return render(0, { dot: values, variables: {} }).text;
};
