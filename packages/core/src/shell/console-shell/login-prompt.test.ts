import { expect, it } from 'vitest';
import { Channel } from '../../console/channel.js';
import { duplexPair } from '../../testing/duplex-pair.js';
import { ConsoleShell } from './console-shell.js';

it('says at once that a login prompt has the console, and what to do', async () => {
  const [near, far] = duplexPair();
  const channel = new Channel('hvc0');
  channel.attach(near);
  far.write('Debian GNU/Linux 13 qmpilot hvc0\r\n\r\nqmpilot login: ');
  // As agetty and login answer a request: it is the name of a user, in two parts.
  far.once('data', (chunk: Buffer) => {
    far.write(`${chunk.toString('latin1').replaceAll('\n', '\r\n')}Pass`);
    far.write('word: ');
  });
  const begun = performance.now();
  const failure: unknown = await new ConsoleShell(channel).ready().catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: 'SHELL_LOST',
    message: 'shell on hvc0: a login prompt answers in place of a root shell',
    hint: expect.stringContaining('mask serial-getty@hvc0.service'),
  });
  expect(performance.now() - begun).toBeLessThan(10_000);
});
