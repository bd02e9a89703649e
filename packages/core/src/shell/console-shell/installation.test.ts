import { afterEach, expect, it } from 'vitest';
import { Channel } from '../../console/channel.js';
import { duplexPair } from '../../testing/duplex-pair.js';
import { ConsoleShell } from './console-shell.js';
import { helperInstallation } from './guest-helper.js';

const TICK_MS = 20;
/** Longer than the host waits for one answer, and than a try after which it begins with a Ctrl-C. */
const READING_MS = 6000;
let timer: NodeJS.Timeout | undefined;
afterEach(() => clearInterval(timer));

/** A bash that takes `READING_MS` for the lines of the helper, and echoes them; its terminal forgets what it has not read at a Ctrl-C. */
function slowBash(): Channel {
  const [near, far] = duplexPair();
  const channel = new Channel('hvc0');
  channel.attach(near);
  const perTick = Math.ceil((helperInstallation().length * TICK_MS) / READING_MS);
  let unread = '';
  let line = '';
  let hasHelper = false;
  far.on('data', (chunk: Buffer) => {
    unread += chunk.toString('latin1');
    const end = unread.lastIndexOf('\x03');
    if (end === -1 || hasHelper) return;
    unread = unread.slice(end + 1);
    line = '';
  });
  const answer = (text: string) => {
    const nonce = /^: qmpilot ping (\S+) \1$/.exec(text)?.[1];
    if (hasHelper && nonce !== undefined) far.write(`\x01P${nonce}0:`);
    else if (!hasHelper) far.write('bash-5.2# ');
    hasHelper ||= text.includes('exec "$BASH"');
  };
  timer = setInterval(() => {
    const taken = unread.slice(0, perTick);
    unread = unread.slice(perTick);
    for (const character of taken) {
      if (!hasHelper) far.write(character === '\n' ? '\r\n' : character);
      if (character !== '\n') line += character;
      else {
        answer(line);
        line = '';
      }
    }
  }, TICK_MS);
  return channel;
}

it('lets a bash that has little processor time read the helper to its end', async () => {
  const shell = new ConsoleShell(slowBash());
  await shell.ready({ timeout: '1m' });
  expect(shell.answers).toBe(true);
  shell.close();
});

it('interrupts a program that floods the console of a shell that answered before', async () => {
  const [near, far] = duplexPair();
  const channel = new Channel('hvc0');
  channel.attach(near);
  let floods = false;
  far.on('data', (chunk: Buffer) => {
    const text = chunk.toString('latin1');
    if (text.includes('\x03')) floods = false;
    for (const [, nonce] of text.matchAll(/^: qmpilot ping (\S+) \1$/gm)) if (!floods) far.write(`\x01P${nonce}0:`);
  });
  timer = setInterval(() => floods && far.write('y\r\n'.repeat(200)), TICK_MS);
  const shell = new ConsoleShell(channel);
  await shell.ready({ timeout: '10s' });
  floods = true;
  await expect.poll(() => shell.answers).toBe(false);
  await shell.ready({ timeout: '10s' });
  shell.close();
});
