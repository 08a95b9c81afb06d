import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';

import { appliedSubject, logSubject, reportSubject, textOfToken, tickSubject, token } from './subject.ts';

describe('a token', () => {
  test.each([
    { text: 'n1', encoded: 'n1' },
    { text: 'a.b', encoded: 'a=2eb' },
    { text: '*', encoded: '=2a' },
    { text: '>', encoded: '=3e' },
    { text: 'two words', encoded: 'two=20words' },
    { text: '', encoded: '=' },
    { text: '=', encoded: '=3d' },
    { text: 'ümlaut', encoded: '=c3=bcmlaut' },
    { text: 'a\r\nPUB x', encoded: 'a=0d=0aPUB=20x' },
  ])('of $text is $encoded', ({ text, encoded }) => {
    expect(token(text)).toBe(encoded);
    expect(textOfToken(encoded)).toBe(text);
  });

  test('is one NATS token, and gives its text back', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(token(text)).toMatch(/^[A-Za-z0-9_=-]+$/);
      expect(textOfToken(token(text))).toBe(text);
    }));
  });

  test.each(['a.b', '=2E', 'a=', '=zz', '=61', ''])('%p is none', (encoded) => {
    expect(textOfToken(encoded)).toBeUndefined();
  });
});

test('subjects hold names as tokens', () => {
  expect(logSubject('eu.west', 'fact')).toBe('seine.log.eu=2ewest.fact');
  expect(tickSubject('default', 'ipam')).toBe('seine.tick.default.ipam');
  expect(reportSubject('default', 'n1.example.org')).toBe('seine.report.default.n1=2eexample=2eorg');
  expect(appliedSubject('default', '>')).toBe('seine.node.default.=3e.applied');
});
