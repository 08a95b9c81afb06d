/**
 * What the four policy kinds may hold, written from their APIs' own texts as one table for each: NetworkPolicy v1 with the API server's validation,
 * CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy v2 with their definition's constraints and the checks that Cilium makes after them,
 * ClusterNetworkPolicy v1alpha2. Imports nothing. A member that is null is absent; a member that no table names is an error, as `kubectl` says it is.
 */

/** @typedef {(value: unknown, at: string, wrong: (at: string) => void) => void} Check */

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const has = (object, name) => Object.prototype.hasOwnProperty.call(object, name) && object[name] !== null && object[name] !== undefined;

const text = (test = () => true) => (value, at, wrong) => { if (typeof value !== 'string' || !test(value)) wrong(at); };
const whole = (least, most) => (value, at, wrong) => { if (!Number.isInteger(value) || value < least || value > most) wrong(at); };
const flag = (value, at, wrong) => { if (typeof value !== 'boolean') wrong(at); };
const oneWord = (...words) => text((value) => words.includes(value));
const all = (...checks) => (value, at, wrong) => { for (const check of checks) check(value, at, wrong); };

const list = (item, { least = 0, most = Infinity, isSet = false } = {}) => (value, at, wrong) => {
  if (!Array.isArray(value)) { wrong(at); return; }
  if (value.length < least || value.length > most) wrong(at);
  value.forEach((each, index) => {
    if (each === null || each === undefined) wrong(`${at}[${index}]`); else item(each, `${at}[${index}]`, wrong);
    if (isSet && value.indexOf(each) < index) wrong(`${at}[${index}]`);
  });
};

/** @param also what one member says of another */
const object = (members, { needed = [], also = () => {} } = {}) => (value, at, wrong) => {
  if (!isObject(value)) { wrong(at); return; }
  for (const name of Object.keys(value)) if (!Object.prototype.hasOwnProperty.call(members, name)) wrong(`${at}.${name}`);
  for (const name of needed) if (!has(value, name)) wrong(`${at}.${name}`);
  for (const [name, check] of Object.entries(members)) if (has(value, name)) check(value[name], `${at}.${name}`, wrong);
  also(value, at, wrong);
};
const exactlyOne = (...names) => (value, at, wrong) => { if (names.filter((name) => has(value, name)).length !== 1) wrong(at); };

/* Names */

const label = (value) => value.length <= 63 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(value);
const subdomain = (value) => value.length <= 253 && value.split('.').every((part) => /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(part));
const qualified = (value) => {
  const parts = value.split('/');
  const name = parts.at(-1);
  return parts.length <= 2 && (parts.length === 1 || subdomain(parts[0])) && name.length <= 63 && /^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(name);
};
const labelValue = (value) => value === '' || (value.length <= 63 && /^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(value));
const serviceName = (value) => value.length <= 15 && /^[a-z0-9-]+$/.test(value) && /[a-z]/.test(value) && !/^-|-$|--/.test(value);

/* Addresses, by hand: no word of anybody's parser */

