/** What is refused as things are, whoever refused it: objects as a whole by the watcher and the policy-compiler, Services and pods' host ports in part by the service-compiler. Pure. */
import type { ObjectRef, Refusal } from '@seine/events';
import type { NodeState } from '@seine/datapath-writer';
import { compareCodeUnits } from '@seine/model';
import { objectKey } from '@seine/objects';

export interface RefusedNow extends ObjectRef {
  /** `in part`: the rest of it is served. */
  readonly refused: 'as a whole' | 'in part';
  readonly message: string;
}

export interface RefusedNews {
  /** Objects that were not admitted, by `<kind>/<namespace>/<name>`. */
  readonly refusedObjects: ReadonlyMap<string, { readonly object: ObjectRef; readonly refusals: readonly Pick<Refusal, 'message'>[] }>;
}

/** Of `namespace/name`, or of `kind/namespace/name` and, of an object with several policies, `/n`. */
const refOf = (key: string, kind?: string): ObjectRef => {
  const [first, second, third] = [...(kind === undefined ? [] : [kind]), ...key.split('/')] as [string, string, string]; // keys of the log
  return { kind: first, namespace: second, name: third };
};

/** @returns one for each reason, in the order of kinds and names */
export const refusedNow = ({ refusedPolicies, services, hostPorts }: Pick<NodeState, 'refusedPolicies' | 'services' | 'hostPorts'>, { refusedObjects }: RefusedNews): readonly RefusedNow[] => {
  const notAdmitted = [...refusedObjects.values()].flatMap(({ object, refusals }) => refusals.map(({ message }): RefusedNow => ({ ...object, refused: 'as a whole', message })));
  const policies = [...refusedPolicies].flatMap(([key, messages]) => messages.map((message): RefusedNow => ({ ...refOf(key), refused: 'as a whole', message })));
  const inPart = ([['Service', services], ['Pod', hostPorts]] as const).flatMap(([kind, decided]) => [...decided].flatMap(([key, { refusals }]) => refusals.map(({ message }): RefusedNow => ({ ...refOf(key, kind), refused: 'in part', message }))));
  const once = new Map([...notAdmitted, ...policies, ...inPart].map((each) => [`${objectKey(each)} ${each.message}`, each]));
  return [...once].sort(([a], [b]) => compareCodeUnits(a, b)).map(([, each]) => each);
};
