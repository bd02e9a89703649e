import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { Channel } from './channel.js';

it('leaves one listener on a stream that is attached again and again, as by restores within one QEMU', () => {
  const channel = new Channel('ttyS0');
  const stream = new PassThrough();
  for (let restore = 0; restore < 50; restore += 1) channel.attach(stream);
  expect(stream.listenerCount('error')).toBeLessThanOrEqual(2);
  expect(stream.listenerCount('data')).toBe(1);
  channel.close();
});