const v4 = (value) => /^\d+(\.\d+){3}$/.test(value) && value.split('.').every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
const groupsOf = (half) => (half === '' ? [] : half.split(':'));
const v6 = (value) => {
  const tail = /^(.*:)([^:]*\..*)$/.exec(value);
  if (tail !== null) return v4(tail[2]) && v6(`${tail[1]}0:0`);
  if (!/^[0-9a-fA-F:]+$/.test(value)) return false;
  const halves = value.split('::');
  if (halves.length > 2) return false;
  const groups = halves.flatMap(groupsOf);
  return groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group)) && (halves.length === 2 ? groups.length <= 7 : groups.length === 8);
};
const address = (value) => v4(value) || v6(value);
const cidr = (value) => {
  const [base, length, ...more] = value.split('/');
  return more.length === 0 && length !== undefined && /^(0|[1-9]\d{0,2})$/.test(length) && ((v4(base) && Number(length) <= 32) || (v6(base) && Number(length) <= 128));
};
/** The bits of an address, IPv4 as the 32 that it has. */
const bitsOf = (value) => {
  if (v4(value)) return value.split('.').map((part) => Number(part).toString(2).padStart(8, '0')).join('');
  const mapped = /^(.*:)([^:]*\..*)$/.exec(value);
  const plain = mapped === null ? value : `${mapped[1]}${mapped[2].split('.').reduce((out, part, index) => out + (index === 2 ? ':' : '') + Number(part).toString(16).padStart(2, '0'), '')}`;
  const [head, tail] = plain.split('::').map(groupsOf);
  const groups = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
  return groups.map((group) => Number.parseInt(group, 16).toString(2).padStart(16, '0')).join('');
};
/** Bits and length as a block of IPv6; an IPv4 block, however it is written, lies in ::ffff:0:0/96. */
const MAPPED = '0'.repeat(80) + '1'.repeat(16);
const blockOf = (value) => {
  const [base, length] = value.split('/');
  const [bits, size] = v4(base) ? [MAPPED + bitsOf(base), Number(length) + 96] : [bitsOf(base), Number(length)];
  return { bits: bits.slice(0, size), isV4: size >= 96 && bits.startsWith(MAPPED) };
};
const isWithin = (inner, outer) => {
  const [a, b] = [blockOf(inner), blockOf(outer)];
  return a.isV4 === b.isV4 && a.bits.startsWith(b.bits);
};

/* Selectors */

const selector = (isKey) => object({
  matchLabels: (value, at, wrong) => {
    if (!isObject(value)) { wrong(at); return; }
    for (const [key, each] of Object.entries(value)) if (!isKey(key) || typeof each !== 'string' || !labelValue(each)) wrong(`${at}.${key}`);
  },
  matchExpressions: list(object({ key: text(isKey), operator: oneWord('In', 'NotIn', 'Exists', 'DoesNotExist'), values: list(text(labelValue)) }, {
    needed: ['key', 'operator'],
    also: ({ operator, values }, at, wrong) => {
      const [some, isGiven] = [['In', 'NotIn'].includes(operator), Array.isArray(values) && values.length > 0];
      if (some ? !isGiven : isGiven && ['Exists', 'DoesNotExist'].includes(operator)) wrong(`${at}.values`);
    },
  })),
});
const plainSelector = selector(qualified);

const RESERVED = ['host', 'world', 'unmanaged', 'health', 'init', 'remote-node', 'kube-apiserver', 'ingress', 'world-ipv4', 'world-ipv6', 'none'];
const NAMESPACE_LABELS = 'io.cilium.k8s.namespace.labels.';
const sourced = (key) => {
  const [, source, name] = /^([^:]*):(.*)$/s.exec(key) ?? [key, 'any', key];
  if (source === 'k8s' || source === 'any') return qualified(name.startsWith(NAMESPACE_LABELS) ? name.slice(NAMESPACE_LABELS.length) : name);
  if (source === 'reserved') return RESERVED.includes(name);
  const written = name.includes('.') ? name : name.replaceAll('-', ':');
  return source === 'cidr' && (cidr(written) || address(written));
};
const endpointSelector = selector(sourced);
/** Over the labels of objects: a source in front is allowed and says nothing. */
const objectSelector = (...sources) => selector((key) => qualified(sources.includes(key.split(':')[0]) && key.includes(':') ? key.slice(key.indexOf(':') + 1) : key));

/* NetworkPolicy v1 */

