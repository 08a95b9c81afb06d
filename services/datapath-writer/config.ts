import { text, wholeNumber, yesOrNo, type Fields } from '@seine/role';

export const DATAPATH_WRITER_FIELDS = {
  mtu: { env: 'SEINE_MTU', description: 'MTU of pods: the uplink\'s minus what encapsulation adds.', unit: 'bytes', default: '1500', parse: wholeNumber({ min: 576, max: 65535 }) },
  repair: { env: 'SEINE_REPAIR', description: 'Whether drift of the kernel is repaired; it is always reported.', default: 'true', parse: yesOrNo },
  cniSocket: { env: 'SEINE_CNI_SOCKET', description: 'Socket of the CNI shim; empty: cni.sock in the run directory.', default: '', parse: text },
} as const satisfies Fields;
