/** The name of a rule in samples, flows and dumps. */
export interface RuleName {
  readonly kind: string;
  /** '' for cluster-scoped kinds */
  readonly namespace: string;
  readonly name: string;
  /** The list of the object that holds the rule: `ingress`, `specs[1].egressDeny`. */
  readonly section: string;
  readonly index: number;
}

const RULE_NAME = /^([^/ ]+)\/([^/ ]*)\/(\S+) ((?:specs\[\d+\]\.)?\w+)\[(\d+)\]$/;

/** `NetworkPolicy/shop/x ingress[0]`; undefined when it is none. */
export const parseRuleName = (text: string): RuleName | undefined => {
  const match = RULE_NAME.exec(text);
  if (match === null) return undefined;
  const [, kind, namespace, name, section, index] = match as unknown as readonly [string, string, string, string, string, string]; // the pattern has five groups
  return { kind, namespace, name, section, index: Number(index) };
};
