/**
 * Reads the BTF of the built BPF objects and writes generated.ts and bpf/layout.lock. `--check` only compares, and fails on a difference.
 * C headers are the source, BTF is the contract, TypeScript is generated. Anything it does not know stops it.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';

interface BtfMember { readonly name: string; readonly type_id: number; readonly bits_offset: number }
interface BtfType {
  readonly id: number; readonly kind: string; readonly name: string; readonly size?: number; readonly type_id?: number;
  readonly members?: readonly BtfMember[]; readonly values?: readonly { name: string; val: number }[];
  readonly nr_elems?: number; readonly component_idx?: number;
}
interface Field { readonly name: string; readonly offset: number; readonly size: number; readonly kind: 'int' | 'address' | 'mac' | 'bytes'; readonly order: 'host' | 'big' }
interface Struct { readonly name: string; readonly size: number; readonly fields: readonly Field[] }
interface MapLayout { readonly name: string; readonly type: string; readonly maxEntries: number; readonly kernelWritten: boolean; readonly key: Struct; readonly value: Struct }

const MAP_TYPES: Readonly<Record<number, string>> = {
  1: 'hash', 2: 'array', 3: 'prog_array', 5: 'percpu_hash', 6: 'percpu_array', 9: 'lru_hash', 11: 'lpm_trie', 27: 'ringbuf',
};

/** Structs of the contract that no map holds: what comes out of the ring, what the verdict probe is asked. */
const PLAIN_STRUCTS = ['sample', 'question'];

const camel = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
const fail = (sentence: string): never => { throw new Error(`layout: ${sentence}`); };

const readObject = (file: string) => {
  const list = (JSON.parse(execFileSync('bpftool', ['btf', 'dump', '-j', 'file', file], { encoding: 'utf8', maxBuffer: 64 << 20 })) as { types: readonly BtfType[] }).types;
  const types = new Map(list.map((type) => [type.id, type]));
  const typeOf = (id: number): BtfType => types.get(id) ?? fail(`${file}: no type ${id}`);
  const strip = (id: number): BtfType => {
    const type = typeOf(id);
    return ['TYPEDEF', 'CONST', 'VOLATILE'].includes(type.kind) ? strip(type.type_id!) : type;
  };
  const isBig = (id: number): boolean => {
    const type = typeOf(id);
    return type.kind === 'TYPEDEF' && (type.name.startsWith('__be') || isBig(type.type_id!));
  };
  const fieldOf = (owner: string, member: BtfMember): Field => {
    const name = camel(member.name);
    const offset = member.bits_offset / 8;
    const type = strip(member.type_id);
    if (type.kind === 'INT') return { name, offset, size: type.size!, kind: 'int', order: isBig(member.type_id) ? 'big' : 'host' };
    if (type.kind === 'ARRAY' && strip(type.type_id!).kind === 'INT' && strip(type.type_id!).size === 1) {
      const size = type.nr_elems!;
      return { name, offset, size, kind: size === 16 ? 'address' : size === 6 ? 'mac' : 'bytes', order: 'host' };
    }
    return member.name.startsWith('pad') ? { name, offset, size: 0, kind: 'bytes', order: 'host' } : fail(`${owner}.${member.name}: ${type.kind} is not supported`);
  };
  const structOf = (id: number): Struct => {
    const type = strip(id);
    if (type.kind === 'INT') return { name: `u${type.size! * 8}`, size: type.size!, fields: [{ name: 'value', offset: 0, size: type.size!, kind: 'int', order: 'host' }] };
    if (type.kind !== 'STRUCT') return fail(`${type.kind} ${type.name} as a key or value`);
    return { name: type.name, size: type.size!, fields: type.members!.map((member) => fieldOf(type.name, member)).filter((field) => !field.name.startsWith('pad')) };
  };
  const kernelWritten = new Set(list.filter((type) => type.kind === 'DECL_TAG' && type.name === 'written-by:kernel').map((type) => typeOf(type.type_id!).name));
  const maps: MapLayout[] = [];
  const structs: Struct[] = [];
  const enums: { name: string; values: readonly { name: string; val: number }[] }[] = [];
  for (const type of list) {
    if (type.kind === 'ENUM' && type.name.startsWith('seine_')) enums.push({ name: type.name, values: type.values! });
    if (type.kind === 'STRUCT' && PLAIN_STRUCTS.includes(type.name)) structs.push(structOf(type.id));
    if (type.kind !== 'VAR' || !type.name.startsWith('sn_')) continue;
    const definition = strip(type.type_id!);
    const number = (name: string): number | undefined => {
      const member = definition.members?.find((candidate) => candidate.name === name);
      return member === undefined ? undefined : strip(typeOf(member.type_id).type_id!).nr_elems;
    };
    const target = (name: string): Struct => {
      const member = definition.members?.find((candidate) => candidate.name === name);
      return member === undefined ? { name: 'none', size: 0, fields: [] } : structOf(typeOf(member.type_id).type_id!);
    };
    maps.push({
      name: type.name,
      type: MAP_TYPES[number('type') ?? 0] ?? fail(`${type.name}: map type ${number('type')}`),
      maxEntries: number('max_entries') ?? fail(`${type.name}: no max_entries`),
      kernelWritten: kernelWritten.has(type.name),
      key: target('key'),
      value: target('value'),
    });
  }
  return { maps, structs, enums };
};

