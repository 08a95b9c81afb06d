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

const isTried = ({ metadata }) => metadata.annotations?.['seine.network/audit'] === 'true';

/** @param counts which policies are in force */
const sideAllows = (objects, question, counts, defect) => {
  const admin = tierDecision(objects, question, 'Admin', counts);
  if (admin === 'Accept' || admin === 'Deny') return admin === 'Accept';
  const normal = [...networkPolicies(objects, question, defect), ...ciliumPolicies(objects, question)].filter(({ policy }) => counts(policy));
  const said = normal.flatMap(({ says }) => says);
  /* The node's own processes reach its pods: kubelet's probes. */
  const isOwnHost = question.direction === 'ingress' && question.own.pod !== undefined && question.other.nodeObject !== undefined && question.other.node === question.own.node;
  if (said.includes('deny')) return false;
  if (said.includes('allow') || isOwnHost) return true;
  if (said.includes('withheld') || normal.some(({ isolates }) => isolates)) return false;
  return tierDecision(objects, question, 'Baseline', counts) !== 'Deny';
};

/** Policies under trial change nothing: the verdict is the one without them. */
const inForce = (policy) => !isTried(policy);

const between = (objects, from, target, asked, defect) => {
  if (from.address === target.address) return true;
  const question = { ...asked, port: target.port, target };
  return sideAllows(objects, { ...question, direction: 'egress', own: from, other: target }, inForce, defect) &&
    sideAllows(objects, { ...question, direction: 'ingress', own: target, other: from }, inForce, defect);
};

/** 'allow' | 'deny', or undefined where it depends on which backend a Service chooses. */
export const naive = (objects, { from, to, ...asked }, defect) => {
  const [source] = partiesNamed(objects, from, asked.port, asked.protocol);
  const answers = new Set(partiesNamed(objects, to, asked.port, asked.protocol).map((target) => (between(objects, source, target, asked, defect) ? 'allow' : 'deny')));
  return answers.size === 1 ? [...answers][0] : undefined;
};

/** Directions in which policies under trial would deny what passes. */
export const triedDenials = (objects, { from, to, ...asked }) => {
  const [source] = partiesNamed(objects, from, asked.port, asked.protocol);
  const [target] = partiesNamed(objects, to, asked.port, asked.protocol);
  if (source.address === target.address) return [];
  const question = { ...asked, port: target.port, target };
  return [{ ...question, direction: 'egress', own: source, other: target }, { ...question, direction: 'ingress', own: target, other: source }]
    .filter((side) => sideAllows(objects, side, inForce) && !sideAllows(objects, side, () => true)).map(({ direction }) => direction);
};
