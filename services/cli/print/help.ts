/** `seine VERB --help`, 100 columns wide. Pure. */
import type { Verb } from '../verb/verb.ts';
import { table } from './table.ts';

const WIDTH = 100;

/** @param parts never broken themselves */
const wrapped = (parts: readonly string[], indent = ''): readonly string[] => {
  const lines: string[] = [];
  let line = '';
  for (const part of parts) {
    if (line !== '' && line.length + 1 + part.length > WIDTH) { lines.push(line); line = `${indent}${part}`; } else line = line === '' ? part : `${line} ${part}`;
  }
  return [...lines, line];
};

/** `[--name LAB | --log FILE]` is one part of a form. */
const partsOf = (form: string): readonly string[] => {
  const parts: string[] = [];
  let depth = 0;
  for (const word of form.split(' ')) {
    if (depth > 0) parts.push(`${parts.pop()!} ${word}`); else parts.push(word); // inside a bracket there is one before it
    depth += word.split('[').length - word.split(']').length;
  }
  return parts;
};

/** Forms of the command line stand by themselves, what is indented as it is written; sentences are filled. */
const isForm = (line: string): boolean => /^(seine|npm) /.test(line);
const begins = (line: string): boolean => /^(Exit|--\S+|[A-Z][A-Z, ]+)[:,]/.test(line);

const filled = (text: string): string => {
  const out: string[] = [];
  let sentence = '';
  const flush = (): void => { if (sentence !== '') out.push(...wrapped(sentence.split(' '))); sentence = ''; };
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith(' ') || isForm(line)) {
      flush();
      out.push(...(isForm(line) && line.length > WIDTH ? wrapped(partsOf(line), ' '.repeat(6)) : [line]));
      continue;
    }
    if (begins(line)) flush();
    if (line.startsWith('Exit') && out.at(-1) !== '') out.push('');
    sentence = sentence === '' ? line : `${sentence} ${line}`;
  }
  flush();
  return out.join('\n');
};

export const helpText = ({ usage, examples }: Pick<Verb, 'usage' | 'examples'>): string =>
  `${filled(usage.trim())}\n\nFor instance:\n${table(examples.map(([command, what]) => [`  ${command}`, ` ${what}`]))}`;