const root = new URL('../../', import.meta.url);
const build = new URL('bpf/build/', root);
const objects = readdirSync(build).filter((name) => name.endsWith('.o')).sort();
if (objects.length === 0) fail('bpf/build is empty: run make -C bpf');

/** Collects by name; two objects that disagree are refused. */
const collect = <T extends { readonly name: string }>(items: readonly T[]): readonly T[] => {
  const byName = new Map<string, T>();
  for (const item of items) {
    const known = byName.get(item.name);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(item)) fail(`two objects disagree on ${item.name}`);
    byName.set(item.name, item);
  }
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
};
const read = objects.map((name) => readObject(new URL(name, build).pathname));
const maps = collect(read.flatMap((object) => object.maps));
const structs = collect(read.flatMap((object) => object.structs));
const enums = collect(read.flatMap((object) => object.enums));

const pascal = (name: string): string => camel(`_${name.replace(/^seine_/, '')}`);
const prefixOf = (values: readonly { name: string }[]): string => values[0]!.name.slice(0, values[0]!.name.indexOf('_') + 1);
const json = (value: unknown): string => JSON.stringify(value).replace(/"([A-Za-z_][A-Za-z0-9_]*)":/g, '$1: ').replace(/,(?=[\w{])/g, ', ').replace(/"/g, "'");

const structText = (struct: Struct, indent: string): string =>
  `{ name: '${struct.name}', size: ${struct.size}, fields: [${struct.fields.map((field) => `\n${indent}  ${json(field)},`).join('')}${struct.fields.length > 0 ? `\n${indent}` : ''}] }`;

const typescript = `// Generated by shared/layout/generate.ts from the BTF of bpf/build/*.o. Do not edit; run: npm run gen
${enums.map(({ name, values }) => {
  const prefix = prefixOf(values);
  return `export const ${pascal(name)} = {\n${values.map((value) => `  ${value.name.slice(prefix.length)}: ${value.val},\n`).join('')}} as const;\n`;
}).join('\n')}
${structs.map((struct) => `export const ${struct.name.toUpperCase()} = ${structText(struct, '')} as const;\n`).join('\n')}
export const MAPS = {
${maps.map((map) => `  ${map.name}: {
    name: '${map.name}', type: '${map.type}', maxEntries: ${map.maxEntries}, kernelWritten: ${map.kernelWritten},
    key: ${structText(map.key, '    ')},
    value: ${structText(map.value, '    ')},
  },\n`).join('')}} as const;
`;

const lockStruct = (struct: Struct): string => struct.fields.map((field) => `    ${String(field.offset).padStart(3)} ${String(field.size).padStart(2)} ${field.kind}${field.order === 'big' ? ' big' : ''} ${field.name}\n`).join('');
const lock = `# The reviewed record of every layout. Written by npm run gen; a change here without a new map number breaks a running node.
${enums.map(({ name, values }) => `enum ${name}\n${values.map((value) => `    ${value.val} ${value.name}\n`).join('')}`).join('')}${structs.map((struct) => `struct ${struct.name} ${struct.size}\n${lockStruct(struct)}`).join('')}${maps.map((map) => `map ${map.name} ${map.type} ${map.maxEntries}${map.kernelWritten ? ' kernel-written' : ''}\n  key ${map.key.name} ${map.key.size}\n${lockStruct(map.key)}  value ${map.value.name} ${map.value.size}\n${lockStruct(map.value)}`).join('')}`;

const outputs = [[new URL('shared/layout/generated.ts', root), typescript], [new URL('bpf/layout.lock', root), lock]] as const;
if (process.argv.includes('--check')) {
  const stale = outputs.filter(([file, text]) => !existsSync(file) || readFileSync(file, 'utf8') !== text);
  for (const [file] of stale) process.stderr.write(`${file.pathname.slice(root.pathname.length)} differs from the headers: run npm run gen\n`);
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const [file, text] of outputs) writeFileSync(file, text);
}
