import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Channel } from './channel.js';

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

it('leaves one listener on a stream that is attached again and again, as by restores within one QEMU', () => {
  const channel = new Channel('ttyS0');
  const stream = new PassThrough();
  for (let restore = 0; restore < 50; restore += 1) channel.attach(stream);
  expect(stream.listenerCount('error')).toBeLessThanOrEqual(2);
  expect(stream.listenerCount('data')).toBe(1);
  channel.close();
});

describe('a guest that moves to another stream', () => {
  it('has all that was sent before and behind it, in order, and nobody is told', async () => {
    const [before, after] = [new PassThrough(), new PassThrough()];
    const channel = new Channel('ttyS0');
    channel.attach(before);
    let heard = '';
    let told = 0;
    channel.onData((chunk) => (heard += chunk.toString()));
    channel.onAttach(() => (told += 1));
    const release = channel.hold();
    before.write('one ');
    const drained = channel.drain();
    setImmediate(release);
    await drained;
    channel.moveTo(after);
    after.write('two');
    await channel.drain();
    expect([heard, told]).toEqual(['one two', 0]);
    channel.close();
  });

  it('gets on the new one what was written on the way, and rejects it where the guest is another', async () => {
    const [before, after, other] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const channel = new Channel('ttyS0');
    channel.attach(before);
    // These streams give back what is written to them.
    let heard = '';
    channel.onData((chunk) => (heard += chunk.toString()));
    let release = channel.holdInput();
    const first = channel.write('first ');
    const second = channel.write('second');
    await channel.drain();
    expect(heard).toBe('');
    channel.moveTo(after);
    release();
    await Promise.all([first, second]);
    await channel.drain();
    expect(heard).toBe('first second');
    release = channel.holdInput();
    const late = expect(channel.write('for the guest of before')).rejects.toMatchObject({ code: 'CONSOLE_CLOSED' });
    channel.attach(other);
    release();
    await late;
    expect(other.readableLength).toBe(0);
    channel.close();
  });
});

it('logs what a console carries both ways, and when it comes and goes, for QMPILOT_DEBUG=console', async () => {
  vi.stubEnv('QMPILOT_DEBUG', 'console');
  vi.resetModules();
  const lines: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((line) => lines.push(String(line)) > 0);
  const logging = new (await import('./channel.js')).Channel('ttyS0');
  // This stream gives back what is written to it.
  const stream = new PassThrough();
  logging.attach(stream);
  await logging.write('ls\r\n\u001b[2J');
  await logging.drain();
  const ended = new Promise((resolve) => logging.onEnd(resolve));
  stream.end();
  await ended;
  expect(lines.map((line) => line.replace(/^\S+ /, ''))).toEqual([
    'qmpilot:console ttyS0: attached\n',
    'qmpilot:console ttyS0: to the guest: ls\\x0d\\x0a\\x1b[2J\n',
    'qmpilot:console ttyS0: from the guest: ls\\x0d\\x0a\\x1b[2J\n',
    'qmpilot:console ttyS0: ended\n',
  ]);
});
