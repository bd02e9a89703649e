import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Channel } from '../../console/channel.js';
import { duplexPair } from '../../testing/duplex-pair.js';
import { ConsoleShell } from './console-shell.js';

/** A console on which something prints this first, and answers what is written. */
function shellOn(banner: string, answer: (asked: string, say: (text: string) => void) => void): ConsoleShell {
  const [near, far] = duplexPair();
  const channel = new Channel('hvc0');
  channel.attach(near);
  far.write(banner);
  far.on('data', (chunk: Buffer) => answer(chunk.toString('latin1'), (text) => void far.write(text)));
  return new ConsoleShell(channel);
}

const BANNER = 'Debian GNU/Linux 12 qmpilot hvc0\r\n\r\nqmpilot login: ';
const taken = {
  code: 'SHELL_LOST',
  message: 'shell on hvc0: a login prompt answers in place of a root shell',
  hint: expect.stringContaining('mask serial-getty@hvc0.service'),
};

describe('a login prompt has the console', () => {
  it.each([
    // The request is the name of a user, in two parts.
    ['that asks for a password', (asked: string) => [`${asked.replaceAll('\n', '\r\n')}Pass`, 'word: ']],
    // As agetty: an empty name is asked for again, and a long one ends it after 10 s.
    [
      'that takes no long names',
      (asked: string) => ['\r\nqmpilot login', ': ', asked.trim().slice(0, 20), asked.trim().slice(20)],
    ],
  ])('%s: the shell says so at once, and what to do', async (_, parts) => {
    let first = true;
    const shell = shellOn(BANNER, (asked, say) => {
      if (first) for (const part of parts(asked)) say(part);
      first = false;
    });
    const begun = performance.now();
    await expect(shell.ready()).rejects.toMatchObject(taken);
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it('while the shell waits, whose last command went well: the next one says so', async () => {
    let isGetty = false;
    let print = (_text: string) => {};
    const shell = shellOn('', (asked, say) => {
      print = say;
      const [, verb = '', nonce = ''] = /: qmpilot (\w+) ([0-9a-f]{16}) /.exec(asked) ?? [];
      if (isGetty) say(`\r\nqmpilot login: ${asked.trim()}\r\n`);
      else if (verb === 'ping') say(`\x01P${nonce}0:`);
      else if (verb === 'exec') say(`\x01B${nonce}0:Password: \x01O${nonce}0:\x01X${nonce}1:0`);
    });
    expect(await shell.exec('printf "Password: "')).toMatchObject({ exitCode: 0 });
    isGetty = true;
    print(BANNER);
    await setImmediate();
    await expect(shell.exec('true')).rejects.toMatchObject(taken);
    isGetty = false;
    expect(await shell.exec('true')).toMatchObject({ exitCode: 0 });
  });
});
