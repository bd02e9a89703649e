import { expect, test } from 'vitest';
import { stripEscapes } from './escapes.js';
import { parseKernelLine } from './kernel-line.js';

test.each([
  ['[   24.634921] BUG: x', 24.634921, undefined],
  ['<4>[   24.634921] BUG: x', 24.634921, undefined],
  ['[   24.634921][  T123] BUG: x', 24.634921, 'T123'],
  ['[   24.634921][    C1] BUG: x', 24.634921, 'C1'],
  ['<3>[12345.000001] [   T1] BUG: x', 12345.000001, 'T1'],
  ['root@guest:~# [   24.634921] BUG: x', 24.634921, undefined],
  ['│ pane │[   24.634921] BUG: x', 24.634921, undefined],
  ['\u001b[12;1H text\u001b[K[   24.634921] BUG: x', 24.634921, undefined],
  ['[   24.100000] cut off by another CPU[   24.634921] BUG: x', 24.634921, undefined],
  ['2026-11-24T06:00:00Z [   24.634921] BUG: x', 24.634921, undefined],
  ['[   24.634921] host-1.example kernel: BUG: x', 24.634921, undefined],
  ['[   24.634921 <    0.000012>] BUG: x', 24.634921, undefined],
  ['4,1001,24634921,-;BUG: x', 24.634921, undefined],
  ['4,1001,24634921,-,caller=T123;BUG: x', 24.634921, 'T123'],
])('the message behind %j', (raw, time, caller) => {
  expect(parseKernelLine(raw)).toEqual({ text: 'BUG: x', prefixed: true, foreign: false, time, caller });
});

test.each([
  'Nov 24 06:00:00 host kernel: BUG: x',
  '2026-11-24T06:00:00.123456+01:00 host kernel: BUG: x',
  '[Tue Nov 24 06:00:00 2026] BUG: x',
  '[Nov24 06:00] BUG: x',
  '[  +0.000012] BUG: x',
  'Tue 2026-11-24 06:00:00 CET host kernel: BUG: x',
  '1795500000.123456 host kernel: BUG: x',
  '<4>1 2026-11-24T06:00:00.123Z host kernel - - - BUG: x',
  '2026-11-24T06:00:00,123456+00:00 BUG: x',
  'kern  :warn  : BUG: x',
  '<4>BUG: x',
])('a log of another form is the kernel’s too: %j', (raw) => {
  expect(parseKernelLine(raw)).toMatchObject({ text: 'BUG: x', prefixed: true, time: undefined });
});

test('what a program wrote to the system log is not the kernel’s', () => {
  expect(parseKernelLine('Nov 24 06:00:00 host node[312]: BUG: x')).toMatchObject({ foreign: true, prefixed: false });
});

test('the indentation of a stack frame stays', () => {
  expect(parseKernelLine('[   24.634921]  __schedule+0x1/0x2').text).toBe(' __schedule+0x1/0x2');
});

test('terminal sequences go, and one that never ends takes nothing of the line with it', () => {
  expect(stripEscapes('\u001b[0;1;31m*\u001b[0m a\u001b]0;title\u0007b\u001b(Bc')).toBe('* abc');
  expect(stripEscapes('\u001b]0;never closed BUG')).toBe('0;never closed BUG');
  expect(stripEscapes('end\u001b[')).toBe('end');
});
