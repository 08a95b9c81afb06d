/** The policies that Argo CD, kube-prometheus and Cilium's connectivity test publish: accepted, or refused for a true reason, each. */
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

import { describe, expect, test } from '@jest/globals';

import { fillIn } from './go-template.ts';
import { outcomesOf } from './judge.ts';
import { publishedManifests } from './manifests.ts';
import { OUTCOMES } from './outcomes.ts';

const ROWS = Object.entries(OUTCOMES).flatMap(([folder, files]) => Object.entries(files).map(([name, want]) => ({ file: `${folder}/${name}.yaml`, want })));
const isManifest = (file: string): boolean => /^(argo-cd|kube-prometheus|cilium-connectivity)\/.*\.ya?ml$/.test(file) && !basename(file).startsWith('kustomization');

if (publishedManifests === undefined) {
  test('no published policy is judged: there is no ../shared/manifests beside the checkout', () => { expect(publishedManifests).toBeUndefined(); });
} else {
  const folder = publishedManifests;
  describe('what becomes of published policies', () => {
    test.each(ROWS)('$file', ({ file, want }) => { expect(outcomesOf(folder, file)).toEqual(want); });

    test('the table has every file that holds one', () => {
      const index = JSON.parse(readFileSync(`${folder}/index.json`, 'utf8')) as readonly { readonly file: string }[]; // the folder's own index
      const known = new Set(ROWS.map(({ file }) => file));
      const others = index.map(({ file }) => file).filter((file) => isManifest(file) && !known.has(file) && existsSync(`${folder}/${file}`));
      expect(others.flatMap((file) => outcomesOf(folder, file).filter((outcome) => !/^Service accepted$/.test(outcome)).map((outcome) => `${file}: ${outcome}`))).toEqual([]);
    });
  });
}

describe('a template of Go', () => {
  const functions = { upper: (text = '') => text.toUpperCase(), join: (...texts: readonly string[]) => texts.join('+') };
  const values = { A: 'a', List: ['x', 'y'], Nodes: [{ IP: '1.1.1.1' }], Empty: [] };
  test.each([
    { name: 'takes values', template: 'v: {{ .A }}{{.A}}', want: 'v: aa' },
    { name: 'calls functions, nested and piped', template: '{{ join (upper .A) "b" }} {{ .A | join "c" | upper }}', want: 'A+b C+A' },
    { name: 'repeats, with what is trimmed', template: 'to:\n{{- range .List }}\n- {{.}}\n{{- end }}\nend', want: 'to:\n- x\n- y\nend' },
    { name: 'names an item', template: '{{ range $i := .Nodes }}{{$i.IP}}/{{ .IP }}{{ end }}', want: '1.1.1.1/1.1.1.1' },
    { name: 'repeats nothing', template: 'a{{ range .Empty }}b{{ .C }}{{ end }}c', want: 'ac' },
  ])('$name', ({ template, want }) => { expect(fillIn(template, values, functions)).toBe(want); });
  test.each(['{{ .B }}', '{{ nothing .A }}', '{{ .A', '{{ range .A }}{{ end }}', '{{ if .A }}{{ end }}', '{{ .constructor }}'])('%s is an error', (template) => { expect(() => fillIn(template, values, functions)).toThrow(Error); });
});
