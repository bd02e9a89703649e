import { expect, it } from 'vitest';
import { lastLine } from './console-progress.js';

it.each([
  ['one\r\ntwo\r\n', 'two'],
  ['[  OK  ] Started \u001b[0;1;39mnginx\u001b[0m.\r\n\r\n', '[  OK  ] Started nginx.'],
  ['half a li', 'half a li'],
  ['\r\n  \r\n', undefined],
])('finds the last line of %j', (text, expected) => {
  expect(lastLine(text)).toBe(expected);
});
