/**
 * A second opinion: the text of each policy API read literally, one question at a time, over raw Kubernetes objects. It imports nothing, shares
 * no code or idea with the compiler, and knows no rows, identities or classes. Slow on purpose.
 *
 * This file joins the APIs: the tier Admin first; then NetworkPolicy and both kinds of Cilium as one tier, where any deny wins over any allow
 * and whoever is isolated is denied the rest; then the tier Baseline; then everything is allowed.
 */
import { ciliumPolicies } from './cilium.mjs';
import { partiesNamed } from './cluster.mjs';
import { tierDecision } from './cluster-network-policy.mjs';
import { networkPolicies } from './network-policy.mjs';

export { insideCidr, partiesNamed, selectorMeets } from './cluster.mjs';

const hasAudit = ({ metadata }) => metadata.annotations?.['seine.network/audit'] === 'true';
/** Under trial by itself, or because its namespace is. */
const isTried = (objects, policy) => hasAudit(policy) || (policy.metadata.namespace !== undefined && objects.some((object) => object.kind === 'Namespace' && object.metadata.name === policy.metadata.namespace && hasAudit(object)));

/**
 * 'allowed', 'denied' by a rule, 'not allowed' by any.
 *
 * @param counts which policies are in force
 * @returns undefined where policies of one priority say different things
 */
const sideSays = (objects, question, counts, { defect, settings = {} } = {}) => {
  const mode = settings['policy-enforcement-mode'] ?? 'default';
  if (mode === 'never') return 'allowed';
  const admin = tierDecision(objects, question, 'Admin', counts);
  if (admin === 'any of them') return undefined;
  if (admin === 'Accept' || admin === 'Deny') return admin === 'Accept' ? 'allowed' : 'denied';
  const normal = [...networkPolicies(objects, question, defect), ...ciliumPolicies(objects, question, settings)].filter(({ policy }) => counts(policy));
  const said = normal.flatMap(({ says }) => says);
  /* The node's own processes reach its pods: kubelet's probes. */
  const isOwnHost = question.direction === 'ingress' && question.own.pod !== undefined && question.other.nodeObject !== undefined && question.other.node === question.own.node;
  if (said.includes('deny')) return 'denied';
  if (said.includes('allow') || isOwnHost) return 'allowed';
  if (said.includes('withheld') || (mode === 'always' && question.own.pod !== undefined) || normal.some(({ isolates }) => isolates)) return 'not allowed';
  const baseline = tierDecision(objects, question, 'Baseline', counts);
  return baseline === 'any of them' ? undefined : baseline === 'Deny' ? 'denied' : 'allowed';
};

/** Policies under trial change nothing: the verdict is the one without them. */
const inForce = (objects) => (policy) => !isTried(objects, policy);
const everyOne = () => true;

/** The two sides that judge, in the order in which a packet meets them; nobody is isolated from itself. */
const sidesOf = (source, target, asked) => {
  const question = { ...asked, port: target.port, target };
  return source.address === target.address ? [] : [{ ...question, direction: 'egress', own: source, other: target }, { ...question, direction: 'ingress', own: target, other: source }];
};

const between = (objects, source, target, asked, more) => {
  const said = sidesOf(source, target, asked).map((side) => sideSays(objects, side, inForce(objects), more));
  return said.includes('denied') || said.includes('not allowed') ? 'deny' : said.includes(undefined) ? undefined : 'allow';
};

/**
 * 'allow' | 'deny', or undefined where it depends on which backend a Service chooses, or on an order that nobody has said.
 *
 * @param more `settings` of the cluster by name; `defect`: a sentence read wrongly
 */
export const naive = (objects, { from, to, ...asked }, more = {}) => {
  const [source] = partiesNamed(objects, from, asked.port, asked.protocol);
  const answers = new Set(partiesNamed(objects, to, asked.port, asked.protocol).map((target) => between(objects, source, target, asked, more)));
  return answers.size === 1 ? [...answers][0] : undefined;
};

const sidesNamed = (objects, { from, to, ...asked }) => {
  const [source] = partiesNamed(objects, from, asked.port, asked.protocol);
  const [target] = partiesNamed(objects, to, asked.port, asked.protocol);
  return sidesOf(source, target, asked);
};

/** Where what is denied is denied first, and how: 181 by a rule, 133 because none allows it. Undefined where an order that nobody has said decides. */
export const denialOf = (objects, probe, settings = {}) => {
  for (const side of sidesNamed(objects, probe)) {
    const said = sideSays(objects, side, inForce(objects), { settings });
    if (said !== 'allowed') return said === undefined ? undefined : { direction: side.direction, code: said === 'denied' ? 181 : 133 };
  }
  return undefined;
};

/** Directions in which policies under trial would deny what passes: surely, or (of one priority they say different things) perhaps. */
export const triedDenials = (objects, probe, settings = {}) => {
  const sides = sidesNamed(objects, probe).filter((side) => sideSays(objects, side, inForce(objects), { settings }) === 'allowed')
    .map((side) => ({ direction: side.direction, said: sideSays(objects, side, everyOne, { settings }) }));
  const where = (meets) => sides.filter(({ said }) => meets(said)).map(({ direction }) => direction);
  return { surely: where((said) => said !== undefined && said !== 'allowed'), perhaps: where((said) => said === undefined) };
};
