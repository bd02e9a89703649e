import { expect, it } from 'vitest';
import { Channel } from '../../console/channel.js';
import { Console } from '../../console/console.js';
import { duplexPair } from '../../testing/duplex-pair.js';
import { Prompt } from './prompt.js';

function terminal() {
  const [guest, host] = duplexPair();
  const console = new Console(new Channel('ttyS0'));
  console.channel.attach(host);
  return { guest, console, prompt: new Prompt(console) };
}

it('finds the prompt of bash between and within lines of the kernel', async () => {
  const { guest, console, prompt } = terminal();
  guest.write('root@box:~# [   23.100000] kvm: enabled\r\necho ha');
  await console.expect('echo ha');
  const answer = 'GNU ba[   24.000001] eth0: link up\r\nsh, version 5.2.15\r\nroot@box:~# echo ha';
  guest.once('data', () => guest.write(answer));
  const restore = await prompt.take({ patience: 0 });
  const restored = restore();
  guest.write('\r\nroot@box:~# ');
  await restored;
});

it('gives up within 20 s on a guest that prints 1 MB of unfinished kernel lines', async () => {
  const { guest, prompt } = terminal();
  const flood = '[1.1]'.repeat(13_000);
  const begun = performance.now();
  const waiting = prompt.returned();
  for (let count = 0; count < 16; count += 1) guest.write(flood);
  await waiting;
  expect(performance.now() - begun).toBeLessThan(20_000);
});
