/** What Seine makes of a published file: one line for each object in it that is a policy, or that a policy refers to. */
import { readFileSync } from 'node:fs';

import { POLICY_OBJECT_KINDS } from '@seine/events';
import { parseManifests, parsePolicyObject } from '@seine/objects';
import { toFact } from '@seine/watcher';

import { fillIn, type Functions, type Values } from './go-template.ts';

/** As `cilium connectivity test` has them by default, on the lab's nodes. The names of the wildcards differ in two labels, as it asks. */
const VALUES: Values = {
  ExternalTarget: 'one.one.one.one.', ExternalOtherTarget: 'k8s.io.', FakeExternalTarget: 'a.b.fake.external.', FakeExternalOtherTarget: 'c.fake.external.',
  ExternalCIDRv4: '1.0.0.0/8', ExternalCIDRv6: '2606:4700:4700::/96', ExternalIPv4: '1.1.1.1', ExternalOtherIPv4: '1.0.0.1', ExternalIPv6: '2606:4700:4700::1111', ExternalOtherIPv6: '2606:4700:4700::1001',
  TestNamespace: 'cilium-test-1', ClusterNameLocal: 'default', ClusterNameRemote: 'default', ExternalDeploymentPort: 8080, ExternalTargetCANamespace: 'cilium-test-1', ExternalTargetCAName: 'cabundle',
  K8sCIDR: '192.168.50.1/32', NodeCIDRs: ['192.168.50.1/32', '192.168.50.2/32'], ControlPlaneCIDRs: ['192.168.50.1/32'], NodesWithoutCiliumIPs: [{ IP: '192.168.50.3', Mask: 32 }],
};
const FUNCTIONS: Functions = {
  trimSuffix: (text = '', suffix = '') => (text.endsWith(suffix) ? text.slice(0, -suffix.length) : text),
  ipToCIDR: (address = '') => `${address}/${address.includes(':') ? 128 : 32}`,
  generateDNSMatchPatternWithWildcard: (_name, _other, kind) => `${{ 'any-prefix': '**', 'subdomain-prefix': '*' }[kind ?? ''] ?? 'a*'}.b.fake.external.`,
};
/** The builder of the suite names these itself. */
const NAMELESS = /^(\s*name:)(\s*#.*)$/m;

export const textOf = (folder: string, file: string): string => {
  const text = readFileSync(`${folder}/${file}`, 'utf8').replace(NAMELESS, '$1 named-by-its-builder$2');
  return text.includes('{{') ? fillIn(text, file.endsWith('/bgp-peering-policy.yaml') ? ['192.0.2.1'] : VALUES, FUNCTIONS) : text;
};

const isPolicyKind = (kind: string): kind is (typeof POLICY_OBJECT_KINDS)[number] => (POLICY_OBJECT_KINDS as readonly string[]).includes(kind);

/** `accepted`; `withheld` with the members that are not enforceable here; `refused` with every reason; nothing for what says nothing about the network. */
export const outcomesOf = (folder: string, file: string): readonly string[] => {
  const { objects, refused } = parseManifests(textOf(folder, file), file);
  return [
    ...refused.map(({ object, refusals }) => `${object.kind} unreadable: ${refusals.map(({ message }) => message).join('; ')}`),
    ...objects.flatMap((object) => {
      const fact = toFact(object, '1970-01-01T00:00:00.000Z');
      if (fact === undefined) return [];
      if ('refusals' in fact) return [`${object.kind} refused: ${fact.refusals.map(({ message }) => message).join('; ')}`];
      if (!isPolicyKind(object.kind)) return [`${object.kind} accepted`];
      const parsed = parsePolicyObject({ kind: object.kind, namespace: object.namespace, name: object.name, uid: object.uid, spec: object.raw['spec'], specs: object.raw['specs'] });
      const withheld = parsed.ok ? parsed.policies.flatMap((policy) => policy.withheld ?? []).map((sentence) => sentence.slice(0, sentence.indexOf(': '))) : [];
      return [withheld.length === 0 ? `${object.kind} accepted` : `${object.kind} withheld ${withheld.join(' ')}`];
    }),
  ];
};
