import { text, wholeNumber, yesOrNo, type Fields } from '@seine/role';

export const DATAPATH_WRITER_FIELDS = {
  mtu: { env: 'SEINE_MTU', description: 'MTU of pods: the uplink\'s minus what encapsulation adds.', unit: 'bytes', default: '1500', parse: wholeNumber({ min: 576, max: 65535 }) },
  repair: { env: 'SEINE_REPAIR', description: 'Whether drift of the kernel is repaired; it is always reported.', default: 'true', parse: yesOrNo },
  proxyHealthPort: { env: 'SEINE_PROXY_HEALTH_PORT', description: 'Where this node answers /healthz as kube-proxy does; 0: nowhere.', default: '10256', parse: wholeNumber({ min: 0, max: 60999 }) },
  cniSocket: { env: 'SEINE_CNI_SOCKET', description: 'Socket of the CNI shim; empty: cni.sock in the run directory.', default: '', parse: text },
} as const satisfies Fields;
