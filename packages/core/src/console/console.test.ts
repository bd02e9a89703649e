import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { duplexPair } from '../testing/duplex-pair.js';
import { Channel } from './channel.js';
import { Console } from './console.js';
import { FileTranscript } from './transcript.js';

function setUp() {
  const [near, far] = duplexPair();
  const channel = new Channel('ttyS0');
  channel.attach(near);
  const console = new Console(channel);
  return { channel, console, far, near };
}

async function received(far: NodeJS.ReadableStream, length: number): Promise<string> {
  let text = '';
  for await (const chunk of far) {
    text += String(chunk);
    if (text.length >= length) break;
  }
  return text;
}

const cleanups: (() => void)[] = [];
afterEach(() => cleanups.splice(0).forEach((run) => run()));

describe('Console', () => {
  it('finds text that came before the call, and not twice', async () => {
    const { console, far } = setUp();
    far.write('login: ');
    expect((await console.expect('login:')).position).toBe(0);
    await expect(console.expect('login:', { timeout: 20 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect((await console.expect('login:', { from: 0 })).end).toBe(6);
  });

  it('matches across chunks that cut escape sequences, UTF-8 and line ends', async () => {
    const { console, far } = setUp();
    const bytes = Buffer.from('\x1b[1;32mgr\u00fc\u00df\x1b]0;title\x07e\x1b[0m\r\nnext');
    for (const byte of bytes) far.write(Buffer.of(byte));
    const match = await console.expect(/gr\u00fc\u00dfe\n(ne)xt/);
    expect(match.groups).toEqual(['ne']);
  });

  it('says what it awaited, how long, and what the last lines were', async () => {
    const { console, far } = setUp();
    far.write('Kernel panic\r\n');
    const error: unknown = await console.expect(/never/, { timeout: 30 }).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'TIMEOUT',
      awaited: '/never/ on ttyS0',
      evidence: { console: ['Kernel panic'] },
    });
  });

  it('rejects waiting expects with CONSOLE_CLOSED when the channel ends, but sees the last words first', async () => {
    const { console, far } = setUp();
    const last = console.expect('bye');
    const never = console.expect('never').catch((e: unknown) => e);
    far.end('bye');
    await last;
    expect(await never).toMatchObject({ code: 'CONSOLE_CLOSED' });
    await expect(console.expect('later')).rejects.toMatchObject({ code: 'CONSOLE_CLOSED' });
  });

  it('neither reads nor writes the channel once it is closed, which is for others to use', async () => {
    const { channel, console, far } = setUp();
    const sent: string[] = [];
    far.on('data', (chunk: Buffer) => sent.push(chunk.toString()));
    const waiting = [console.expect('never'), console.screen.waitFor('never')].map((wait) =>
      wait.catch((error: unknown) => error),
    );
    // More than the screen draws at once: reading is held back until it is drawn.
    const drawing = new Promise<void>((resolve) => channel.onData(() => resolve()));
    far.write('x'.repeat(4 << 20));
    await drawing;
    console.close();
    const closed = { code: 'CONSOLE_CLOSED', message: expect.stringContaining('console ttyS0 was closed') };
    expect(await Promise.all(waiting)).toMatchObject([closed, closed]);
    await expect(console.type('x')).rejects.toMatchObject(closed);
    await expect(console.press('Enter')).rejects.toMatchObject(closed);
    await expect(console.expect('never')).rejects.toMatchObject(closed);
    const next = new Console(channel);
    far.write('login: ');
    await next.expect('login: ');
    await next.type('root\n');
    expect(sent).toEqual(['root\r']);
    next.close();
  });

  it('goes on with another stream after a restore and forgets what came before it', async () => {
    const { channel, console, far } = setUp();
    far.write('old prompt $ ');
    await console.expect('old');
    const ended = vi.fn<() => void>();
    channel.onEnd(ended);
    channel.detach();
    await expect(console.type('x')).rejects.toMatchObject({ code: 'CONSOLE_CLOSED' });
    const waiting = console.expect('prompt');
    const [near, far2] = duplexPair();
    channel.attach(near);
    far.destroy();
    far2.write('new prompt');
    expect((await waiting).text).toBe('prompt');
    expect(ended).not.toHaveBeenCalled();
    await console.type('y');
    expect(await received(far2, 1)).toBe('y');
  });

  it('types a line feed as Enter, in order, every character once', async () => {
    const { console, far } = setUp();
    const text = Array.from({ length: 2000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
    const reading = received(far, 2003);
    await Promise.all([console.type(`${text}\n`), console.press('C-b', 'd')]);
    expect(await reading).toBe(`${text}\r\x02d`);
  });

  it('tells what is typed and pressed, in order, but no secret and no bytes that were sent as such', async () => {
    const { console } = setUp();
    const typed: unknown[] = [];
    console.onTyped((one) => typed.push(one));
    await Promise.all([
      console.type('npm ci\n'),
      console.type('pass\n', { secret: true }),
      console.send(Buffer.from('x')),
    ]);
    await console.press('C-b', 'd');
    expect(typed).toEqual([{ text: 'npm ci\n' }, {}, { keys: ['C-b', 'd'] }]);
  });

  it('refuses an unknown key and sends nothing', async () => {
    const { console, far } = setUp();
    await expect(console.press('a', 'Entre')).rejects.toMatchObject({ code: 'USAGE' });
    await console.type('z');
    expect(await received(far, 1)).toBe('z');
  });

  it('keeps one listener from hurting another', async () => {
    const { console, far } = setUp();
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    cleanups.push(() => warned.mockRestore());
    const seen: string[] = [];
    console.onBytes(() => {
      throw new Error('bad listener');
    });
    console.onBytes((chunk) => seen.push(String(chunk)));
    far.write('a');
    await console.expect('a');
    far.write('b');
    await console.expect('b');
    expect(seen.join('')).toBe('ab');
    expect(warned).toHaveBeenCalledTimes(1);
  });

  it('writes raw bytes to the transcript and stops when told', async () => {
    const { console, far } = setUp();
    const directory = mkdtempSync(join(tmpdir(), 'console-test-'));
    cleanups.push(() => rmSync(directory, { recursive: true }));
    const transcript = new FileTranscript(join(directory, 'console.log'));
    console.setTranscript(transcript);
    far.write('\x1b[1mraw\r\n');
    await console.expect('raw');
    console.setTranscript(undefined);
    far.write('not kept');
    await console.expect('kept');
    transcript.close();
    expect(readFileSync(transcript.path, 'utf8')).toBe('\x1b[1mraw\r\n');
  });

  it('goes on when a transcript throws, and warns', async () => {
    const { console, far } = setUp();
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    cleanups.push(() => warned.mockRestore());
    console.setTranscript({
      write: () => {
        throw new Error('no room');
      },
    });
    far.write('first\r\n');
    await console.expect('first');
    far.write('second\r\n');
    await console.expect('second');
    expect(warned).toHaveBeenCalledOnce();
  });

  it('keeps a limited amount of text while a guest floods it', async () => {
    const [near, far] = duplexPair();
    const channel = new Channel('ttyS0');
    channel.attach(near);
    const console = new Console(channel, { window: 1000 });
    const line = `${'x'.repeat(99)}\n`;
    for (let i = 0; i < 200; i += 1) far.write(line);
    far.write('end');
    await console.expect('end');
    expect(console.position).toBe(20_003);
    expect(console.lines().join('\n').length).toBeLessThanOrEqual(2100);
    expect(console.lastLines(2)).toEqual(['x'.repeat(99), 'end']);
  });

  it('shows what a carriage return left of a line', async () => {
    const { console, far } = setUp();
    far.write('10%\r20%\r100%\r\ndone');
    await console.expect('done');
    expect(console.lastLines(5)).toEqual(['100%', 'done']);
  });
});

describe('Screen', () => {
  it('is drawn from what came before it was asked for, with colours, wide and combining characters', async () => {
    const { console, far } = setUp();
    far.write('\x1b[31mred\x1b[38;2;1;2;3mtrue\x1b[0m \u4f60e\u0301');
    await console.expect('\u4f60');
    await console.screen.drawn();
    expect(console.screen.text()).toBe('redtrue \u4f60e\u0301');
    const cells = console.screen.cells(0);
    expect(cells[0]).toMatchObject({ text: 'r', foreground: 1 });
    expect(cells[3]).toMatchObject({ text: 't', foreground: '#010203' });
    expect(cells[8]).toMatchObject({ text: '\u4f60', width: 2, column: 8 });
    expect(cells[9]).toMatchObject({ text: 'e\u0301', width: 1, column: 10 });
  });

  it('waits for text in a row, sees the alternate buffer and the cursor', async () => {
    const { console, far } = setUp();
    const found = console.screen.waitFor(/Dl\+/, { row: 2 });
    far.write('Dl+ elsewhere\x1b[?1049h\x1b[3;1Hroot 888 Dl+');
    expect((await found).text).toBe('Dl+');
    expect(console.screen.alternate).toBe(true);
    expect(console.screen.cursor).toEqual({ row: 2, column: 12 });
  });

  it('rejects a wait when the console ends, and shows the rows when time runs out', async () => {
    const { console, far } = setUp();
    far.write('hello');
    await expect(console.screen.waitFor('x', { timeout: 30 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    const waiting = console.screen.waitFor('never');
    far.end();
    await expect(waiting).rejects.toMatchObject({ code: 'CONSOLE_CLOSED' });
  });
});
