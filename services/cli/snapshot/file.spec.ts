import { describe, expect, test } from '@jest/globals';
import { parseManifests } from '@seine/objects';

import { gapsOf, isSnapshot, snapshotText, uncertainties, type SnapshotFile } from './file.ts';

const FILE: SnapshotFile = {
  context: 'arn:aws:eks:eu-1:42:cluster/prod', namespaces: ['shop'], absent: ['ClusterNetworkPolicy'],
  objects: [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { on: 'yes', zero: '0123' } } }],
  unread: [{ kind: 'CiliumNetworkPolicy', apiVersion: 'cilium.io/v2', why: 'HTTP 403: forbidden' }],
  notJudged: [
    { kind: 'GlobalNetworkPolicy', apiVersion: 'projectcalico.org/v3', decides: true, names: ['a', 'b', 'c', 'd', 'e', 'f', 'g'] },
    { kind: 'Tier', apiVersion: 'projectcalico.org/v3', decides: false, names: ['default'] },
  ],
};

const UNCERTAIN = [
  'CiliumNetworkPolicy of cilium.io/v2 could not be listed (HTTP 403: forbidden): what is allowed here such a policy may deny there, and the other way round',
  '7 GlobalNetworkPolicy of projectcalico.org/v3 not judged (a, b, c, d, e and 2 more): where one applies the cluster may answer otherwise',
  'only namespace shop: pods and policies of others are not known',
];

describe('the file of a snapshot', () => {
  test('is manifests that say what they are not', () => {
    const { objects, refused } = parseManifests(snapshotText(FILE), 'prod.yaml');
    expect(refused).toEqual([]);
    expect(objects.map(({ kind, name }) => [kind, name])).toEqual([['Snapshot', 'arn-aws-eks-eu-1-42-cluster-prod'], ['Namespace', 'shop']]);
    expect(objects.filter(isSnapshot).map((snapshot) => uncertainties(gapsOf(snapshot)))).toEqual([UNCERTAIN]);
  });

  test('says the same before it is written', () => { expect(uncertainties(FILE)).toEqual(UNCERTAIN); });
  test('of a cluster that was read whole leaves nothing uncertain', () => { expect(uncertainties({ namespaces: [], unread: [], notJudged: [] })).toEqual([]); });

  test('quotes what older YAML would read as a truth or a number', () => {
    expect(snapshotText(FILE)).toContain('    "on": "yes"\n    zero: "0123"\n');
  });

  test.each([{ spec: null }, { spec: [] }, { spec: { namespaces: 'x', unread: [5], notJudged: {} } }])('whose head is odd says nothing: %j', ({ spec }) => {
    expect(uncertainties(gapsOf({ apiVersion: 'snapshot.seine.network/v1', kind: 'Snapshot', namespace: '', name: 'x', uid: 'x', raw: { spec } }))).toEqual([]);
  });
});
