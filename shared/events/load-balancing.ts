/** How who comes from outside is answered by a pod on another node than the one that was asked: a setting of the cluster, and a Service's own word. */
export const LB_MODE_SETTING = 'bpf-lb-mode';
/** snat: through the node that was asked; dsr: by the pod's node itself; hybrid: TCP by the pod's node, all else through the one asked. */
export const LB_MODES = ['snat', 'dsr', 'hybrid'] as const;
export type LbMode = (typeof LB_MODES)[number];
