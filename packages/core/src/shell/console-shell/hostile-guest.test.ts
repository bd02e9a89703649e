import v8 from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { Channel } from '../../console/channel.js';
import { Console } from '../../console/console.js';
import { GuestAgent } from '../../qmp/guest-agent/guest-agent.js';
import { duplexPair } from '../../testing/duplex-pair.js';
import { ExecStream } from '../exec-stream.js';
import { GuestAgentShell } from '../guest-agent/guest-agent-shell.js';
import { SerialLink } from '../serial/serial-link.js';
import { LETTERS } from '../serial/shifted.js';
import { ConsoleShell } from './console-shell.js';

v8.setFlagsFromString('--expose-gc');
const collectGarbage: unknown = runInNewContext('gc');
/** Bytes that are really in use. */
function held(): number {
  if (typeof collectGarbage === 'function') collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

type Say = (text: string | Buffer) => void;

/** A guest that follows the protocol of guest-helper.ts until it is given a command. */
function consoleShell(answer: (verb: string, nonce: string, say: Say) => void): ConsoleShell {
  const [near, far] = duplexPair();
  const channel = new Channel('hvc0');
  channel.attach(near);
  let rest = '';
  far.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, verb = '', nonce = ''] = /^: qmpilot (\w+) ([0-9a-f]{16}) /.exec(line) ?? [];
      if (verb === 'ping') far.write(`\x01P${nonce}0:`);
      else if (verb !== '') answer(verb, nonce, (text) => void far.write(text));
    }
  });
  return new ConsoleShell(channel);
}

const mark = (letter: string, nonce: string, payload: string) => `\x01${letter}${nonce}${payload.length}:${payload}`;

/** The guest agent as somebody else wrote it: `answers` by command, the sync is right. */
function agent(answers: Readonly<Record<string, unknown>>): GuestAgentShell {
  const [near, far] = duplexPair();
  let rest = '';
  far.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('latin1').replaceAll('\xff', '')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines.filter((text) => text.trim() !== '')) {
      const { execute, id }: { readonly execute: string; readonly id: number } = JSON.parse(line);
      far.write(
        `${JSON.stringify({ return: execute === 'guest-sync-delimited' ? id : (answers[execute] ?? {}), id })}\n`,
      );
    }
  });
  return new GuestAgentShell(GuestAgent.fromStream(near));
}

describe('a guest that answers on the console shell', () => {
  it.each(['', 'NaN', '-1', '256', '1e2', '0x1', '99999', 'k', '7 '])(
    'is refused as a shell when it sends %j as an exit code',
    async (said) => {
      const shell = consoleShell((verb, nonce, say) =>
        say(
          verb === 'flow'
            ? mark('S', nonce, '') + mark('X', nonce, said) + mark('Y', nonce, '')
            : mark('B', nonce, '') + mark('O', nonce, '') + mark('X', nonce, said),
        ),
      );
      await expect(shell.exec('true')).rejects.toMatchObject({
        code: 'SHELL_LOST',
        message: expect.stringContaining('as an exit code'),
      });
      const stream = shell.stream('true');
      await expect(stream.result).rejects.toMatchObject({ code: 'SHELL_LOST' });
    },
  );

  it('cannot exceed maxOutput by restarting its output', async () => {
    let given = 0;
    const shell = consoleShell((verb, nonce, say) => {
      if (verb !== 'exec') return;
      say(mark('B', nonce, ''));
      const more = () => {
        if (given >= 40_000) return say(mark('O', nonce, '') + mark('X', nonce, '0'));
        given += 500;
        say(`${mark('O', nonce, '')}${'x'.repeat(500)}${mark('B', nonce, '')}`);
        setImmediate(more);
      };
      more();
    });
    await expect(shell.exec('true', { maxOutput: 1000, timeout: '5s' })).rejects.toMatchObject({
      code: 'OUTPUT_LIMIT',
    });
  });

  it('uses memory in proportion to the bytes when each arrives alone', async () => {
    const shell = consoleShell((verb, nonce, say) => {
      if (verb !== 'exec') return;
      say(mark('B', nonce, ''));
      let left = 100;
      const more = () => {
        if (left === 0) return say(mark('O', nonce, '') + mark('X', nonce, '3'));
        left -= 1;
        // A mark without meaning is between each two.
        say(`x${mark('z', nonce, '')}`.repeat(10_000));
        setImmediate(more);
      };
      more();
    });
    let most = 0;
    const before = held();
    const look = setInterval(() => (most = Math.max(most, held() - before)), 100);
    const { stdoutBytes, exitCode } = await shell.exec('true', { timeout: '60s' });
    clearInterval(look);
    expect([stdoutBytes.length, exitCode]).toEqual([1_000_000, 3]);
    expect(most / 2 ** 20).toBeLessThan(20);
  }, 60_000);

  it('is killed when it streams to a reader that does not read', async () => {
    const shell = consoleShell((verb, nonce, say) => {
      if (verb !== 'flow') return;
      say(mark('S', nonce, ''));
      let left = 2000;
      const more = () => {
        if (left === 0) return say(mark('X', nonce, '137') + mark('Y', nonce, ''));
        left -= 1;
        say('x'.repeat(65_536));
        setImmediate(more);
      };
      more();
    });
    const stream = shell.stream('true');
    await expect(stream.result).rejects.toMatchObject({
      code: 'OUTPUT_LIMIT',
      message: expect.stringContaining('were not read yet'),
    });
  }, 60_000);

  it('in tiny pieces to a reader who comes late is read in the time that its bytes take', async () => {
    const stream = new ExecStream('true', 'console');
    for (let count = 0; count < 400_000; count += 1) stream.push('stdout', Buffer.from('x'));
    stream.finish(0);
    let bytes = 0;
    for await (const chunk of stream) bytes += chunk.bytes.length;
    expect(bytes).toBe(400_000);
  });
});

