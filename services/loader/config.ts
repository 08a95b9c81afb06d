import { oneOf, text, wholeNumber, yesOrNo, type Fields } from '@seine/role';

import { XDP_SETTINGS } from './core/xdp-modes.ts';

const names = (value: string): readonly string[] => value.split(',').filter((name) => name !== '');

export const LOADER_FIELDS = {
  pinRoot: { env: 'SEINE_PIN_ROOT', description: 'Where maps, programs and links are pinned.', default: '/sys/fs/bpf/seine', parse: text },
  cgroup: { env: 'SEINE_CGROUP_ROOT', description: 'cgroup2 directory whose processes have their Services translated.', default: '/sys/fs/cgroup', parse: text },
  bpfDir: { env: 'SEINE_BPF_DIR', description: 'Where the built BPF objects are.', default: new URL('../../bpf/build', import.meta.url).pathname, parse: text },
  uplinks: { env: 'SEINE_UPLINKS', description: 'Interfaces towards other nodes and the world, by commas; empty: packets between nodes take the kernel\'s stack, no policy of the node itself is in force there, and nothing is masqueraded.', default: '', parse: names },
  tcx: { env: 'SEINE_TCX', description: 'Whether links at TCX stand before all other programs where the kernel has them; without, the tc filters stand alone and a foreign TCX program may keep them from running.', default: 'true', parse: yesOrNo },
  xdp: { env: 'SEINE_XDP', description: 'Whether what passes through this node between the world and a Service\'s backend elsewhere is carried at XDP, at the uplinks: off; native (the driver\'s), generic; auto: native where the driver has it, else generic, and generic at a veth. What cannot be attached is said, and tc carries everything.', default: 'off', parse: oneOf(...XDP_SETTINGS) },
  ctSize: { env: 'SEINE_CT_SIZE', description: 'Entries of each conntrack table.', unit: 'entries', default: '65536', parse: wholeNumber({ min: 1024, max: 16_777_216 }) },
} as const satisfies Fields;