const PORTED = ['TCP', 'UDP', 'SCTP'];
const networkPort = object({
  protocol: oneWord(...PORTED), endPort: whole(1, 65535),
  port: (value, at, wrong) => { if (typeof value === 'string' ? !serviceName(value) : !(Number.isInteger(value) && value >= 1 && value <= 65535)) wrong(at); },
}, { also: ({ port, endPort }, at, wrong) => { if (endPort !== undefined && endPort !== null && !(typeof port === 'number' && endPort >= port)) wrong(`${at}.endPort`); } });
const ipBlock = object({ cidr: text(cidr), except: list(text(cidr)) }, {
  needed: ['cidr'],
  also: (block, at, wrong) => {
    if (typeof block.cidr !== 'string' || !cidr(block.cidr) || !Array.isArray(block.except)) return;
    block.except.forEach((hole, index) => { if (typeof hole === 'string' && cidr(hole) && (!isWithin(hole, block.cidr) || isWithin(block.cidr, hole))) wrong(`${at}.except[${index}]`); });
  },
});
const networkPeer = object({ podSelector: plainSelector, namespaceSelector: plainSelector, ipBlock }, {
  also: (peer, at, wrong) => { const count = ['podSelector', 'namespaceSelector'].filter((name) => has(peer, name)).length; if (has(peer, 'ipBlock') ? count > 0 : count === 0) wrong(at); },
});
const networkRule = (peers) => object({ ports: list(networkPort), [peers]: list(networkPeer) });
const networkSpec = object({ podSelector: plainSelector, policyTypes: list(oneWord('Ingress', 'Egress'), { most: 2 }), ingress: list(networkRule('from')), egress: list(networkRule('to')) });

/* Cilium v2 */

const NUMBERED = ['VRRP', 'IGMP', 'GRE', 'IPIP', 'IPV6', 'ESP', 'AH'];
const isPort = (value) => (/^(0|[1-9]\d*)$/.test(value) && Number(value) <= 65535) || serviceName(value.toLowerCase());
const ciliumPort = object({ port: text((value) => value === '' || isPort(value)), endPort: whole(0, 65535), protocol: oneWord(...PORTED, ...NUMBERED, 'ANY') }, {
  also: ({ port, endPort, protocol }, at, wrong) => {
    const none = port === undefined || port === null || port === '' || port === '0';
    const end = endPort ?? 0;
    if (NUMBERED.includes(protocol)) { if (!none || end !== 0) wrong(`${at}.port`); return; }
    if (end !== 0 && (none || (/^\d+$/.test(port) && end < Number(port)))) wrong(`${at}.endPort`);
  },
});
const secret = object({ name: text((value) => value !== ''), namespace: text() }, { needed: ['name'] });
const header = (value) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value);
/** RE2's, as JavaScript reads it: over what strangers write here (no classes by name, no inline flags) the two agree. */
const expression = text((value) => { try { return RegExp(value) instanceof RegExp; } catch { return false; } });
const http = object({
  path: expression, method: expression, host: expression, headers: list(text((value) => header(value.split(/[: ]/)[0]))),
  headerMatches: list(object({ name: text(header), value: text(), secret, mismatch: oneWord('LOG', 'ADD', 'DELETE', 'REPLACE') }, { needed: ['name'] })),
});
const domain = (extra) => text((value) => value.length <= 255 && new RegExp(`^[-A-Za-z0-9_.${extra}]+$`).test(value) && !value.startsWith('.') && !value.includes('..'));
const dns = object({ matchName: domain(''), matchPattern: domain('*') }, { also: exactlyOne('matchName', 'matchPattern') });
const tls = object({ secret, trustedCA: text(), certificate: text(), privateKey: text() }, { needed: ['secret'] });
const listener = object({
  name: text((value) => value !== ''), priority: whole(1, 100),
  envoyConfig: object({ kind: oneWord('CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig'), name: text((value) => value !== '') }, { needed: ['name'] }),
}, { needed: ['name', 'envoyConfig'] });

