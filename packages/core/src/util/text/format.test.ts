import { expect, it } from 'vitest';
import { formatBytes, formatDuration, formatPercent } from './format.js';

it.each([
  [0, '0 ms'],
  [999.4, '999 ms'],
  [999.6, '1 s'],
  [12_340, '12.3 s'],
  [59_949, '59.9 s'],
  [59_951, '1 min'],
  [125_000, '2 min 5 s'],
  [3_599_600, '1 h'],
  [13_680_000, '3 h 48 min'],
  [216_000_000, '2.5 days'],
])('formats %d ms as %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

it.each([
  [0, '0 %'],
  [0.001, '0.10 %'],
  [0.0067, '0.67 %'],
  [0.0149, '1.5 %'],
  [0.067, '6.7 %'],
  [0.5, '50 %'],
  [0.67, '67 %'],
  [0.9996, '99.96 %'],
  [1, '100 %'],
])('formats the share %d as %s: a rare failure is not none, and nearly all are not all', (share, text) =>
  expect(formatPercent(share)).toBe(text),
);

it.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [1536, '1.5 KiB'],
  [64 * 2 ** 20, '64 MiB'],
  [1024 ** 3 - 1, '1 GiB'],
])('formats %d bytes as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
