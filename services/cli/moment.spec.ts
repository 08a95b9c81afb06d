import { describe, expect, test } from '@jest/globals';

import { parseMoment } from './moment.ts';

const noon = new Date(2026, 10, 21, 12, 0, 0).getTime();

describe('a moment', () => {
  test.each([
    { name: 'is a sequence with a hash', text: '#142', want: { type: 'sequence', seq: 142 } },
    { name: 'is a sequence without one', text: '142', want: { type: 'sequence', seq: 142 } },
    { name: 'is a span ago', text: '-2h', want: { type: 'time', ms: noon - 7_200_000 } },
    { name: 'is a time of today when that has passed', text: '03:12', want: { type: 'time', ms: new Date(2026, 10, 21, 3, 12).getTime() } },
    { name: 'is a time of yesterday when it has not come yet', text: '13:00', want: { type: 'time', ms: new Date(2026, 10, 20, 13, 0).getTime() } },
    { name: 'is a date and time', text: '2026-11-20T03:12', want: { type: 'time', ms: new Date(2026, 10, 20, 3, 12).getTime() } },
    { name: 'is a date and time with a blank', text: '2026-11-20 03:12', want: { type: 'time', ms: new Date(2026, 10, 20, 3, 12).getTime() } },
  ])('$name', ({ text, want }) => {
    expect(parseMoment(text, noon)).toEqual(want);
  });

  test.each(['yesterday', '#', '25:00', '2026-13-45', '-7w', '', '1e9'])('refuses %p, naming the forms', (text) => {
    expect(() => parseMoment(text, noon)).toThrow(/expected a moment such as/);
  });
});
