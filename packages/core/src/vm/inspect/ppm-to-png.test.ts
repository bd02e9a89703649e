import { inflateSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { encodePng, parsePpm } from './ppm-to-png.js';

it('keeps every pixel from PPM to PNG', () => {
  const rgb = Buffer.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const png = encodePng(parsePpm(Buffer.concat([Buffer.from('P6\n# made by hand\n2 2\n255\n'), rgb])));
  expect(png.subarray(1, 4).toString()).toBe('PNG');
  expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([2, 2]);
  const length = png.readUInt32BE(33);
  expect([...inflateSync(png.subarray(41, 41 + length))]).toEqual([0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
  expect(png.readUInt32BE(29)).toBe(0xfdd49a73);
});

it('refuses a picture that was cut', () => {
  expect(() => parsePpm(Buffer.from('P6\n2 2\n255\nabc'))).toThrow(expect.objectContaining({ code: 'QMP_COMMAND' }));
});