/** What rules above the ports say of the rest of their item. */
const conditions = (where) => (item, at, wrong) => {
  const rules = isObject(item.rules) ? item.rules : {};
  const [isHttp, isDns] = [has(rules, 'http'), has(rules, 'dns')];
  const ports = Array.isArray(item.ports) ? item.ports.filter(isObject) : [];
  if (has(item, 'listener')) {
    if (where.direction === 'ingress' || isHttp || isDns) wrong(`${at}.listener`);
    if (where.isClusterwide && item.listener.envoyConfig?.kind === 'CiliumEnvoyConfig') wrong(`${at}.listener.envoyConfig.kind`);
  }
  if (!isHttp && !isDns) return;
  if (isHttp && isDns) wrong(`${at}.rules`);
  if (has(item, 'serverNames') && !has(item, 'terminatingTLS')) wrong(`${at}.serverNames`);
  if (isDns && where.direction === 'ingress') wrong(`${at}.rules.dns`);
  if (isDns && ports.length === 0) wrong(`${at}.ports`);
  if (where.isHost && (isHttp || where.direction === 'ingress')) wrong(`${at}.rules`);
  for (const { port, protocol, endPort } of ports) {
    if (port === undefined || port === null || port === '' || port === '0' || NUMBERED.includes(protocol)) wrong(`${at}.ports`);
    if (isHttp && protocol !== 'TCP') wrong(`${at}.ports`);
    if (isDns && /^\d+$/.test(port ?? '') && (endPort ?? 0) > Number(port)) wrong(`${at}.ports`);
  }
};
const portRule = (where) => object({
  ports: list(ciliumPort, { most: 40 }),
  ...(where.isDeny ? {} : { rules: object({ http: list(http), dns: list(dns) }), serverNames: list(domain('*'), { least: 1, isSet: true }), terminatingTLS: tls, originatingTLS: tls, listener }),
}, { also: where.isDeny ? () => {} : conditions(where) });

const ICMP = {
  IPv4: ['EchoReply', 'DestinationUnreachable', 'Redirect', 'Echo', 'EchoRequest', 'RouterAdvertisement', 'RouterSelection', 'TimeExceeded', 'ParameterProblem', 'Timestamp', 'TimestampReply', 'Photuris', 'ExtendedEchoRequest', 'ExtendedEchoReply'],
  IPv6: [
    'DestinationUnreachable', 'PacketTooBig', 'TimeExceeded', 'ParameterProblem', 'EchoRequest', 'EchoReply', 'MulticastListenerQuery', 'MulticastListenerReport', 'MulticastListenerDone', 'RouterSolicitation', 'RouterAdvertisement',
    'NeighborSolicitation', 'NeighborAdvertisement', 'RedirectMessage', 'RouterRenumbering', 'ICMPNodeInformationQuery', 'ICMPNodeInformationResponse', 'InverseNeighborDiscoverySolicitation', 'InverseNeighborDiscoveryAdvertisement',
    'HomeAgentAddressDiscoveryRequest', 'HomeAgentAddressDiscoveryReply', 'MobilePrefixSolicitation', 'MobilePrefixAdvertisement', 'DuplicateAddressRequestCodeSuffix', 'DuplicateAddressConfirmationCodeSuffix', 'ExtendedEchoRequest', 'ExtendedEchoReply',
  ],
};
const icmpField = object({ family: oneWord('IPv4', 'IPv6'), type: () => {} }, {
  needed: ['type'],
  also: ({ family, type }, at, wrong) => {
    const names = Object.prototype.hasOwnProperty.call(ICMP, family ?? 'IPv4') ? ICMP[family ?? 'IPv4'] : [];
    const number = typeof type === 'string' && /^(0|[1-9]\d*)$/.test(type) ? Number(type) : type;
    if (!names.includes(type) && !(Number.isInteger(number) && number >= 0 && number <= 255)) wrong(`${at}.type`);
  },
});
const icmp = object({ fields: list(icmpField, { most: 40 }) });

const ENTITIES = ['all', 'world', 'cluster', 'cluster-mesh', 'host', 'init', 'ingress', 'unmanaged', 'remote-node', 'health', 'none', 'kube-apiserver'];
const cidrSet = object({ cidr: text(cidr), cidrGroupRef: text(subdomain), cidrGroupSelector: objectSelector('cidrgroup'), except: list(text(cidr)) }, {
  also: all(exactlyOne('cidr', 'cidrGroupRef', 'cidrGroupSelector'), (set, at, wrong) => {
    if (typeof set.cidr !== 'string' || !cidr(set.cidr) || !Array.isArray(set.except)) return;
    set.except.forEach((hole, index) => { if (typeof hole === 'string' && cidr(hole) && !isWithin(hole, set.cidr)) wrong(`${at}.except[${index}]`); });
  }),
});
const inNamespace = text((value) => value === '' || label(value));
const service = object({
  k8sService: object({ serviceName: text(label), namespace: inNamespace }, { needed: ['serviceName'] }),
  k8sServiceSelector: object({ selector: objectSelector('k8s', 'any'), namespace: inNamespace }, { needed: ['selector'] }),
}, { also: exactlyOne('k8sService', 'k8sServiceSelector') });
const cloudGroup = object({ aws: object({ labels: (value, at, wrong) => { if (!isObject(value) || Object.values(value).some((each) => typeof each !== 'string')) wrong(at); }, region: text(), securityGroupsIds: list(text()), securityGroupsNames: list(text()) }) });

