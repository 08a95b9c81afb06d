/**
 * A Kubernetes LabelSelector in normal form. Pure. The empty selector matches everything; an absent one is `undefined` at its owner.
 */
export type Requirement =
  | { readonly key: string; readonly operator: 'In' | 'NotIn'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'Exists' | 'DoesNotExist' };

/** All requirements must hold. matchLabels are `In` with one value. */
export type Selector = readonly Requirement[];

/** Plain label map, key → value. Use `Object.hasOwn`: keys come from strangers. */
export type Labels = Readonly<Record<string, string>>;

const requirementHolds = (requirement: Requirement, valueOf: (key: string) => string | undefined): boolean => {
  const value = valueOf(requirement.key);
  switch (requirement.operator) {
    case 'In': return value !== undefined && requirement.values.includes(value);
    case 'NotIn': return value === undefined || !requirement.values.includes(value);
    case 'Exists': return value !== undefined;
    case 'DoesNotExist': return value === undefined;
  }
};

/** @param valueOf the label's value; undefined when there is no such label */
export const selectsBy = (selector: Selector, valueOf: (key: string) => string | undefined): boolean => selector.every((requirement) => requirementHolds(requirement, valueOf));

export const selects = (selector: Selector, labels: Labels): boolean => selectsBy(selector, (key) => (Object.hasOwn(labels, key) ? labels[key] : undefined));
