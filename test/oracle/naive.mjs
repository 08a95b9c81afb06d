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
 * @param counts which policies are in force
 * @returns undefined where policies of one priority say different things
 */
const sideAllows = (objects, question, counts, { defect, settings = {} } = {}) => {
  const mode = settings['policy-enforcement-mode'] ?? 'default';
  if (mode === 'never') return true;
  const admin = tierDecision(objects, question, 'Admin', counts);
  if (admin === 'any of them') return undefined;
  if (admin === 'Accept' || admin === 'Deny') return admin === 'Accept';
  const normal = [...networkPolicies(objects, question, defect), ...ciliumPolicies(objects, question, settings)].filter(({ policy }) => counts(policy));
  const said = normal.flatMap(({ says }) => says);
  /* The node's own processes reach its pods: kubelet's probes. */
  const isOwnHost = question.direction === 'ingress' && question.own.pod !== undefined && question.other.nodeObject !== undefined && question.other.node === question.own.node;
  if (said.includes('deny')) return false;
  if (said.includes('allow') || isOwnHost) return true;
  if (said.includes('withheld') || (mode === 'always' && question.own.pod !== undefined) || normal.some(({ isolates }) => isolates)) return false;
  const baseline = tierDecision(objects, question, 'Baseline', counts);
  return baseline === 'any of them' ? undefined : baseline !== 'Deny';
};

/** Policies under trial change nothing: the verdict is the one without them. */
const inForce = (objects) => (policy) => !isTried(objects, policy);

const between = (objects, from, target, asked, more) => {
  if (from.address === target.address) return true;
  const question = { ...asked, port: target.port, target };
  const sides = [
    sideAllows(objects, { ...question, direction: 'egress', own: from, other: target }, inForce(objects), more),
    sideAllows(objects, { ...question, direction: 'ingress', own: target, other: from }, inForce(objects), more),
  ];
  return sides.includes(false) ? false : sides.includes(undefined) ? undefined : true;
};

/**
 * 'allow' | 'deny', or undefined where it depends on which backend a Service chooses, or on an order that nobody has said.
 *
 * @param more `settings` of the cluster by name; `defect`: a sentence read wrongly
 */
export const naive = (objects, { from, to, ...asked }, more = {}) => {
  const [source] = partiesNamed(objects, from, asked.port, asked.protocol);
  const answers = new Set(partiesNamed(objects, to, asked.port, asked.protocol).map((target) => ({ true: 'allow', false: 'deny' })[between(objects, source, target, asked, more)]));
  return answers.size === 1 ? [...answers][0] : undefined;
};

/** Directions in which policies under trial would deny what passes. */
export const triedDenials = (objects, { from, to, ...asked }, settings = {}) => {
  const [source] = partiesNamed(objects, from, asked.port, asked.protocol);
  const [target] = partiesNamed(objects, to, asked.port, asked.protocol);
  if (source.address === target.address) return [];
  const question = { ...asked, port: target.port, target };
  return [{ ...question, direction: 'egress', own: source, other: target }, { ...question, direction: 'ingress', own: target, other: source }]
    .filter((side) => sideAllows(objects, side, inForce(objects), { settings }) && sideAllows(objects, side, () => true, { settings }) !== true).map(({ direction }) => direction);
};