const PEERS = (side) => ({
  [`${side}Endpoints`]: list(endpointSelector), [`${side}Entities`]: list(oneWord(...ENTITIES)), [`${side}CIDR`]: list(text((value) => cidr(value) || address(value))), [`${side}CIDRSet`]: list(cidrSet),
  [`${side}Nodes`]: list(objectSelector('k8s', 'any', 'node')), [`${side}Groups`]: list(cloudGroup),
  ...(side === 'to' ? { toServices: list(service) } : {}),
});
const ciliumRule = (where) => {
  const side = where.direction === 'ingress' ? 'from' : 'to';
  const peers = { ...PEERS(side), ...(side === 'to' && !where.isDeny ? { toFQDNs: list(dns) } : {}) };
  return object({
    ...peers, [`${side}Requires`]: list(() => {}, { most: 0 }), toPorts: list(portRule(where)), icmps: list(icmp),
    ...(where.isDeny ? {} : { authentication: object({ mode: oneWord('disabled', 'required', 'test-always-fail') }, { needed: ['mode'] }) }),
  }, {
    also: (rule, at, wrong) => {
      const filled = (name) => Array.isArray(rule[name]) && rule[name].length > 0;
      if (Object.keys(peers).filter(filled).length > 1) wrong(at);
      if (filled('toPorts') && filled('icmps')) wrong(`${at}.icmps`);
    },
  });
};
const SECTIONS = ['ingress', 'egress', 'ingressDeny', 'egressDeny'];
const ciliumSpec = (isClusterwide) => (value, at, wrong) => {
  const where = { isClusterwide, isHost: isObject(value) && has(value, 'nodeSelector') };
  const rules = Object.fromEntries(SECTIONS.map((section) => [section, list(ciliumRule({ ...where, direction: section.startsWith('ingress') ? 'ingress' : 'egress', isDeny: section.endsWith('Deny') }))]));
  object({
    endpointSelector, nodeSelector: objectSelector('k8s', 'any', 'node'), ...rules, description: text(), log: object({ value: text() }), enableDefaultDeny: object({ ingress: flag, egress: flag }),
    labels: list(object({ key: text(), value: text(), source: text() }, { needed: ['key'] })),
  }, {
    also: (spec, place, tell) => {
      exactlyOne('endpointSelector', 'nodeSelector')(spec, place, tell);
      if (has(spec, 'nodeSelector') && !isClusterwide) tell(`${place}.nodeSelector`);
      if (!SECTIONS.some((section) => has(spec, section))) tell(place);
    },
  })(value, at, wrong);
};

/* ClusterNetworkPolicy v1alpha2 */

