/** Should be × is → the difference, each with the event that put the row there. Pure. */
import type { CanonicalEntry, Difference } from '@seine/node';

import { originKey, type NodeState, type Origin } from './fold.ts';

/** An origin, and whose it is: `<noun>/<key>`. */
export interface NamedOrigin extends Origin { readonly subject: string }

const memberOf = (text: string, name: string): string | undefined => {
  const match = new RegExp(`(?:^| )${name}=(.*?)(?= [a-zA-Z]+=|$)`).exec(text);
  return match?.[1];
};

/** The event behind an entry, as far as the entry names its aggregate. */
export const originOf = (state: Readonly<NodeState>, { map, key, value }: CanonicalEntry): NamedOrigin | undefined => {
  const of = (noun: string, name: string | undefined): NamedOrigin | undefined => {
    const origin = name === undefined ? undefined : state.origins.get(originKey(noun, name));
    return origin === undefined ? undefined : { ...origin, subject: `${noun}/${name}` };
  };
  const policyOf = (rule: string | undefined): NamedOrigin | undefined => (rule === undefined || rule === '-' ? undefined : of('policy', rule.slice(0, rule.lastIndexOf(' '))));
  const nodeOf = (address: string | undefined): NamedOrigin | undefined => {
    const node = [...state.nodes].find(([, { addresses }]) => address !== undefined && addresses.includes(address));
    return node === undefined ? undefined : of('node', node[0]);
  };
  const podCidrOf = (address: string | undefined): NamedOrigin | undefined => of('podcidr', [...state.podCidrs].find(([, cidrs]) => cidrs.some((cidr) => cidr.startsWith(`${address}/`)))?.[0]);
  const address = memberOf(key, 'address');
  switch (map) {
    case 'sn_ipcache_01': return of('address', address) ?? nodeOf(address);
    case 'sn_endpoint_01': {
      const pod = [...state.endpoints].find(([, { addresses }]) => address !== undefined && addresses.includes(address));
      return pod === undefined ? undefined : of('endpoint', pod[0]);
    }
    case 'sn_row_01': return policyOf(memberOf(value, 'rule'));
    case 'sn_subject_01': return of('identity', memberOf(key, 'identity'));
    case 'sn_peer_01': return of('identity', memberOf(key, 'identity'));
    case 'sn_frontend_02': {
      const service = [...state.services].find(([, { frontends }]) => frontends.some((frontend) => frontend.address === address && String(frontend.port) === memberOf(key, 'port')));
      if (service !== undefined) return of('service', service[0]);
      return of('hostports', [...state.hostPorts].find(([, { ports }]) => ports.some((asked) => asked.address === address && String(asked.port) === memberOf(key, 'port')))?.[0]);
    }
    case 'sn_srange_01':
    case 'sn_direct_01': {
      const service = [...state.services].find(([, { frontends }]) => frontends.some(({ id }) => String(id) === memberOf(map === 'sn_srange_01' ? key : value, 'revnat')));
      return service === undefined ? undefined : of('service', service[0]);
    }
    case 'sn_slot_02':
    case 'sn_backend_01': {
      const id = Number(memberOf(map === 'sn_slot_02' ? value : key, 'value'));
      const slice = [...state.slices].find(([, { backends }]) => backends.some((backend) => backend.id === id));
      if (slice !== undefined) return of('backends', slice[0]);
      return of('hostports', [...state.hostPorts].find(([, { ports }]) => ports.some(({ backend }) => backend.id === id))?.[0]);
    }
    case 'sn_ipprefix_01': return podCidrOf(address);
    case 'sn_nomasq_01': return podCidrOf(address) ?? of('ipmasqagent', [...state.masqAgents.keys()][0]);
    default: return undefined;
  }
};

const entryKey = ({ map, key }: CanonicalEntry): string => `${map} ${key}`;

export const differences = (want: readonly CanonicalEntry[], have: readonly CanonicalEntry[], state: Readonly<NodeState>): readonly Difference[] => {
  const wanted = new Map(want.map((entry) => [entryKey(entry), entry]));
  const held = new Map(have.map((entry) => [entryKey(entry), entry]));
  const found: Difference[] = [];
  const note = (kind: Difference['kind'], entry: CanonicalEntry, wantValue: string | null, haveValue: string | null): void => {
    const origin = originOf(state, entry);
    found.push({ map: entry.map, key: entry.key, kind, want: wantValue, have: haveValue, event: origin === undefined ? null : { seq: origin.seq, type: origin.type, subject: origin.subject } });
  };
  for (const [key, entry] of wanted) {
    const is = held.get(key);
    if (is === undefined) note('missing', entry, entry.value, null);
    else if (is.value !== entry.value) note('changed', entry, entry.value, is.value);
  }
  for (const [key, entry] of held) if (!wanted.has(key)) note('extra', entry, null, entry.value);
  return found;
};