describe('a guest that answers as the guest agent', () => {
  const STATUS = { 'exited': true, 'out-data': Buffer.from('/run\n/bin/sh\n\n').toString('base64') };
  it.each([
    ['guest-exec', {}],
    ['guest-exec', null],
    ['guest-exec', { pid: 'x' }],
    ['guest-exec', { pid: 1.5 }],
    ['guest-exec-status', {}],
    ['guest-exec-status', 7],
    ['guest-exec-status', { exited: 'yes' }],
    ['guest-exec-status', { 'exited': true, 'out-data': 7 }],
    ['guest-exec-status', { 'exited': true, 'err-data': {} }],
    ['guest-exec-status', { 'exited': true, 'out-data': Buffer.from('999\n').toString('base64') }],
  ])('is refused as a shell when it answers %s with %j', async (command, said) => {
    await expect(
      agent({ 'guest-exec': { pid: 1 }, 'guest-exec-status': STATUS, [command]: said }).exec('true', { timeout: '5s' }),
    ).rejects.toMatchObject({ code: 'SHELL_LOST' });
  });
});

describe('a guest that answers on the serial console', () => {
  const ours = (text: string) =>
    Buffer.from(
      [...text].map((character) => ({ ' ': 0x82, '\n': 0x83 })[character] ?? 0xc0 + LETTERS.indexOf(character)),
    );
  const NONCE = '0123456789abcdef';
  function link(): { readonly link: SerialLink; readonly say: (bytes: Buffer) => Promise<void> } {
    const [near, far] = duplexPair();
    const channel = new Channel('ttyS0');
    channel.attach(near);
    return {
      link: new SerialLink(new Console(channel), NONCE),
      say: (bytes) => new Promise((done) => void far.write(bytes, () => setImmediate(done))),
    };
  }

  it('is limited to the size of one frame when its line never ends', async () => {
    const guest = link();
    const endless = Buffer.alloc(1 << 16, 0xc0);
    const flood = async (count: number) => {
      for (let sent = 0; sent < count; sent += 1) await guest.say(endless);
    };
    // The console's own windows are full by then, and all code has run.
    await flood(160);
    const before = held();
    await flood(640);
    // Released buffers are collected after some more turns; retained ones stay.
    await expect.poll(() => (held() - before) / 2 ** 20, { timeout: 10_000 }).toBeLessThan(4);
    await guest.say(ours(`\n${NONCE} 1 o 1 3\nAAAA\n`));
    expect(await guest.link.frame('a frame', { timeout: 30_000 })).toMatchObject({ number: 1, letter: 'o' });
  });

  it('has only a few of its unrequested frames kept', async () => {
    const guest = link();
    for (let count = 0; count < 500; count += 1) await guest.say(ours(`${NONCE} 1 o 1 3\nAAAA\n`));
    let kept = 0;
    while (await guest.link.frame('a frame', { timeout: 20 }).catch(() => undefined)) kept += 1;
    expect(kept).toBeLessThan(20);
  });
});