const podsOf = object({ namespaceSelector: plainSelector, podSelector: plainSelector }, { needed: ['podSelector'] });
const destination = object({ number: whole(1, 65535), range: object({ start: whole(1, 65535), end: whole(1, 65535) }, { needed: ['start', 'end'], also: ({ start, end }, at, wrong) => { if (start >= end) wrong(`${at}.end`); } }) }, { also: exactlyOne('number', 'range') });
const protocolMatch = object({ destinationPort: destination }, { needed: ['destinationPort'] });
const protocol = object({ tcp: protocolMatch, udp: protocolMatch, sctp: protocolMatch, destinationNamedPort: text(serviceName) }, { also: exactlyOne('tcp', 'udp', 'sctp', 'destinationNamedPort') });
const strictName = (value) => /^(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$/.test(value);
/** Cilium's own suite says "the host" with a podSelector of nothing but reserved labels that exist, which no pod can have. */
const isReservedSelector = (value) => isObject(value) && Object.keys(value).every((name) => name === 'matchExpressions' || value[name] === null) &&
  Array.isArray(value.matchExpressions) && value.matchExpressions.length > 0 && value.matchExpressions.every((each) => isObject(each) && typeof each.key === 'string' && each.key.startsWith('reserved:') && each.operator === 'Exists');
const podsPeer = (value, at, wrong) => {
  const isReserved = isObject(value) && Object.keys(value).every((name) => name === 'podSelector' || value[name] === null) && isReservedSelector(value.podSelector);
  (isReserved ? object({ namespaceSelector: plainSelector, podSelector: endpointSelector }) : podsOf)(value, at, wrong);
};
const CLUSTER_PEERS = { namespaces: plainSelector, pods: podsPeer };
const CLUSTER_EGRESS_PEERS = { ...CLUSTER_PEERS, nodes: plainSelector, networks: list(text((value) => value.length <= 43 && cidr(value)), { least: 1, most: 25, isSet: true }), domainNames: list(text(strictName), { least: 1, most: 25, isSet: true }) };
/** A member that this version does not know may stand in a peer: it is of a later one, and fails closed. None at all is the same. */
const clusterPeer = (members) => (value, at, wrong) => {
  if (!isObject(value)) { wrong(at); return; }
  const given = Object.keys(value).filter((name) => has(value, name));
  if (given.length > 1) wrong(at);
  for (const name of given) if (Object.prototype.hasOwnProperty.call(members, name)) members[name](value[name], `${at}.${name}`, wrong);
};
const clusterRule = (peers, members) => object({
  name: text((value) => value.length <= 100), action: oneWord('Accept', 'Deny', 'Pass'), [peers]: list(clusterPeer(members), { least: 1, most: 25 }), protocols: list(protocol, { least: 1, most: 25 }),
}, {
  needed: ['action', peers],
  also: (rule, at, wrong) => {
    const given = Array.isArray(rule[peers]) ? rule[peers].filter(isObject) : [];
    const names = (name) => peers === 'to' && given.some((peer) => has(peer, name));
    if (names('domainNames') && rule.action !== 'Accept') wrong(`${at}.to`);
    const isNamed = Array.isArray(rule.protocols) && rule.protocols.some((item) => isObject(item) && has(item, 'destinationNamedPort'));
    if (isNamed && ['networks', 'nodes', 'domainNames'].some(names)) wrong(`${at}.protocols`);
  },
});
const clusterSpec = object({
  tier: oneWord('Admin', 'Baseline'), priority: whole(0, 1000), subject: object({ namespaces: plainSelector, pods: podsOf }, { also: exactlyOne('namespaces', 'pods') }),
  ingress: list(clusterRule('from', CLUSTER_PEERS), { most: 25 }), egress: list(clusterRule('to', CLUSTER_EGRESS_PEERS), { most: 25 }),
}, { needed: ['tier', 'priority', 'subject'] });

/**
 * @param policy an object of one of the four kinds
 * @returns paths of everything in its spec and specs that may not be
 */
export const forbidden = (policy) => {
  const found = [];
  const wrong = (at) => { found.push(at); };
  const { kind } = policy;
  const isCilium = kind === 'CiliumNetworkPolicy' || kind === 'CiliumClusterwideNetworkPolicy';
  if (!isCilium && has(policy, 'specs')) wrong('specs');
  switch (kind) {
    case 'NetworkPolicy': networkSpec(policy.spec ?? {}, 'spec', wrong); break;
    case 'ClusterNetworkPolicy': if (has(policy, 'spec')) clusterSpec(policy.spec, 'spec', wrong); else wrong('spec'); break;
    default: {
      const check = ciliumSpec(kind === 'CiliumClusterwideNetworkPolicy');
      if (has(policy, 'spec')) check(policy.spec, 'spec', wrong);
      if (has(policy, 'specs')) list(check)(policy.specs, 'specs', wrong);
      if (!has(policy, 'spec') && !(Array.isArray(policy.specs) && policy.specs.length > 0)) wrong('spec');
    }
  }
  return found;
};
