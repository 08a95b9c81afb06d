/**
 * NATS subjects, built here and nowhere else. NATS splits on dots and gives `*`, `>` and blanks a meaning, and names of nodes and
 * clusters may hold any of them, so each name becomes one token. Pure.
 */
import type { Lane } from '@seine/events';

const PLAIN = /^[A-Za-z0-9_-]+$/;
const PLAIN_BYTE = /[A-Za-z0-9_-]/;

/** One token that holds any text: letters, digits, `_` and `-` stay, every other byte of the UTF-8 becomes `=xx`; the empty text is `=`. */
export const token = (text: string): string => {
  if (PLAIN.test(text)) return text;
  if (text === '') return '=';
  return Array.from(Buffer.from(text, 'utf8'), (byte) => {
    const character = String.fromCharCode(byte);
    return PLAIN_BYTE.test(character) ? character : `=${byte.toString(16).padStart(2, '0')}`;
  }).join('');
};

/** The inverse of `token`; undefined for what `token` never returns. */
export const textOfToken = (encoded: string): string | undefined => {
  if (encoded === '=') return '';
  if (!/^(?:[A-Za-z0-9_-]|=[0-9a-f]{2})+$/.test(encoded)) return undefined;
  const text = Buffer.from(encoded.replaceAll(/=([0-9a-f]{2})|(.)/g, (_, hex: string | undefined, plain: string | undefined) =>
    hex ?? plain!.charCodeAt(0).toString(16).padStart(2, '0')), 'hex').toString('utf8');
  return token(text) === encoded ? text : undefined;
};

export const LOG_STREAM = 'SEINE_LOG';
export const REPORT_STREAM = 'SEINE_REPORT';

export const logSubject = (cluster: string, lane: Lane): string => `seine.log.${token(cluster)}.${lane}`;
export const allLogSubjects = (cluster: string): string => `seine.log.${token(cluster)}.>`;
/** What the broker republishes; nobody else may publish there. */
export const allLiveSubjects = (cluster: string): string => `seine.live.${token(cluster)}.>`;
export const tickSubject = (cluster: string, lane: Lane): string => `seine.tick.${token(cluster)}.${lane}`;
export const reportSubject = (cluster: string, node: string): string => `seine.report.${token(cluster)}.${token(node)}`;
export const allReportSubjects = (cluster: string): string => `seine.report.${token(cluster)}.*`;
/** What a node applied, for taps; nobody acts on it. */
export const appliedSubject = (cluster: string, node: string): string => `seine.node.${token(cluster)}.${token(node)}.applied`;
export const flowsSubject = (cluster: string, node: string): string => `seine.node.${token(cluster)}.${token(node)}.flows`;
export const allFlowsSubjects = (cluster: string): string => `seine.node.${token(cluster)}.*.flows`;
