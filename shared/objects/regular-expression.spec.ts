import { expect, test } from '@jest/globals';

import { isRegularExpression } from './regular-expression.ts';

test.each(['', '/', '/public/.*', '^GET$', 'GET|POST', 'a?b+c*', 'a+?', '[a-z]', '[^]a]', '[[:alpha:]_-]', '[]-a]', '(?i)get', '(?i:get)x', '(?P<name>a)', '(?<name>a)', '\\d\\.\\-', '\\pL\\p{Greek}', '\\x41\\x{1F600}', '\\Q(*\\E', 'a{2}', 'a{2,}',
  'a{2,4}', 'a{', 'a{x}', '^*', '()', 'é+'])('%s is a regular expression', (text) => { expect(isRegularExpression(text)).toBe(true); });

test.each(['(', ')', '(a', 'a)', '[', '[a', '[]', '[z-a]', '*a', '|*', 'a**', 'a+*', '\\', '\\1', '\\y', '(?=a)', '(?!a)', '(?<=a)', '(?i', '(?z)', 'a{4,2}', 'a{1001}', '\\x{}', '\\p'])('%s is none', (text) => { expect(isRegularExpression(text)).toBe(false); });
