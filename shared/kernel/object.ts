/** BPF objects through libbpf: open, give maps, load. */
import koffi from 'koffi';

import { SeineError } from '@seine/model';

import { kernelError } from './libc.ts';

const libbpf = koffi.load('libbpf.so.1');
const b = {
  open: libbpf.func('void *bpf_object__open_file(const char *path, const void *opts)'),
  load: libbpf.func('int bpf_object__load(void *object)'),
  close: libbpf.func('void bpf_object__close(void *object)'),
  findMap: libbpf.func('void *bpf_object__find_map_by_name(void *object, const char *name)'),
  findProgram: libbpf.func('void *bpf_object__find_program_by_name(void *object, const char *name)'),
  nextMap: libbpf.func('void *bpf_object__next_map(void *object, void *previous)'),
  mapName: libbpf.func('const char *bpf_map__name(void *map)'),
  mapFd: libbpf.func('int bpf_map__fd(void *map)'),
  reuse: libbpf.func('int bpf_map__reuse_fd(void *map, int fd)'),
  setMax: libbpf.func('int bpf_map__set_max_entries(void *map, uint32_t entries)'),
  programFd: libbpf.func('int bpf_program__fd(void *program)'),
  setPrint: libbpf.func('void *libbpf_set_print(void *callback)'),
};

export interface LoadedObject {
  readonly mapFd: (name: string) => number;
  readonly programFd: (name: string) => number;
  /** Fds of maps and programs close with the object: duplicate by pin what must live longer. */
  readonly close: () => void;
}

/**
 * @param options.reuse      fds of maps that exist already, by name
 * @param options.maxEntries sizes that differ from the object's, by name
 * @throws SEINE_OBJECT_REFUSED when the kernel's verifier or libbpf says no
 */
export const loadObject = (path: string, options: { readonly reuse?: ReadonlyMap<string, number>; readonly maxEntries?: Readonly<Record<string, number>> } = {}): LoadedObject => {
  const object: unknown = b.open(path, null);
  if (object === null) throw kernelError(`open ${path}`, koffi.errno());
  for (let map: unknown = b.nextMap(object, null); map !== null; map = b.nextMap(object, map)) {
    const name = b.mapName(map) as string;
    const fd = options.reuse?.get(name);
    if (fd !== undefined) {
      const result = b.reuse(map, fd) as number;
      if (result < 0) throw new SeineError('SEINE_LAYOUT_MISMATCH', `${path}: map ${name} on this node has another layout; drain the node or bump the map's number`, { map: name });
    } else if (options.maxEntries?.[name] !== undefined) {
      b.setMax(map, options.maxEntries[name]);
    }
  }
  const result = b.load(object) as number;
  if (result < 0) {
    b.close(object);
    const error = kernelError(`load ${path}`, -result);
    throw new SeineError('SEINE_OBJECT_REFUSED', error.message, { ...error.details, path });
  }
  const found = (what: string, name: string, pointer: unknown): unknown => {
    if (pointer === null) throw new SeineError('SEINE_OBJECT_REFUSED', `${path} holds no ${what} ${name}`, { path, name });
    return pointer;
  };
  return {
    mapFd: (name) => b.mapFd(found('map', name, b.findMap(object, name))) as number,
    programFd: (name) => b.programFd(found('program', name, b.findProgram(object, name))) as number,
    close: () => { b.close(object); },
  };
};
