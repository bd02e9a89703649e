import { expect, it } from 'vitest';
import { findByPrefix } from './by-prefix.js';

const KNOWN = ['ab', 'abc', 'b1'];

it('finds names by their whole text, even when it begins another, or by a beginning that only one has', () => {
  expect(findByPrefix(KNOWN, ['ab', 'b', 'b1'], 'image')).toEqual(['ab', 'b1']);
});

it.each([
  ['a', 'USAGE', '"a" matches more than one image', 'it matches: ab, abc'],
  ['x', 'NOT_FOUND', 'image "x" not found', 'there are: ab, abc, b1'],
  ['', 'NOT_FOUND', 'image "" not found', 'there are: ab, abc, b1'],
])('refuses %j with %s', (wanted, code, message, hint) => {
  expect(() => findByPrefix(KNOWN, [wanted], 'image')).toThrow(expect.objectContaining({ code, message, hint }));
});

it('lists the first of many names', () => {
  const many = Array.from({ length: 50 }, (_, index) => `image-${index}`);
  expect(() => findByPrefix(many, ['x'], 'image')).toThrow(
    expect.objectContaining({ hint: expect.stringMatching(/^there are: image-0, .*image-7 and 42 more$/) }),
  );
});
