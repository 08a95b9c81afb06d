/** Asks the kernel's policy look-up without packets: 64 questions a system call. */
import { loadObject, testRun } from '@seine/kernel';
import { decode, encodeAll, QUESTION, type Row } from '@seine/layout';

export interface Question extends Partial<Row<typeof QUESTION>> { readonly identity: number; readonly direction: number; readonly peerIdentity: number }
/** For `party_probe`: the subject's IPv4 address where it is looked for. */
export const subjectAt = (address: string): Pick<Question, 'identity' | 'peerIdentity' | 'rule'> => ({ identity: 0, peerIdentity: 0, rule: Buffer.from(address.split('.').map(Number)).readUInt32LE() });

export interface Answer { readonly verdict: number; readonly reason: number; readonly rule: number }

const BATCH = 64;
const HEADER = 14;
const ANYONE = { peerAddress: '10.9.9.9', variant: 0, peerVariant: 0, port: 0, protocol: 6, peerInCluster: 1, verdict: 0, reason: 0, rule: 0 };

export interface Probe {
  readonly ask: (questions: readonly Question[]) => readonly Answer[];
  /** Asks the same questions again and again: only verdicts, decoded by hand. */
  readonly verdicts: (questions: readonly Question[]) => () => Uint8Array;
  /** The same with drop reasons. */
  readonly reasons: (questions: readonly Question[]) => () => Uint8Array;
  /** Mean nanoseconds of one question, of this batch asked `repeat` times. */
  readonly time: (questions: readonly Question[], repeat: number) => number;
  readonly close: () => void;
}

/**
 * @param reuse the maps to ask of, by name
 * @param program `party_probe` finds both sides by their addresses
 */
export const openProbe = (reuse: ReadonlyMap<string, number>, program: 'verdict_probe' | 'party_probe' = 'verdict_probe'): Probe => {
  const object = loadObject(new URL('../build/verdict_probe.o', import.meta.url).pathname, { reuse });
  const fd = object.programFd(program);
  const packet = (questions: readonly Question[]): Buffer =>
    Buffer.concat([Buffer.alloc(HEADER), encodeAll(QUESTION, questions.map((question) => ({ ...ANYONE, ...question })))]);
  const batch = (questions: readonly Question[]): readonly Answer[] => {
    const { data, retval } = testRun(fd, { data: packet(questions) });
    if (retval !== questions.length) throw new Error(`the probe answered ${retval} of ${questions.length} questions`);
    return questions.map((_, index) => {
      const { verdict, reason, rule } = decode(QUESTION, data, HEADER + index * QUESTION.size);
      return { verdict, reason, rule };
    });
  };
  /** One byte of each answer, again and again. */
  const bytes = (member: 'verdict' | 'reason') => (questions: readonly Question[]): (() => Uint8Array) => {
    const offset = HEADER + QUESTION.fields.find(({ name }) => name === member)!.offset;
    const packets = Array.from({ length: Math.ceil(questions.length / BATCH) }, (_, index) => packet(questions.slice(index * BATCH, (index + 1) * BATCH)));
    const found = new Uint8Array(questions.length);
    return () => {
      packets.forEach((data, part) => {
        const answers = testRun(fd, { data }).data;
        for (let index = part * BATCH, at = offset; at < answers.length; index += 1, at += QUESTION.size) found[index] = answers[at]!;
      });
      return found;
    };
  };
  return {
    verdicts: bytes('verdict'), reasons: bytes('reason'),
    ask: (questions) => Array.from({ length: Math.ceil(questions.length / BATCH) }, (_, index) => batch(questions.slice(index * BATCH, (index + 1) * BATCH))).flat(),
    time: (questions, repeat) => testRun(fd, { data: packet(questions), repeat }).durationNs / questions.length,
    close: object.close,
  };
};
