/** Configuration of the policy-compiler. Pure. */
import type { PolicyOptions } from '@seine/objects';
import type { Fields } from '@seine/role';

const KINDS = ['pods', 'nodes'] as const;

/** `nodes,pods` → the kinds that CIDR rules mean although they are in the cluster. */
export const cidrMatchMode = (text: string): readonly (typeof KINDS)[number][] => {
  const words = text.split(',').map((word) => word.trim()).filter((word) => word !== '');
  if (words.every((word) => (KINDS as readonly string[]).includes(word))) return KINDS.filter((kind) => words.includes(kind));
  throw new Error(`some of ${KINDS.join(', ')}, separated by commas, or nothing`);
};

export const POLICY_COMPILER_FIELDS = {
  cidrMatchMode: {
    env: 'SEINE_POLICY_CIDR_MATCH_MODE', description: "Kinds in the cluster that CIDR rules of Cilium's policies mean as well: nodes, pods, or both with a comma.", default: '', parse: cidrMatchMode,
  },
} as const satisfies Fields;

export const policyOptions = (matched: ReturnType<typeof cidrMatchMode>): PolicyOptions => ({ cidrNot: KINDS.filter((kind) => !matched.includes(kind)) });
