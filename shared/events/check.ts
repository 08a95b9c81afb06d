/**
 * Checks a value against a JSON Schema of the few keywords that our events use. TypeBox writes the schemas and compiles checks as
 * well, but loading it costs each process 27 MB; a property test holds this one to the same verdicts. Pure.
 */

export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** Only the pattern that matches every key. */
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly const?: string | number | boolean;
  readonly anyOf?: readonly Schema[];
}

export const SCHEMA_KEYWORDS: readonly string[] = [
  'type', 'properties', 'required', 'patternProperties', 'items', 'maxItems', 'minLength', 'pattern', 'minimum', 'maximum', 'const', 'anyOf',
];

/** undefined when the value fits; otherwise what is wrong and where: `.ports[0].port is 70000, at most 65535 was expected`. */
export type Check = (value: unknown) => string | undefined;

const SHOWN_MAX = 40;
const show = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
};
const wrong = (value: unknown, expected: string): string => ` is ${show(value)}, ${expected} was expected`;

const checkObject = ({ properties = {}, required = [], patternProperties = {} }: Schema): Check => {
  const members = Object.entries(properties).map(([name, schema]) => ({ name, check: compileCheck(schema), required: required.includes(name) }));
  const others = Object.values(patternProperties).map(compileCheck);
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return wrong(value, 'an object');
    const object = value as Readonly<Record<string, unknown>>;
    for (const member of members) {
      const found = Object.hasOwn(object, member.name) ? object[member.name] : undefined;
      if (found === undefined) {
        if (member.required && !Object.hasOwn(object, member.name)) return `.${member.name}${wrong(undefined, 'a value')}`;
        if (!member.required) continue;
      }
      const failure = member.check(found);
      if (failure !== undefined) return `.${member.name}${failure}`;
    }
    for (const check of others) {
      for (const name of Object.keys(object)) {
        const failure = check(object[name]);
        if (failure !== undefined) return `[${JSON.stringify(name)}]${failure}`;
      }
    }
    return undefined;
  };
};

const checkArray = ({ items = {}, maxItems = Number.MAX_SAFE_INTEGER }: Schema): Check => {
  const check = compileCheck(items);
  return (value) => {
    if (!Array.isArray(value)) return wrong(value, 'a list');
    if (value.length > maxItems) return ` has ${value.length} members, at most ${maxItems} were expected`;
    for (let index = 0; index < value.length; index += 1) {
      const failure = check(value[index]);
      if (failure !== undefined) return `[${index}]${failure}`;
    }
    return undefined;
  };
};

const checkString = ({ minLength = 0, pattern }: Schema): Check => {
  const form = pattern === undefined ? undefined : new RegExp(pattern, 'u');
  return (value) => {
    if (typeof value !== 'string') return wrong(value, 'a text');
    if (value.length < minLength) return wrong(value, `a text of at least ${minLength}`);
    return form === undefined || form.test(value) ? undefined : wrong(value, `a text of the form ${pattern}`);
  };
};

const checkInteger = ({ minimum = -Infinity, maximum = Infinity }: Schema): Check => (value) => {
  if (!Number.isInteger(value)) return wrong(value, 'a whole number');
  if ((value as number) < minimum) return wrong(value, `at least ${minimum}`); // isInteger has said that it is a number
  return (value as number) > maximum ? wrong(value, `at most ${maximum}`) : undefined;
};

const checkAnyOf = (choices: readonly Schema[]): Check => {
  const checks = choices.map(compileCheck);
  const constants = choices.every((choice) => choice.const !== undefined);
  return (value) => {
    if (checks.some((check) => check(value) === undefined)) return undefined;
    return wrong(value, constants ? `one of ${choices.map((choice) => show(choice.const)).join(', ')}` : `one of ${choices.length} forms`);
  };
};

export const compileCheck = (schema: Schema): Check => {
  if (schema.anyOf !== undefined) return checkAnyOf(schema.anyOf);
  if (schema.const !== undefined) return (value) => (value === schema.const ? undefined : wrong(value, show(schema.const)));
  switch (schema.type) {
    case 'object': return checkObject(schema);
    case 'array': return checkArray(schema);
    case 'string': return checkString(schema);
    case 'integer': return checkInteger(schema);
    case 'boolean': return (value) => (typeof value === 'boolean' ? undefined : wrong(value, 'true or false'));
    default: return () => undefined;
  }
};
